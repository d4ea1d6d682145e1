/** Each alert of config/deploy/prometheus/cdc-alerts.yaml: series for which it fires, and for which it must not. */

export interface AlertCase {
  alert: string;
  /** When it is looked at, from the first sample on. A sample each 15 s. */
  at: string;
  /** Series, and their values in the notation of promtool. */
  fires: Record<string, string>;
  /** The labels of the alert, without its severity. */
  labels: Record<string, string>;
  /** The same without an alert: the nearest thing that needs nobody. */
  quiet: Record<string, string>;
}

const A = { job: 'cdc', instance: 'a:8686' };

/** A series of the daemon `a`, or of another instance. */
const of = (metric: string, labels: Record<string, string> = {}): string =>
  `${metric}{${Object.entries({ ...A, ...labels })
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`;
/** The notation has no repetition of infinity. */
const INFINITE = Array(60).fill('Inf').join(' ');
const B = { instance: 'b:8686' };
const STREAM = { stream: 'changes' };
/** Two daemons of one pipeline. */
const PAIR = {
  [of('cdc_build_info', { name: 'shop', version: '1' })]: '1x400',
  [of('cdc_build_info', { ...B, name: 'shop', version: '1' })]: '1x400',
};

export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'CdcDown',
    at: '5m',
    fires: { [of('up')]: '0x400' },
    labels: A,
    quiet: { [of('up')]: '1x8 0x4 1x400' },
  },
  {
    alert: 'CdcAbsent',
    at: '10m',
    fires: { 'up{job="other"}': '1x400' },
    labels: { job: 'cdc' },
    quiet: { [of('up')]: '0x400' },
  },
  {
    alert: 'CdcNoLeader',
    at: '5m',
    fires: { ...PAIR, [of('cdc_leader')]: '0x400', [of('cdc_leader', B)]: '0x400' },
    labels: { job: 'cdc', name: 'shop' },
    quiet: { ...PAIR, [of('cdc_leader')]: '1x8 0x400', [of('cdc_leader', B)]: '0x9 1x400' },
  },
  {
    alert: 'CdcTwoLeaders',
    at: '5m',
    fires: { ...PAIR, [of('cdc_leader')]: '1x400', [of('cdc_leader', B)]: '1x400' },
    labels: { job: 'cdc', name: 'shop' },
    quiet: { ...PAIR, [of('cdc_leader')]: '1x400', [of('cdc_leader', B)]: '0x400' },
  },
  {
    alert: 'CdcLeaseLostOften',
    at: '30m',
    fires: { [of('cdc_leases_lost_total')]: '0x20 2x20 4x20 6x400' },
    labels: A,
    quiet: { [of('cdc_leases_lost_total')]: '0x20 1x400' },
  },
  {
    alert: 'CdcCheckpointErrors',
    at: '10m',
    fires: { [of('cdc_checkpoint_errors_total')]: '0+1x400' },
    labels: A,
    quiet: { [of('cdc_checkpoint_errors_total')]: '7x400' },
  },
  {
    alert: 'CdcNotStreaming',
    at: '5m',
    fires: { [of('cdc_streaming')]: '0x400', [of('cdc_leader')]: '1x400' },
    labels: A,
    quiet: { [of('cdc_streaming')]: '0x400', [of('cdc_leader')]: '0x400' },
  },
  {
    alert: 'CdcLag',
    at: '10m',
    fires: { [of('cdc_lag_seconds')]: '0+15x400', [of('cdc_max_lag_seconds')]: '60x400' },
    labels: A,
    quiet: { [of('cdc_lag_seconds')]: '59x400', [of('cdc_max_lag_seconds')]: '60x400' },
  },
  {
    alert: 'CdcPurgeNear',
    at: '5m',
    fires: { [of('cdc_purge_headroom_seconds')]: '20000x400', [of('cdc_binlog_retention_seconds')]: '86400x400' },
    labels: A,
    quiet: { [of('cdc_purge_headroom_seconds')]: INFINITE, [of('cdc_binlog_retention_seconds')]: INFINITE },
  },
  {
    alert: 'CdcReconnects',
    at: '15m',
    fires: { [of('cdc_source_reconnects_total')]: '0+0.5x400', [of('cdc_streaming')]: '1x400' },
    labels: A,
    // An outage of 90 seconds.
    quiet: { [of('cdc_source_reconnects_total')]: '0x10 1+1x7 8x400', [of('cdc_streaming')]: '1x10 0x5 1x400' },
  },
  {
    alert: 'CdcRestarts',
    at: '15m',
    fires: { [of('cdc_start_time_seconds')]: '0+100x400' },
    labels: A,
    quiet: { [of('cdc_start_time_seconds')]: '100x20 400x400' },
  },
  {
    alert: 'CdcStreamNotAccepting',
    at: '5m',
    fires: { [of('cdc_stream_accepting', STREAM)]: '0x400' },
    labels: { ...A, ...STREAM },
    quiet: { [of('cdc_stream_accepting', STREAM)]: '1x10 0x4 1x400' },
  },
  {
    alert: 'CdcLanesStuck',
    at: '10m',
    fires: {
      [of('cdc_lane_retrying_seconds', STREAM)]: '0+15x400',
      [of('cdc_stream_accepting', STREAM)]: '1x400',
    },
    labels: { ...A, ...STREAM },
    quiet: {
      [of('cdc_lane_retrying_seconds', STREAM)]: '0+15x400',
      [of('cdc_stream_accepting', STREAM)]: '0x400',
    },
  },
  {
    alert: 'CdcBackpressure',
    at: '30m',
    fires: { [of('cdc_backpressure_seconds_total')]: '0+14x400' },
    labels: A,
    quiet: { [of('cdc_backpressure_seconds_total')]: '0+1x400' },
  },
  {
    alert: 'CdcCheckpointNotSaved',
    at: '15m',
    fires: {
      [of('cdc_checkpoint_age_seconds')]: '0+15x400',
      [of('cdc_lag_seconds')]: '0+15x400',
      [of('cdc_streaming')]: '1x400',
      [of('cdc_stream_accepting', STREAM)]: '1x400',
    },
    labels: A,
    quiet: {
      [of('cdc_checkpoint_age_seconds')]: '0+15x400',
      [of('cdc_lag_seconds')]: '0x400',
      [of('cdc_streaming')]: '1x400',
      [of('cdc_stream_accepting', STREAM)]: '1x400',
    },
  },
  {
    alert: 'CdcDeadLetters',
    at: '5m',
    fires: { [of('cdc_dead_letter_files')]: '2x400' },
    labels: A,
    quiet: { [of('cdc_dead_letter_files')]: '0x400' },
  },
  {
    alert: 'CdcIncompleteTables',
    at: '45m',
    fires: { [of('cdc_incomplete_tables')]: '3x400', [of('cdc_backfill_running')]: '0x400' },
    labels: A,
    quiet: { [of('cdc_incomplete_tables')]: '3x400', [of('cdc_backfill_running')]: '1x400' },
  },
  {
    alert: 'CdcEventLoopSlow',
    at: '10m',
    fires: { [of('cdc_event_loop_delay_seconds')]: '3x400' },
    labels: A,
    quiet: { [of('cdc_event_loop_delay_seconds')]: '0.02x400' },
  },
  {
    alert: 'CdcMemory',
    at: '15m',
    fires: { [of('cdc_resident_memory_bytes')]: '500000000x400' },
    labels: A,
    quiet: { [of('cdc_resident_memory_bytes')]: '250000000x400' },
  },
];
