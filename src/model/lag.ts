import { type Coordinates, isBefore } from './coordinates.ts';

/** How far the source is ahead of what was acknowledged. */
export interface LagStatus {
  /** Age of the oldest change that is not acknowledged yet; 0 if there is none. Null if it was never known. */
  seconds: number | null;
  /** Bytes of binlog; null if the account may not see where it ends (REPLICATION CLIENT). */
  bytes: number | null;
  /** `admin.max_lag`. */
  maxSeconds: number;
}

/** Where the binlog of the server ends, and what its clock says. */
export interface BinlogObservation {
  /** When the server answered, in milliseconds since 1970 by the clock of this machine. */
  at: number;
  /** How far the clock of the server is ahead, in milliseconds. */
  clockAheadMs: number;
  end: Coordinates;
  /** The binlogs that the server has; undefined if they were not asked for. The position of each is its size. */
  files: readonly Coordinates[] | undefined;
  /** How long the server keeps a binlog file after its last event; null if it deletes none by itself. */
  retentionSeconds: number | null;
}

/** What a pipeline has read and delivered. Times are milliseconds since 1970, by the clock of the server. */
export interface ReadProgress {
  /** Everything before it is delivered. */
  delivered: Coordinates;
  /** Everything before it was read; undefined within a transaction. */
  read: Coordinates | undefined;
  /** When the oldest transaction was committed that was read and is not delivered; undefined if there is none. */
  oldestCommittedAt: number | undefined;
  /** When the last transaction was committed that was read; undefined before the first one. */
  lastCommittedAt: number | undefined;
}

/** An answer of the server is used for so long. It is asked every two seconds. */
export const FRESH_MS = 3_500;

/**
 * Knows up to which moment everything is delivered. While a transaction waits for its acknowledgement that is its
 * commit time. Otherwise the server was asked where its binlog ends: what the stream does not show, because a
 * server that has nothing to send and one that hangs are both silent.
 */
export class LagTracker {
  /** Everything that was committed before this time is delivered. Milliseconds since 1970, by our clock. */
  #knownAt: number | undefined;
  #observation: BinlogObservation | undefined;
  /** When the stream was last seen at the end of the binlog, with nothing that waits. */
  #caughtUpAt: number | undefined;
  /** The oldest transaction that waits, and when it was seen first, by our clock. */
  #waiting: { committedAt: number; seenAt: number } | undefined;

  /** @param knownAt when the checkpoint was saved that the pipeline starts from */
  constructor(knownAt: number | undefined) {
    this.#knownAt = knownAt;
  }

  get observation(): BinlogObservation | undefined {
    return this.#observation;
  }

  /** How far the clock of the server is ahead; 0 until it is known. */
  get clockAheadMs(): number {
    return this.#observation?.clockAheadMs ?? 0;
  }

  /** The server has answered. */
  observed(observation: BinlogObservation, progress: ReadProgress): void {
    this.#observation = observation;
    if (progress.oldestCommittedAt !== undefined || isBefore(readUpTo(progress), observation.end)) return;
    this.#caughtUpAt = observation.at;
    this.#knownAt = observation.at;
  }

  /** @param now milliseconds since 1970, by our clock */
  seconds(progress: ReadProgress, now: number): number | null {
    const toOurClock = (at: number): number => at - this.clockAheadMs;
    const { oldestCommittedAt, lastCommittedAt } = progress;
    if (oldestCommittedAt !== undefined) {
      if (this.#waiting?.committedAt !== oldestCommittedAt)
        this.#waiting = { committedAt: oldestCommittedAt, seenAt: now };
      // MariaDB logs what SET TIMESTAMP says. It was committed after the stream was at the end, and before it was seen.
      const committedAt = Math.max(toOurClock(oldestCommittedAt), this.#caughtUpAt ?? 0);
      this.#knownAt = Math.min(committedAt, this.#waiting.seenAt);
      return Math.max(0, now - this.#knownAt) / 1000;
    }
    this.#waiting = undefined;
    if (lastCommittedAt !== undefined) {
      this.#knownAt = Math.max(this.#knownAt ?? 0, Math.min(now, toOurClock(lastCommittedAt)));
    }
    const isFresh = this.#observation !== undefined && now - this.#observation.at < FRESH_MS;
    if (isFresh && !isBefore(readUpTo(progress), (this.#observation as BinlogObservation).end)) return 0;
    return this.#knownAt === undefined ? null : Math.max(0, now - this.#knownAt) / 1000;
  }

  /** Bytes of binlog that are not delivered; null if it is not known where it ends. */
  bytes(progress: ReadProgress): number | null {
    if (this.#observation === undefined) return null;
    const { end, files } = this.#observation;
    const from = progress.oldestCommittedAt === undefined ? readUpTo(progress) : progress.delivered;
    if (!isBefore(from, end)) return 0;
    if (from.file === end.file) return end.position - from.position;
    const last = files?.findIndex(({ file }) => file === end.file) ?? -1;
    if (files === undefined || last < 0) return null;
    const first = files.findIndex(({ file }) => file === from.file);
    // Of a file that is gone, all that is left of the binlog.
    let bytes = first < 0 ? end.position : end.position - from.position;
    for (let i = Math.max(0, first); i < last; i++) bytes += (files[i] as Coordinates).position;
    return bytes;
  }
}

/** After a start in the middle of a file, the stream can name a place before it until its first event. */
const readUpTo = ({ delivered, read = delivered }: ReadProgress): Coordinates =>
  isBefore(read, delivered) ? delivered : read;
