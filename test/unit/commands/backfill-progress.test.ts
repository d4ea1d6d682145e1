import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BackfillStatus, TableStatus } from '../../../src/backfill/control.ts';
import { jsonPrinter, linePrinter, logLine } from '../../../src/commands/backfill/printer.ts';
import {
  type FrameStyle,
  ProgressMeter,
  type ProgressSnapshot,
  progressFrame,
  progressJson,
  progressSummary,
  wholeOf,
} from '../../../src/commands/backfill/progress.ts';
import { formatBytes, formatPercent, formatSeconds, formatStatus } from '../../../src/commands/backfill/text.ts';

const table = (name: string, more: Partial<TableStatus> = {}): TableStatus => ({
  ...{ schema: 'shop', table: name, state: 'reading', request: 'r1', rows: 0, estimatedRows: 1000, fraction: 0 },
  ...more,
});
const RUNNING: BackfillStatus = { state: 'running', waitingFor: null, parallel: 4, rate: null, tables: [] };
const STYLE: FrameStyle = { columns: 100, rows: 24, unicode: false, paint: (_, text) => text };

/** What is shown after the tables had `before` ten seconds ago. */
function snapshot(tables: TableStatus[], status: Partial<BackfillStatus> = {}, before = tables): ProgressSnapshot {
  const meter = new ProgressMeter();
  meter.add(RUNNING, before, 0);
  return meter.add({ ...RUNNING, ...status }, tables, 10_000);
}

