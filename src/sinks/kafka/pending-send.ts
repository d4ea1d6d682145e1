import type { RecordOutcome } from '../sink.ts';
import { ACCEPTED, type FailedOutcome, throttled } from './outcomes.ts';

/** The lane of records that have none. */
const NO_LANE = -1;

/**
 * The outcomes of the records of one `send`, until each has one. A record has one or more messages; it is accepted
 * when all of them are.
 */
export class PendingSend {
  /** Resolves with one outcome for each record. */
  readonly done: Promise<RecordOutcome[]>;
  /** Why its topics are not known yet. */
  problem: FailedOutcome | undefined;
  /** Milliseconds since 1970. */
  readonly since = Date.now();
  readonly #outcomes: (RecordOutcome | undefined)[];
  readonly #lanes: Int16Array;
  /** Messages of each record that are not accepted yet, and those that are in a batch. */
  readonly #messages: Uint32Array;
  readonly #inBatch: Uint32Array;
  #open: number;
  #resolve: (outcomes: RecordOutcome[]) => void = () => {};

  /** @param lanes the lane of each record */
  constructor(lanes: readonly (number | undefined)[]) {
    this.#lanes = Int16Array.from(lanes, (lane) => lane ?? NO_LANE);
    this.#outcomes = Array.from({ length: lanes.length });
    this.#messages = new Uint32Array(lanes.length);
    this.#inBatch = new Uint32Array(lanes.length);
    this.#open = lanes.length;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    if (this.#open === 0) this.#resolve([]);
  }

  get isDone(): boolean {
    return this.#open === 0;
  }

  /** Whether the outcome of a record is open, so that its messages are still to be sent. */
  isOpen(record: number): boolean {
    return this.#outcomes[record] === undefined;
  }

  addMessages(record: number, messages: number): void {
    this.#messages[record] = (this.#messages[record] as number) + messages;
  }

  /** A message of the record is in a batch, or no longer in one. */
  countInBatch(record: number, change: 1 | -1): void {
    this.#inBatch[record] = (this.#inBatch[record] as number) + change;
  }

  /** A message of the record is stored. */
  accept(record: number): void {
    const left = (this.#messages[record] as number) - 1;
    this.#messages[record] = left;
    if (left === 0 && this.isOpen(record)) this.#settle(record, ACCEPTED);
  }

  /**
   * The record failed. Delivery sends it again with those behind it in its lane: they need not be stored before, so
   * that fewer are stored twice.
   */
  fail(record: number, outcome: FailedOutcome): void {
    if (!this.isOpen(record)) return;
    this.#settle(record, outcome);
    const lane = this.#lanes[record];
    for (let i = record + 1; i < this.#lanes.length; i++) {
      if (this.#lanes[i] !== lane || !this.isOpen(i) || (this.#inBatch[i] as number) > 0) continue;
      this.#settle(i, BEHIND_FAILED);
    }
  }

  /** Ends it: what is in a batch has an unknown outcome, the rest was not stored. */
  end(inBatch: FailedOutcome, notSent: FailedOutcome): void {
    this.#outcomes.forEach((outcome, i) => {
      if (outcome === undefined) this.#settle(i, (this.#inBatch[i] as number) > 0 ? inBatch : notSent);
    });
  }

  #settle(record: number, outcome: RecordOutcome): void {
    this.#outcomes[record] = outcome;
    this.#open--;
    if (this.#open === 0) this.#resolve(this.#outcomes as RecordOutcome[]);
  }
}

const BEHIND_FAILED = throttled('it is behind a record of its lane that failed');
