import { describe, expect, test } from 'vitest';
import type { CapturedTableStatus, DaemonStatus } from '../../../src/admin/daemon-status.ts';
import type { TextStyle } from '../../../src/commands/status/layout.ts';
import { ratesBetween } from '../../../src/commands/status/rates.ts';
import { statusLine, statusText } from '../../../src/commands/status/status-text.ts';
import { LEADS } from '../../admin-fixture.ts';

const AT = '2026-03-01T12:00:00.000Z';
const before = (seconds: number): string => new Date(Date.parse(AT) - seconds * 1000).toISOString();

const table = (name: string, more: Partial<CapturedTableStatus> = {}): CapturedTableStatus => ({
  schema: 'shop',
  table: name,
  coverage: { complete: true, since: before(86_400), why: 'backfilled' },
  verified: null,
  events: { c: 10, u: 5, d: 1, r: 0, t: 0 },
  bytes: 1_000,
  lastChangeAt: before(3),
  ...more,
});

const STREAM = {
  stream: 'shop-changes',
  accepting: true,
  lastAcceptedAt: before(1),
  obstacle: null,
  outcomes: { accepted: 1_234, throttled: 0, unknown: 0, rejected: 0 },
  requestsInFlight: 1,
  requests: 9,
  requestSeconds: 1,
  lanes: { total: 64, waiting: 0, inFlight: 1, retrying: 0 },
  stuck: [],
};

const HEALTHY: DaemonStatus = {
  name: 'shop',
  version: '0.1.0',
  pid: 4711,
  startedAt: before(7_500),
  at: AT,
  state: 'streaming',
  health: { status: 'ok', ready: true, problems: [] },
  stream: {
    server: { flavor: 'mysql', identity: 'a-uuid', host: 'db.example.com:3306' },
    epoch: 3,
    delivered: { file: 'binlog.000042', position: 1234, gtids: 'a-uuid:1-7000' },
  },
  lag: { seconds: 0.24, bytes: 1_200, maxSeconds: 60 },
  purge: { state: 'known', headroomSeconds: 532_800, retentionSeconds: 2_592_000 },
  lease: LEADS,
  checkpoint: {
    location: '/state/shop.json',
    savedAt: before(1),
    position: { file: 'binlog.000042', position: 1234, gtids: 'a-uuid:1-7000' },
  },
  delivery: {
    counters: { events: 12_345, records: 123, requests: 12, bytes: 4_500_000, retries: 0, repeats: 0, deadLetters: 0 },
    bufferedBytes: 0,
    budgetBytes: 67_108_864,
    pendingTransactions: 0,
    backpressure: false,
    backpressureSeconds: 0,
    streams: [STREAM],
  },
  deadLetters: { directory: '/state/dead-letter', files: 0, recent: [] },
  backfill: { state: 'idle', waitingFor: null, parallel: 2, rate: null, tables: [] },
  tables: [table('orders'), table('items')],
  totals: null,
  reconnects: 0,
  warnings: [],
  process: { rssBytes: 141_000_000, eventLoopDelaySeconds: 0.002, cpuSeconds: 12 },
};

const PLAIN: TextStyle = { columns: 80, paint: (_color, text) => text };
const textOf = (status: DaemonStatus, style = PLAIN): string => statusText(status, style).join('\n');

test('a healthy pipeline is a page of a few lines that all fit', () => {
  expect(textOf(HEALTHY)).toMatchInlineSnapshot(`
    "shop: healthy, streaming, up 2 h 5 min (process 4711, cdc 0.1.0)

    lag          0.2 s, 1.2 KB of binlog (limit 1 min)
    purge        in 6 days 4 h at the earliest (it keeps a file for 30 days)
    source       mysql db.example.com:3306, delivered to binlog.000042:1234, epoch 3
    checkpoint   saved 1 s ago, at binlog.000042:1234
    delivered    12,345 events, 4.5 MB in 12 requests
    waiting      0 bytes of 67 MB in 0 transactions
    stream       shop-changes: accepts; 1,234 records accepted; 1 request in flight

    tables       2, all complete
                 shop.orders  16 events, last 3 s ago  complete
                 shop.items   16 events, last 3 s ago  complete

    dead letters none
    process      141 MB of memory, event loop 2 ms late, 0 reconnects"
  `);
});

