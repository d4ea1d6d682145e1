import type { Coordinates } from '../model/coordinates.ts';
import type { DeadLetterRequest, ObstacleReport, RetryReport } from '../model/delivery-report.ts';
import type { DeliveryCounters, DeliveryStatus } from '../model/delivery-status.ts';
import { DeliveryTotals } from '../model/delivery-totals.ts';
import type { EncodedEvent } from '../model/encoded-event.ts';
import type { GtidSet } from '../model/gtid-set.ts';
import type { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import type { ReplicationPosition } from '../model/replication-position.ts';
import type { Transaction } from '../model/rows-event.ts';
import { CdcError } from '../runtime/error.ts';
import type { SinkTarget } from '../sinks/sink.ts';
import type { DescribeEvent } from './acceptance.ts';
import { ChunkPool } from './chunk-pool.ts';
import {
  BUDGET_BYTES,
  BUDGETS_PAST_WATERMARK_MAX,
  LANES,
  OPEN_TRANSACTION_SHARE,
  REQUESTS_IN_FLIGHT,
  RESUME_SHARE,
  TRANSACTIONS_PAST_WATERMARK_MAX,
} from './limits.ts';
import { StreamSender } from './stream-sender.ts';
import { type DeliveredPosition, WatermarkTracker } from './watermark-tracker.ts';

export interface DeliveryOptions {
  /** The streams that events go to. `append` takes the index of a target. */
  targets: readonly SinkTarget[];
  /** The position where delivery starts. Delivery advances a copy of it, `delivered`. */
  start: ReplicationPosition;
  /** Event bytes to buffer; the other bounds follow from it (limits.ts). */
  budgetBytes?: number;
  /** For each target. */
  requestsInFlight?: number;
  /** What is counted; that of this delivery alone if it is left out. */
  totals?: DeliveryTotals;
  /** Whether an event goes to the dead letters without being sent. */
  shouldDeadLetter?: ((event: EncodedEvent) => boolean) | undefined;
  /** Writes an event into a dead letter; resolves when it is durable. */
  deadLetter: (request: DeadLetterRequest) => Promise<void>;
  /** Events failed and are sent again. */
  onRetry?: (report: RetryReport) => void;
  onObstacle?: (report: ObstacleReport) => void;
  /** Whether this process may send now; asked before each request. */
  maySend?: () => boolean;
  /** The source has to pause, or can resume. */
  onBackpressure: (paused: boolean) => void;
  /** The delivered position has moved. */
  onDelivered: () => void;
  /** A stream rejects everything, a dead letter could not be written, or a sink failed unexpectedly. */
  onFatal: (error: CdcError) => void;
}

/**
 * Delivers events in commit order per key, with a `StreamSender` for each target, and tracks the delivered position.
 * The events of the open transaction wait until it commits, unless they exceed their share of the budget.
 */
export class Delivery {
  /** Since the process started, where a daemon gives its totals. */
  readonly counters: DeliveryCounters;
  /** Whether a sink wants the keys of events. */
  readonly needsKeys: boolean;
  readonly #options: DeliveryOptions;
  readonly #totals: DeliveryTotals;
  readonly #senders: readonly StreamSender[];
  readonly #watermark: WatermarkTracker;
  readonly #budget: number;
  /** Line bytes and events that wait or are in flight. Keys do not count: a key is never longer than its line. */
  #bufferedBytes = 0;
  #unsettled = 0;
  /** All bytes since the start that were appended and not discarded. */
  #appended = 0;
  #paused = false;
  /** When it paused the source, in milliseconds of `performance.now()`. */
  #pausedAt = 0;

  /**
   * The numbers of the open transaction's first and current segment. A transaction and a savepoint begin a segment; its
   * events are discarded together.
   */
  #firstSegment = 0;
  #currentSegment = 0;
  #savepoints = new Map<string, number>();
  /** Events and bytes of the open transaction that can still be discarded. */
  #openEvents = 0;
  #openBytes = 0;
  /** The last segment of the open transaction that was made sendable before the commit; -1 if there is none. */
  #lastSentSegment = -1;
  #drained: (() => void) | undefined;
  #stopped = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#totals = options.totals ?? new DeliveryTotals();
    this.counters = this.#totals.counters;
    this.needsKeys = options.targets.some(({ sink }) => sink.needsKeys);
    this.#watermark = new WatermarkTracker(options.start);
    this.#budget = options.budgetBytes ?? BUDGET_BYTES;
    // A lane can hold a whole chunk for one event: all chunks together are at most half of the budget.
    const pool = new ChunkPool(this.#budget / 2 / LANES / options.targets.length);
    this.#senders = options.targets.map(
      (target) =>
        new StreamSender({
          target,
          requestsInFlight: options.requestsInFlight ?? REQUESTS_IN_FLIGHT,
          pool,
          totals: this.#totals,
          deadLetter: options.deadLetter,
          maySend: options.maySend ?? (() => true),
          onRetry: (report) => options.onRetry?.(report),
          onObstacle: (report) => options.onObstacle?.(report),
          onSettled: (events, bytes) => this.#settled(events, bytes),
          onFatal: options.onFatal,
        }),
    );
  }

  /** The position up to which every event is accepted or in the dead letters. */
  get delivered(): DeliveredPosition {
    return this.#watermark.delivered;
  }

  /** Bytes that wait or are in flight. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** When the oldest transaction was committed that is not delivered, in milliseconds since 1970. */
  get oldestCommittedAt(): number | undefined {
    return this.#watermark.oldestCommittedAt;
  }

  /** What it shows of itself: made when somebody asks, never for an event. */
  status(describe: DescribeEvent): DeliveryStatus {
    const pausedMs = this.#paused ? performance.now() - this.#pausedAt : 0;
    return {
      counters: { ...this.counters },
      bufferedBytes: this.#bufferedBytes,
      budgetBytes: this.#budget,
      pendingTransactions: this.#watermark.pendingCount,
      backpressure: this.#paused,
      backpressureSeconds: (this.#totals.backpressureMs + pausedMs) / 1000,
      streams: this.#senders.map((sender) => sender.status(describe)),
    };
  }

  /**
   * Compares the counters with the sums over the lanes, which would be too slow for each event. For tests.
   * @throws Error if a counter has drifted
   */
  assertCounters(): void {
    const counted = {
      events: this.#unsettled,
      bytes: this.#bufferedBytes,
      openEvents: this.#openEvents,
      openBytes: this.#openBytes,
    };
    for (const name of Object.keys(counted) as (keyof typeof counted)[]) {
      const total = this.#senders.reduce((all, sender) => all + sender.contents()[name], 0);
      if (total !== counted[name]) throw new Error(`${name} counts ${counted[name]}, and the lanes hold ${total}`);
    }
  }

  /** Appends an event of the open transaction to the target with that index. */
  append(target: number, event: EncodedEvent): void {
    const toDeadLetters = this.#options.shouldDeadLetter?.(event) ?? false;
    (this.#senders[target] as StreamSender).append(event, this.#currentSegment, toDeadLetters);
    const bytes = event.to - event.from;
    this.#bufferedBytes += bytes;
    this.#appended += bytes;
    this.#openBytes += bytes;
    this.#openEvents++;
    this.#unsettled++;
    if (this.#openBytes > this.#budget * OPEN_TRANSACTION_SHARE) {
      this.#lastSentSegment = this.#currentSegment;
      this.#makeSendable();
    }
    if (this.#bufferedBytes > this.#budget) this.#updateBackpressure();
  }

  /** The open transaction has committed: its events can be sent, and the position moves once they have settled. */
  commit(transaction: Transaction): void {
    const hasRows = this.#openEvents > 0 || this.#lastSentSegment >= 0;
    const moved = this.#watermark.committed(this.#currentSegment, transaction, hasRows, this.#appended);
    if (hasRows) {
      this.#makeSendable();
      this.#lastSentSegment = -1;
      this.#firstSegment = ++this.#currentSegment;
    }
    if (this.#savepoints.size > 0) this.#savepoints.clear();
    if (moved) this.#options.onDelivered();
    if (this.#unsettled === 0 && this.#watermark.pendingCount > 0) this.#moveWatermark();
    if (hasRows) this.#updateBackpressure();
  }

  /** Whether no event of a transaction is open, so that rows of a backfill can be appended. */
  get isBetweenTransactions(): boolean {
    return this.#openEvents === 0 && this.#lastSentSegment < 0 && this.#savepoints.size === 0;
  }

  /**
   * The events appended since the last commit are rows of a backfill, complete and final. `onDelivered` is called once
   * they and everything before them have settled; the checkpoint is saved after it.
   */
  commitSnapshot(onDelivered?: () => void): void {
    const hasRows = this.#openEvents > 0 || this.#lastSentSegment >= 0;
    const done = this.#watermark.snapshotCommitted(this.#currentSegment, hasRows, this.#appended, onDelivered);
    if (hasRows) {
      this.#makeSendable();
      this.#lastSentSegment = -1;
      this.#firstSegment = ++this.#currentSegment;
    }
    if (done) this.#options.onDelivered();
    if (this.#unsettled === 0 && this.#watermark.pendingCount > 0) this.#moveWatermark();
    if (hasRows) this.#updateBackpressure();
  }

  /** The XA transaction is neither committed nor rolled back. Its events come with the transaction that ends it. */
  xaPrepared(transaction: Transaction): void {
    this.#watermark.xaPrepared(transaction);
  }

  /** Everything before these coordinates has been received, and nothing follows for now. */
  heartbeat(at: Coordinates, created: number): void {
    if (this.#watermark.heartbeat(at, created)) this.#options.onDelivered();
  }

  /** A binlog file is read from here on. */
  fileBegins(file: string, created: number): void {
    if (this.#watermark.fileBegins(file, created)) this.#options.onDelivered();
  }

  /** The GTIDs before the start, if only the binlog contains them. */
  gtidsBeforeStart(gtids: GtidSet | MariadbGtidPosition): void {
    this.#watermark.gtidsBeforeStart(gtids);
  }

  /** A binlog file begins after these GTIDs. */
  gtidsBeforeFile(gtids: GtidSet | MariadbGtidPosition): void {
    this.#watermark.gtidsBeforeFile(gtids);
  }

  /** A transaction before the start: its GTID counts as delivered. */
  skipped(transaction: Transaction): void {
    this.#watermark.skipped(transaction);
  }

  /**
   * The open transaction was rolled back: its events are discarded.
   * @throws CdcError if some of them were made sendable before
   */
  rollback(): void {
    if (this.#lastSentSegment >= 0) throw rolledBackAfterSendError();
    this.#discardFrom(this.#firstSegment);
    this.#savepoints.clear();
  }

  savepoint(name: string): void {
    if (this.#openEvents > 0 || this.#lastSentSegment >= 0) this.#currentSegment++;
    this.#savepoints.set(name, this.#currentSegment);
  }

  /**
   * The events since the savepoint are discarded.
   * @throws CdcError if some of them were made sendable before
   */
  rollbackTo(name: string): void {
    const segment = this.#savepoints.get(name);
    if (segment === undefined) throw new CdcError(`the binlog rolls back to a savepoint ${name} that it has not set`);
    if (this.#lastSentSegment >= segment) throw rolledBackAfterSendError();
    this.#discardFrom(segment);
  }

  /** Resolves when everything committed has settled, or delivery has stopped. */
  async drain(): Promise<void> {
    // The next start reads an unfinished transaction again, so its events that are not sendable yet are discarded.
    this.#discardFrom(this.#firstSegment);
    if (this.#unsettled === 0 || this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      for (const sender of this.#senders) sender.drain();
    });
  }

  /** Abandons the events in flight and the waiting events. */
  stop(): void {
    this.#stopped = true;
    if (this.#paused) {
      const now = performance.now();
      this.#totals.backpressureMs += now - this.#pausedAt;
      this.#pausedAt = now;
    }
    for (const sender of this.#senders) sender.stop();
    this.#drained?.();
  }

  #discardFrom(segment: number): void {
    for (const sender of this.#senders) {
      const { events, bytes } = sender.discardFrom(segment);
      this.#bufferedBytes -= bytes;
      this.#appended -= bytes;
      this.#openBytes -= bytes;
      this.#openEvents -= events;
      this.#unsettled -= events;
    }
    this.#updateBackpressure();
  }

  #makeSendable(): void {
    for (const sender of this.#senders) sender.makeSendable();
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
    for (const sender of this.#senders) oldest = Math.min(oldest, sender.oldestSegment);
    if (this.#watermark.advanceTo(oldest)) this.#options.onDelivered();
  }

  /**
   * Pauses the source above the budget and resumes it below `RESUME_SHARE` of it. Call this after every change of the
   * buffered bytes or the pending transactions; nothing else re-evaluates backpressure.
   */
  #updateBackpressure(): void {
    const share = this.#paused ? RESUME_SHARE : 1;
    const budget = this.#budget * share;
    const paused =
      this.#bufferedBytes > budget ||
      this.#watermark.pendingBytes > BUDGETS_PAST_WATERMARK_MAX * budget ||
      this.#watermark.pendingCount > TRANSACTIONS_PAST_WATERMARK_MAX * share;
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#pausedAt = performance.now();
    else this.#totals.backpressureMs += performance.now() - this.#pausedAt;
    this.#options.onBackpressure(paused);
  }
}

/** A supervisor must not restart on this exit code, because a restart would fail in the same way. */
function rolledBackAfterSendError(): CdcError {
  return new CdcError('a transaction was rolled back after part of it had been sent', {
    exitCode: 4,
    why: 'it was larger than the part of a transaction that is held back until its COMMIT',
    hint: 'move the checkpoint file away (but not its .epoch file), start again with source.start after that transaction, and copy its tables again (cdc backfill), because the lake contains changes that were rolled back',
  });
}
