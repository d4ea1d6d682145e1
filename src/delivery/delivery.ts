import PQueue from 'p-queue';
import type { Coordinates } from '../change/coordinates.ts';
import type { Position } from '../change/position.ts';
import type { Transaction } from '../change/rows-event.ts';
import type { Outcome, Sink } from '../change/sink.ts';
import { asCdcError, CdcError } from '../error.ts';
import { Lane } from './lane.ts';
import { Ledger } from './ledger.ts';
import { Packer, type Shipment } from './packer.ts';

export interface DeliveryOptions {
  sink: Sink;
  /** The delivered position; it moves with the watermark. */
  delivered: Position;
  maxEvents: number;
  maxBytes: number;
  /** How long an event may wait for company, milliseconds. */
  lingerMs: number;
  /** Bytes that may wait here: above the high mark the source is paused, below half of it it goes on. */
  budgetBytes?: number;
  requestsInFlight?: number;
  /** The source shall pause or go on. */
  onPressure: (paused: boolean) => void;
  /** The delivered position has moved. */
  onDelivered: () => void;
  /** A record was refused for good, or the sink itself broke. */
  onRefused: (error: CdcError) => void;
}

export interface DeliveryCounters {
  events: number;
  records: number;
  requests: number;
  bytes: number;
  retries: number;
}

const LANES = 64;
const BUDGET_BYTES = 64 * 1024 * 1024;
const REQUESTS_IN_FLIGHT = 4;
/** A request of this size goes without waiting for the linger time. */
const EAGER_BYTES = 2_000_000;
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 10_000;

/**
 * Takes event lines in commit order and sees them to the sink: a line's key picks its lane, lanes are packed into
 * records, records into requests. A lane has one slice in flight at most, so no retry can reorder a key, and a record
 * that fails delays only the lanes that are in it.
 *
 * Lines of the open transaction wait until it commits, unless it outgrows a quarter of the budget.
 */
export class Delivery {
  readonly counters: DeliveryCounters = { events: 0, records: 0, requests: 0, bytes: 0, retries: 0 };
  readonly #options: DeliveryOptions;
  readonly #lanes = Array.from({ length: LANES }, () => new Lane());
  readonly #ledger: Ledger;
  readonly #queue: PQueue;
  readonly #abort = new AbortController();
  readonly #budget: number;
  #held = 0;
  #paused = false;

  /** The open transaction: the numbers of its first and of its present part; parts begin at savepoints. */
  #first = 0;
  #part = 0;
  #savepoints = new Map<string, number>();
  /** Its lanes, and its lines and bytes that may still be taken back. */
  #touched: Lane[] = [];
  #openEvents = 0;
  #openBytes = 0;
  /** The last of its parts of which something may not; -1 for none. */
  #released = -1;

