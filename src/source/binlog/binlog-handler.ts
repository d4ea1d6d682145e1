import type { Coordinates } from '../../model/coordinates.ts';
import type { GtidSet } from '../../model/gtid-set.ts';
import type { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import type { TableChange, TableName } from '../statement/statement.ts';
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
  /** Whether a table of this schema can be captured. */
  isSchemaCaptured(schema: string): boolean;
  /** DDL and DML that is logged as a statement, with what it does to captured tables besides emptying them. */
  ddl(statement: LoggedDdl, transaction: Transaction): void;
  /**
   * Whether DML that is logged as a statement, and names only tables that are not captured, can be proven to write no
   * captured table through triggers, functions or views either.
   */
  isHarmless(dml: DmlReach, at: Coordinates): boolean | Promise<boolean>;
  rows(table: T, rows: RowsEvent, transaction: Transaction): void;
  /** A statement emptied the table. `ordinal` differs between the tables of one statement. */
  truncate(table: TableName, position: number, ordinal: number, transaction: Transaction): void;
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
  /** The events of a file follow. @param created the timestamp of its FORMAT_DESCRIPTION event, in seconds */
  fileBegins(file: string, created: number): void;
  /** Nothing more to read for now; the handler has received everything before these coordinates. */
  heartbeat(at: Coordinates, created: number): void;
}

/**
 * The rest of an event. Each `next()` handles more of it, so that the caller can pause between two steps. A step that
 * yields a promise continues after the promise has settled; the caller throws a rejection into the generator.
 */
export type EventContinuation = Generator<Promise<void> | undefined, void, void>;

/** What DML can reach: the tables that it writes, and the functions that it calls among other names. */
export interface DmlReach {
  writes: readonly TableName[];
  calls: ReadonlySet<string>;
}

/** A statement and what it does to captured tables, whose names are as the row events have them. */
export interface LoggedDdl {
  /** Keywords only, such as `ALTER TABLE … DROP PARTITION`. */
  label: string;
  at: Coordinates;
  changes: readonly TableChange[];
  /** Triggers, functions, views or packages that it drops. */
  dropped: readonly TableName[];
}

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
