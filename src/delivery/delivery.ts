import type { Coordinates } from '../model/coordinates.ts';
import type { DeadLetterRequest, RetryReport } from '../model/delivery-report.ts';
import type { ReplicationPosition } from '../model/replication-position.ts';
import type { Transaction } from '../model/rows-event.ts';
import { CdcError } from '../runtime/error.ts';
import type { Quota, Sink } from '../sinks/sink.ts';
import type { Aggregation } from './batch-builder.ts';
import { ChunkPool } from './chunk-pool.ts';
import { type DeliveryCounters, LANES, Shipper } from './stream-sender.ts';
import { Ledger } from './watermark-tracker.ts';

/** One Firehose stream to deliver to. */
export interface DeliveryStream {
  name: string;
  sink: Sink;
  quota?: Quota | undefined;
}

export interface DeliveryOptions {
  /** Where events may go; a line names its stream by the index. */
  streams: readonly DeliveryStream[];
  /** The delivered position; it moves with the watermark. */
  delivered: ReplicationPosition;
  aggregation: Aggregation;
  /** How long an event may wait for company, milliseconds. */
  lingerMs: number;
  /**
   * Bytes that may wait here: above it the source is paused, below half of it it goes on. Four times as much may be
   * committed beyond the watermark.
   */
  budgetBytes?: number;
  /** For each stream. */
  requestsInFlight?: number;
  /** Whether a line is to go to the dead letters, whatever Firehose would say. */
  bans?: ((bytes: Buffer, from: number, to: number) => boolean) | undefined;
  /** Puts an event into a dead letter; resolves when that is durable. */
  setAside: (event: DeadLetterRequest) => Promise<void>;
  /** Something failed, and is tried again. */
  onTrouble?: (trouble: RetryReport) => void;
  /** The source shall pause or go on. */
  onPressure: (paused: boolean) => void;
  /** The delivered position has moved. */
  onDelivered: () => void;
  /** A stream refuses everything, a dead letter could not be written, or a sink itself broke. */
  onRefused: (error: CdcError) => void;
}

const BUDGET_BYTES = 64 * 1024 * 1024;
/**
 * Budgets that the transactions beyond the watermark may take, arrived or not. It is what a restart may repeat while a
 * lane or a stream is stuck.
 */
const AHEAD_BUDGETS = 4;
/** Transactions beyond the watermark, however small: each takes some 340 bytes to remember. */
const MOST_AHEAD = 400_000;
const REQUESTS_IN_FLIGHT = 4;

/**
 * Takes event lines in commit order and sees them to their streams, by a `Shipper` each. Holds the lines of the open
 * transaction back until it commits, unless it outgrows a quarter of the budget, and knows what is delivered.
 */
export class Delivery {
  readonly counters: DeliveryCounters = {
    events: 0,
    records: 0,
    requests: 0,
    bytes: 0,
    retries: 0,
    repeats: 0,
    deadLetters: 0,
  };
  readonly #options: DeliveryOptions;
  readonly #shippers: readonly Shipper[];
  readonly #ledger: Ledger;
  readonly #budget: number;
  /** Bytes and events that wait or are in flight. */
  #held = 0;
  #unsettled = 0;
  /** Bytes that were ever appended, and not taken back. */
  #appended = 0;
  #paused = false;

