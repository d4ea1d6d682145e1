import { Counter, Gauge, Registry } from 'prom-client';
import type { DaemonStatus } from './daemon-status.ts';
import { METRICS, type Sample } from './metric-definitions.ts';

/** How long the text is given again: a scraper that asks all the time costs little. */
const CACHE_MS = 1_000;

/** The metrics in the text format of Prometheus. They are made of the status, so that the two agree. */
export class Metrics {
  readonly contentType: string;
  readonly #read: () => Promise<DaemonStatus>;
  readonly #registry = new Registry();
  readonly #series: { set(status: DaemonStatus): void }[];
  #cached: { at: number; text: Promise<string> } | undefined;

  constructor(read: () => Promise<DaemonStatus>) {
    this.#read = read;
    this.contentType = this.#registry.contentType;
    this.#series = METRICS.map(({ name, help, labels, kind, values }) => {
      const options = { name, help, labelNames: labels, registers: [this.#registry] };
      const samplesOf = (status: DaemonStatus): Sample[] => values(status);
      if (kind === 'counter') {
        const counter = new Counter(options);
        return {
          set(status) {
            counter.reset();
            for (const { value, ...labels } of samplesOf(status)) counter.inc(labels, value);
          },
        };
      }
      const gauge = new Gauge(options);
      return {
        set(status) {
          gauge.reset();
          // A gauge without labels is 0 after a reset; one that is not known has no sample.
          if (labels.length === 0) gauge.remove();
          for (const { value, ...labels } of samplesOf(status)) gauge.set(labels, value);
        },
      };
    });
  }

  text(): Promise<string> {
    const now = performance.now();
    if (this.#cached === undefined || now - this.#cached.at > CACHE_MS) this.#cached = { at: now, text: this.#write() };
    return this.#cached.text;
  }

  async #write(): Promise<string> {
    const status = await this.#read();
    for (const series of this.#series) series.set(status);
    return this.#registry.metrics();
  }
}
