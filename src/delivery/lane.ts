import type { RecordBuffers } from '../sinks/sink.ts';
import type { Chunk, ChunkPool } from './chunk-pool.ts';
import { EventIndex } from './event-index.ts';

/**
 * The events of the keys that share it, in commit order. They are in three parts, front to back: in flight (at most one
 * slice, until it settles), committed and waiting, and the open transaction's, which may still be taken back.
 */
export class Lane {
  readonly #pool: ChunkPool;
  /** Oldest first. No event lies in two chunks. */
  readonly #chunks: Chunk[] = [];
  /** Byte counts since the lane began. */
  #settled = 0;
  #committed = 0;
  #appended = 0;
  readonly #events = new EventIndex();
  #inFlightEvents = 0;
  #committedEvents = 0;
  /** Where the events begin that are not to be sent, oldest first. */
  #deadLetterStarts: number[] = [];

  /** Whether what waits has waited long enough. */
  lingerExpired = false;
  /** Whether it waits after a failure, and how many there were since something was accepted. */
  backingOff = false;
  attempts = 0;
  /** The oldest so many events travel alone, `narrow` of them at most: one of them was refused. */
  isolatedEvents = 0;
  isolationBatchSize = 0;
  /** The open transaction that has appended here, as its number. */
  openTransaction = -1;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  get inFlightEvents(): number {
    return this.#inFlightEvents;
  }

  get waitingEvents(): number {
    return this.#committedEvents - this.#inFlightEvents;
  }

  get waitingBytes(): number {
    return this.#committed - this.#inFlightEnd();
  }

  /** Events of the open transaction. */
  get openEvents(): number {
    return this.#events.count - this.#committedEvents;
  }

  /** Bytes of the oldest event. */
  get oldestEventBytes(): number {
    return this.#events.end(0) - this.#settled;
  }

  /** Whether the oldest event was appended as one that is not to be sent. */
  get oldestIsDeadLetter(): boolean {
    return this.#deadLetterStarts[0] === this.#settled;
  }

  /** The number of the oldest transaction that has an event here which is not settled; Infinity for none. */
  get oldestTransaction(): number {
    return this.#events.count === 0 ? Number.POSITIVE_INFINITY : this.#events.transaction(0);
  }

  /** @param transaction a number that never falls: of the open transaction, or of a part of it */
  append(source: Buffer, from: number, to: number, transaction: number): void {
    const length = to - from;
    let chunk = this.#chunks[this.#chunks.length - 1];
    if (chunk === undefined || chunk.used + length > chunk.bytes.length) {
      chunk = this.#pool.acquire(this.#appended, length);
      this.#chunks.push(chunk);
    }
    source.copy(chunk.bytes, chunk.used, from, to);
    chunk.used += length;
    this.#appended += length;
    this.#events.push(this.#appended, transaction);
  }

  /** The event that was appended last is not to be sent. */
  markDeadLetter(): void {
    const { count } = this.#events;
    this.#deadLetterStarts.push(count > 1 ? this.#events.end(count - 2) : this.#settled);
  }

  /** What was appended stays, and may be sent. Returns its bytes. */
  commit(): number {
    const bytes = this.#appended - this.#committed;
    this.#committed = this.#appended;
    this.#committedEvents = this.#events.count;
    return bytes;
  }

  /** Takes back what the open transaction appended under `number` or a later one. Returns its bytes. */
  discardFrom(number: number): number {
    const kept = this.#committedEvents + this.#events.countBelow(number, this.#committedEvents);
    const end = kept > this.#committedEvents ? this.#events.end(kept - 1) : this.#committed;
    const taken = this.#appended - end;
    this.#appended = end;
    this.#events.keepOldest(kept);
    while (
      this.#deadLetterStarts.length > 0 &&
      (this.#deadLetterStarts[this.#deadLetterStarts.length - 1] as number) >= end
    )
      this.#deadLetterStarts.pop();
    for (let last = this.#chunks.at(-1); last && last.base + last.used > end; last = this.#chunks.at(-1)) {
      last.used = Math.max(0, end - last.base);
      // A chunk without anything unsettled goes; the oldest event is always in the first one.
      if (last.used > 0 && last.base + last.used > this.#settled) break;
      this.#pool.release(this.#chunks.pop() as Chunk);
    }
    return taken;
  }

  /**
   * Puts the next whole events that fit in flight, at least one. Returns their bytes.
   * Only when nothing is in flight and something waits.
   * @param maxEventBytes the events end before one that is larger
   */
  startFlight(maxBytes: number, maxEvents: number, maxEventBytes = Number.POSITIVE_INFINITY): number {
    const from = this.#settled;
    const stop = this.#deadLetterStarts.find((start) => start > from) ?? Number.POSITIVE_INFINITY;
    const fitting = this.#events.countUpTo(Math.min(from + maxBytes, stop), 0);
    this.#inFlightEvents = Math.max(1, Math.min(fitting, maxEvents, this.#committedEvents));
    if (maxEventBytes < maxBytes) {
      for (let i = 1; i < this.#inFlightEvents; i++) {
        if (this.#events.end(i) - this.#events.end(i - 1) > maxEventBytes) this.#inFlightEvents = i;
      }
    }
    this.lingerExpired = this.lingerExpired && this.waitingEvents > 0;
    return this.#inFlightEnd() - from;
  }

  /** The bytes in flight; they stay unchanged until `settle`. */
  inFlightBuffers(): RecordBuffers {
    const end = this.#inFlightEnd();
    const pieces: Buffer[] = [];
    for (const { bytes, base, used } of this.#chunks) {
      const from = Math.max(0, this.#settled - base);
      const to = Math.min(used, end - base);
      if (to > from) pieces.push(bytes.subarray(from, to));
      if (base + used >= end) break;
    }
    return pieces;
  }

  /** A copy of the oldest event. */
  oldestEvent(): Buffer {
    const [{ bytes, base }] = this.#chunks as [Chunk];
    return Buffer.from(bytes.subarray(this.#settled - base, this.#events.end(0) - base));
  }

  /** The events in flight, each by itself; they stay unchanged until `settle`. */
  inFlightByEvent(): Buffer[] {
    const events: Buffer[] = [];
    let from = this.#settled;
    let index = 0;
    for (let i = 0; i < this.#inFlightEvents; i++) {
      const to = this.#events.end(i);
      let chunk = this.#chunks[index] as Chunk;
      while (from >= chunk.base + chunk.used) chunk = this.#chunks[++index] as Chunk;
      events.push(chunk.bytes.subarray(from - chunk.base, to - chunk.base));
      from = to;
    }
    return events;
  }

  /**
   * The oldest `events` of those in flight are at their destination, or set aside for good; the others wait again.
   * Returns the bytes of the former.
   */
  settle(events = this.#inFlightEvents): number {
    const end = events === 0 ? this.#settled : this.#events.end(events - 1);
    const length = end - this.#settled;
    this.#settled = end;
    this.#events.dropOldest(events);
    this.#committedEvents -= events;
    this.#inFlightEvents = 0;
    while (this.#deadLetterStarts.length > 0 && (this.#deadLetterStarts[0] as number) < end)
      this.#deadLetterStarts.shift();
    let done = 0;
    for (let chunk = this.#chunks[0]; chunk && chunk.base + chunk.used <= end; chunk = this.#chunks[++done]) {
      this.#pool.release(chunk);
    }
    if (done > 0) this.#chunks.splice(0, done);
    return length;
  }

  #inFlightEnd(): number {
    return this.#inFlightEvents === 0 ? this.#settled : this.#events.end(this.#inFlightEvents - 1);
  }
}
