import type { EncodedEvent } from '../model/encoded-event.ts';
import type { RecordBuffers, RecordEvent } from '../sinks/sink.ts';
import { ByteQueue } from './byte-queue.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { EventIndex } from './event-index.ts';
import { ISOLATION_EVENTS_MAX } from './limits.ts';

type State = 'ready' | 'in flight' | 'backing off';

/**
 * The events of the keys that share a lane, in commit order. Oldest first, they are in flight (one slice at most, until
 * it settles), waiting to be sent, or of the open transaction, which can still discard them.
 *
 *     ready --startFlight--> in flight --settle--> ready --backOff--> backing off --endBackoff--> ready
 *
 * A lane in isolation sends its oldest events on their own, `isolationBatchSize` at a time, because one of them was
 * rejected or blocks the others. Isolation ends when all of them have settled.
 */
export class Lane {
  readonly number: number;
  readonly #lines: ByteQueue;
  /** The keys of the events, if the sink needs them. */
  readonly #keys: ByteQueue | undefined;
  readonly #events: EventIndex;
  #state: State = 'ready';
  #inFlightEvents = 0;
  #sendableEvents = 0;
  /** The end of the lines that can be sent: those in flight and those that wait. */
  #sendableEnd = 0;
  #hasOpenTransaction = false;
  /** The starts of the events that go to the dead letters, oldest first. */
  #deadLetterStarts: number[] = [];
  /** The starts of the events in a log that are stored, although one before them is not. */
  readonly #storedStarts = new Set<number>();
  #isDue = false;
  #attempts = 0;
  /** When the first of these attempts failed, in milliseconds since 1970, and why the last one did. */
  #failingSince = 0;
  #failure = '';
  /** Counts the times that the lane began to fail. */
  #failures = 0;
  #isolatedEvents = 0;
  #isolationBatchSize = 0;

  /** @param number its number among the lanes of the stream */
  constructor(pool: ChunkPool, keepsKeys: boolean, number = 0) {
    this.number = number;
    this.#lines = new ByteQueue(pool);
    this.#keys = keepsKeys ? new ByteQueue(pool) : undefined;
    this.#events = new EventIndex(keepsKeys);
  }

  get inFlightEvents(): number {
    return this.#inFlightEvents;
  }

  get waitingEvents(): number {
    return this.#sendableEvents - this.#inFlightEvents;
  }

  get waitingBytes(): number {
    return this.#sendableEnd - this.#inFlightEnd();
  }

  /** Events of the open transaction. */
  get openEvents(): number {
    return this.#events.count - this.#sendableEvents;
  }

  get openBytes(): number {
    return this.#lines.end - this.#sendableEnd;
  }

  /** Events and bytes that are not settled. */
  get events(): number {
    return this.#events.count;
  }

  get bytes(): number {
    return this.#lines.end - this.#lines.start;
  }

  /** Whether events wait and can be sent now. */
  get isSendable(): boolean {
    return this.#state === 'ready' && this.#sendableEvents > 0;
  }

  /** Whether the waiting events go with the next request: their linger time or a backoff has ended. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Failed attempts since an event of the lane settled. */
  get attempts(): number {
    return this.#attempts;
  }

