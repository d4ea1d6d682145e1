import type { Coordinates } from '../model/coordinates.ts';
import { GtidSet } from '../model/gtid-set.ts';
import type { ReplicationPosition } from '../model/replication-position.ts';
import type { Transaction } from '../model/rows-event.ts';

interface Entry {
  /** The number that delivery gave the transaction; -1 when nothing has to arrive. */
  transactionNumber: number;
  transaction: Transaction | undefined;
  /** Transactions that committed behind it and count with it. */
  coalesced: ReplicationPosition | undefined;
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
export class WatermarkTracker {
  readonly #delivered: ReplicationPosition;
  readonly #entries: Entry[] = [];
  #head = 0;
  #xaBarrier: { transactionNumber: number; position: ReplicationPosition } | undefined;
  #prepared = 0;
  /** Where the events of what is delivered end. */
  #end = 0;

  /** @param delivered the position to start from; it moves as transactions are settled */
  constructor(delivered: ReplicationPosition) {
    this.#delivered = delivered;
  }

  get pendingCount(): number {
    return this.#entries.length - this.#head;
  }

  /** Bytes of the transactions that wait: a restart sends what of them has arrived again. */
  get pendingBytes(): number {
    return this.pendingCount === 0 ? 0 : (this.#entries[this.#entries.length - 1] as Entry).end - this.#end;
  }

  xaPrepared(transaction: Transaction): void {
    if (this.#delivered.gtids instanceof GtidSet) return;
    this.#prepared++;
    this.#xaBarrier ??= { transactionNumber: -1, position: this.#delivered.empty() };
    this.#xaBarrier.position.advance(transaction);
  }

  /**
   * Returns whether the position moved; where entries wait and nothing is unsettled, `settledBefore` moves it.
   * @param end the bytes that were appended until now
   */
  committed(transactionNumber: number, transaction: Transaction, hasRows: boolean, end: number): boolean {
    const knot = this.#xaBarrier;
    if (knot === undefined) {
      if (!hasRows) return this.#coalesce(transaction);
      this.#entries.push({ transactionNumber, transaction, coalesced: undefined, end });
      return false;
    }
    knot.position.advance(transaction);
    if (hasRows) knot.transactionNumber = transactionNumber;
    if (transaction.preparedTransaction !== undefined) this.#prepared--;
    if (this.#prepared > 0) return false;
    this.#xaBarrier = undefined;
    this.#entries.push({
      transactionNumber: knot.transactionNumber,
      transaction: undefined,
      coalesced: knot.position,
      end,
    });
    return false;
  }

  /** Nothing more is in the binlog before these coordinates. Returns whether the position moved. */
  heartbeat(at: Coordinates): boolean {
    if (this.pendingCount > 0 || this.#xaBarrier !== undefined) return false;
    if (at.file === this.#delivered.file && at.position <= this.#delivered.position) return false;
    this.#delivered.file = at.file;
    this.#delivered.position = at.position;
    return true;
  }

  /** Everything of the transactions numbered below `oldest` is settled. Returns whether the position moved. */
  advanceTo(oldest: number): boolean {
    const before = this.#head;
    for (let entry = this.#entries[this.#head]; entry !== undefined && entry.transactionNumber < oldest; ) {
      if (entry.transaction) this.#delivered.advance(entry.transaction);
      if (entry.coalesced) this.#delivered.advanceAll(entry.coalesced);
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

  #coalesce(transaction: Transaction): boolean {
    const last = this.#entries[this.#entries.length - 1];
    if (last === undefined) {
      this.#delivered.advance(transaction);
      return true;
    }
    last.coalesced ??= this.#delivered.empty();
    last.coalesced.advance(transaction);
    return false;
  }
}
