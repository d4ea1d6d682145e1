import type { DeliveryCounters, StreamDelivery } from './delivery-status.ts';

/** What was sent to one stream. */
export interface StreamTotals {
  outcomes: StreamDelivery['outcomes'];
  requests: number;
  /** How long its requests took, in all. */
  requestSeconds: number;
  /** When the oldest try began since which nothing was accepted, in milliseconds since 1970; 0 if none is made. */
  tryingSince: number;
  lastAcceptedAt: number;
}

/** What delivery has done since the process started: the pipelines of a daemon add to the same totals. */
export class DeliveryTotals {
  readonly counters: DeliveryCounters = {
    events: 0,
    records: 0,
    requests: 0,
    bytes: 0,
    retries: 0,
    repeats: 0,
    deadLetters: 0,
  };
  backpressureMs = 0;
  readonly #streams = new Map<string, StreamTotals>();

  get streams(): ReadonlyMap<string, StreamTotals> {
    return this.#streams;
  }

  of(stream: string): StreamTotals {
    let totals = this.#streams.get(stream);
    if (totals === undefined) {
      totals = {
        outcomes: { accepted: 0, throttled: 0, unknown: 0, rejected: 0 },
        ...{ requests: 0, requestSeconds: 0, tryingSince: 0, lastAcceptedAt: 0 },
      };
      this.#streams.set(stream, totals);
    }
    return totals;
  }
}