test('what is wrong stands first, with the stuck lane, its oldest event, and the command that helps', () => {
  const status: DaemonStatus = {
    ...HEALTHY,
    health: {
      status: 'degraded',
      ready: false,
      problems: [
        {
          code: 'stream_not_accepting',
          severity: 'degraded',
          what: 'the stream shop-changes accepts nothing',
          why: 'ServiceUnavailableException: slow down, and a text that is so long that it needs another line here',
          hint: 'nothing has to be done: it is sent again',
        },
        {
          code: 'incomplete_tables',
          severity: 'notice',
          what: '1 table is incomplete',
          why: null,
          hint: 'cdc backfill shop.old',
        },
      ],
    },
    lag: { seconds: 754, bytes: null, maxSeconds: 60 },
    purge: { state: 'gone', headroomSeconds: null, retentionSeconds: null },
    delivery: {
      ...(HEALTHY.delivery as NonNullable<DaemonStatus['delivery']>),
      backpressure: true,
      backpressureSeconds: 61,
      bufferedBytes: 67_000_000,
      pendingTransactions: 900,
      streams: [
        STREAM,
        {
          ...STREAM,
          stream: 'stuck',
          accepting: false,
          outcomes: { accepted: 5, throttled: 7, unknown: 1, rejected: 0 },
          lanes: { total: 64, waiting: 3, inFlight: 0, retrying: 30 },
          stuck: Array.from({ length: 20 }, (_, lane) => ({
            ...{ lane, attempts: 9, since: before(62), reason: 'ServiceUnavailableException', events: 4, bytes: 900 },
            oldest: { table: 'shop.orders', seq: '6b02e25e0000000200000006970000000020' },
          })),
        },
      ],
    },
    backfill: {
      ...{ state: 'running', waitingFor: 'delivery', parallel: 2, rate: 1_000 },
      tables: [
        { schema: 'shop', table: 'a', state: 'done', request: '1', rows: 5, estimatedRows: 5, fraction: 1 },
        { schema: 'shop', table: 'b', state: 'reading', request: '1', rows: 500, estimatedRows: 1_000, fraction: 0.5 },
        { schema: 'shop', table: 'c', state: 'queued', request: '1', rows: 0, estimatedRows: 10, fraction: 0 },
      ],
    },
    tables: [
      ...Array.from({ length: 500 }, (_, i) => table(`t${i}`)),
      table('old', { coverage: { complete: false, since: before(172_800), why: 'only changes since then' } }),
    ],
    deadLetters: {
      directory: '/state/dead-letter',
      files: 2,
      recent: [{ at: before(60), stream: 'stuck', table: 'shop.orders', seq: '6b02', why: 'it is too large' }],
    },
    warnings: [{ at: before(10), level: 'warn', message: 'a warning', why: 'so', hint: 'do', times: 3 }],
  };
  expect(textOf(status)).toMatchInlineSnapshot(`
    "shop: DEGRADED, streaming, up 2 h 5 min (process 4711, cdc 0.1.0)

    degraded     the stream shop-changes accepts nothing
                   why: ServiceUnavailableException: slow down, and a text that is
                   so long that it needs another line here
                   do:  nothing has to be done: it is sent again
    notice       1 table is incomplete
                   do:  cdc backfill shop.old

    lag          12 min 34 s (limit 1 min)
    purge        the server has deleted the binlog that a restart needs
    source       mysql db.example.com:3306, delivered to binlog.000042:1234, epoch 3
    checkpoint   saved 1 s ago, at binlog.000042:1234
    delivered    12,345 events, 4.5 MB in 12 requests
    waiting      67 MB of 67 MB in 900 transactions; the binlog is not read
                 meanwhile (backpressure 1 min 1 s in all)
    stream       stuck: ACCEPTS NOTHING, the last time 1 s ago; 5 records accepted,
                 7 throttled, 1 unknown; 1 request in flight
                   lane 0 is stuck with 4 events, 9 attempts in 1 min 2 s:
                   ServiceUnavailableException
                     oldest: shop.orders, seq 6b02e25e0000000200000006970000000020
                   lane 1 is stuck with 4 events, 9 attempts in 1 min 2 s:
                   ServiceUnavailableException
                     oldest: shop.orders, seq 6b02e25e0000000200000006970000000020
                   lane 2 is stuck with 4 events, 9 attempts in 1 min 2 s:
                   ServiceUnavailableException
                     oldest: shop.orders, seq 6b02e25e0000000200000006970000000020
                   and 27 more lanes that retry
    stream       shop-changes: accepts; 1,234 records accepted; 1 request in flight

    backfill     running, 1 of 3 tables done, 2 connections, at most 1,000 rows/s
                   reading waits: delivery
                 shop.b  reading 50.0 %  500 of about 1,000 rows
                 shop.c  queued  0.0 %  0 of about 10 rows

    tables       501, 1 INCOMPLETE
                 shop.old  16 events, last 3 s ago  incomplete since 2 days ago:
                 only changes since then
                 shop.t0   16 events, last 3 s ago  complete
                 shop.t1   16 events, last 3 s ago  complete
                 shop.t2   16 events, last 3 s ago  complete
                 shop.t3   16 events, last 3 s ago  complete
                 shop.t4   16 events, last 3 s ago  complete
                 shop.t5   16 events, last 3 s ago  complete
                 shop.t6   16 events, last 3 s ago  complete
                 and 493 more tables, all complete
                   do:  cdc backfill shop.old

    dead letters 2 in /state/dead-letter
                   last 1 min ago, shop.orders, seq 6b02: it is too large
    warnings     10 s ago: a warning (3 times)
                   why: so
                   do:  do
    process      141 MB of memory, event loop 2 ms late, 0 reconnects"
  `);
});