describe('the numbers', () => {
  test('a speed is measured over the last seconds, and the time left follows from what is left of the range', () => {
    const before = [table('orders', { rows: 100, fraction: 0.1 })];
    const now = [table('orders', { rows: 600, fraction: 0.5, estimatedRows: 5 })];
    const { whole, speedOf } = snapshot(now, {}, before);
    // The estimate of rows is wrong; half of the range had 600 rows.
    expect(speedOf(now[0] as TableStatus)).toEqual({ rowsPerSecond: 50, secondsLeft: 12 });
    expect(whole).toMatchObject({ rows: 600, rowsPerSecond: 50 });
  });

  test('nothing is promised before a second is over, or while nothing arrives', () => {
    const meter = new ProgressMeter();
    const first = meter.add(RUNNING, [table('orders')], 0);
    expect(first.whole.secondsLeft).toBeUndefined();
    const later = meter.add(RUNNING, [table('orders')], 5_000);
    expect(later.whole).toMatchObject({ rowsPerSecond: 0, secondsLeft: undefined });
  });

  test('old samples are forgotten: after a pause the speed is that of now', () => {
    const meter = new ProgressMeter();
    for (let second = 0; second <= 60; second++) {
      meter.add(RUNNING, [table('orders', { rows: second < 30 ? second * 1000 : 30_000 })], second * 1000);
    }
    expect(meter.add(RUNNING, [table('orders', { rows: 30_000 })], 61_000).whole.rowsPerSecond).toBe(0);
  });

  test('tables count by their rows, and one that is over counts as a whole', () => {
    const whole = wholeOf([
      table('large', { estimatedRows: 9_000, rows: 4_500, fraction: 0.5 }),
      table('small', { estimatedRows: 1_000, state: 'failed' }),
    ]);
    expect(whole).toMatchObject({ rows: 4_500, fraction: 0.55, count: { reading: 1, failed: 1, done: 0 } });
    expect(wholeOf([table('empty', { estimatedRows: 0, state: 'done' })]).fraction).toBe(1);
    expect(wholeOf([]).fraction).toBe(1);
  });

  test.each([
    [0, '0.0 %'],
    [0.4567, '45.6 %'],
    [0.99999, '99.9 %'],
    [1, '100 %'],
  ])('%d is %s: 100 only at the end', (fraction, text) => expect(formatPercent(fraction)).toBe(text));

  test.each([
    [0.4, '0 s'],
    [59, '59 s'],
    [60, '1 min'],
    [130, '2 min 10 s'],
    [3_599.9, '1 h'],
    [11_100, '3 h 5 min'],
    [90_000, '1 day 1 h'],
    [200_000, '2 days 7 h'],
  ])('%d seconds are %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

  test('bytes have a unit', () => {
    expect([0, 999, 1_500, 25_000_000, 3.2e12].map(formatBytes)).toEqual([
      '0 bytes',
      '999 bytes',
      '1.5 KB',
      '25 MB',
      '3.2 TB',
    ]);
  });
});

describe('the frame on a terminal', () => {
  test('has a line for the whole and one for each table, below each other', () => {
    const tables = [
      table('orders', { rows: 500, fraction: 0.5 }),
      table('users', { state: 'done', rows: 1, fraction: 1 }),
      table('log', { state: 'failed', error: { message: 'it was dropped' } }),
      table('later', { state: 'queued' }),
    ];
    const before = tables.map((each) => ({ ...each, rows: 0 }));
    expect(progressFrame(snapshot(tables, {}, before), STYLE).split('\n')).toEqual([
      '1 of 4 tables  ##################------------ 62.5 %  501 rows  50 rows/s   6 s left',
      '  shop.orders  ###############--------------- 50.0 %  500 rows  50 rows/s  10 s left',
      '  shop.users   done, 1 row',
      '  shop.log     failed: it was dropped',
      '  shop.later   queued',
    ]);
  });

  test('says why reading waits, and how a pause ends', () => {
    const orders = [table('orders')];
    expect(progressFrame(snapshot(orders, { waitingFor: 'the stream is 65 s behind' }), STYLE)).toContain(
      '\nreading waits: the stream is 65 s behind\n',
    );
    expect(progressFrame(snapshot(orders, { state: 'paused' }), STYLE)).toContain('cdc backfill --resume');
  });

  test('of 10,000 tables only those in work are shown, and how many wait', () => {
    const tables = Array.from({ length: 10_000 }, (_, i) =>
      table(`t${i}`, { state: i < 6_000 ? 'done' : i < 6_004 ? 'reading' : 'queued' }),
    );
    const lines = progressFrame(snapshot(tables), STYLE).split('\n');
    expect(lines).toHaveLength(6);
    expect(lines[0]).toMatch(/^6,000 of 10,000 tables {2}#+-+ 60.0 %/);
    expect(lines[5]).toBe('3,996 queued');
  });

  test('no line is wider, and there are not more lines, than the terminal has', () => {
    const state = fc.constantFrom<TableStatus['state']>('queued', 'reading', 'done', 'failed', 'cancelled');
    const any = fc.record({
      ...{
        name: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 64 }),
        state,
        rows: fc.nat(),
        estimatedRows: fc.nat(),
      },
      ...{ fraction: fc.double({ min: 0, max: 1, noNaN: true }), message: fc.string({ unit: 'binary-ascii' }) },
    });
    const property = fc.property(
      fc.array(any, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 20, max: 300 }),
      fc.integer({ min: 5, max: 60 }),
      fc.option(fc.string({ unit: 'binary-ascii', maxLength: 300 }), { nil: null }),
      (drawn, columns, rows, waitingFor) => {
        const tables = drawn.map(({ name, message, ...rest }) => table(name, { ...rest, error: { message } }));
        const frame = progressFrame(snapshot(tables, { waitingFor }), { ...STYLE, columns, rows });
        expect(frame.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
        const lines = frame.split('\n');
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(columns);
        expect(lines.length).toBeLessThan(rows);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});

describe('without a terminal', () => {
  test('a log gets the whole every few seconds, and a line for the end of each table', () => {
    let text = '';
    let now = 0;
    const printer = linePrinter(
      (line) => (text += line),
      () => now,
    );
    const reading = [table('orders', { rows: 100, fraction: 0.1 }), table('users')];
    printer.show(snapshot(reading));
    now = 4_000;
    printer.show(snapshot([{ ...(reading[0] as TableStatus), state: 'done' }, table('users')]));
    now = 5_000;
    printer.show(snapshot([{ ...(reading[0] as TableStatus), state: 'done' }, table('users', { state: 'cancelled' })]));
    expect(text.split('\n')).toEqual([
      'backfill: 5.0 % of 2 tables, 0 done, 100 rows, 0 rows/s',
      'shop.orders: done, 100 rows',
      'shop.users: cancelled, 0 rows',
      'backfill: 100 % of 2 tables, 1 done, 100 rows, 0 rows/s',
      '',
    ]);
  });

  test('a script gets one object a second, without a value of a row', () => {
    const lines: string[] = [];
    let now = 0;
    const printer = jsonPrinter(
      (line) => lines.push(line),
      () => now,
    );
    for (now = 0; now < 3_000; now += 250) printer.show(snapshot([table('orders', { rows: 7, fraction: 0.25 })]));
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[0] as string)).toEqual({
      ...{ state: 'running', waitingFor: null, fraction: 0.25, rows: 7, rowsPerSecond: 0, secondsLeft: null },
      tables: { total: 1, queued: 0, reading: 1, done: 0, failed: 0, cancelled: 0 },
      reading: [
        {
          ...{ schema: 'shop', table: 'orders', rows: 7, estimatedRows: 1000, fraction: 0.25 },
          ...{ rowsPerSecond: 0, secondsLeft: null },
        },
      ],
    });
    expect(progressJson(snapshot([]))).toMatchObject({ fraction: 1, reading: [] });
  });

  test('a failed table says what to do', () => {
    let text = '';
    const error = { message: 'it was dropped', why: 'DROP TABLE', hint: 'create it' };
    linePrinter((line) => (text += line)).show(snapshot([table('log', { state: 'failed', error })]));
    expect(text).toContain('shop.log: failed: it was dropped: DROP TABLE\n  do:  create it\n');
    expect(progressSummary(snapshot([table('log', { state: 'failed' })]))).toContain('1 failed');
  });

  test('a line of the log becomes text', () => {
    expect(logLine('{"level":40,"msg":"it waits","why":"no quota","hint":"raise it"}\n')).toBe(
      'warning: it waits: no quota (raise it)',
    );
    expect(logLine('{"level":30,"msg":"following the binlog"}')).toBe('following the binlog');
    expect(logLine('no JSON\n')).toBe('no JSON');
  });
});

test('the status is a table of all tables, and says what to do if there is none', () => {
  const tables = [
    table('orders', { rows: 1_234_567, estimatedRows: 2_000_000, fraction: 0.61 }),
    table('a.b', { state: 'failed', error: { message: 'it was dropped' } }),
  ];
  expect(formatStatus({ ...RUNNING, rate: 5000, waitingFor: 'the rate', tables })).toBe(
    [
      'the backfill is running (4 connections, at most 5,000 rows/s)',
      'reading waits: the rate',
      'table        state      done       rows',
      'shop.orders  reading  61.0 %  1,234,567  of about 2,000,000',
      'shop.`a.b`   failed    0.0 %          0  of about 1,000      it was dropped',
      '',
    ].join('\n'),
  );
  expect(formatStatus({ ...RUNNING, state: 'idle' })).toContain('cdc backfill starts one');
});
