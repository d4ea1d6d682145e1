import { exponentialBackoff } from '../../runtime/backoff.ts';
import type { KafkaClient } from './kafka-client.ts';
import { REFRESH_RETRY_BASE_MS, REFRESH_RETRY_MAX_MS } from './limits.ts';

interface RefreshListener {
  /** The leaders could not be asked for. */
  onFailure: (error: unknown) => void;
  /** An answer came, or none will: who still misses a leader asks again. */
  onEnd: () => void;
}

/** Asks brokers who leads which partition: one request at a time, and less often while they do not answer. */
export class MetadataRefresh {
  readonly #client: Pick<KafkaClient, 'refresh'>;
  readonly #listener: RefreshListener;
  #isAsking = false;
  /** Not before this time, milliseconds of `performance.now()`. */
  #notBefore = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #isClosed = false;

  constructor(client: Pick<KafkaClient, 'refresh'>, listener: RefreshListener) {
    this.#client = client;
    this.#listener = listener;
  }

  /** Asks, unless it just did. */
  request(): void {
    if (this.#isAsking || this.#isClosed || performance.now() < this.#notBefore) return;
    this.#isAsking = true;
    this.#client
      .refresh()
      .then(() => {
        this.#failures = 0;
      })
      .catch((error) => {
        this.#failures++;
        this.#listener.onFailure(error);
      })
      .finally(() => {
        this.#isAsking = false;
        const bounds = { baseMs: REFRESH_RETRY_BASE_MS, maxMs: REFRESH_RETRY_MAX_MS };
        this.#notBefore = performance.now() + exponentialBackoff(this.#failures, bounds);
        this.#listener.onEnd();
      });
  }

  close(): void {
    this.#isClosed = true;
  }
}
