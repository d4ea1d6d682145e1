import type { Transaction } from '../../model/rows-event.ts';
import { readCalls, readLoggedStatement } from '../statement/logged-statement.ts';
import type { EventContinuation } from './binlog-handler.ts';
import type { BinlogPosition } from './binlog-position.ts';
import type { ByteCursor } from './byte-cursor.ts';
import { EventType as E } from './event-type.ts';
import { decompressBody } from './mariadb-compression.ts';
import { isBegin, readQueryEvent } from './query-event.ts';
import type { DecodeText } from './table-map.ts';
import type { TableStatements } from './table-statements.ts';
import type { TransactionState } from './transaction-state.ts';

/** EXECUTE_LOAD_QUERY: file id 4, offsets of the file name 4 and 4, duplicate handling 1. */
const LOAD_QUERY_HEADER = 13;

/** Reads the events that hold a statement: what begins, ends and divides transactions, and what changes tables. */
export class QueryReader<T> {
  /** Whether a MariaDB wrote the file. */
  mariadb = false;
  /** Whether the statement of the open transaction is an ALTER of MariaDB that has not changed anything. */
  isUndecidedAlter = false;
  readonly #position: BinlogPosition;
  readonly #transactions: TransactionState<T>;
  readonly #tableStatements: TableStatements<T>;
  readonly #decode: DecodeText;

  constructor(
    position: BinlogPosition,
    transactions: TransactionState<T>,
    tableStatements: TableStatements<T>,
    decode: DecodeText,
  ) {
    this.#position = position;
    this.#transactions = transactions;
    this.#tableStatements = tableStatements;
    this.#decode = decode;
  }

  /** The server was started again. */
  serverStarted(): void {
    this.#tableStatements.serverStarted();
  }

  /** @param position where the event starts in the file; a transaction is open */
  read(type: number, cursor: ByteCursor, position: number): EventContinuation | undefined {
    if (type === E.QUERY && isBegin(cursor)) {
      this.#transactions.beginExplicit();
      return undefined;
    }
    const query = readQueryEvent(cursor, this.mariadb, type === E.EXECUTE_LOAD_QUERY ? LOAD_QUERY_HEADER : 0);
    const text = type === E.MARIADB_QUERY_COMPRESSED ? decompressBody(cursor) : cursor.slice(cursor.remaining);
    const session = { schema: query.schema, collation: query.collation, modes: query.modes };
    const statement = readLoggedStatement(text, session, this.#decode);
    switch (statement.kind) {
      case 'begin':
        this.#transactions.beginExplicit();
        return undefined;
      case 'commit':
        this.#transactions.commit();
        return undefined;
      case 'rollback':
        this.#tableStatements.rollback();
        return undefined;
      case 'xa':
        return this.#transactions.xaStatement(statement, position);
      case 'savepoint':
        this.#transactions.savepoint(statement.name);
        break;
      case 'rollback-to':
        this.#transactions.rollbackTo(statement.name);
        break;
      default: {
        if (this.isUndecidedAlter) break;
        const calls = () => readCalls(text, session, this.#decode);
        const logged = { ...query, calls, file: this.#position.file, position };
        return this.#tableStatements.read(statement, logged, this.#transactions.open as Transaction);
      }
    }
    this.#transactions.endStatement();
    return undefined;
  }
}