  /** Records that failed and whose time to be sent again has come. */
  #again: Shipment[] = [];
  #retryTimers = new Set<NodeJS.Timeout>();
  #linger: NodeJS.Timeout | undefined;
  #unsettled = 0;
  /** The lane that the next request looks at first. */
  #turn = 0;
  #waitingBytes = 0;
  #draining: (() => void) | undefined;
  #stopped = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#ledger = new Ledger(options.delivered);
    this.#budget = options.budgetBytes ?? BUDGET_BYTES;
    this.#queue = new PQueue({ concurrency: options.requestsInFlight ?? REQUESTS_IN_FLIGHT });
    this.#queue.on('next', () => this.#pump());
  }

  /** Bytes that wait or are in flight. */
  get heldBytes(): number {
    return this.#held;
  }

  /** Appends a line of the open transaction; `keyHash` picks the lane. */
  append(keyHash: number, bytes: Buffer, from: number, to: number): void {
    const lane = this.#lanes[(keyHash ^ (keyHash >>> 15)) & (LANES - 1)] as Lane;
    if (lane.touchedBy !== this.#first) {
      lane.touchedBy = this.#first;
      this.#touched.push(lane);
    }
    lane.append(bytes, from, to, this.#part);
    this.#held += to - from;
    this.#openBytes += to - from;
    this.#openEvents++;
    this.#unsettled++;
    if (this.#openBytes * 4 > this.#budget) {
      this.#released = this.#part;
      this.#release();
    }
    if (!this.#paused && this.#held > this.#budget) this.#press(true);
  }

  /** The open transaction has committed: its lines may go, and its position moves once they have arrived. */
  commit(transaction: Transaction): void {
    const hasRows = this.#openEvents > 0 || this.#released >= 0;
    const moved = this.#ledger.committed(this.#part, transaction, hasRows);
    if (hasRows) {
      this.#release();
      this.#released = -1;
      this.#first = ++this.#part;
    }
    if (this.#savepoints.size > 0) this.#savepoints.clear();
    if (moved) this.#options.onDelivered();
    if (this.#unsettled === 0 && this.#ledger.waiting > 0) this.#settled();
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
      this.#draining = resolve;
      this.#pump();
    });
  }

  /** Gives up what is still in flight or waiting. */
  stop(): void {
    this.#stopped = true;
    this.#abort.abort();
    clearTimeout(this.#linger);
    for (const timer of this.#retryTimers) clearTimeout(timer);
    this.#queue.clear();
    this.#draining?.();
  }

  #takeBack(part: number): void {
    for (const lane of this.#touched) {
      const events = lane.openEvents;
      const bytes = lane.takeBack(part);
      this.#held -= bytes;
      this.#openBytes -= bytes;
      this.#openEvents -= events - lane.openEvents;
      this.#unsettled -= events - lane.openEvents;
    }
  }

  #release(): void {
    for (const lane of this.#touched) {
      lane.commit();
      lane.touchedBy = -1;
    }
    this.#touched = [];
    this.#waitingBytes += this.#openBytes;
    this.#openBytes = 0;
    this.#openEvents = 0;
    this.#linger ??= setTimeout(() => this.#lingerOver(), this.#options.lingerMs);
    if (this.#waitingBytes >= EAGER_BYTES) this.#pump();
  }

  #lingerOver(): void {
    this.#linger = undefined;
    for (const lane of this.#lanes) lane.due = lane.waitingEvents > 0;
    this.#pump();
  }

  /** Sends requests while there are free places and something to send. */
  #pump(): void {
    while (!this.#stopped && this.#queue.pending + this.#queue.size < this.#queue.concurrency) {
      const request = this.#assemble();
      if (request.length === 0) return;
      this.#queue.add(() => this.#send(request)).catch((error) => this.#options.onRefused(asCdcError(error)));
    }
  }

  /** The next request: records whose retry is due, then what waits in the lanes. */
  #assemble(): Shipment[] {
    const { maxRecords, maxRecordBytes, maxRequestBytes } = this.#options.sink.limits;
    const request: Shipment[] = [];
    let room = maxRequestBytes;
    while (request.length < maxRecords && this.#again[0] !== undefined && this.#again[0].bytes.length <= room) {
      const shipment = this.#again.shift() as Shipment;
      request.push(shipment);
      room -= shipment.bytes.length;
    }
    const eager = this.#waitingBytes >= EAGER_BYTES || this.#draining !== undefined;
    const packer = new Packer(this.#options.maxBytes, this.#options.maxEvents);
    for (let i = 0; i < LANES; i++) {
      const lane = this.#lanes[(this.#turn + i) % LANES] as Lane;
      if (lane.inFlight || lane.waitingEvents === 0 || !(eager || lane.due)) continue;
      const opensRecord = !packer.fits(lane);
      if (opensRecord && request.length + packer.count >= maxRecords) break;
      if (room < Math.min(lane.waitingBytes, maxRecordBytes)) break;
      const taken = packer.add(lane);
      room -= taken;
      this.#waitingBytes -= taken;
    }
    this.#turn = (this.#turn + 1) % LANES;
    request.push(...packer.finish());
    return request;
  }

  async #send(request: Shipment[]): Promise<void> {
    if (this.#stopped) return;
    const { sink } = this.#options;
    this.counters.requests++;
    const outcomes = await sink.send(
      request.map((shipment) => shipment.bytes),
      this.#abort.signal,
    );
    if (this.#stopped) return;
    request.forEach((shipment, i) => {
      this.#settle(shipment, outcomes[i] ?? { kind: 'unknown', reason: 'the sink gave no outcome' });
    });
    this.#settled();
  }

  #settle(shipment: Shipment, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'accepted':
        this.counters.records++;
        this.counters.events += shipment.events;
        this.counters.bytes += shipment.bytes.length;
        this.#unsettled -= shipment.events;
        for (const lane of shipment.lanes) this.#held -= lane.settle();
        return;
      case 'refused':
        return this.#options.onRefused(
          new CdcError('Firehose refused the events', { why: outcome.reason, hint: outcome.hint }),
        );
      default:
        this.counters.retries++;
        return this.#retryLater(shipment);
    }
  }

  /** Full jitter over a doubling bound, without end (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
  #retryLater(shipment: Shipment): void {
    const bound = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(shipment.attempts++, 10));
    const timer = setTimeout(() => {
      this.#retryTimers.delete(timer);
      this.#again.push(shipment);
      this.#pump();
    }, Math.random() * bound);
    this.#retryTimers.add(timer);
  }

  /** Moves the watermark over what has settled, and lets go of pressure. */
  #settled(): void {
    let oldest = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) oldest = Math.min(oldest, lane.oldestTransaction);
    if (this.#ledger.settledBefore(oldest)) this.#options.onDelivered();
    if (this.#paused && this.#held <= this.#budget / 2) this.#press(false);
    if (this.#unsettled === 0) this.#draining?.();
  }

  #press(paused: boolean): void {
    this.#paused = paused;
    this.#options.onPressure(paused);
  }
}

function sentInPart(): CdcError {
  return new CdcError('a transaction that was sent in part has been rolled back in the binlog', {
    why: 'it was larger than what is held back until the commit is seen',
    hint: 'copy its tables anew: what was taken back must not stay in the lake',
  });
}
