import type { Coordinates } from '../model/coordinates.ts';
import type { DeadLetterRequest, RetryReport } from '../model/delivery-report.ts';
import type { ReplicationPosition } from '../model/replication-position.ts';
import type { Transaction } from '../model/rows-event.ts';
import { CdcError } from '../runtime/error.ts';
import type { Quota, Sink } from '../sinks/sink.ts';
import type { Aggregation } from './batch-builder.ts';
import { ChunkPool } from './chunk-pool.ts';
import { type DeliveryCounters, LANES, StreamSender } from './stream-sender.ts';
import { WatermarkTracker } from './watermark-tracker.ts';

/** One Firehose stream to deliver to. */
export interface DeliveryTarget {
  name: string;
  sink: Sink;
  quota?: Quota | undefined;
}

export interface DeliveryOptions {
  /** Where events may go; a line names its stream by the index. */
  targets: readonly DeliveryTarget[];
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
  isDeadLettered?: ((bytes: Buffer, from: number, to: number) => boolean) | undefined;
  /** Puts an event into a dead letter; resolves when that is durable. */
  deadLetter: (event: DeadLetterRequest) => Promise<void>;
  /** Something failed, and is tried again. */
  onRetry?: (trouble: RetryReport) => void;
  /** The source shall pause or go on. */
  onBackpressure: (paused: boolean) => void;
  /** The delivered position has moved. */
  onDelivered: () => void;
  /** A stream refuses everything, a dead letter could not be written, or a sink itself broke. */
  onFatal: (error: CdcError) => void;
}

const BUDGET_BYTES = 64 * 1024 * 1024;
/**
 * Budgets that the transactions beyond the watermark may take, arrived or not. It is what a restart may repeat while a
 * lane or a stream is stuck.
 */
