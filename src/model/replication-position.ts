import type { BinlogFingerprint } from './binlog-fingerprint.ts';
import type { Coordinates } from './coordinates.ts';
import { GtidSet } from './gtid-set.ts';
import { MariadbGtidPosition } from './mariadb-gtid-position.ts';
import type { Transaction } from './rows-event.ts';

/** A position in the binlog: its coordinates and, if the server has GTIDs, the GTIDs up to it. */
export class ReplicationPosition {
  gtids: GtidSet | MariadbGtidPosition | undefined;
  file: string;
  position: number;
  /** The last transaction. The fingerprint is made of it when it is wanted, so that no transaction allocates one. */
  #last: Transaction | undefined;
  /** The fingerprint before the first transaction. */
  #fingerprint: BinlogFingerprint | undefined;

  constructor(
    gtids: GtidSet | MariadbGtidPosition | undefined,
    { file, position }: Coordinates,
    fingerprint?: BinlogFingerprint,
  ) {
    this.gtids = gtids;
    this.file = file;
    this.position = position;
    this.#fingerprint = fingerprint;
  }

  /** The binlog before this position; undefined if nothing of its file was read. */
  get fingerprint(): BinlogFingerprint | undefined {
    if (this.#last === undefined) return this.#fingerprint;
    const { fileCreated: created, lastEvent: position, lastEventDigest: digest, gtid } = this.#last;
    return { created, position, digest, gtid, committed: this.#last.originalCommit };
  }

  /** Advances to coordinates without a transaction. @param created when their file was created */
  advanceTo({ file, position }: Coordinates, created: number): void {
    const known = this.fingerprint;
    if (file !== this.file || known === undefined) {
      this.#last = undefined;
      const { gtid = '', committed = 0 } = known ?? {};
      this.#fingerprint = { created, position: 0, digest: 0, gtid, committed };
    }
    this.file = file;
    this.position = position;
  }

  get coordinates(): Coordinates {
    return { file: this.file, position: this.position };
  }

  advance(transaction: Transaction): void {
    this.file = transaction.file;
    this.position = transaction.endPosition;
    this.#last = transaction;
    this.advanceGtids(transaction);
  }

  /** Advances the GTIDs but not the coordinates. */
  advanceGtids({ gtidSource, gtidNumber, preparedTransaction }: Transaction): void {
    if (gtidNumber === 0) return;
    this.addGtids(gtidSource, gtidNumber, gtidNumber);
    if (preparedTransaction === undefined || !(this.gtids instanceof GtidSet)) return;
    const { gtidSource: source, gtidNumber: number } = preparedTransaction;
    if (number > 0) this.addGtids(source, number, number);
  }

  /** Adds the transactions `first..last` of one source. */
  addGtids(source: string, first: number, last: number): void {
    if (this.gtids instanceof GtidSet) this.gtids.addRange(source, first, last);
    else if (this.gtids !== undefined) {
      const dash = source.indexOf('-');
      this.gtids.advance(Number(source.slice(0, dash)), Number(source.slice(dash + 1)), last);
    }
  }

  /** Advances to a later position. */
  advanceAll(later: ReplicationPosition): void {
    this.file = later.file;
    this.position = later.position;
    this.#last = later.#last;
    this.#fingerprint = later.#fingerprint;
    if (this.gtids === undefined) this.gtids = later.gtids?.clone();
    if (this.gtids instanceof GtidSet && later.gtids instanceof GtidSet) this.gtids.addAll(later.gtids);
    if (this.gtids instanceof MariadbGtidPosition && later.gtids instanceof MariadbGtidPosition)
      this.gtids.advanceAll(later.gtids);
  }

  clone(): ReplicationPosition {
    return new ReplicationPosition(this.gtids?.clone(), this.coordinates, this.fingerprint);
  }

  /** A position with GTIDs of the same kind, but without any transaction. */
  emptyCopy(): ReplicationPosition {
    const { gtids } = this;
    return new ReplicationPosition(
      gtids && (gtids instanceof GtidSet ? new GtidSet() : new MariadbGtidPosition()),
      this.coordinates,
    );
  }
}
