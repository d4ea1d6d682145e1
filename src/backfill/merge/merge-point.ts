import type { Delivery } from '../../delivery/delivery.ts';
import type { TableWatches } from '../../model/chunk-window.ts';
import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import type { EncodedEvent } from '../../model/encoded-event.ts';
import { GtidSet } from '../../model/gtid-set.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import type { ReplicationPosition } from '../../model/replication-position.ts';
import type { Transaction } from '../../model/rows-event.ts';
import { onAbort, sleepUnlessAborted } from '../../runtime/abort.ts';
import type { ChangeHandler, ChangeStream } from '../../source/change-stream.ts';
import type { HighWatermark, Processed } from '../read/row-chunk.ts';

/** How often it is asked whether the stream has reached a watermark. */
const POLL_MS = 5;

export interface MergePointOptions {
  watches: TableWatches;
  stream: Pick<ChangeStream, 'boundary'>;
  /** Where the stream starts. */
  start: ReplicationPosition;
  signal: AbortSignal;
}

/**
 * Where rows of a backfill can join the stream: between two transactions. It stands between the stream and delivery,
 * knows what the stream has processed, and runs callbacks at the next such point.
 *
 * It costs a transaction a few comparisons: GTIDs are collected as runs, and enter the set when somebody asks for it.
 */
export class MergePoint implements ChangeHandler {
  /** The commit time of the last transaction, or the time at which nothing was left to read, in milliseconds. */
  committedAt = Date.now();
  /** Whether `committedAt` is of the stream. */
  hasRead = false;
  readonly #delivery: Delivery;
  readonly #watches: TableWatches;
  readonly #stream: Pick<ChangeStream, 'boundary'>;
  readonly #processed: ReplicationPosition;
  readonly #signal: AbortSignal;
  /** The furthest point that was asked for: the stream does not tell it any more once a transaction has begun. */
  #point: Coordinates;
  #waiting: { run: () => void; reject: (reason: unknown) => void }[] = [];
  /** A run of GTIDs of one source, `first..last`, that is not in the set yet; empty if the first is behind the last. */
  #source = '';
  #first = 1;
  #last = 0;

  constructor(delivery: Delivery, { watches, stream, start, signal }: MergePointOptions) {
    this.#delivery = delivery;
    this.#signal = signal;
    // The open transaction does not end any more.
    onAbort(signal, () => {
      for (const { reject } of this.#waiting.splice(0)) reject(signal.reason);
    });
    this.#watches = watches;
    this.#stream = stream;
    this.#processed = start.clone();
    this.#point = start.coordinates;
  }

  get needsKeys(): boolean {
    return this.#delivery.needsKeys;
  }

  append(target: number, event: EncodedEvent): void {
    this.#delivery.append(target, event);
  }

  savepoint(name: string): void {
    this.#delivery.savepoint(name);
  }

  rollbackTo(name: string): void {
    this.#watches.rolledBack();
    this.#delivery.rollbackTo(name);
  }

  rollback(): void {
    this.#watches.rolledBack();
    this.#watches.transactionEnded();
    this.#delivery.rollback();
    // No commit follows if a crash of the server cut the transaction off.
    if (this.#waiting.length > 0) this.#runWaiting();
  }

  commit(transaction: Transaction): void {
    this.#delivery.commit(transaction);
    const processed = this.#processed;
    processed.file = transaction.file;
    processed.position = transaction.endPosition;
    this.#addGtid(transaction);
    if (transaction.preparedTransaction !== undefined) this.#addGtid(transaction.preparedTransaction);
    this.committedAt = transaction.committedAt;
    this.hasRead = true;
    this.#watches.transactionEnded();
    if (this.#waiting.length > 0) this.#runWaiting();
  }

  xaPrepared(transaction: Transaction): void {
    this.#addGtid(transaction);
    this.#watches.transactionEnded();
    this.#delivery.xaPrepared(transaction);
  }

  heartbeat(at: Coordinates, created: number): void {
    this.committedAt = Date.now();
    this.#delivery.heartbeat(at, created);
  }

  fileBegins(file: string, created: number): void {
    this.#delivery.fileBegins(file, created);
  }

  gtidsBeforeStart(gtids: GtidSet | MariadbGtidPosition): void {
    this.#processed.gtids = gtids.clone();
    this.#delivery.gtidsBeforeStart(gtids);
  }

  gtidsBeforeFile(gtids: GtidSet | MariadbGtidPosition): void {
    if (this.#processed.gtids === undefined && gtids instanceof GtidSet) this.#processed.gtids = gtids.clone();
    this.#delivery.gtidsBeforeFile(gtids);
  }

  skipped(transaction: Transaction): void {
    this.#addGtid(transaction);
    this.#watches.transactionEnded();
    this.#delivery.skipped(transaction);
    if (this.#waiting.length > 0) this.#runWaiting();
  }

  /** What the stream has processed, up to the last transaction that ended. */
  processed(): Processed {
    this.#flushGtids();
    const { gtids, coordinates } = this.#processed;
    return { gtids: gtids?.clone(), coordinates };
  }

  /** The coordinates of this point: every event before it is before them, and every later event behind them. */
  get coordinates(): Coordinates {
    for (const at of [this.#processed.coordinates, this.#stream.boundary]) {
      if (at !== undefined && isBefore(this.#point, at)) this.#point = at;
    }
    return this.#point;
  }

  /**
   * Runs the callback between two transactions: now, or when the open one ends. Resolves with its result, rejects with
   * its error, and when the pipeline ends.
   */
  atBoundary<Result>(callback: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(callback());
        } catch (error) {
          reject(error);
        }
      };
      if (this.#signal.aborted) reject(this.#signal.reason);
      else if (!this.#watches.isTransactionOpen && this.#delivery.isBetweenTransactions) run();
      else this.#waiting.push({ run, reject });
    });
  }

  /** Resolves once the stream has processed everything up to the watermark. */
  async reached(high: HighWatermark, signal: AbortSignal = this.#signal): Promise<void> {
    while (!this.#hasReached(high)) await sleepUnlessAborted(POLL_MS, signal);
  }

  #hasReached(high: HighWatermark): boolean {
    if ('coordinates' in high) return !isBefore(this.coordinates, high.coordinates);
    this.#flushGtids();
    const { gtids } = this.#processed;
    if (gtids instanceof GtidSet) return high.gtids instanceof GtidSet && gtids.containsAll(high.gtids);
    return high.gtids instanceof MariadbGtidPosition && (gtids?.containsAll(high.gtids) ?? false);
  }

  #runWaiting(): void {
    for (const { run } of this.#waiting.splice(0)) run();
  }

  #addGtid({ gtidSource, gtidNumber }: Transaction): void {
    if (gtidNumber === 0) return;
    if (gtidSource !== this.#source || gtidNumber !== this.#last + 1) {
      this.#flushGtids();
      this.#source = gtidSource;
      this.#first = gtidNumber;
    }
    this.#last = gtidNumber;
  }

  #flushGtids(): void {
    if (this.#first > this.#last) return;
    this.#processed.addGtids(this.#source, this.#first, this.#last);
    this.#first = this.#last + 1;
  }
}