  /** The open transaction: the numbers of its first and of its present part; parts begin at savepoints. */
  #first = 0;
  #part = 0;
  #savepoints = new Map<string, number>();
  /** Its lines and bytes that may still be taken back. */
  #openEvents = 0;
  #openBytes = 0;
  /** The last of its parts of which something may not; -1 for none. */
  #released = -1;
  #drained: (() => void) | undefined;
  #stopped = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#ledger = new Ledger(options.delivered);
    this.#budget = options.budgetBytes ?? BUDGET_BYTES;
    // Each lane may hold a chunk for a single event: all of them together no more than half of the budget.
    const pool = new ChunkPool(this.#budget / 2 / LANES / options.streams.length);
    this.#shippers = options.streams.map(
      ({ name, sink, quota }) =>
        new Shipper({
          stream: name,
          sink,
          quota,
          aggregation: options.aggregation,
          lingerMs: options.lingerMs,
          requestsInFlight: options.requestsInFlight ?? REQUESTS_IN_FLIGHT,
          pool,
          counters: this.counters,
          setAside: options.setAside,
          onTrouble: (trouble) => options.onTrouble?.(trouble),
          onSettled: (events, bytes) => this.#settled(events, bytes),
          onRefused: options.onRefused,
        }),
    );
  }

  /** Bytes that wait or are in flight. */
  get heldBytes(): number {
    return this.#held;
  }

  /** Appends a line of the open transaction; `stream` is an index of `streams`, and `keyHash` picks the lane. */
  append(stream: number, keyHash: number, bytes: Buffer, from: number, to: number): void {
    const banned = this.#options.bans?.(bytes, from, to) ?? false;
    (this.#shippers[stream] as Shipper).append(this.#part, this.#first, keyHash, bytes, from, to, banned);
    this.#held += to - from;
    this.#appended += to - from;
    this.#openBytes += to - from;
    this.#openEvents++;
    this.#unsettled++;
    if (this.#openBytes * 4 > this.#budget) {
      this.#released = this.#part;
      this.#release();
    }
    if (this.#held > this.#budget) this.#weigh();
  }

  /** The open transaction has committed: its lines may go, and its position moves once they have arrived. */
  commit(transaction: Transaction): void {
    const hasRows = this.#openEvents > 0 || this.#released >= 0;
    const moved = this.#ledger.committed(this.#part, transaction, hasRows, this.#appended);
    if (hasRows) {
      this.#release();
      this.#released = -1;
      this.#first = ++this.#part;
    }
    if (this.#savepoints.size > 0) this.#savepoints.clear();
    if (moved) this.#options.onDelivered();
    if (this.#unsettled === 0 && this.#ledger.waiting > 0) this.#moveWatermark();
    if (hasRows) this.#weigh();
  }

  /** The transaction is neither committed nor rolled back; its rows come with the one that ends it. */
  prepared(transaction: Transaction): void {
    this.#ledger.prepared(transaction);
  }

  /** The source has nothing more before these coordinates. */
  idle(at: Coordinates): void {
    if (this.#ledger.idle(at)) this.#options.onDelivered();
  }

  /**
   * The open transaction did not happen: its lines are taken back.
   * @throws CdcError when it was so large that some have gone already
   */
  rollback(): void {
    if (this.#released >= 0) throw sentInPart();
    this.#takeBack(this.#first);
  }

  savepoint(name: string): void {
    if (this.#openEvents > 0 || this.#released >= 0) this.#part++;
    this.#savepoints.set(name, this.#part);
  }

  /**
   * The lines since the savepoint are taken back.
   * @throws CdcError when some of them have gone already
   */
  rollbackTo(name: string): void {
    const part = this.#savepoints.get(name);
    if (part === undefined) throw new CdcError(`the binlog rolls back to a savepoint ${name} that it has not set`);
    if (this.#released >= part) throw sentInPart();
    this.#takeBack(part);
  }

  /** Resolves once everything committed has arrived, or delivery has stopped. */
  async drain(): Promise<void> {
    // What the source has not finished is read again later: nothing of it stays, except what has gone already.
    this.#takeBack(this.#first);
    if (this.#unsettled === 0 || this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      for (const shipper of this.#shippers) shipper.drain();
    });
  }

  /** Gives up what is still in flight or waiting. */
  stop(): void {
    this.#stopped = true;
    for (const shipper of this.#shippers) shipper.stop();
    this.#drained?.();
  }

  #takeBack(part: number): void {
    for (const shipper of this.#shippers) {
      const { events, bytes } = shipper.takeBack(part);
      this.#held -= bytes;
      this.#appended -= bytes;
      this.#openBytes -= bytes;
      this.#openEvents -= events;
      this.#unsettled -= events;
    }
    this.#weigh();
  }

  #release(): void {
    for (const shipper of this.#shippers) shipper.release();
    this.#openBytes = 0;
    this.#openEvents = 0;
  }

  #settled(events: number, bytes: number): void {
    this.#held -= bytes;
    this.#unsettled -= events;
    if (events > 0) this.#moveWatermark();
    this.#weigh();
    if (this.#unsettled === 0) this.#drained?.();
  }

  #moveWatermark(): void {
    let oldest = Number.POSITIVE_INFINITY;
    for (const shipper of this.#shippers) oldest = Math.min(oldest, shipper.oldestTransaction);
    if (this.#ledger.settledBefore(oldest)) this.#options.onDelivered();
  }

  /**
   * Pauses the source above the budget and lets it go on below half of it. Only what is held or waits can settle and
   * come here again, so each way in which either changes ends here.
   */
  #weigh(): void {
    const share = this.#paused ? 0.5 : 1;
    const marks = this.#budget * share;
    const paused =
      this.#held > marks ||
      this.#ledger.waitingBytes > AHEAD_BUDGETS * marks ||
      this.#ledger.waiting > MOST_AHEAD * share;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#options.onPressure(paused);
  }
}

/** Started again, the daemon would send and end the same: its supervisor must not try. */
function sentInPart(): CdcError {
  return new CdcError('a transaction that was sent in part has been rolled back in the binlog', {
    exitCode: 4,
    why: 'it was larger than what is held back until the commit is seen',
    hint: 'move the checkpoint file away, start again with source.start behind that transaction, and copy its tables anew: what was taken back must not stay in the lake',
  });
}
