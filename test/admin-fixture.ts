import type { DaemonStatus } from '../src/admin/daemon-status.ts';
import { judgeHealth } from '../src/admin/health.ts';
import type { PipelineObservation } from '../src/admin/status.ts';
import type { DaemonFacts } from '../src/admin/status-reader.ts';
import type { LeaseStatus } from '../src/model/lease-status.ts';
import { RunTotals } from '../src/model/run-totals.ts';
import type { StreamStatus } from '../src/model/stream-status.ts';

export const LEADS: LeaseStatus = {
  ...{ leads: true, confirmed: true, holder: { host: null, pid: process.pid }, generation: 7 },
  ...{ lost: 0, storeErrors: 0, storeError: null },
};

/** A daemon without a pipeline, for tests of the admin server. */
export const daemonFacts = (known: Partial<DaemonFacts> = {}): DaemonFacts => ({
  name: 'shop',
  version: '0.0.0',
  startedAt: '2026-01-31T12:00:00.000Z',
  maxLagMs: 60_000,
  checkpointLocation: '/state/shop.json',
  lease: () => LEADS,
  deadLetterDirectory: '/state/dead-letter',
  totals: new RunTotals(),
  pipeline: () => undefined,
  whyNoPipeline: () => undefined,
  isStopping: () => false,
  reconnects: () => 0,
  warnings: () => [],
  countDeadLetters: async () => 0,
  saved: async () => ({ savedAt: undefined, position: null, tables: [] }),
  ...known,
});

/** A pipeline that has nothing to do. */
export const observation = (stream: StreamStatus): PipelineObservation => ({
  stream,
  failure: undefined,
  lag: { seconds: 0, bytes: 0 },
  silentSeconds: 0,
  purge: { state: 'known', headroomSeconds: 86_400, retentionSeconds: 86_400 },
  checkpointSavedAt: Date.UTC(2026, 0, 31),
  delivery: {
    counters: { events: 0, records: 0, requests: 0, bytes: 0, retries: 0, repeats: 0, deadLetters: 0 },
    bufferedBytes: 0,
    budgetBytes: 64 * 1024 * 1024,
    pendingTransactions: 0,
    backpressure: false,
    backpressureSeconds: 0,
    streams: [],
  },
});

/** A daemon that has nothing to do, and what a test changes of it. */
export function daemonStatus(changed: Partial<Omit<DaemonStatus, 'health'>> = {}, silentSeconds = 0): DaemonStatus {
  const stream = {
    server: { flavor: 'mysql' as const, identity: 'uuid', host: 'db:3306' },
    ...{ epoch: 7, delivered: { file: 'binlog.000001', position: 4, gtids: null } },
  };
  const { lag, purge, delivery } = observation(stream);
  const status: Omit<DaemonStatus, 'health'> = {
    ...{
      name: 'shop',
      version: '0.0.0',
      pid: 1,
      startedAt: '2026-01-31T12:00:00.000Z',
      at: '2026-01-31T12:01:00.000Z',
    },
    ...{ state: 'streaming', stream, lag: { ...lag, maxSeconds: 60 }, purge, delivery },
    lease: LEADS,
    checkpoint: { location: '/state/shop.json', savedAt: '2026-01-31T12:00:58.000Z', position: stream.delivered },
    deadLetters: { directory: '/state/dead-letter', files: 0, recent: [] },
    backfill: { state: 'idle', waitingFor: null, parallel: 4, rate: null, tables: [] },
    totals: {
      counters: { events: 0, records: 0, requests: 0, bytes: 0, retries: 0, repeats: 0, deadLetters: 0 },
      ...{ backpressureSeconds: 0, streams: [] },
    },
    ...{ tables: [], reconnects: 0, warnings: [] },
    process: { rssBytes: 1e8, eventLoopDelaySeconds: 0.02, cpuSeconds: 1.5 },
    ...changed,
  };
  return { ...status, health: judgeHealth({ status, silentSeconds, waitsFor: { why: null, hint: null } }) };
}
