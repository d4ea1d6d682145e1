const INITIAL = 256;

/** A queue of events in a lane: where line and key end, and which transaction it belongs to. Numbers only, no objects. */
export class EventIndex {
  #ends = new Float64Array(INITIAL);
  #transactions = new Float64Array(INITIAL);
  /** Undefined in a lane that keeps no keys. */
  #keyEnds: Float64Array | undefined;
  #head = 0;
  #tail = 0;

  constructor(keepsKeys: boolean) {
    this.#keyEnds = keepsKeys ? new Float64Array(INITIAL) : undefined;
  }

  get count(): number {
    return this.#tail - this.#head;
  }

  push(end: number, keyEnd: number, transaction: number): void {
    if (this.#tail === this.#ends.length) this.#makeRoom();
    this.#ends[this.#tail] = end;
    if (this.#keyEnds !== undefined) this.#keyEnds[this.#tail] = keyEnd;
    this.#transactions[this.#tail] = transaction;
    this.#tail++;
  }

  /** Where the line of the event at `index` (0 is the oldest) ends. */
  end(index: number): number {
    return this.#ends[this.#head + index] as number;
  }

  /** Where its key ends; 0 in a lane that keeps no keys. */
  keyEnd(index: number): number {
    return this.#keyEnds === undefined ? 0 : (this.#keyEnds[this.#head + index] as number);
  }

  transaction(index: number): number {
    return this.#transactions[this.#head + index] as number;
  }

  dropOldest(count: number): void {
    this.#head += count;
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
  }

  keepOldest(count: number): void {
    this.#tail = this.#head + count;
  }

  /** How many of the events from `from` on end at or before `limit`. */
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

  /** How many of the events from `from` on belong to transactions numbered below `transaction`; numbers never fall. */
  countBelow(transaction: number, from: number): number {
    let count = this.count;
    while (count > from && this.transaction(count - 1) >= transaction) count--;
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
    this.#transactions = moved(this.#transactions);
    if (this.#keyEnds !== undefined) this.#keyEnds = moved(this.#keyEnds);
    this.#head = 0;
    this.#tail = live;
  }
}
