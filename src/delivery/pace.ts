import type { Quota } from '../change/sink.ts';

/**
 * Keeps requests within a quota by spacing them: the next may go once the quota has had the time for the last one. There
 * are no bursts, so that no second holds more than the quota allows, wherever it is cut.
 */
export class Pace {
  readonly #quota: Quota | undefined;
  #next = 0;

  constructor(quota: Quota | undefined) {
    this.#quota = quota;
  }

  /** Milliseconds until the next request may go. */
  wait(now: number): number {
    return Math.max(0, this.#next - now);
  }

  /** A request goes now; without records, it is its bytes that are known only now. */
  spend(now: number, records: number, bytes: number): void {
    if (this.#quota === undefined) return;
    const requests = records > 0 ? 1 : 0;
    const { requests: perSecond, records: recordsPerSecond, bytes: bytesPerSecond } = this.#quota;
    const seconds = Math.max(requests / perSecond, records / recordsPerSecond, bytes / bytesPerSecond);
    this.#next = Math.max(now, this.#next) + seconds * 1000;
  }
}
