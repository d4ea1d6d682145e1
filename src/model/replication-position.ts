import type { Coordinates } from './coordinates.ts';
import { GtidSet } from './gtid-set.ts';
import { MariadbPosition } from './mariadb-gtid-position.ts';
import type { Transaction } from './rows-event.ts';

/** How far a stream has come: the GTIDs that are done, where the server has them, and coordinates. */
export class Position {
  gtids: GtidSet | MariadbPosition | undefined;
  file: string;
  position: number;

  constructor(gtids: GtidSet | MariadbPosition | undefined, { file, position }: Coordinates) {
    this.gtids = gtids;
    this.file = file;
    this.position = position;
  }

  get coordinates(): Coordinates {
    return { file: this.file, position: this.position };
  }

  advance(transaction: Transaction): void {
    const { source, number, file, endPosition, ends } = transaction;
    this.file = file;
    this.position = endPosition;
    if (number === 0 || this.gtids === undefined) return;
    if (this.gtids instanceof GtidSet) {
      this.gtids.addRange(source, number, number);
      if (ends !== undefined && ends.number > 0) this.gtids.addRange(ends.source, ends.number, ends.number);
    } else {
      const dash = source.indexOf('-');
      this.gtids.advance(Number(source.slice(0, dash)), Number(source.slice(dash + 1)), number);
    }
  }

  /** Advances over all that `later` has seen. */
  advanceAll(later: Position): void {
    this.file = later.file;
    this.position = later.position;
    if (this.gtids instanceof GtidSet && later.gtids instanceof GtidSet) this.gtids.addAll(later.gtids);
    if (this.gtids instanceof MariadbPosition && later.gtids instanceof MariadbPosition)
      this.gtids.advanceAll(later.gtids);
  }

  /** A position of the same kind that has seen nothing. */
  empty(): Position {
    const { gtids } = this;
    return new Position(gtids && (gtids instanceof GtidSet ? new GtidSet() : new MariadbPosition()), this.coordinates);
  }
}
