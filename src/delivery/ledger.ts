import type { Coordinates } from '../change/coordinates.ts';
import type { Position } from '../change/position.ts';
import type { Transaction } from '../change/rows-event.ts';

interface Entry {
  /** The number that delivery gave the transaction. */
  ordinal: number;
  /** What is delivered once the events of `ordinal` are settled. */
  delivered: Transaction;
  /** Rowless transactions that committed behind it and count with it. */
  followers: Position | undefined;
}

/**
 * The low watermark: which transactions are delivered with all their events, and all before them too.
 * Transactions enter in commit order; those without captured rows join the one before them, so that a quiet
 * stream moves the position and a stalled sink does not fill the memory.
 */
export class Ledger {
  readonly #delivered: Position;
  readonly #entries: Entry[] = [];
  #head = 0;

  /** @param delivered the position to start from; it moves as transactions are settled */
  constructor(delivered: Position) {
    this.#delivered = delivered;
  }

  get waiting(): number {
    return this.#entries.length - this.#head;
  }

  committed(ordinal: number, transaction: Transaction, hasRows: boolean): void {
    const last = this.#entries[this.#entries.length - 1];
    if (hasRows) this.#entries.push({ ordinal, delivered: transaction, followers: undefined });
    else if (last === undefined || this.waiting === 0) this.#delivered.advance(transaction);
    else {
      last.followers ??= this.#delivered.empty();
      last.followers.advance(transaction);
    }
  }

  /** Nothing more is in the binlog before these coordinates. Returns whether the position moved. */
  idle(at: Coordinates): boolean {
    if (this.waiting > 0 || (at.file === this.#delivered.file && at.position <= this.#delivered.position)) return false;
    this.#delivered.file = at.file;
    this.#delivered.position = at.position;
    return true;
  }

  /** Everything of the transactions numbered below `oldest` is settled. Returns whether the position moved. */
  settledBefore(oldest: number): boolean {
    const before = this.#head;
    for (let entry = this.#entries[this.#head]; entry !== undefined && entry.ordinal < oldest; ) {
      this.#delivered.advance(entry.delivered);
      if (entry.followers) this.#delivered.advanceAll(entry.followers);
      entry = this.#entries[++this.#head];
    }
    const moved = this.#head > before;
    if (this.#head === this.#entries.length || this.#head > 10_000) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    return moved;
  }
}
