import type { BackfillStatus } from '../backfill/control.ts';
import type { TableCoverage } from '../model/coverage.ts';
import type { DeliveryCounters, DeliveryStatus, StreamDelivery } from '../model/delivery-status.ts';
import type { LagStatus } from '../model/lag.ts';
import type { LeaseStatus } from '../model/lease-status.ts';
import type { PurgeStatus } from '../model/purge.ts';
import type { StreamStatus } from '../model/stream-status.ts';
import type { TableEvents } from '../model/table-activity.ts';
import type { VerifiedRows } from '../model/verified-tables.ts';

/**
 * What the daemon shows of itself: plain data, sent as JSON. No value of a row and no secret is in it. Times are ISO
 * 8601; counters begin with the process.
 */

/** The answer of `GET /api/status`, and the output of `cdc status --json`. */
export interface DaemonStatus {
  name: string;
  version: string;
  /** Null if no daemon runs: `cdc status` then answers from the checkpoint. */
  pid: number | null;
  startedAt: string | null;
  at: string;
  /**
   * - starting: no pipeline has run yet
   * - standby: another process leads, and this one follows once that ends
   * - streaming: the binlog is followed
   * - waiting: the pipeline ended with an error that can clear by itself, and is started again
   * - stopping: what was read is being delivered
   * - stopped: no daemon runs
   */
  state: 'starting' | 'standby' | 'streaming' | 'waiting' | 'stopping' | 'stopped';
  health: Health;
  /** Null while no pipeline runs, as `delivery` and `backfill`. */
  stream: StreamStatus | null;
  lag: LagStatus;
  purge: PurgeStatus;
  checkpoint: CheckpointStatus;
  /** Who leads; null if no daemon runs here. */
  lease: LeaseStatus | null;
  delivery: DeliveryStatus | null;
  /** Counted since the daemon started, over all of its pipelines. Null if no daemon runs. */
  totals: DeliveryCounts | null;
  deadLetters: DeadLetterStatus;
  backfill: BackfillStatus | null;
  tables: CapturedTableStatus[];
  /** Reconnects to the source since the start, and the last warnings and errors of the log, the newest first. */
  reconnects: number;
  warnings: LoggedWarning[];
  process: ProcessStatus | null;
}

/**
 * - ok: nothing needs a person
 * - degraded: the binlog is followed, and something is wrong
 * - down: the binlog is not followed
 */
export interface Health {
  status: 'ok' | 'degraded' | 'down';
  /** Streaming, every stream accepts, and the lag is under `admin.max_lag`. */
  ready: boolean;
  /** The worst first. */
  problems: HealthProblem[];
}

export interface HealthProblem {
  code:
    | 'not_streaming'
    | 'standby'
    | 'checkpoint_store'
    | 'source_silent'
    | 'lag'
    | 'stream_not_accepting'
    | 'events_wait'
    | 'lanes_retrying'
    | 'purge_near'
    | 'binlog_gone'
    | 'dead_letters'
    | 'incomplete_tables';
  /** notice: something to know, which leaves the health as it is. */
  severity: 'down' | 'degraded' | 'notice';
  what: string;
  why: string | null;
  /** What to do. */
  hint: string | null;
}

export interface CheckpointStatus {
  /** A path, `mysql://host:3306/cdc.cdc_checkpoint`, or `dynamodb:table`. */
  location: string;
  /** When it was written last; null if it does not exist yet. */
  savedAt: string | null;
  /** Where a restart continues; null if there is no checkpoint yet. */
  position: { file: string; position: number; gtids: string | null } | null;
}

export interface DeliveryCounts {
  counters: DeliveryCounters;
  backpressureSeconds: number;
  streams: Pick<StreamDelivery, 'stream' | 'outcomes' | 'requests' | 'requestSeconds'>[];
}

export interface DeadLetterStatus {
  directory: string;
  /** Files in the directory; null if it could not be read. */
  files: number | null;
  /** Of this process, the newest first, at most 20. */
  recent: { at: string; stream: string; table: string; seq: string; why: string }[];
}

export interface CapturedTableStatus {
  schema: string;
  table: string;
  /** Whether the lake holds the whole table. */
  coverage: TableCoverage;
  /** The last result of `cdc verify`; null if there is none of the rows as they are. */
  verified: VerifiedRows | null;
  /** Events by `op` since the daemon started. */
  events: TableEvents;
  bytes: number;
  /** When the last change was committed on the server; null if there was none since the start. */
  lastChangeAt: string | null;
}

/** A line of the log of level warn or above. */
export interface LoggedWarning {
  at: string;
  level: 'warn' | 'error' | 'fatal';
  message: string;
  why: string | null;
  hint: string | null;
  /** How often in a row. */
  times: number;
}

export interface ProcessStatus {
  rssBytes: number;
  /** The 99th percentile of the last seconds. */
  eventLoopDelaySeconds: number;
  cpuSeconds: number;
}

/**
 * The answer of `GET /api/history`: one value each `intervalSeconds`, the oldest first. `?since=` with the last `at`
 * gives only what came later.
 */
export interface History {
  intervalSeconds: number;
  /** Milliseconds since 1970. */
  at: number[];
  lagSeconds: (number | null)[];
  /** Changes read from the binlog, and rows of backfills. */
  eventsPerSecond: number[];
  /** Bytes acknowledged. */
  bytesPerSecond: number[];
  retriesPerSecond: number[];
  bufferedBytes: number[];
  rssBytes: number[];
}
