import type { Coordinates } from '../../model/coordinates.ts';
import type { GtidSet } from '../../model/gtid-set.ts';
import type { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import type { TableMap } from './table-map.ts';

/** Receives what the decoder reads, in binlog order. `T` is what the handler makes of a table version. */
export interface BinlogHandler<T> {
  isCaptured(schema: string, table: string): boolean;
  /**
   * A version of a captured table. The returned value is passed with each of its rows events. A version that was not in
   * use for long, and every version after DDL, is asked for again.
   * @param at where its transaction begins
   */
  tableMap(map: TableMap, at: Coordinates): T | Promise<T>;
  /** A statement that does not begin, end or divide a transaction: DDL and the like. */
  ddl(sql: string, at: Coordinates): void;
  rows(table: T, rows: RowsEvent, transaction: Transaction): void;
  truncate(schema: string, table: string, position: number, transaction: Transaction): void;
  commit(transaction: Transaction): void;
  /** The rows of this transaction, which `rows` has received, did not happen. */
  rollback(transaction: Transaction): void;
  savepoint(name: string): void;
  /** The rows of the open transaction since that savepoint did not happen. */
  rollbackTo(name: string): void;
  /**
   * An XA transaction is prepared. If it commits, `rows` receives its rows with the transaction of its XA COMMIT, whose
   * `preparedTransaction` is this one. Until then it must not count as delivered, otherwise the server would not send
   * its rows again.
   */
  xaPrepared(transaction: Transaction): void;
  /** A file begins: all transactions of the files before it. */
  previousGtids(gtids: GtidSet | MariadbGtidPosition): void;
  /** Nothing more to read for now; the handler has received everything before these coordinates. */
  heartbeat(at: Coordinates): void;
}

/**
 * The rest of an event. Each `next()` handles more of it, so that the caller can pause between two steps. A step that
 * yields a promise continues after the promise has settled; the caller throws a rejection into the generator.
 */
export type EventContinuation = Generator<Promise<void> | undefined, void, void>;

export interface TableMapEntry<T> {
  /** The body of its TABLE_MAP event after the table id: the same bytes are the same version. */
  bytes: Buffer;
  schema: string;
  name: string;
  isCaptured: boolean;
  /** What the handler made of it; undefined for a table that is not captured. */
  handle: T | undefined;
  /** An XA transaction that began before the start: the handler is asked only if the rows are needed. */
  unresolved?: { map: TableMap; at: Coordinates };
}
