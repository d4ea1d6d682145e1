import { describe, expect, test } from 'vitest';
import { type EstimatedStream, type SummaryInput, summarize } from '../../../../src/backfill/request/estimate.ts';
import { estimateEventBytes } from '../../../../src/backfill/request/event-size.ts';
import { retention } from '../../../../src/source/server/binlog-retention.ts';

const NO_QUOTA = { records: Infinity, requests: Infinity, bytes: Infinity };
const KEPT = { retentionSeconds: null, variable: 'binlog_expire_logs_seconds', bytes: 0, files: 1 };

const STREAM: EstimatedStream = {
  aggregation: { maxEvents: 500, maxBytes: 512 * 1024 },
  quota: NO_QUOTA,
  compresses: false,
  isBilled: true,
};

const input = (stream: Partial<EstimatedStream> = {}, more: Partial<SummaryInput> = {}): SummaryInput => ({
  // Two streams that are alike.
  streams: [
    { ...STREAM, ...stream },
    { ...STREAM, ...stream },
  ],
  rate: undefined,
  binlog: KEPT,
  streamOf: () => 0,
  ...more,
});
const size = (rows: number, perEvent: number, table = 'orders') => ({
  ...{ schema: 'shop', table, rows, bytes: rows * 50, eventBytes: rows * perEvent },
});

describe('the estimate', () => {
  test('events share records by number and by size, and each record is billed in steps of 5 KB', () => {
    // 500 events of 400 bytes: records of 200,000 bytes, billed as 204,800.
    expect(summarize([size(1_000_000, 400)], input())).toMatchObject({
      ...{ tables: 1, rows: 1_000_000, eventBytes: 400_000_000, records: 2_000, billedBytes: 2_000 * 204_800 },
      usd: expect.closeTo(0.4096 * 0.029, 6),
    });
    // 512 KiB are 52 events of 10,000 bytes.
    expect(summarize([size(520, 10_000)], input()).records).toBe(10);
    expect(summarize([size(100, 400)], input({ aggregation: 'off' }))).toMatchObject({
      records: 100,
      billedBytes: 512_000,
    });
    expect(summarize([size(10, 2_000_000)], input()).records).toBe(10);
  });

  test('the time is that of the slowest stream at its quota, or of the rate, or of reading', () => {
    const rows = [size(1_000_000, 1_000), size(1_000_000, 1_000, 'users')];
    const quota = { ...NO_QUOTA, bytes: 1_000_000 };
    expect(summarize(rows, input({ quota }))).toMatchObject({ seconds: 2_000, limit: 'bytes' });
    const apart = input({ quota }, { streamOf: ({ table }) => (table === 'users' ? 1 : 0) });
    expect(summarize(rows, apart)).toMatchObject({ seconds: 1_000, limit: 'bytes' });
    expect(summarize(rows, input({}, { rate: 1_000 }))).toMatchObject({ seconds: 2_000, limit: 'rate' });
    expect(summarize(rows, input())).toMatchObject({ seconds: 20, limit: 'reading' });
    const single = input({ aggregation: 'off', quota: { ...NO_QUOTA, records: 1_000 } });
    expect(summarize(rows, single)).toMatchObject({ seconds: 2_000, limit: 'records' });
    expect(summarize(rows, input({ compresses: true, quota })).seconds).toBe(300);
  });

  test('nothing to read is nothing to wait or to pay for', () => {
    expect(summarize([], input())).toMatchObject({ tables: 0, rows: 0, records: 0, seconds: 0, usd: 0 });
    expect(summarize([size(0, 0)], input())).toMatchObject({ tables: 1, rows: 0, records: 0, seconds: 0 });
  });

  test('a binlog that is purged before the end is a warning with the variable that keeps it longer', () => {
    const binlog = { ...KEPT, retentionSeconds: 3_600 };
    const slow = summarize([size(1_000_000, 400)], input({}, { rate: 100, binlog }));
    expect(slow.warnings).toMatchObject([
      {
        message: expect.stringContaining('after 1.0 hours'),
        hint: expect.stringContaining('binlog_expire_logs_seconds'),
      },
    ]);
    expect(summarize([size(1_000, 400)], input({}, { rate: 100, binlog })).warnings).toEqual([]);
    expect(summarize([size(1_000_000, 400)], input({}, { rate: 1 })).warnings).toEqual([]);
  });
});

describe('how long a server keeps its binlog', () => {
  test.each<[variables: Record<string, string>, seconds: number | null]>([
    [{ binlog_expire_logs_seconds: '2592000', expire_logs_days: '0' }, 2_592_000],
    [{ binlog_expire_logs_seconds: '0', expire_logs_days: '3' }, 259_200],
    [{ binlog_expire_logs_seconds: '86400', expire_logs_days: '1.000000' }, 86_400],
    [{ expire_logs_days: '7' }, 604_800],
    [{ expire_logs_days: '0' }, null],
    [{ binlog_expire_logs_seconds: '86400', binlog_expire_logs_auto_purge: 'OFF' }, null],
    [{}, null],
  ])('%j', (variables, seconds) => {
    expect(retention(new Map(Object.entries(variables))).retentionSeconds).toBe(seconds);
  });
});

describe('the bytes of an event', () => {
  const columns = [
    { type: 'int', count: 1, nameCharacters: 2 },
    { type: 'varchar', count: 2, nameCharacters: 16 },
    { type: 'datetime', count: 1, nameCharacters: 10 },
  ];

  test('grow with the stored row, its names and its format', () => {
    const short = estimateEventBytes('debezium', columns, 100);
    expect(estimateEventBytes('debezium', columns, 1_100) - short).toBeCloseTo(1_020, -2);
    expect(estimateEventBytes('flat', columns, 100)).toBeLessThan(short);
    expect(estimateEventBytes('debezium', [{ type: 'int', count: 1, nameCharacters: 64 }], 30)).toBeGreaterThan(
      estimateEventBytes('debezium', [{ type: 'int', count: 1, nameCharacters: 2 }], 30) + 60,
    );
  });

  test('of a table of one page are not taken from its row length, which means nothing', () => {
    expect(estimateEventBytes('debezium', columns, undefined)).toBeLessThan(550);
    expect(estimateEventBytes('debezium', columns, 5)).toBeGreaterThan(400);
    expect(estimateEventBytes('debezium', [], undefined)).toBeGreaterThan(0);
  });
});
