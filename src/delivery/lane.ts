import { EventMarks } from './event-marks.ts';

const INITIAL_BYTES = 16 * 1024;
/** An empty lane gives back a buffer that grew beyond this. */
const KEEP_BYTES = 1024 * 1024;

/**
 * The events of the keys that share it, in commit order. Its bytes are in three parts, front to back: in flight (at
 * most one slice, until it settles), committed and waiting, and the open transaction's, which may still be taken back.
 */
export class Lane {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  /** Byte counts since the lane began; `#base` is the count at which `#bytes` begins. */
  #base = 0;
  #settled = 0;
  #committed = 0;
  #appended = 0;
  readonly #marks = new EventMarks();
  #flightEvents = 0;
  #committedEvents = 0;
  /** Whether what waits has waited long enough. */
  due = false;
  /** The open transaction that has appended here, as its number. */
  touchedBy = -1;

  get inFlight(): boolean {
    return this.#flightEvents > 0;
  }

  get waitingEvents(): number {
    return this.#committedEvents - this.#flightEvents;
  }

  get waitingBytes(): number {
    return this.#committed - this.#flightEnd();
  }

  /** Events of the open transaction. */
  get openEvents(): number {
    return this.#marks.count - this.#committedEvents;
  }

  /** The number of the oldest transaction that has an event here which is not settled; Infinity for none. */
  get oldestTransaction(): number {
    return this.#marks.count === 0 ? Number.POSITIVE_INFINITY : this.#marks.transaction(0);
  }

  /** @param transaction a number that never falls: of the open transaction, or of a part of it */
  append(source: Buffer, from: number, to: number, transaction: number): void {
    const length = to - from;
    let at = this.#appended - this.#base;
    if (at + length > this.#bytes.length) {
      this.#makeRoom(length);
      at = this.#appended - this.#base;
    }
    source.copy(this.#bytes, at, from, to);
    this.#appended += length;
    this.#marks.push(this.#appended, transaction);
  }

  /** What was appended stays, and may be sent. */
  commit(): void {
    this.#committed = this.#appended;
    this.#committedEvents = this.#marks.count;
  }

  /** Takes back what the open transaction appended under `number` or a later one. Returns its bytes. */
  takeBack(number: number): number {
    const kept = this.#committedEvents + this.#marks.countBelow(number, this.#committedEvents);
    const end = kept > this.#committedEvents ? this.#marks.end(kept - 1) : this.#committed;
    const taken = this.#appended - end;
    this.#appended = end;
    this.#marks.keepOldest(kept);
    return taken;
  }

  /**
   * The next whole events that fit, at least one, as a view that stays unchanged until `settle`.
   * Only when nothing is in flight and something waits.
   */
  take(maxBytes: number, maxEvents: number): { bytes: Buffer; events: number } {
    const from = this.#settled;
    const fitting = Math.min(this.#marks.countUpTo(from + maxBytes, 0), maxEvents, this.#committedEvents);
    this.#flightEvents = Math.max(1, fitting);
    this.due = this.due && this.waitingEvents > 0;
    return {
      bytes: this.#bytes.subarray(from - this.#base, this.#flightEnd() - this.#base),
      events: this.#flightEvents,
    };
  }

  /** The slice in flight is at its destination, or set aside for good. Returns its bytes. */
  settle(): number {
    const end = this.#flightEnd();
    const length = end - this.#settled;
    this.#settled = end;
    this.#marks.dropOldest(this.#flightEvents);
    this.#committedEvents -= this.#flightEvents;
    this.#flightEvents = 0;
    if (this.#settled === this.#appended) {
      this.#base = this.#settled;
      if (this.#bytes.length > KEEP_BYTES) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
    }
    return length;
  }

  #flightEnd(): number {
    return this.#flightEvents === 0 ? this.#settled : this.#marks.end(this.#flightEvents - 1);
  }

  /** Moves the live bytes to the front, of a bigger buffer if need be; never under a slice that is in flight. */
  #makeRoom(length: number): void {
    const live = this.#appended - this.#settled;
    const enough = (live + length) * 2 <= this.#bytes.length;
    const target =
      enough && !this.inFlight
        ? this.#bytes
        : Buffer.allocUnsafeSlow(Math.max(this.#bytes.length, (live + length) * 2));
    const start = this.#settled - this.#base;
    this.#bytes.copy(target, 0, start, start + live);
    this.#bytes = target;
    this.#base = this.#settled;
  }
}
