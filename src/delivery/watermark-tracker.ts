import type { Coordinates } from '../model/coordinates.ts';
import { GtidSet } from '../model/gtid-set.ts';
import type { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import { ReplicationPosition } from '../model/replication-position.ts';
import type { Transaction } from '../model/rows-event.ts';

interface Entry {
  /** The number of the transaction in delivery; -1 if it has no event that has to settle. */
  segment: number;
  transaction: Transaction | undefined;
  /** The position after later transactions without events, which count together with this one. */
  coalesced: ReplicationPosition | undefined;
  /** The number of bytes that were appended up to the end of its events. */
  end: number;
  /** For rows of a backfill, which are between two transactions: called once they and all before them have settled. */
  onDelivered?: () => void;
}

/**
 * The low watermark, and the owner of the delivered position: every transaction up to it has settled with all its
 * events. Transactions enter in commit order. Those without captured rows join the one before them, so a quiet stream
 * moves the position, and a stalled sink does not fill the memory.
 *
 * A prepared XA transaction is not delivered before it has ended. A GTID set leaves it out, so the server sends it
 * again. Coordinates and MariaDB's positions cannot leave anything out: from XA PREPARE until no XA transaction is
 * prepared, all transactions are grouped; the position moves when the whole group has settled.
 */
export class WatermarkTracker {
  readonly #delivered: ReplicationPosition;
  readonly #entries: Entry[] = [];
  #head = 0;
  #xaBarrier: { segment: number; position: ReplicationPosition } | undefined;
  #prepared = 0;
  /** The number of bytes that were appended up to the end of the delivered transactions. */
  #end = 0;
  /** The GTIDs before the current file, while the position has none. */
  #gtidsBeforeFile: GtidSet | undefined;
  /** The GTIDs that the position gets with an entry. */
  #adopted: GtidSet | undefined;

  /** @param delivered the position to start from; the tracker advances a copy of it */
  constructor(delivered: ReplicationPosition) {
    this.#delivered = delivered.clone();
  }

  /** The position up to which everything is delivered. Callers only read it. */
  get delivered(): DeliveredPosition {
    return this.#delivered;
  }

  get pendingCount(): number {
    return this.#entries.length - this.#head;
  }

  /** When the oldest pending transaction was committed, in milliseconds since 1970; undefined if there is none. */
  get oldestCommittedAt(): number | undefined {
    for (let i = this.#head; i < this.#entries.length; i++) {
      // Groups of XA transactions and rows of a backfill have none.
      const { transaction } = this.#entries[i] as Entry;
      if (transaction !== undefined) return transaction.committedAt;
    }
    return undefined;
  }

  /** Bytes of the pending transactions. A restart repeats those that were stored already. */
  get pendingBytes(): number {
    return this.pendingCount === 0 ? 0 : (this.#entries[this.#entries.length - 1] as Entry).end - this.#end;
  }

  /** The GTIDs before the start, if only the first binlog file of the dump contains them. */
  gtidsBeforeStart(gtids: GtidSet | MariadbGtidPosition): void {
    this.#delivered.gtids = gtids;
  }

  /** A file begins after these GTIDs. A position without GTIDs gets them if the file's first transaction has one. */
  gtidsBeforeFile(gtids: GtidSet | MariadbGtidPosition): void {
    const hasGtids = (this.#delivered.gtids ?? this.#adopted) !== undefined;
    if (!hasGtids && gtids instanceof GtidSet) this.#gtidsBeforeFile = gtids;
  }

  /**
   * The transaction was read only to reach the start. Its GTID counts as delivered; the coordinates stay, because a
   * crash would otherwise make the server send again what comes after it.
   */
  skipped(transaction: Transaction): void {
    this.#delivered.advanceGtids(transaction);
  }

  xaPrepared(transaction: Transaction): void {
    // Also if the GTIDs come with an entry that has not settled.
    if ((this.#delivered.gtids ?? this.#adopted) instanceof GtidSet) return;
    this.#prepared++;
    this.#xaBarrier ??= { segment: -1, position: this.#emptyPosition() };
    this.#xaBarrier.position.advance(transaction);
  }

  /**
   * The transaction has committed. Returns whether the position moved. If nothing is unsettled, call `advanceTo` next.
   * @param end the number of bytes that were appended up to here
   */
  committed(segment: number, transaction: Transaction, hasRows: boolean, end: number): boolean {
    if (this.#gtidsBeforeFile !== undefined) this.#adoptGtids(this.#gtidsBeforeFile, transaction);
    const barrier = this.#xaBarrier;
    if (barrier === undefined) {
      if (!hasRows) return this.#coalesce(transaction);
      this.#entries.push({ segment, transaction, coalesced: undefined, end });
      return false;
    }
    barrier.position.advance(transaction);
    if (hasRows) barrier.segment = segment;
    if (transaction.preparedTransaction !== undefined) this.#prepared--;
    if (this.#prepared > 0) return false;
    this.#xaBarrier = undefined;
    this.#entries.push({
      segment: barrier.segment,
      transaction: undefined,
      coalesced: barrier.position,
      end,
    });
    return false;
  }

  /**
   * Rows of a backfill end here. They leave the position alone; `onDelivered` is called when they and everything before
   * them has settled. Returns whether that is already so. If nothing is unsettled, call `advanceTo` next.
   */
  snapshotCommitted(segment: number, hasRows: boolean, end: number, onDelivered: (() => void) | undefined): boolean {
    if (hasRows || (onDelivered !== undefined && this.pendingCount > 0)) {
      const entry = { segment: hasRows ? segment : -1, transaction: undefined, coalesced: undefined, end };
      this.#entries.push({ ...entry, ...(onDelivered && { onDelivered }) });
      return false;
    }
    onDelivered?.();
    return onDelivered !== undefined;
  }

  /**
   * Everything before these coordinates has been received. Returns whether the position moved.
   * @param created when the file was created
   */
  heartbeat(at: Coordinates, created: number): boolean {
    if (this.pendingCount > 0 || this.#xaBarrier !== undefined) return false;
    if (at.file === this.#delivered.file && at.position <= this.#delivered.position) return false;
    this.#delivered.advanceTo(at, created);
    return true;
  }

  /** The file is read from here on. Returns whether that completes what is known of the position. */
  fileBegins(file: string, created: number): boolean {
    const { coordinates, fingerprint } = this.#delivered;
    if (file !== coordinates.file || coordinates.position === 0 || fingerprint !== undefined) return false;
    this.#delivered.advanceTo(coordinates, created);
    return true;
  }

  /** All transactions numbered below `oldest` have settled. Returns whether the position moved. */
  advanceTo(oldest: number): boolean {
    const before = this.#head;
    for (let entry = this.#entries[this.#head]; entry !== undefined && entry.segment < oldest; ) {
      if (entry.transaction) this.#delivered.advance(entry.transaction);
      if (entry.coalesced) this.#delivered.advanceAll(entry.coalesced);
      entry.onDelivered?.();
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

  /**
   * gtid_mode was turned on: from the start of this file, before this transaction, the position has GTIDs. Coordinates
   * alone keep a prepared XA transaction out, so that the next file decides while there is one.
   */
  #adoptGtids(gtids: GtidSet, { gtidNumber, file, position, fileCreated: created }: Transaction): void {
    this.#gtidsBeforeFile = undefined;
    if (gtidNumber === 0 || this.#xaBarrier !== undefined) return;
    const last = this.#entries[this.#entries.length - 1];
    if (last === undefined) {
      this.#delivered.gtids = gtids;
      return;
    }
    this.#adopted = gtids;
    const fingerprint = { created, position: 0, digest: 0, gtid: '', committed: 0 };
    const coalesced = new ReplicationPosition(gtids, { file, position }, fingerprint);
    this.#entries.push({ segment: -1, transaction: undefined, coalesced, end: last.end });
  }

  /** For transactions after all entries, one of which can bring the GTIDs. */
  #emptyPosition(): ReplicationPosition {
    return this.#adopted !== undefined && this.#delivered.gtids === undefined
      ? new ReplicationPosition(new GtidSet(), this.#delivered.coordinates)
      : this.#delivered.emptyCopy();
  }

  #coalesce(transaction: Transaction): boolean {
    const last = this.#entries[this.#entries.length - 1];
    if (last === undefined) {
      this.#delivered.advance(transaction);
      return true;
    }
    last.coalesced ??= this.#emptyPosition();
    last.coalesced.advance(transaction);
    return false;
  }
}

export type DeliveredPosition = Readonly<
  Pick<ReplicationPosition, 'gtids' | 'file' | 'position' | 'coordinates' | 'fingerprint'>
>;
