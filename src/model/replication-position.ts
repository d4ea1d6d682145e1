import type { Coordinates } from './coordinates.ts';
import { GtidSet } from './gtid-set.ts';
import { MariadbGtidPosition } from './mariadb-gtid-position.ts';
import type { Transaction } from './rows-event.ts';

/** A position in the stream: the GTIDs up to it, where the server has them, and binlog coordinates. */
export class ReplicationPosition {
  gtids: GtidSet | MariadbGtidPosition | undefined;
  file: string;
  position: number;

  constructor(gtids: GtidSet | MariadbGtidPosition | undefined, { file, position }: Coordinates) {
    this.gtids = gtids;
    this.file = file;
    this.position = position;
  }

  get coordinates(): Coordinates {
    return { file: this.file, position: this.position };
  }

  advance(transaction: Transaction): void {
    this.file = transaction.file;
    this.position = transaction.endPosition;
    this.advanceGtids(transaction);
  }

  /** Advances the GTIDs alone; the coordinates stay. */
  advanceGtids({ gtidSource, gtidNumber, preparedTransaction }: Transaction): void {
    if (gtidNumber === 0 || this.gtids === undefined) return;
    if (this.gtids instanceof GtidSet) {
      this.gtids.addRange(gtidSource, gtidNumber, gtidNumber);
      if (preparedTransaction !== undefined && preparedTransaction.gtidNumber > 0)
        this.gtids.addRange(
          preparedTransaction.gtidSource,
          preparedTransaction.gtidNumber,
          preparedTransaction.gtidNumber,
        );
    } else {
      const dash = gtidSource.indexOf('-');
      this.gtids.advance(Number(gtidSource.slice(0, dash)), Number(gtidSource.slice(dash + 1)), gtidNumber);
    }
  }

  /** Advances over all that `later` has seen. */
  advanceAll(later: ReplicationPosition): void {
    this.file = later.file;
    this.position = later.position;
    if (this.gtids instanceof GtidSet && later.gtids instanceof GtidSet) this.gtids.addAll(later.gtids);
    if (this.gtids instanceof MariadbGtidPosition && later.gtids instanceof MariadbGtidPosition)
      this.gtids.advanceAll(later.gtids);
  }

  clone(): ReplicationPosition {
    return new ReplicationPosition(this.gtids?.clone(), this.coordinates);
  }

  /** A position of the same kind that has seen nothing. */
  emptyCopy(): ReplicationPosition {
    const { gtids } = this;
    return new ReplicationPosition(
      gtids && (gtids instanceof GtidSet ? new GtidSet() : new MariadbGtidPosition()),
      this.coordinates,
    );
  }
}
