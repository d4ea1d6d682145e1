import type { Coordinates } from './coordinates.ts';
import type { BinlogObservation } from './lag.ts';

/** How long the server keeps the binlog that a restart would need. */
export interface PurgeStatus {
  /**
   * - known: `headroomSeconds` is at least what is left
   * - unlimited: the server deletes no binlog by itself
   * - gone: the binlog of the checkpoint is no longer there
   * - unknown: the server has not said yet, or the account may not see it
   */
  state: 'known' | 'unlimited' | 'gone' | 'unknown';
  headroomSeconds: number | null;
  /** How long the server keeps a binlog file after its last event. */
  retentionSeconds: number | null;
}

export const PURGE_UNKNOWN: PurgeStatus = { state: 'unknown', headroomSeconds: null, retentionSeconds: null };

/**
 * How long until the server can delete the binlog file of the checkpoint. A server deletes a file when its last write
 * is older than the retention, and never the file that it writes (MySQL: purge_logs_before_date in binlog.cc).
 * @param checkpoint where a restart continues
 * @param writtenUntil the file was written at least until then: when the next one was created, or the commit time of
 * the last transaction that was read from it, in milliseconds since 1970 by the clock of the server
 * @param now by the clock of the server
 */
export function purgeStatus(
  checkpoint: Coordinates,
  { end, files, retentionSeconds }: BinlogObservation,
  writtenUntil: number | undefined,
  now: number,
): PurgeStatus {
  if (files !== undefined && !files.some(({ file }) => file === checkpoint.file)) {
    return { state: 'gone', headroomSeconds: 0, retentionSeconds };
  }
  if (retentionSeconds === null) return { state: 'unlimited', headroomSeconds: null, retentionSeconds };
  if (checkpoint.file === end.file) return { state: 'known', headroomSeconds: retentionSeconds, retentionSeconds };
  if (writtenUntil === undefined) return { ...PURGE_UNKNOWN, retentionSeconds };
  const age = Math.max(0, now - writtenUntil) / 1000;
  return { state: 'known', headroomSeconds: Math.max(0, retentionSeconds - age), retentionSeconds };
}
