import { setTimeout as sleep } from 'node:timers/promises';
import { AdminClient, isUnanswered } from '../../admin/client.ts';
import type { DaemonStatus } from '../../admin/daemon-status.ts';
import type { CheckpointStore, LeaseHolder } from '../../checkpoint/checkpoint-store.ts';
import { openCheckpointStore } from '../../checkpoint/open-checkpoint-store.ts';
import type { Config } from '../../config/schema.ts';
import { abortable } from '../../runtime/abort.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { askSource, type SourceAnswer } from './ask-source.ts';
import { statusFromCheckpoint } from './checkpoint-status.ts';

/** How long the daemon can take to answer, or to listen while it starts. */
const ANSWER_TIMEOUT_MS = 5_000;
const POLL_INTERVAL_MS = 150;
/** How long the answer of MySQL is used again. */
const SOURCE_FRESH_MS = 30_000;

/** Reads the status of a pipeline: from its daemon, or, if none runs, from its checkpoint. */
export class PipelineStatusReader {
  readonly #config: Config;
  readonly #signal: AbortSignal;
  readonly #client: AdminClient;
  readonly #store: Promise<CheckpointStore>;
  #source: { at: number; answer: Promise<SourceAnswer> } | undefined;

  constructor(config: Config, signal: AbortSignal) {
    this.#config = config;
    this.#signal = signal;
    this.#client = new AdminClient(config.admin.socket);
    this.#store = openCheckpointStore(config);
  }

  /**
   * @throws CdcError: with exit code 2 if the daemon belongs to another account or pipeline, or the checkpoint to
   * another pipeline, or if that is damaged; with exit code 1 if the daemon does not answer
   */
  async read(): Promise<DaemonStatus> {
    const deadline = performance.now() + ANSWER_TIMEOUT_MS;
    const isOver = (): boolean => performance.now() > deadline;
    for (;;) {
      this.#signal.throwIfAborted();
      // A daemon that ends while it is asked, and one that is about to listen, are looked at again.
      if ((await this.#client.probe()) === 'listening') {
        const status = await this.#askDaemon(isOver);
        if (status !== undefined) return status;
      } else {
        const holder = await abortable((await this.#store).holder(), this.#signal);
        const startsHere = holder?.host === null;
        if (!startsHere || isOver()) return this.#fromCheckpoint(holder);
      }
      await sleep(POLL_INTERVAL_MS);
    }
  }

  async close(): Promise<void> {
    this.#client.close();
    await (await this.#store).close();
  }

  /** @returns undefined if it has ended, so that the next look at its socket decides */
  async #askDaemon(isOver: () => boolean): Promise<DaemonStatus | undefined> {
    const slow = AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    try {
      const status: unknown = await abortable(this.#client.status(), slow);
      return this.#checked(status as Partial<DaemonStatus>);
    } catch (thrown) {
      this.#signal.throwIfAborted();
      if (slow.aborted) throw this.#slow();
      const error = asCdcError(thrown);
      if (!isUnanswered(error) || isOver()) throw error;
      return undefined;
    }
  }

  /** Two pipelines can name the same socket by mistake, and a daemon can be of another version than this command. */
  #checked(status: Partial<DaemonStatus>): DaemonStatus {
    if (status.name !== this.#config.name) {
      throw new CdcError(
        `the daemon on the socket ${this.#client.socket} runs the pipeline "${status.name}", not "${this.#config.name}"`,
        { exitCode: 2, hint: 'give each pipeline its own checkpoint.file or admin.socket' },
      );
    }
    if (status.state === undefined || status.health === undefined) {
      throw new CdcError(`the daemon is cdc ${status.version}, whose status this command cannot read`, {
        hint: 'restart the daemon with this version, or use the cdc status of that one',
      });
    }
    return status as DaemonStatus;
  }

  #slow(): CdcError {
    return new CdcError(`the daemon does not answer within ${ANSWER_TIMEOUT_MS / 1000} s`, {
      kind: 'retry',
      why: `its process is stopped, or too busy; it listens on ${this.#client.socket}`,
      hint: 'ask again; if it stays so, look at its log, and at the load of the machine',
    });
  }

  async #fromCheckpoint(holder: LeaseHolder | undefined): Promise<DaemonStatus> {
    const store = await this.#store;
    const [{ checkpoint: saved, savedAt }, source] = await Promise.all([
      abortable(store.read(), this.#signal),
      this.#askSource(),
    ]);
    const { DeadLetterStore } = await import('../../dead-letter/dead-letter-store.ts');
    const { directory, max_bytes } = this.#config.dead_letter;
    const ids = await new DeadLetterStore(directory, this.#config.name, max_bytes).ids().catch(() => undefined);
    return statusFromCheckpoint({
      ...{ config: this.#config, location: store.location, saved, source, holder },
      savedAt: savedAt === undefined ? null : new Date(savedAt).toISOString(),
      deadLetters: ids?.length ?? null,
      at: new Date().toISOString(),
    });
  }

  #askSource(): Promise<SourceAnswer> {
    const now = performance.now();
    if (this.#source === undefined || now - this.#source.at > SOURCE_FRESH_MS) {
      this.#source = { at: now, answer: askSource(this.#config) };
    }
    return abortable(this.#source.answer, this.#signal);
  }
}