const BUDGETS_PAST_WATERMARK_MAX = 4;
/** Transactions beyond the watermark, however small: each takes some 340 bytes to remember. */
const TRANSACTIONS_PAST_WATERMARK_MAX = 400_000;
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
  readonly #senders: readonly StreamSender[];
  readonly #watermark: WatermarkTracker;
  readonly #budget: number;
  /** Bytes and events that wait or are in flight. */
  #bufferedBytes = 0;
  #unsettled = 0;
  /** Bytes that were ever appended, and not taken back. */
  #appended = 0;
  #paused = false;

  /** The open transaction: the numbers of its first and of its present part; parts begin at savepoints. */
  #firstPart = 0;
  #currentPart = 0;
  #savepoints = new Map<string, number>();
  /** Its lines and bytes that may still be taken back. */
  #openEvents = 0;
  #openBytes = 0;
  /** The last of its parts of which something may not; -1 for none. */
  #lastSentPart = -1;
  #drained: (() => void) | undefined;
  #stopped = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#watermark = new WatermarkTracker(options.delivered);
    this.#budget = options.budgetBytes ?? BUDGET_BYTES;
    // Each lane may hold a chunk for a single event: all of them together no more than half of the budget.
    const pool = new ChunkPool(this.#budget / 2 / LANES / options.targets.length);
    this.#senders = options.targets.map(
      ({ name, sink, quota }) =>
        new StreamSender({
          stream: name,
          sink,
          quota,
          aggregation: options.aggregation,
          lingerMs: options.lingerMs,
          requestsInFlight: options.requestsInFlight ?? REQUESTS_IN_FLIGHT,
          pool,
          counters: this.counters,
          deadLetter: options.deadLetter,
          onRetry: (trouble) => options.onRetry?.(trouble),
          onSettled: (events, bytes) => this.#settled(events, bytes),
          onFatal: options.onFatal,
        }),
    );
  }

  /** Bytes that wait or are in flight. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Appends a line of the open transaction; `stream` is an index of `streams`, and `keyHash` picks the lane. */
  append(stream: number, keyHash: number, bytes: Buffer, from: number, to: number): void {
    const banned = this.#options.isDeadLettered?.(bytes, from, to) ?? false;
    (this.#senders[stream] as StreamSender).append(
      this.#currentPart,
      this.#firstPart,
      keyHash,
      bytes,
      from,
      to,
      banned,
    );
    this.#bufferedBytes += to - from;
    this.#appended += to - from;
    this.#openBytes += to - from;
    this.#openEvents++;
    this.#unsettled++;
    if (this.#openBytes * 4 > this.#budget) {
      this.#lastSentPart = this.#currentPart;
      this.#makeSendable();
    }
    if (this.#bufferedBytes > this.#budget) this.#updateBackpressure();
  }

  /** The open transaction has committed: its lines may go, and its position moves once they have arrived. */
  commit(transaction: Transaction): void {
    const hasRows = this.#openEvents > 0 || this.#lastSentPart >= 0;
    const moved = this.#watermark.committed(this.#currentPart, transaction, hasRows, this.#appended);
    if (hasRows) {
      this.#makeSendable();
      this.#lastSentPart = -1;
      this.#firstPart = ++this.#currentPart;
    }
    if (this.#savepoints.size > 0) this.#savepoints.clear();
    if (moved) this.#options.onDelivered();
    if (this.#unsettled === 0 && this.#watermark.pendingCount > 0) this.#moveWatermark();
    if (hasRows) this.#updateBackpressure();
  }

  /** The transaction is neither committed nor rolled back; its rows come with the one that ends it. */
  xaPrepared(transaction: Transaction): void {
    this.#watermark.xaPrepared(transaction);
  }

  /** The source has nothing more before these coordinates. */
  heartbeat(at: Coordinates): void {
    if (this.#watermark.heartbeat(at)) this.#options.onDelivered();
  }

  /**
   * The open transaction did not happen: its lines are taken back.
   * @throws CdcError when it was so large that some have gone already
   */
  rollback(): void {
    if (this.#lastSentPart >= 0) throw rolledBackAfterSendError();
    this.#discardFrom(this.#firstPart);
  }

  savepoint(name: string): void {
    if (this.#openEvents > 0 || this.#lastSentPart >= 0) this.#currentPart++;
    this.#savepoints.set(name, this.#currentPart);
  }

  /**
   * The lines since the savepoint are taken back.
   * @throws CdcError when some of them have gone already
   */
  rollbackTo(name: string): void {
    const part = this.#savepoints.get(name);
    if (part === undefined) throw new CdcError(`the binlog rolls back to a savepoint ${name} that it has not set`);
    if (this.#lastSentPart >= part) throw rolledBackAfterSendError();
    this.#discardFrom(part);
  }

  /** Resolves once everything committed has arrived, or delivery has stopped. */
  async drain(): Promise<void> {
    // What the source has not finished is read again later: nothing of it stays, except what has gone already.
    this.#discardFrom(this.#firstPart);
    if (this.#unsettled === 0 || this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      for (const shipper of this.#senders) shipper.drain();
    });
  }

  /** Gives up what is still in flight or waiting. */
  stop(): void {
    this.#stopped = true;
    for (const shipper of this.#senders) shipper.stop();
    this.#drained?.();
  }

  #discardFrom(part: number): void {
    for (const shipper of this.#senders) {
      const { events, bytes } = shipper.discardFrom(part);
      this.#bufferedBytes -= bytes;
      this.#appended -= bytes;
      this.#openBytes -= bytes;
      this.#openEvents -= events;
      this.#unsettled -= events;
    }
    this.#updateBackpressure();
  }

  #makeSendable(): void {
    for (const shipper of this.#senders) shipper.makeSendable();
    this.#openBytes = 0;
    this.#openEvents = 0;
  }

  #settled(events: number, bytes: number): void {
    this.#bufferedBytes -= bytes;
    this.#unsettled -= events;
    if (events > 0) this.#moveWatermark();
    this.#updateBackpressure();
    if (this.#unsettled === 0) this.#drained?.();
  }

  #moveWatermark(): void {
    let oldest = Number.POSITIVE_INFINITY;
    for (const shipper of this.#senders) oldest = Math.min(oldest, shipper.oldestTransaction);
    if (this.#watermark.advanceTo(oldest)) this.#options.onDelivered();
  }

  /**
   * Pauses the source above the budget and lets it go on below half of it. Only what is held or waits can settle and
   * come here again, so each way in which either changes ends here.
   */
  #updateBackpressure(): void {
    const share = this.#paused ? 0.5 : 1;
    const marks = this.#budget * share;
    const paused =
      this.#bufferedBytes > marks ||
      this.#watermark.pendingBytes > BUDGETS_PAST_WATERMARK_MAX * marks ||
      this.#watermark.pendingCount > TRANSACTIONS_PAST_WATERMARK_MAX * share;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#options.onBackpressure(paused);
  }
}

/** Started again, the daemon would send and end the same: its supervisor must not try. */
function rolledBackAfterSendError(): CdcError {
  return new CdcError('a transaction that was sent in part has been rolled back in the binlog', {
    exitCode: 4,
    why: 'it was larger than what is held back until the commit is seen',
    hint: 'move the checkpoint file away, start again with source.start behind that transaction, and copy its tables anew: what was taken back must not stay in the lake',
  });
}
