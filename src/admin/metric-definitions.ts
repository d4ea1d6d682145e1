import { formatTableName } from '../model/table-filter.ts';
import type { CapturedTableStatus, DaemonStatus } from './daemon-status.ts';

/** A value with its labels. */
export type Sample = { value: number } & Record<string, string | number>;

export interface MetricDefinition {
  name: string;
  help: string;
  kind: 'counter' | 'gauge';
  labels: string[];
  /** No sample where the value is not known. */
  values(status: DaemonStatus): Sample[];
}

/** Tables with labels of their own: those with the most events. The others share `table="other"`. */
export const TABLE_LABELS_MAX = 1_000;

/** A name without a dot is no table's. */
const OTHER = 'other';

type Value = number | boolean | null | undefined;
type Streams = NonNullable<DaemonStatus['delivery']>['streams'];

const one = (value: Value): Sample[] => (value === null || value === undefined ? [] : [{ value: Number(value) }]);

const gauge = (name: string, help: string, read: (status: DaemonStatus) => Value): MetricDefinition => ({
  ...{ name, help, kind: 'gauge', labels: [] },
  values: (status) => one(read(status)),
});
const counter = (name: string, help: string, read: (status: DaemonStatus) => Value): MetricDefinition => ({
  ...{ name, help, kind: 'counter', labels: [] },
  values: (status) => one(read(status)),
});
const perStream = (
  name: string,
  help: string,
  read: (stream: Streams[number]) => number | boolean,
): MetricDefinition => ({
  ...{ name, help, kind: 'gauge', labels: ['stream'] },
  values: ({ delivery }) =>
    (delivery?.streams ?? []).map((stream) => ({ stream: stream.stream, value: Number(read(stream)) })),
});

type CountedStreams = NonNullable<DaemonStatus['totals']>['streams'];
const countedPerStream = (
  name: string,
  help: string,
  read: (stream: CountedStreams[number]) => number,
): MetricDefinition => ({
  ...{ name, help, kind: 'counter', labels: ['stream'] },
  values: ({ totals }) => (totals?.streams ?? []).map((stream) => ({ stream: stream.stream, value: read(stream) })),
});

/** The tables that have labels of their own, and the rest. Sorted once for each status. */
function labelled(tables: readonly CapturedTableStatus[]): LabelledTables[] {
  let groups = LABELLED.get(tables);
  if (groups === undefined) {
    groups = groupTables(tables);
    LABELLED.set(tables, groups);
  }
  return groups;
}

interface LabelledTables {
  name: string;
  tables: readonly CapturedTableStatus[];
}
const LABELLED = new WeakMap<readonly CapturedTableStatus[], LabelledTables[]>();

function groupTables(tables: readonly CapturedTableStatus[]): LabelledTables[] {
  const named = ({ schema, table }: CapturedTableStatus): string => formatTableName(schema, table);
  if (tables.length <= TABLE_LABELS_MAX) return tables.map((table) => ({ name: named(table), tables: [table] }));
  const byEvents = tables.toSorted((a, b) => eventsOf(b) - eventsOf(a));
  return [
    ...byEvents.slice(0, TABLE_LABELS_MAX).map((table) => ({ name: named(table), tables: [table] })),
    { name: OTHER, tables: byEvents.slice(TABLE_LABELS_MAX) },
  ];
}

const eventsOf = ({ events: { c, u, d, r, t } }: CapturedTableStatus): number => c + u + d + r + t;
const OPS = ['c', 'u', 'd', 'r', 't'] as const;
const sum = <T>(items: readonly T[], read: (item: T) => number): number =>
  items.reduce((total, item) => total + read(item), 0);
const seconds = (at: string): number => Date.parse(at) / 1000;

const perTable = (
  kind: MetricDefinition['kind'],
  name: string,
  help: string,
  read: (tables: readonly CapturedTableStatus[]) => number | null,
): MetricDefinition => ({
  ...{ name, help, kind, labels: ['table'] },
  values: ({ tables }) =>
    labelled(tables).flatMap(({ name, tables }) => {
      const value = read(tables);
      return value === null ? [] : [{ table: name, value }];
    }),
});

