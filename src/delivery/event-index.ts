import type { EncodedEvent, EventOp } from '../model/encoded-event.ts';
import type { Table } from '../model/table.ts';

const INITIAL = 256;

/** The events of a lane: the end of each line and key, the transaction, and what it is. It makes no object for any. */
export class EventIndex {
  #ends = new Float64Array(INITIAL);
  #segments = new Float64Array(INITIAL);
  /** Undefined in a lane that keeps no keys. */
  #keyEnds: Float64Array | undefined;
  /** The tables and ops of the events, in a lane that keeps keys. */
  #tables: (Table | undefined)[] = [];
  #ops: (EventOp | undefined)[] = [];
  #head = 0;
  #tail = 0;

  constructor(keepsKeys: boolean) {
    this.#keyEnds = keepsKeys ? new Float64Array(INITIAL) : undefined;
  }

  get count(): number {
    return this.#tail - this.#head;
  }

  push(end: number, keyEnd: number, segment: number, { op, table }: Pick<EncodedEvent, 'op' | 'table'>): void {
    if (this.#tail === this.#ends.length) this.#makeRoom();
    this.#ends[this.#tail] = end;
    if (this.#keyEnds !== undefined) {
      this.#keyEnds[this.#tail] = keyEnd;
      this.#tables[this.#tail] = table;
      this.#ops[this.#tail] = op;
    }
    this.#segments[this.#tail] = segment;
    this.#tail++;
  }

  /** The end of the line of the event at `index`; 0 is the oldest event. */
  end(index: number): number {
    return this.#ends[this.#head + index] as number;
  }

  /** The end of its key; 0 in a lane that keeps no keys. */
  keyEnd(index: number): number {
    return this.#keyEnds === undefined ? 0 : (this.#keyEnds[this.#head + index] as number);
  }

  /** Its table; only in a lane that keeps keys. */
  table(index: number): Table {
    return this.#tables[this.#head + index] as Table;
  }

  /** What happened; only in a lane that keeps keys. */
  op(index: number): EventOp {
    return this.#ops[this.#head + index] as EventOp;
  }

  segment(index: number): number {
    return this.#segments[this.#head + index] as number;
  }

  dropOldest(count: number): void {
    this.#head += count;
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
  }

  keepOldest(count: number): void {
    this.#tail = this.#head + count;
  }

  /** The number of events, from index `from` on, that end at or before `limit`. */
  countUpTo(limit: number, from: number): number {
    let low = from;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.end(middle) <= limit) low = middle + 1;
      else high = middle;
    }
    return low - from;
  }

  /** The number of events, from index `from` on, of transactions below `transaction`. The numbers never decrease. */
  countBelow(segment: number, from: number): number {
    let count = this.count;
    while (count > from && this.segment(count - 1) >= segment) count--;
    return count - from;
  }

  #makeRoom(): void {
    const live = this.count;
    const size = live * 2 > this.#ends.length ? this.#ends.length * 2 : this.#ends.length;
    const moved = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(size);
      to.set(from.subarray(this.#head, this.#tail));
      return to;
    };
    this.#ends = moved(this.#ends);
    this.#segments = moved(this.#segments);
    if (this.#keyEnds !== undefined) {
      this.#keyEnds = moved(this.#keyEnds);
      // Of settled events nothing is kept, so that old versions of tables go.
      this.#tables = this.#tables.slice(this.#head, this.#tail);
      this.#ops = this.#ops.slice(this.#head, this.#tail);
    }
    this.#head = 0;
    this.#tail = live;
  }
}
