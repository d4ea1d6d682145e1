import { describe, expect, test } from 'vitest';
import * as format from '../../../src/dashboard/format.ts';

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

test.each([
  [0, '0 s'],
  [0.04, '0 s'],
  [0.34, '0.3 s'],
  [9.949, '9.9 s'],
  [9.96, '10 s'],
  [59.4, '59 s'],
  [59.6, '1 min'],
  [3 * MINUTE + 20, '3 min 20 s'],
  [HOUR - 0.4, '1 h'],
  [2 * HOUR + 5 * MINUTE + 59, '2 h 5 min'],
  [DAY, '1 d'],
  [29 * DAY + 20 * HOUR + 40 * MINUTE, '29 d 20 h'],
  [4_000 * DAY, '4,000 d'],
])('a duration of %d s is %s', (seconds, text) => {
  expect(format.duration(seconds)).toBe(text);
});

test.each([
  [-3, 'now'],
  [0.9, 'now'],
  [1, '1 s ago'],
  [119, '1 min ago'],
  [HOUR, '1 h ago'],
  [3 * DAY, '3 d ago'],
])('%d s before now is %s', (seconds, text) => {
  expect(format.timeAgo(seconds)).toBe(text);
});

describe('numbers', () => {
  test.each([
    [0, '0'],
    [9_999, '9,999'],
    [10_000, '10.0 k'],
    [999_499, '999 k'],
    [999_600, '1.00 M'],
    [1_234_567, '1.23 M'],
    [12_345_678_901, '12.3 G'],
    [-10_000, '-10.0 k'],
  ])('%d is counted as %s', (value, text) => {
    expect(format.count(value)).toBe(text);
  });

  test('bytes and rates have their unit beside the prefix', () => {
    expect([0, 999, 1_000, 64_000_000].map(format.byteSize)).toEqual(['0 B', '999 B', '1.00 kB', '64.0 MB']);
    expect([0, 2.5, 12.4, 5_900].map(format.perSecond)).toEqual(['0 /s', '2.5 /s', '12 /s', '5.90 k/s']);
    expect(format.bytesPerSecond(568_000)).toBe('568 kB/s');
  });

  test('a part is 0 % only before it begins, and 100 % only at its end', () => {
    expect([0, 0.0001, 0.425, 0.99999, 1].map(format.percent)).toEqual(['0 %', '0.1 %', '42.5 %', '99.9 %', '100 %']);
  });

  test('one thing is no counted', () => {
    expect([format.counted(1, 'table'), format.counted(0, 'table'), format.counted(1_200, 'table')]).toEqual([
      '1 table',
      '0 tables',
      '1,200 tables',
    ]);
  });
});

test('a time of another day has its date', () => {
  const now = new Date(2026, 2, 1, 12, 30, 5).getTime();
  expect(format.clockTime(now - 1_000, now)).toBe('12:30:04');
  expect(format.clockTime(now - DAY * 1_000, now)).toBe('2026-02-28 12:30:05');
  expect(format.fullTime(now)).toMatch(/^2026-03-01 12:30:05 \S+/);
});
