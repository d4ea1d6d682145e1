import type { CapturedTableStatus, DaemonStatus, History } from '../../../src/admin/daemon-status.ts';

const secondsAgo = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();

const SEQ = '000000010000002a00000000000f42400000';

/** A daemon with something in every part of the page. */
export const sampleStatus = (): DaemonStatus => ({
  name: 'shop',
  version: '0.1.0',
  pid: 4711,
  startedAt: secondsAgo(86_400),
  at: secondsAgo(0),
  state: 'streaming',
  health: {
    status: 'degraded',
    ready: true,
    problems: [
      {
        code: 'lanes_retrying',
        severity: 'degraded',
        what: '2 lanes of shop-changes have been retrying for 42 s',
        why: 'ServiceUnavailableException: slow down',
        hint: 'look at the metrics of the stream in CloudWatch; nothing is lost while cdc retries',
      },
      {
        code: 'incomplete_tables',
        severity: 'notice',
        what: 'shop.customers is not complete',
        why: null,
        hint: 'run cdc backfill shop.customers',
      },
    ],
  },
  stream: {
    server: { flavor: 'mysql', identity: '3e11fa47-71ca-11e1-9e33-c80aa9429562', host: 'db.shop.example:3306' },
    epoch: 1,
    delivered: { file: 'binlog.000042', position: 1_000_000, gtids: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-48211' },
  },
  lag: { seconds: 0.34, bytes: 48_200, maxSeconds: 60 },
  purge: { state: 'known', headroomSeconds: 2_580_000, retentionSeconds: 2_592_000 },
  lease: {
    ...{ leads: true, confirmed: true, holder: { host: null, pid: 7 }, generation: null },
    ...{ lost: 0, storeErrors: 0, storeError: null },
  },
  checkpoint: {
    location: '/var/lib/cdc/state/shop.json',
    savedAt: secondsAgo(0.2),
    position: { file: 'binlog.000042', position: 1_000_000, gtids: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-48211' },
  },
  totals: null,
  delivery: {
    counters: {
      ...{ events: 12_345_678, records: 23_456, requests: 4_321, bytes: 9_876_543_210 },
      ...{ retries: 12, repeats: 3, deadLetters: 1 },
    },
    ...{ bufferedBytes: 1_234_567, budgetBytes: 64_000_000, pendingTransactions: 17 },
    ...{ backpressure: false, backpressureSeconds: 0 },
    streams: [
      {
        stream: 'shop-changes',
        accepting: true,
        lastAcceptedAt: secondsAgo(0.4),
        obstacle: null,
        outcomes: { accepted: 23_400, throttled: 44, unknown: 11, rejected: 1 },
        requestsInFlight: 3,
        requests: 4_321,
        requestSeconds: 812,
        lanes: { total: 1024, waiting: 37, inFlight: 12, retrying: 2 },
        stuck: [7, 311].map((lane) => ({
          ...{ lane, attempts: 9, since: secondsAgo(42), reason: 'ServiceUnavailableException: slow down' },
          ...{ events: 120, bytes: 64_000, oldest: { table: 'shop.orders', seq: SEQ } },
        })),
      },
    ],
  },
  deadLetters: {
    directory: '/var/lib/cdc/state/dead-letter',
    files: 1,
    recent: [
      {
        at: secondsAgo(3_700),
        ...{ stream: 'shop-changes', table: 'shop.orders', seq: SEQ },
        why: 'the event has 1,120,000 bytes, and a record can have 1,024,000',
      },
    ],
  },
  backfill: {
    ...{ state: 'running', waitingFor: 'replica lag', parallel: 4, rate: 20_000 },
    tables: [
      { ...{ schema: 'shop', table: 'orders', state: 'reading', request: 'r1' }, ...bar(412_000, 1_000_000) },
      { ...{ schema: 'shop', table: 'customers', state: 'queued', request: 'r1' }, ...bar(0, 52_000) },
      { ...{ schema: 'shop', table: 'items', state: 'done', request: 'r1' }, ...bar(4_200, 4_200) },
    ],
  },
  tables: [
    sampleTable('orders', 120_044, false),
    sampleTable('customers', 4_021, false),
    sampleTable('items', 998, true),
    sampleTable('audit_log', 0, true),
  ],
  reconnects: 2,
  warnings: [
    {
      ...{ at: secondsAgo(42), level: 'warn', message: 'records of shop-changes are sent again' },
      ...{ why: 'ServiceUnavailableException: slow down', hint: 'nothing, unless it lasts', times: 9 },
    },
  ],
  process: { rssBytes: 143_000_000, eventLoopDelaySeconds: 0.012, cpuSeconds: 812 },
});

const bar = (rows: number, estimatedRows: number) => ({ rows, estimatedRows, fraction: rows / estimatedRows });

export const sampleTable = (
  table: string,
  inserts: number,
  complete: boolean,
  schema = 'shop',
): CapturedTableStatus => ({
  ...{ schema, table },
  coverage: { complete, since: secondsAgo(80_000), why: complete ? 'created' : 'only changes since then' },
  verified: null,
  events: { c: inserts, u: Math.floor(inserts / 3), d: Math.floor(inserts / 9), r: 0, t: 0 },
  bytes: inserts * 211,
  lastChangeAt: inserts === 0 ? null : secondsAgo(inserts % 97),
});

/** Samples of the last minutes, with waves, and a gap in them. */
export function sampleHistory(minutes = 15): History {
  const history: History = {
    ...{ intervalSeconds: 2, at: [], lagSeconds: [], eventsPerSecond: [] },
    ...{ bytesPerSecond: [], retriesPerSecond: [], bufferedBytes: [], rssBytes: [] },
  };
  const end = Date.now() - 1000;
  for (let i = 0; i < minutes * 30; i++) {
    if (i > minutes * 10 && i < minutes * 11) continue;
    const events = 4_000 + 1_500 * Math.sin(i / 40) + 400 * Math.sin(i * 1.7);
    history.at.push(end - (minutes * 30 - i) * 2_000);
    history.lagSeconds.push(0.3 + 0.2 * Math.abs(Math.sin(i / 9)) + (i % 97 === 0 ? 2.5 : 0));
    history.eventsPerSecond.push(events);
    history.bytesPerSecond.push(events * 220);
    history.retriesPerSecond.push(0);
    history.bufferedBytes.push(1_000_000);
    history.rssBytes.push(143_000_000);
  }
  return history;
}
