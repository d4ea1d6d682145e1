import { expect, test } from 'vitest';
import { parseDuration, parseSize } from '../../../src/config/units.ts';

test('a size is a number with B, kB, MB, GB, KiB, MiB or GiB, or a bare number of bytes', () => {
  const sizes = ['512KiB', '1 mb', 1000, '1000', '1.5MiB', '2kB', '7b', '1GiB', '2gb'];
  expect(sizes.map(parseSize)).toEqual([524288, 1e6, 1000, 1000, 1572864, 2000, 7, 1073741824, 2e9]);
});

test('a duration is a number with ms, s, m or h, or a bare number of milliseconds', () => {
  const durations = ['100ms', '5s', '2 m', '1h', 250, '0.5s'];
  expect(durations.map(parseDuration)).toEqual([100, 5000, 120000, 3600000, 250, 500]);
});

test('text that is not a number with a known unit is rejected', () => {
  const wrong = ['', 'ms', '-1ms', '5 apples', '5constructor', '1e3', '9'.repeat(400), Number.NaN, -1, '0x10'];
  expect(wrong.map(parseSize)).toEqual(wrong.map(() => undefined));
  expect(wrong.map(parseDuration)).toEqual(wrong.map(() => undefined));
});
