import { setTimeout as sleep } from 'node:timers/promises';
import { formatCheckpoint } from '../../../src/checkpoint/checkpoint-format.ts';
import type { CheckpointStore } from '../../../src/checkpoint/checkpoint-store.ts';
import { asCdcError } from '../../../src/runtime/error.ts';
import type { Report } from '../violation.ts';
import type { StoreUnderTest } from './store-under-test.ts';

const INTERVAL_MS = 300;

/**
 * Reads the checkpoint of a store all the time, as any process can: it is never ahead of what was acknowledged and
 * never moves back, the generation never falls, and the epoch stays.
 */
export class StoreWatch {
  /** The checkpoint as text; empty before the first one. */
  text = '';
  looks = 0;
  /** The reads that failed because the store could not be reached. */
  failed = 0;
  generation = 0;
  readonly #store: CheckpointStore;
  readonly #under: StoreUnderTest;
  readonly #check: () => void;
  readonly #report: Report;
  #epoch: number | undefined;
  #usedEpoch = 0;
  #isOver = false;
  #looking: Promise<void> = Promise.resolve();
  readonly #loop: Promise<void>;

  /** @param check compares `text` with what was acknowledged */
  constructor(store: CheckpointStore, under: StoreUnderTest, check: () => void, report: Report) {
    this.#store = store;
    this.#under = under;
    this.#check = check;
    this.#report = report;
    this.#loop = this.#run();
  }

  /** Reads once, after the read that is under way. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#loop;
    await this.#store.close();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await this.look();
      await sleep(INTERVAL_MS);
    }
  }

  async #look(): Promise<void> {
    try {
      const generation = await this.#under.generation().catch(() => this.generation);
      const { checkpoint, savedAt, usedEpoch } = await this.#store.read();
      this.looks++;
      if (generation < this.generation) this.#broken('the generation fell', { from: this.generation, to: generation });
      this.generation = Math.max(this.generation, generation);
      if (usedEpoch < this.#usedEpoch) this.#broken('the epoch that was used fell', { usedEpoch });
      this.#usedEpoch = Math.max(this.#usedEpoch, usedEpoch);
      if (checkpoint === undefined) {
        if (this.text !== '') this.#broken('the checkpoint is gone', {});
        return;
      }
      this.#epoch ??= checkpoint.epoch;
      if (checkpoint.epoch !== this.#epoch || usedEpoch > this.#epoch) {
        const what = 'the epoch changed at a takeover';
        const evidence = { from: this.#epoch, to: checkpoint.epoch, usedEpoch };
        this.#report({ promise: 'sameRedelivery', what, evidence });
        this.#epoch = checkpoint.epoch;
      }
      this.text = formatCheckpoint(checkpoint, new Date(savedAt ?? 0));
      this.#check();
    } catch (cause) {
      const { kind, message, why } = asCdcError(cause);
      if (kind === 'retry') this.failed++;
      else this.#broken('the checkpoint cannot be read', { message, why });
    }
  }

  #broken(what: string, evidence: Record<string, unknown>): void {
    this.#report({ promise: 'checkpointNotAhead', what, evidence });
  }
}