/** Every metric of the daemon. docs/MONITORING.md lists them; a test compares the two. */
export const METRICS: readonly MetricDefinition[] = [
  {
    ...{ name: 'cdc_build_info', help: 'The pipeline and the version of cdc; always 1.', kind: 'gauge' },
    labels: ['name', 'version'],
    values: ({ name, version }) => [{ name, version, value: 1 }],
  },
  gauge('cdc_start_time_seconds', 'When the daemon started, in seconds since 1970.', ({ startedAt }) =>
    startedAt === null ? null : seconds(startedAt),
  ),
  gauge('cdc_streaming', 'Whether the binlog is followed (1) or not (0).', ({ state }) => state === 'streaming'),
  gauge('cdc_ready', 'Whether /readyz answers 200 (1) or 503 (0).', ({ health }) => health.ready),
  gauge(
    'cdc_healthy',
    'Whether nothing needs a person (1), or something does (0).',
    ({ health }) => health.status === 'ok',
  ),

  gauge(
    'cdc_lag_seconds',
    'Age of the oldest change that is not acknowledged; 0 if there is none.',
    ({ lag }) => lag.seconds,
  ),
  gauge('cdc_lag_bytes', 'Bytes of binlog that are not acknowledged.', ({ lag }) => lag.bytes),
  gauge(
    'cdc_max_lag_seconds',
    'The lag from which on the daemon is not ready (admin.max_lag).',
    ({ lag }) => lag.maxSeconds,
  ),
  gauge(
    'cdc_purge_headroom_seconds',
    'Time until the server can delete the binlog of the checkpoint; +Inf if it deletes none, 0 if it is gone.',
    ({ purge }) => (purge.state === 'unlimited' ? Number.POSITIVE_INFINITY : purge.headroomSeconds),
  ),
  gauge('cdc_binlog_retention_seconds', 'How long the server keeps a binlog file; +Inf if without end.', ({ purge }) =>
    purge.state === 'unlimited' ? Number.POSITIVE_INFINITY : purge.retentionSeconds,
  ),
  gauge(
    'cdc_checkpoint_age_seconds',
    'Time since the checkpoint was written. It is written when it moves.',
    (status) =>
      status.checkpoint.savedAt === null ? null : Math.max(0, seconds(status.at) - seconds(status.checkpoint.savedAt)),
  ),
  gauge('cdc_leader', 'Whether this process leads (1) or stands by (0).', ({ lease }) => lease?.leads),
  gauge(
    'cdc_lease_generation',
    'Grows with each process that leads; only of the one that does, and not with a checkpoint file.',
    ({ lease }) => lease?.generation,
  ),
  counter(
    'cdc_leases_lost_total',
    'How often this process has lost the lease while it led.',
    ({ lease }) => lease?.lost,
  ),
  counter(
    'cdc_checkpoint_errors_total',
    'Calls to the checkpoint store that failed.',
    ({ lease }) => lease?.storeErrors,
  ),
  counter('cdc_source_reconnects_total', 'Restarts of the pipeline after an error.', ({ reconnects }) => reconnects),

  {
    ...{ name: 'cdc_events_total', help: 'Events written, by table and op (c, u, d, r, t).', kind: 'counter' },
    labels: ['table', 'op'],
    values: ({ tables }) =>
      labelled(tables).flatMap(({ name, tables }) =>
        OPS.map((op) => ({ table: name, op, value: sum(tables, ({ events }) => events[op]) })),
      ),
  },
  perTable('counter', 'cdc_event_bytes_total', 'Bytes of the events written, by table.', (tables) =>
    sum(tables, ({ bytes }) => bytes),
  ),
  perTable(
    'gauge',
    'cdc_table_last_change_timestamp_seconds',
    'When the last change of the table was committed.',
    (tables) => {
      const times = tables.flatMap(({ lastChangeAt }) => (lastChangeAt === null ? [] : [seconds(lastChangeAt)]));
      return times.length === 0 ? null : Math.max(...times);
    },
  ),
  perTable('gauge', 'cdc_table_complete', 'Whether the lake holds the whole table (1) or not (0).', (tables) =>
    Number(tables.every(({ coverage }) => coverage.complete)),
  ),
  gauge(
    'cdc_incomplete_tables',
    'Tables that the lake does not hold completely; only while the tables of the server are known.',
    ({ tables, stream }) => (stream === null ? null : tables.filter(({ coverage }) => !coverage.complete).length),
  ),

  counter('cdc_delivered_events_total', 'Events that were acknowledged.', ({ totals }) => totals?.counters.events),
  counter(
    'cdc_delivered_bytes_total',
    'Bytes of records that were acknowledged.',
    ({ totals }) => totals?.counters.bytes,
  ),
  counter('cdc_retried_records_total', 'Records that were sent again.', ({ totals }) => totals?.counters.retries),
  counter(
    'cdc_repeated_events_total',
    'Events that were sent again although they were possibly stored.',
    ({ totals }) => totals?.counters.repeats,
  ),
  counter(
    'cdc_dead_letters_total',
    'Events that were moved to the dead letters.',
    ({ totals }) => totals?.counters.deadLetters,
  ),
  gauge('cdc_dead_letter_files', 'Dead letters in the directory.', ({ deadLetters }) => deadLetters.files),

  {
    ...{
      name: 'cdc_records_total',
      help: 'Records by outcome: accepted, throttled, unknown, rejected.',
      kind: 'counter',
    },
    labels: ['stream', 'outcome'],
    values: ({ totals }) =>
      (totals?.streams ?? []).flatMap(({ stream, outcomes }) =>
        Object.entries(outcomes).map(([outcome, value]) => ({ stream, outcome, value })),
      ),
  },
  countedPerStream('cdc_requests_total', 'Requests that were sent.', ({ requests }) => requests),
  countedPerStream(
    'cdc_request_seconds_total',
    'How long requests took, in all.',
    ({ requestSeconds }) => requestSeconds,
  ),
  perStream('cdc_requests_in_flight', 'Requests that are not answered yet.', (stream) => stream.requestsInFlight),
  perStream(
    'cdc_stream_accepting',
    'Whether the stream accepts what it is sent (1) or not (0).',
    (stream) => stream.accepting,
  ),
  perStream('cdc_lanes', 'Lanes of the stream.', ({ lanes }) => lanes.total),
  perStream('cdc_lanes_waiting', 'Lanes with events that are not in flight.', ({ lanes }) => lanes.waiting),
  perStream('cdc_lanes_in_flight', 'Lanes with events in flight.', ({ lanes }) => lanes.inFlight),
  perStream('cdc_lanes_retrying', 'Lanes whose last attempt failed.', ({ lanes }) => lanes.retrying),
  {
    ...{
      name: 'cdc_lane_retrying_seconds',
      help: 'How long the lane fails that does so for the longest, or events wait in the sink.',
      kind: 'gauge',
    },
    labels: ['stream'],
    values: ({ delivery, at }) =>
      (delivery?.streams ?? []).map(({ stream, obstacle, stuck: [first] }) => ({
        stream,
        value: Math.max(0, ...[first, obstacle].map((each) => (each ? seconds(at) - seconds(each.since) : 0))),
      })),
  },

  gauge('cdc_buffered_bytes', 'Bytes of events that wait or are in flight.', ({ delivery }) => delivery?.bufferedBytes),
  gauge(
    'cdc_buffer_limit_bytes',
    'Bytes of events that can wait before the binlog is not read.',
    ({ delivery }) => delivery?.budgetBytes,
  ),
  gauge(
    'cdc_pending_transactions',
    'Transactions that are read and not delivered.',
    ({ delivery }) => delivery?.pendingTransactions,
  ),
  gauge(
    'cdc_backpressure',
    'Whether the binlog is not read because too much waits (1) or not (0).',
    ({ delivery }) => delivery?.backpressure,
  ),
  counter('cdc_backpressure_seconds_total', 'How long that was so.', ({ totals }) => totals?.backpressureSeconds),

  ...backfillMetrics(),

  gauge('cdc_resident_memory_bytes', 'Memory of the process (RSS).', ({ process }) => process?.rssBytes),
  counter('cdc_cpu_seconds_total', 'CPU time of the process.', ({ process }) => process?.cpuSeconds),
  gauge(
    'cdc_event_loop_delay_seconds',
    'How late the event loop was, 99th percentile of some seconds.',
    ({ process }) => process?.eventLoopDelaySeconds,
  ),
];

function backfillMetrics(): MetricDefinition[] {
  const perBackfill = (
    name: string,
    help: string,
    read: (table: NonNullable<DaemonStatus['backfill']>['tables'][number]) => number,
  ): MetricDefinition => ({
    ...{ name, help, kind: 'gauge', labels: ['table'] },
    values: ({ backfill }) => {
      // The last request of a table stands for it.
      const latest = new Map(
        (backfill?.tables ?? []).map((table) => [formatTableName(table.schema, table.table), table]),
      );
      return [...latest].slice(-TABLE_LABELS_MAX).map(([table, status]) => ({ table, value: read(status) }));
    },
  });
  return [
    gauge(
      'cdc_backfill_running',
      'Whether a backfill reads rows (1) or not (0).',
      ({ backfill }) => backfill?.state === 'running',
    ),
    perBackfill(
      'cdc_backfill_progress_ratio',
      'How much of the table is read and delivered, from 0 to 1.',
      ({ fraction }) => fraction,
    ),
    perBackfill('cdc_backfill_rows', 'Rows of the table that the backfill has delivered.', ({ rows }) => rows),
  ];
}