test('a pipeline that does not run says so, and nothing that only a daemon knows', () => {
  const text = textOf({
    ...HEALTHY,
    ...{ pid: null, startedAt: null, state: 'stopped', delivery: null, process: null, backfill: null },
    health: {
      status: 'down',
      ready: false,
      problems: [{ code: 'not_streaming', severity: 'down', what: 'no daemon runs', why: null, hint: 'cdc run' }],
    },
    lag: { seconds: null, bytes: null, maxSeconds: 60 },
    purge: { state: 'unknown', headroomSeconds: null, retentionSeconds: null },
  });
  expect(text).toMatch(/^shop: DOWN, stopped\n\ndown {9}no daemon runs\n {15}do: {2}cdc run\n\nlag {10}unknown/);
  expect(text).not.toMatch(/process|delivered {4}|stream /);
});

test('colour only repeats what the words say', () => {
  const colored = statusText(HEALTHY, { ...PLAIN, paint: (color, text) => `<${color}>${text}</>` }).join('\n');
  expect(colored).toContain('<good>healthy</>');
  expect(colored.replace(/<\/?\w*>/g, '')).toBe(textOf(HEALTHY));
});

describe('names and messages of others', () => {
  const EVIL = 'x\u001b[2J\u0007\u202e\nshop: healthy\r';
  const status: DaemonStatus = {
    ...HEALTHY,
    health: { ...HEALTHY.health, problems: [{ code: 'lag', severity: 'notice', what: EVIL, why: EVIL, hint: EVIL }] },
    tables: [table(EVIL), table('o', { coverage: { complete: false, since: null, why: EVIL } })],
    warnings: [{ at: AT, level: 'warn', message: EVIL, why: EVIL, hint: EVIL, times: 1 }],
    deadLetters: { directory: EVIL, files: 1, recent: [{ at: AT, stream: EVIL, table: EVIL, seq: EVIL, why: EVIL }] },
    stream: null,
    delivery: {
      ...(HEALTHY.delivery as NonNullable<DaemonStatus['delivery']>),
      streams: [
        {
          ...{ ...STREAM, stream: EVIL, obstacle: { reason: EVIL, since: AT } },
          stuck: [
            { lane: 1, attempts: 1, since: AT, reason: EVIL, events: 1, bytes: 1, oldest: { table: EVIL, seq: EVIL } },
          ],
        },
      ],
    },
    backfill: {
      ...{ state: 'running', waitingFor: EVIL, parallel: 1, rate: null },
      tables: [
        {
          ...{ schema: EVIL, table: EVIL, state: 'failed', request: '1', rows: 0, estimatedRows: 0, fraction: 0 },
          error: { message: EVIL, why: EVIL },
        },
      ],
    },
  };

  test('cannot clear the screen, turn the text, or write a line of their own', () => {
    const lines = statusText(status, PLAIN);
    expect(lines.filter((line) => /[\p{Cc}\u202e]/u.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('shop: healthy'))).toHaveLength(1);
  });

  test('every line fits the terminal, unless a single word does not', () => {
    for (const columns of [40, 80, 120]) {
      const [, ...lines] = statusText(status, { ...PLAIN, columns });
      const long = lines.filter((line) => line.length > columns);
      expect(long.filter((line) => /\S {1}\S/.test(line.trim().slice(columns)))).toEqual([]);
    }
  });
});

test('rates are between two answers of one process', () => {
  const delivery = HEALTHY.delivery as NonNullable<DaemonStatus['delivery']>;
  const later: DaemonStatus = {
    ...HEALTHY,
    at: new Date(Date.parse(AT) + 2_000).toISOString(),
    delivery: { ...delivery, counters: { ...delivery.counters, events: 12_545, bytes: 4_600_000 } },
  };
  const rates = ratesBetween(HEALTHY, later);
  expect(rates).toEqual({ eventsPerSecond: 100, bytesPerSecond: 50_000 });
  expect(ratesBetween({ ...HEALTHY, pid: 1 }, later)).toBeUndefined();
  expect(ratesBetween(undefined, later)).toBeUndefined();
  expect(ratesBetween({ ...HEALTHY, delivery: null }, later)).toBeUndefined();
  expect(statusLine(later, rates)).toBe(
    '2026-03-01T12:00:02.000Z shop: healthy, streaming, lag 0.2 s, purge in 6 days 4 h, 100 events/s, 50 KB/s',
  );
});
