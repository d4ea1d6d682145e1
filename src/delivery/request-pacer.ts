import type { Quota } from '../sinks/sink.ts';

/**
 * Keeps requests within a quota by spacing them: a request can start when the quota's time for the previous one has
 * passed. There are no bursts, so no interval of one second exceeds the quota.
 */
export class RequestPacer {
  readonly #quota: Quota | undefined;
  #next = 0;

  constructor(quota: Quota | undefined) {
    this.#quota = quota;
  }

  /** Milliseconds until the next request can start. */
  delayMs(now: number): number {
    return Math.max(0, this.#next - now);
  }

  /** A request starts now. */
  charge(now: number, records: number, bytes: number): void {
    this.#next = Math.max(now, this.#next) + this.#time(records, bytes);
  }

  /** Corrects the charge of a request: it was charged with `spent` bytes, but has `bytes`. */
  adjust(records: number, spent: number, bytes: number): void {
    this.#next += this.#time(records, bytes) - this.#time(records, spent);
  }

  /** Milliseconds of the quota that a request uses up. */
  #time(records: number, bytes: number): number {
    if (this.#quota === undefined) return 0;
    const { requests, records: recordsPerSecond, bytes: bytesPerSecond } = this.#quota;
    return Math.max(1 / requests, records / recordsPerSecond, bytes / bytesPerSecond) * 1000;
  }
}
