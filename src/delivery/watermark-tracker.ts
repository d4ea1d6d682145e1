import type { Coordinates } from '../model/coordinates.ts';
import { GtidSet } from '../model/gtid-set.ts';
import type { ReplicationPosition } from '../model/replication-position.ts';
import type { Transaction } from '../model/rows-event.ts';

interface Entry {
  /** The number that delivery gave the transaction; -1 when nothing has to arrive. */
  ordinal: number;
  transaction: Transaction | undefined;
  /** Transactions that committed behind it and count with it. */
  followers: ReplicationPosition | undefined;
  /** Where its events end, in bytes that were ever appended. */
  end: number;
}

/**
 * The low watermark: which transactions are delivered with all their events, and all before them too.
 * Transactions enter in commit order; those without captured rows join the one before them, so that a quiet
 * stream moves the position and a stalled sink does not fill the memory.
 *
 * A prepared XA transaction is not delivered before it has ended. A GTID set leaves it out, which makes the server
 * send it again. Coordinates and MariaDB's positions can leave nothing out: from XA PREPARE on all transactions are
 * tied into a knot, until none is prepared and all of the knot have arrived.
 */
export class Ledger {
  readonly #delivered: ReplicationPosition;
  readonly #entries: Entry[] = [];
  #head = 0;
  #knot: { ordinal: number; position: ReplicationPosition } | undefined;
  #prepared = 0;
  /** Where the events of what is delivered end. */
  #end = 0;

  /** @param delivered the position to start from; it moves as transactions are settled */
  constructor(delivered: ReplicationPosition) {
    this.#delivered = delivered;
  }

  get waiting(): number {
    return this.#entries.length - this.#head;
  }

  /** Bytes of the transactions that wait: a restart sends what of them has arrived again. */
  get waitingBytes(): number {
    return this.waiting === 0 ? 0 : (this.#entries[this.#entries.length - 1] as Entry).end - this.#end;
  }

  prepared(transaction: Transaction): void {
    if (this.#delivered.gtids instanceof GtidSet) return;
    this.#prepared++;
    this.#knot ??= { ordinal: -1, position: this.#delivered.empty() };
    this.#knot.position.advance(transaction);
  }

  /**
   * Returns whether the position moved; where entries wait and nothing is unsettled, `settledBefore` moves it.
   * @param end the bytes that were appended until now
   */
  committed(ordinal: number, transaction: Transaction, hasRows: boolean, end: number): boolean {
    const knot = this.#knot;
    if (knot === undefined) {
      if (!hasRows) return this.#follow(transaction);
      this.#entries.push({ ordinal, transaction, followers: undefined, end });
      return false;
    }
    knot.position.advance(transaction);
    if (hasRows) knot.ordinal = ordinal;
    if (transaction.preparedTransaction !== undefined) this.#prepared--;
    if (this.#prepared > 0) return false;
    this.#knot = undefined;
    this.#entries.push({ ordinal: knot.ordinal, transaction: undefined, followers: knot.position, end });
    return false;
  }

  /** Nothing more is in the binlog before these coordinates. Returns whether the position moved. */
  idle(at: Coordinates): boolean {
    if (this.waiting > 0 || this.#knot !== undefined) return false;
    if (at.file === this.#delivered.file && at.position <= this.#delivered.position) return false;
    this.#delivered.file = at.file;
    this.#delivered.position = at.position;
    return true;
  }

  /** Everything of the transactions numbered below `oldest` is settled. Returns whether the position moved. */
  settledBefore(oldest: number): boolean {
    const before = this.#head;
    for (let entry = this.#entries[this.#head]; entry !== undefined && entry.ordinal < oldest; ) {
      if (entry.transaction) this.#delivered.advance(entry.transaction);
      if (entry.followers) this.#delivered.advanceAll(entry.followers);
      this.#end = entry.end;
      entry = this.#entries[++this.#head];
    }
    const moved = this.#head > before;
    if (this.#head === this.#entries.length || this.#head > 10_000) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    return moved;
  }

  #follow(transaction: Transaction): boolean {
    const last = this.#entries[this.#entries.length - 1];
    if (last === undefined) {
      this.#delivered.advance(transaction);
      return true;
    }
    last.followers ??= this.#delivered.empty();
    last.followers.advance(transaction);
    return false;
  }
}
