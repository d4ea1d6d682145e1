import type { RunTotals } from '../model/run-totals.ts';
import type { History } from './daemon-status.ts';
import type { StatusReader } from './status-reader.ts';

const INTERVAL_MS = 2_000;
/** One hour. */
const SAMPLES_MAX = 1_800;

interface Counts {
  at: number;
  events: number;
  bytes: number;
  retries: number;
}

/** Keeps the last hour of what the plots of the dashboard show: a few numbers each two seconds. */
export class HistoryRecorder {
  readonly #totals: RunTotals;
  readonly #reader: Pick<StatusReader, 'vitals'>;
  readonly #samples: History = {
    intervalSeconds: INTERVAL_MS / 1000,
    at: [],
    lagSeconds: [],
    eventsPerSecond: [],
    bytesPerSecond: [],
    retriesPerSecond: [],
    bufferedBytes: [],
    rssBytes: [],
  };
  readonly #timer: NodeJS.Timeout;
  #last: Counts;

  /** @param onError hears of a sample that failed: looking must not end the daemon */
  constructor(totals: RunTotals, reader: Pick<StatusReader, 'vitals'>, onError: (error: unknown) => void) {
    this.#totals = totals;
    this.#reader = reader;
    this.#last = this.#counts();
    this.#timer = setInterval(() => {
      try {
        this.#sample();
      } catch (error) {
        onError(error);
      }
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  /** The samples after a time in milliseconds since 1970. */
  since(at: number): History {
    const samples = this.#samples;
    let first = samples.at.length;
    while (first > 0 && (samples.at[first - 1] as number) > at) first--;
    const after = <T>(values: T[]): T[] => values.slice(first);
    return {
      intervalSeconds: samples.intervalSeconds,
      at: after(samples.at),
      lagSeconds: after(samples.lagSeconds),
      eventsPerSecond: after(samples.eventsPerSecond),
      bytesPerSecond: after(samples.bytesPerSecond),
      retriesPerSecond: after(samples.retriesPerSecond),
      bufferedBytes: after(samples.bufferedBytes),
      rssBytes: after(samples.rssBytes),
    };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const before = this.#last;
    const now = this.#counts();
    this.#last = now;
    const seconds = Math.max(0.001, (now.at - before.at) / 1000);
    const { lagSeconds, bufferedBytes } = this.#reader.vitals();
    const samples = this.#samples;
    samples.at.push(now.at);
    samples.lagSeconds.push(lagSeconds);
    samples.eventsPerSecond.push((now.events - before.events) / seconds);
    samples.bytesPerSecond.push((now.bytes - before.bytes) / seconds);
    samples.retriesPerSecond.push((now.retries - before.retries) / seconds);
    samples.bufferedBytes.push(bufferedBytes);
    samples.rssBytes.push(process.memoryUsage.rss());
    if (samples.at.length <= SAMPLES_MAX) return;
    for (const values of Object.values(samples)) if (Array.isArray(values)) values.shift();
  }

  #counts(): Counts {
    const { counters } = this.#totals.delivery;
    return { at: Date.now(), events: this.#totals.tables.total, bytes: counters.bytes, retries: counters.retries };
  }
}
