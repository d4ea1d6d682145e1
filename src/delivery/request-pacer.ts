import type { Quota } from '../sinks/sink.ts';

/**
 * Keeps requests within a quota by spacing them: the next may go once the quota has had the time for the last one. There
 * are no bursts, so that no second holds more than the quota allows, wherever it is cut.
 */
export class RequestPacer {
  readonly #quota: Quota | undefined;
  #next = 0;

  constructor(quota: Quota | undefined) {
    this.#quota = quota;
  }

  /** Milliseconds until the next request may go. */
  delayMs(now: number): number {
    return Math.max(0, this.#next - now);
  }

  /** A request goes now. */
  charge(now: number, records: number, bytes: number): void {
    this.#next = Math.max(now, this.#next) + this.#time(records, bytes);
  }

  /** The request of so many records, for which `spent` bytes were counted, has turned out to have `bytes`. */
  adjust(records: number, spent: number, bytes: number): void {
    this.#next += this.#time(records, bytes) - this.#time(records, spent);
  }

  /** Milliseconds that the quota takes for a request. */
  #time(records: number, bytes: number): number {
    if (this.#quota === undefined) return 0;
    const { requests, records: recordsPerSecond, bytes: bytesPerSecond } = this.#quota;
    return Math.max(1 / requests, records / recordsPerSecond, bytes / bytesPerSecond) * 1000;
  }
}