  /** When the first of these attempts failed, in milliseconds since 1970, and why the last one did. */
  get failure(): { since: number; reason: string; number: number } {
    return { since: this.#failingSince, reason: this.#failure, number: this.#failures };
  }

  get isInFlight(): boolean {
    return this.#state === 'in flight';
  }

  /** The maximum number of events in the next slice during isolation, otherwise 0. */
  get isolationBatchSize(): number {
    return this.#isolatedEvents > 0 ? this.#isolationBatchSize : 0;
  }

  /** Bytes of the oldest event. */
  get oldestEventBytes(): number {
    return this.#events.end(0) - this.#lines.start;
  }

  /** Whether the oldest event goes to the dead letters. */
  get oldestIsDeadLetter(): boolean {
    return this.#deadLetterStarts[0] === this.#lines.start;
  }

  /** The segment of the oldest unsettled event; Infinity if there is none. */
  get oldestSegment(): number {
    return this.#events.count === 0 ? Number.POSITIVE_INFINITY : this.#events.segment(0);
  }

  /**
   * Appends an event of the open transaction. Returns whether it is the first of that transaction in this lane.
   * @param segment the open transaction's current segment; segment numbers never decrease
   */
  append(event: EncodedEvent, segment: number): boolean {
    this.#lines.append(event.bytes, event.from, event.to);
    if (this.#keys !== undefined) {
      event.locateKey();
      this.#keys.append(event.bytes, event.keyFrom, event.keyTo);
    }
    this.#events.push(this.#lines.end, this.#keys?.end ?? 0, segment, event);
    const isFirst = !this.#hasOpenTransaction;
    this.#hasOpenTransaction = true;
    return isFirst;
  }

  /** The event that was appended last goes to the dead letters. */
  markDeadLetter(): void {
    const { count } = this.#events;
    this.#deadLetterStarts.push(count > 1 ? this.#events.end(count - 2) : this.#lines.start);
  }

  /** The events of the open transaction can be sent, and are no longer discarded. Returns their bytes. */
  makeSendable(): number {
    const bytes = this.#lines.end - this.#sendableEnd;
    this.#sendableEnd = this.#lines.end;
    this.#sendableEvents = this.#events.count;
    this.#hasOpenTransaction = false;
    return bytes;
  }

  /** Discards the events of the open transaction in this segment and later ones. Returns their bytes. */
  discardFrom(segment: number): number {
    const kept = this.#sendableEvents + this.#events.countBelow(segment, this.#sendableEvents);
    const end = kept > this.#sendableEvents ? this.#events.end(kept - 1) : this.#sendableEnd;
    const discarded = this.#lines.end - end;
    this.#keys?.discardFrom(kept > 0 ? this.#events.keyEnd(kept - 1) : this.#keys.start);
    this.#events.keepOldest(kept);
    this.#lines.discardFrom(end);
    while ((this.#deadLetterStarts.at(-1) ?? -1) >= end) this.#deadLetterStarts.pop();
    return discarded;
  }

  /**
   * Starts a flight of the oldest events: as many as fit into the limits, and one if none does. Returns their bytes.
   * @param maxEventBytes the slice ends before an event that is larger
   */
  startFlight(maxBytes: number, maxEvents: number, maxEventBytes = Number.POSITIVE_INFINITY): number {
    this.#move('ready', 'in flight');
    const from = this.#lines.start;
    const stop = this.#deadLetterStarts.find((start) => start > from) ?? Number.POSITIVE_INFINITY;
    const fitting = this.#events.countUpTo(Math.min(from + maxBytes, stop), 0);
    this.#inFlightEvents = Math.max(1, Math.min(fitting, maxEvents, this.#sendableEvents));
    if (maxEventBytes < maxBytes) {
      for (let i = 1; i < this.#inFlightEvents; i++) {
        if (this.#events.end(i) - this.#events.end(i - 1) > maxEventBytes) this.#inFlightEvents = i;
      }
    }
    this.#isDue = this.#isDue && this.waitingEvents > 0;
    return this.#inFlightEnd() - from;
  }

  /** The lines in flight. They stay unchanged until `settle`. */
  inFlightBuffers(): RecordBuffers {
    return this.#lines.buffersTo(this.#inFlightEnd());
  }

  /** The lines in flight, a buffer for each event. They stay unchanged until `settle`. */
  inFlightByEvent(): Buffer[] {
    return this.#lines.pieces(this.#inFlightEvents, (index) => this.#events.end(index));
  }

  /**
   * What the oldest events are, unchanged until they settle: up to `count` of those that can be sent. Undefined in a
   * lane that keeps no keys.
   */
  oldestEvents(count: number): RecordEvent[] | undefined {
    const keys = this.#keys?.pieces(Math.min(count, this.#sendableEvents), (index) => this.#events.keyEnd(index));
    return keys?.map((key, i) => ({ key, table: this.#events.table(i), op: this.#events.op(i) }));
  }

  /** The line of the oldest event, unchanged until the event settles. */
  oldestEvent(): Buffer {
    return this.#lines.pieces(1, () => this.#events.end(0))[0] as Buffer;
  }

  /** Whether an event in flight is stored already: it was accepted in a run in which one before it failed. */
  isStored(index: number): boolean {
    return this.#storedStarts.size > 0 && this.#storedStarts.has(this.#startOf(index));
  }

  /** An event in flight is stored. It settles with those before it, and is not sent again. */
  markStored(index: number): void {
    this.#storedStarts.add(this.#startOf(index));
  }

  /** The number of the oldest `events`, and of those behind them that are stored already. */
  withStored(events: number): number {
    let count = events;
    while (count > 0 && count < this.#sendableEvents && this.isStored(count)) count++;
    return count;
  }

  /**
   * Ends the flight: its oldest `events` are accepted or in the dead letters, the others wait again. Returns the bytes
   * of the settled events.
   */
  settle(events: number): number {
    this.#move('in flight', 'ready');
    this.#inFlightEvents = 0;
    if (events === 0) return 0;
    const end = this.#events.end(events - 1);
    const bytes = end - this.#lines.start;
    this.#keys?.dropTo(this.#events.keyEnd(events - 1));
    this.#lines.dropTo(end);
    this.#events.dropOldest(events);
    this.#sendableEvents -= events;
    while ((this.#deadLetterStarts[0] ?? end) < end) this.#deadLetterStarts.shift();
    for (const start of this.#storedStarts) if (start < end) this.#storedStarts.delete(start);
    this.#attempts = 0;
    this.#isolatedEvents = Math.max(0, this.#isolatedEvents - events);
    this.#isolationBatchSize = this.#isolatedEvents;
    return bytes;
  }

  /** The flight has its oldest `events` only; the others wait again. */
  shortenFlight(events: number): void {
    if (events === this.#inFlightEvents) return;
    this.#isDue = true;
    if (events === 0) this.abortFlight();
    else this.#inFlightEvents = events;
  }

  /** Ends the flight without a result: its events wait again. */
  abortFlight(): void {
    this.settle(0);
  }

  /** The waiting events go with the next request. */
  makeDue(): void {
    this.#isDue = this.waitingEvents > 0;
  }

  /** An attempt failed. The lane waits until `endBackoff`. @param attempts consecutive failures, this one included */
  backOff(attempts: number, reason: string): void {
    this.#move('ready', 'backing off');
    this.#failed(attempts, reason);
  }

  endBackoff(): void {
    this.#move('backing off', 'ready');
    this.#isDue = true;
  }

  /**
   * One of the oldest `events` was rejected: they are sent on their own from now on.
   * @param halve whether they alone were rejected: then the range is bisected until the event is found
   */
  isolate(events: number, halve: boolean): void {
    this.#isolatedEvents = halve ? events : Math.max(this.#isolatedEvents, events);
    this.#isolationBatchSize = halve && events > 1 ? events >> 1 : events;
    this.#isDue = true;
  }

  /** An attempt failed, and the lane is sent again without a backoff. */
  countAttempt(reason: string): void {
    this.#failed(this.#attempts + 1, reason);
  }

  #failed(attempts: number, reason: string): void {
    if (this.#attempts === 0) {
      this.#failingSince = Date.now();
      this.#failures++;
    }
    this.#attempts = attempts;
    this.#failure = reason;
  }

  /**
   * The outcome of the oldest events stayed unknown for many attempts: they are isolated to find the blocking event.
   * @param halve whether no other lane shares their record: then the range is bisected
   */
  isolateBlocked(halve: boolean): void {
    const most = this.#isolatedEvents > 0 ? this.#isolationBatchSize : ISOLATION_EVENTS_MAX;
    const events = Math.min(this.waitingEvents, most);
    this.#isolatedEvents = events;
    this.#isolationBatchSize = halve ? Math.max(1, events >> 1) : events;
  }

  #startOf(index: number): number {
    return index === 0 ? this.#lines.start : this.#events.end(index - 1);
  }

  #inFlightEnd(): number {
    return this.#inFlightEvents === 0 ? this.#lines.start : this.#events.end(this.#inFlightEvents - 1);
  }

  #move(from: State, to: State): void {
    if (this.#state !== from) throw new Error(`a lane that is ${this.#state} cannot become ${to}`);
    if (to === 'in flight' && this.#sendableEvents === 0) throw new Error('a lane without events cannot send');
    this.#state = to;
  }
}
