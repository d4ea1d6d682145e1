import type { AdminClient } from '../admin/client.ts';
import type { DaemonStatus } from '../admin/daemon-status.ts';
import type { StreamStatus } from '../model/stream-status.ts';
import type { ReportedTable } from '../model/verified-tables.ts';
import { sleepUnlessAborted } from '../runtime/abort.ts';
import { asCdcError } from '../runtime/error.ts';

/** How long a daemon that is being restarted is waited for. */
const RESTART_MS = 60_000;
const RETRY_MS = 500;

/** The daemon that writes the lake. A call waits while the daemon, or its pipeline, is being started again. */
export class Follower {
  readonly #client: AdminClient;
  readonly #signal: AbortSignal;

  constructor(client: AdminClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  /** @throws CdcError with exit code 2 if the daemon runs another pipeline */
  assertPipeline(name: string): Promise<void> {
    return this.#ask(() => this.#client.assertPipeline(name));
  }

  /** The source of the daemon, how far it has delivered, and what it does else. */
  status(): Promise<DaemonStatus & { stream: StreamStatus }> {
    return this.#ask(() => this.#client.running());
  }

  /**
   * Sends the rows of some keys again. Resolves once Firehose has them. Doing it twice does no harm.
   * @param keys at most 500 objects of JSON, as the lake has them
   */
  async repair(schema: string, table: string, keys: string[]): Promise<void> {
    await this.#ask(() => this.#client.repair({ schema, table, keys }));
  }

  /** Lets the daemon know what was found. */
  async verified(tables: readonly ReportedTable[]): Promise<void> {
    if (tables.length > 0) await this.#ask(() => this.#client.verified(tables));
  }

  async #ask<T>(call: () => Promise<T>): Promise<T> {
    for (const start = performance.now(); ; ) {
      try {
        return await call();
      } catch (thrown) {
        this.#signal.throwIfAborted();
        const error = asCdcError(thrown);
        if (error.kind !== 'retry' || performance.now() - start > RESTART_MS) throw error;
        await sleepUnlessAborted(RETRY_MS, this.#signal);
      }
    }
  }
}
