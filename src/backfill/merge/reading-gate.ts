import type { Delivery } from '../../delivery/delivery.ts';
import { sleepUnlessAborted } from '../../runtime/abort.ts';
import { HEARTBEAT_MS } from '../../source/change-stream.ts';
import { GATE_POLL_MS, WAITING_BYTES_MAX, WAITING_BYTES_MIN } from '../limits.ts';
import type { MergePoint } from './merge-point.ts';

/** What holds reading back, in the words of the status. */
export type HeldBackBy = 'paused' | 'lag' | 'replica lag' | 'delivery' | 'rate';

/**
 * Whether the next chunk can be read, and the next rows merged. The stream goes first: reading waits while it lags, and
 * merging while delivery has enough to send.
 */
export class ReadingGate {
  isPaused: boolean;
  maxLagMs: number;
  /** Rows a second of the whole backfill; undefined for no limit. */
  rate: number | undefined;
  /** The lag of the replica that is read, in seconds. */
  replicaLag = 0;
  /** What reading waits for at the moment; undefined if it does not. */
  heldBackBy: HeldBackBy | undefined;
  readonly #delivery: Delivery;
  readonly #merge: MergePoint;
  readonly #signal: AbortSignal;
  /** When rows can be read again without exceeding the rate. */
  #rateAllowsAt = 0;
  #deliveredBytes: number;
  #measuredAt = performance.now();
  #waitingBytesMax = WAITING_BYTES_MIN;

  constructor(
    delivery: Delivery,
    merge: MergePoint,
    options: { isPaused: boolean; maxLagMs: number; rate: number | undefined; signal: AbortSignal },
  ) {
    this.#delivery = delivery;
    this.#merge = merge;
    this.#signal = options.signal;
    this.#deliveredBytes = delivery.counters.bytes;
    this.isPaused = options.isPaused;
    this.maxLagMs = options.maxLagMs;
    this.rate = options.rate;
  }

  /** How far the stream is behind, in milliseconds. Between two heartbeats a quiet server gives no sign. */
  get lagMs(): number {
    return Math.max(0, Date.now() - this.#merge.committedAt - HEARTBEAT_MS);
  }

  /** Resolves when a chunk can be read. */
  async canRead(): Promise<void> {
    for (;;) {
      this.#signal.throwIfAborted();
      this.heldBackBy = this.#reason();
      if (this.heldBackBy === undefined) return;
      await this.wait();
    }
  }

  /** A moment, while something holds reading or merging back. */
  wait(): Promise<void> {
    return sleepUnlessAborted(GATE_POLL_MS, this.#signal);
  }

  /** Rows were read: with a rate, the next ones have to wait. */
  wereRead(rows: number): void {
    if (this.rate === undefined) return;
    this.#rateAllowsAt = Math.max(this.#rateAllowsAt, performance.now()) + (rows / this.rate) * 1000;
  }

  /** Whether rows can be merged now without delaying the events of the stream. */
  get hasRoom(): boolean {
    const now = performance.now();
    const elapsed = now - this.#measuredAt;
    if (elapsed >= 250) {
      const { bytes } = this.#delivery.counters;
      const perSecond = ((bytes - this.#deliveredBytes) / elapsed) * 1000;
      this.#waitingBytesMax = Math.min(WAITING_BYTES_MAX, Math.max(WAITING_BYTES_MIN, perSecond));
      this.#deliveredBytes = bytes;
      this.#measuredAt = now;
    }
    return this.#delivery.bufferedBytes < this.#waitingBytesMax;
  }

  #reason(): HeldBackBy | undefined {
    if (this.isPaused) return 'paused';
    if (this.lagMs > this.maxLagMs) return 'lag';
    if (this.replicaLag * 1000 > this.maxLagMs) return 'replica lag';
    if (!this.hasRoom) return 'delivery';
    if (performance.now() < this.#rateAllowsAt) return 'rate';
    return undefined;
  }
}
