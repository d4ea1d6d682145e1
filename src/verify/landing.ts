import { type Coordinates, isBefore } from '../model/coordinates.ts';
import type { StreamStatus } from '../model/stream-status.ts';
import { sleepUnlessAborted } from '../runtime/abort.ts';
import { CdcError } from '../runtime/error.ts';
import type { Follower } from './follower.ts';

const POLL_MS = 200;
/** The longest time of a timer. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** When events that the source has are in the lake: the daemon delivers them, then the stream writes its buffer. */
export class Landing {
  /** The epoch of the stream. It stays the same, or seqs of before and after cannot be compared. */
  readonly epoch: number;
  readonly identity: string;
  /** How long an event can be on its way after Firehose has it, in milliseconds. */
  readonly bufferMs: number;
  readonly #follower: Follower;
  readonly #signal: AbortSignal;
  #last: StreamStatus;

  constructor(follower: Follower, first: StreamStatus, bufferMs: number, signal: AbortSignal) {
    this.#follower = follower;
    this.#last = first;
    this.epoch = first.epoch;
    this.identity = first.server.identity;
    this.bufferMs = bufferMs;
    this.#signal = signal;
  }

  /** What is delivered now. @throws CdcError if the server of the stream has changed */
  async status(): Promise<StreamStatus> {
    const { stream } = await this.#follower.status();
    const { server, epoch } = stream;
    if (epoch !== this.epoch || server.identity !== this.identity) {
      throw new CdcError('the stream continued on another server while verify ran', {
        why: `its epoch was ${this.epoch} and is ${epoch}, its server was ${this.identity} and is ${server.identity}`,
        hint: 'run cdc verify again',
      });
    }
    return (this.#last = stream);
  }

  /** The coordinates that were delivered when they were last asked for. */
  get delivered(): Coordinates {
    return this.#last.delivered;
  }

  /**
   * Resolves with the time at which everything before `to` is delivered; undefined at the deadline.
   * @param deadline in milliseconds of `performance.now`
   */
  async delivers(to: Coordinates, deadline: number): Promise<number | undefined> {
    for (;;) {
      const status = await this.#statusBefore(deadline);
      if (status === undefined) return undefined;
      if (!isBefore(status.delivered, to)) return performance.now();
      if (performance.now() >= deadline) return undefined;
      await sleepUnlessAborted(POLL_MS, this.#signal);
    }
  }

  /** Undefined if there is no answer before the deadline: a daemon that is stopped still has its socket. */
  async #statusBefore(deadline: number): Promise<StreamStatus | undefined> {
    const timeMs = Math.min(TIMER_MAX_MS, Math.max(0, deadline - performance.now()));
    const answered = new AbortController();
    const late = sleepUnlessAborted(timeMs, answered.signal).then(() => undefined);
    try {
      return await Promise.race([this.status(), late]);
    } finally {
      answered.abort();
    }
  }
}

/** Firehose promises no time; it writes a buffer within some seconds after its interval. */
const SLACK_MIN_MS = 2_000;
const SLACK_MAX_MS = 60_000;

/** @param intervalS the longest time that a stream keeps events in its buffer, in seconds */
export function landingTimeMs(intervalS: number, isLocal: boolean): number {
  const buffer = intervalS * 1000;
  const slack = isLocal ? SLACK_MIN_MS : Math.max(10_000, Math.min(SLACK_MAX_MS, buffer));
  return buffer + slack;
}
