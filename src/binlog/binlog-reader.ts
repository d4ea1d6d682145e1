import { crc32 } from 'node:zlib';
import { type Coordinates, fileNumber } from '../change/coordinates.ts';
import type { GtidSet } from '../change/gtid-set.ts';
import type { MariadbPosition } from '../change/mariadb-position.ts';
import type { RowOp, RowsEvent, Transaction } from '../change/rows-event.ts';
import { asCdcError, CdcError } from '../error.ts';
import { ByteCursor } from './byte-cursor.ts';
import { EventType as E, FLAG_ARTIFICIAL, FLAG_IGNORABLE, HEADER_LENGTH } from './event-type.ts';
import { type Gtid, readGtid, readGtidList, readMariadbGtid, readPreviousGtids, readTaggedGtid } from './gtid-event.ts';
import { classify, type Statement } from './query.ts';
import { type DecodeText, readTableMap, readTableName, type TableMap } from './table-map.ts';

/** What the reader tells of the stream, in binlog order. `T` is what the handler makes of a table version. */
export interface BinlogHandler<T> {
  captures(schema: string, table: string): boolean;
  /** A version of a captured table, once; what it returns comes back with each of its rows events. */
  table(map: TableMap): T;
  rows(table: T, rows: RowsEvent, transaction: Transaction): void;
  truncate(schema: string, table: string, position: number, transaction: Transaction): void;
  commit(transaction: Transaction): void;
  /** The transaction that rows were told of did not happen. */
  rollback(transaction: Transaction): void;
  /** A file begins: all transactions of the files before it. */
  previous(gtids: GtidSet | MariadbPosition): void;
  /** Nothing more to read for now; all before these coordinates has been told. */
  idle(at: Coordinates): void;
}

interface MappedTable<T> {
  /** The bytes of its TABLE_MAP event behind the header: the same bytes are the same version. */
  bytes: Buffer;
  schema: string;
  name: string;
  /** Undefined for a table that is not captured. */
  captured: T | undefined;
}

const ROW_OPS: Readonly<Record<number, RowOp>> = {
  [E.WRITE_ROWS_V1]: 'c',
  [E.WRITE_ROWS]: 'c',
  [E.UPDATE_ROWS_V1]: 'u',
  [E.UPDATE_ROWS]: 'u',
  [E.DELETE_ROWS_V1]: 'd',
  [E.DELETE_ROWS]: 'd',
};

/** The table id of a rows event that only ends a statement. */
const DUMMY_TABLE_ID = 0xffffff;
const CHECKSUM_LENGTH = 4;
const FLAG_IN_USE = 0x01;

/**
 * Reads the events of a binlog stream one by one and tells them as transactions of row images.
 *
 * State: the file and position behind the last event; the checksum in force; the table maps of the stream; and the
 * transaction that is open. A transaction opens with its GTID event (or BEGIN, where there are none) and ends with
 * XID, COMMIT, ROLLBACK, or, when no BEGIN came, with the one statement it holds.
 */
export class BinlogReader<T> {
  readonly #handler: BinlogHandler<T>;
  readonly #decode: DecodeText;
  readonly #tables = new Map<number, MappedTable<T>>();
  #checksum: boolean;
  #file = '';
  #fileNumber = 0;
  #position = 0;
  #transaction: Transaction | undefined;
  /** Inside BEGIN … COMMIT, where a statement does not commit by itself. */
  #begun = false;
  readonly #rows: RowsEvent = {
    op: 'c',
    bytes: Buffer.alloc(0),
    at: 0,
    end: 0,
    beforeColumns: 0,
    afterColumns: 0,
    eventStart: 0,
    position: 0,
  };

  /** @param checksum whether events carry a CRC32 until the first FORMAT_DESCRIPTION event says so itself */
  constructor(handler: BinlogHandler<T>, decode: DecodeText, checksum: boolean) {
    this.#handler = handler;
    this.#decode = decode;
    this.#checksum = checksum;
  }

  /** Where the reader stands: everything before it has been told. */
  get coordinates(): Coordinates {
    return { file: this.#file, position: this.#position };
  }

  /**
   * Takes one whole event, `bytes[start..end)`, header and checksum included.
   * @throws CdcError for what cannot be understood, with file and position; nothing of that event has been told then.
   */
  read(bytes: Buffer, start: number, end: number): void {
    try {
      this.#event(bytes, start, end);
    } catch (error) {
      const { message, why, hint } = asCdcError(error);
      throw new CdcError(`${message} (at ${this.#file}:${this.#position}, event type ${bytes[start + 4]})`, {
        ...(why && { why }),
        hint: hint ?? 'the checkpoint has not moved; report this with the event if it is not a damaged binlog',
        cause: error,
      });
    }
  }

  #event(bytes: Buffer, start: number, end: number): void {
    if (end - start < HEADER_LENGTH || bytes.readUInt32LE(start + 9) !== end - start) {
      throw new CdcError('a binlog event has another length than its header says');
    }
    const type = bytes[start + 4] as number;
    const flags = bytes.readUInt16LE(start + 17);
    if (type === E.FORMAT_DESCRIPTION) this.#checksum = bytes[end - CHECKSUM_LENGTH - 1] === 1;
    const bodyEnd = this.#checksum ? end - CHECKSUM_LENGTH : end;
    if (this.#checksum) verifyChecksum(bytes, start, bodyEnd, type, flags);
    const position = this.#advance(bytes, start, end, type, flags);
    const body = start + HEADER_LENGTH;
    const op = ROW_OPS[type];
    if (op !== undefined) return this.#rowsEvent(op, type, bytes, start, bodyEnd, position);
    switch (type) {
      case E.TABLE_MAP:
        return this.#tableMap(bytes, body, bodyEnd);
      case E.GTID:
        return this.#begin(readGtid(new ByteCursor(bytes, body, bodyEnd)), bytes, start, position);
      case E.GTID_TAGGED:
        return this.#begin(readTaggedGtid(new ByteCursor(bytes, body, bodyEnd)), bytes, start, position);
      case E.ANONYMOUS_GTID: {
        const { committedAt } = readGtid(new ByteCursor(bytes, body, bodyEnd));
        return this.#begin({ source: '', number: 0, text: '', committedAt }, bytes, start, position);
      }
      case E.MARIADB_GTID: {
        const gtid = readMariadbGtid(new ByteCursor(bytes, body, bodyEnd), bytes.readUInt32LE(start + 5));
        this.#begin(gtid, bytes, start, position);
        this.#begun = !gtid.standalone;
        return;
      }
      case E.XID:
        return this.#commit();
      case E.QUERY:
        return this.#query(bytes, start, bodyEnd, position);
      case E.ROTATE: {
        const cursor = new ByteCursor(bytes, body, bodyEnd);
        const next = cursor.u64('a binlog position');
        return this.#enter(cursor.text(cursor.left), next);
      }
      case E.HEARTBEAT:
      case E.HEARTBEAT_V2:
        if (this.#transaction === undefined) this.#handler.idle(this.coordinates);
        return;
      case E.FORMAT_DESCRIPTION:
        // A server that restarted numbers its tables anew.
        return this.#tables.clear();
      case E.STOP:
      case E.INTVAR:
      case E.RAND:
      case E.USER_VAR:
      case E.ROWS_QUERY:
      case E.TRANSACTION_CONTEXT:
      case E.VIEW_CHANGE:
      case E.MARIADB_ANNOTATE_ROWS:
      case E.MARIADB_BINLOG_CHECKPOINT:
      case E.MARIADB_START_ENCRYPTION:
        return;
      case E.PREVIOUS_GTIDS:
        return this.#handler.previous(readPreviousGtids(new ByteCursor(bytes, body, bodyEnd)));
      case E.MARIADB_GTID_LIST:
        return this.#handler.previous(readGtidList(new ByteCursor(bytes, body, bodyEnd)));
      default:
        if ((flags & FLAG_IGNORABLE) === 0) throw unsupported(type);
    }
  }

  /**
   * Moves the position over the event and returns where it starts in the file. Header positions have 32 bits, and
   * MariaDB leaves them 0 inside a transaction: the sizes of the events carry the count then.
   */
  #advance(bytes: Buffer, start: number, end: number, type: number, flags: number): number {
    if ((flags & FLAG_ARTIFICIAL) !== 0 || type === E.HEARTBEAT || type === E.HEARTBEAT_V2) return this.#position;
    const stated = bytes.readUInt32LE(start + 13);
    const size = end - start;
    if (type === E.FORMAT_DESCRIPTION && stated === 0) return this.#position;
    let next = this.#position + size;
    if (stated !== 0) {
      const above = Math.floor(this.#position / 2 ** 32) * 2 ** 32;
      next = above + stated;
      if (next < this.#position) next += 2 ** 32;
    }
    this.#position = next;
    return next - size;
  }

  #enter(file: string, position: number): void {
    if (file !== this.#file) {
      this.#file = file;
      this.#fileNumber = fileNumber(file);
    }
    this.#position = position;
  }

  #begin(gtid: Gtid, bytes: Buffer, start: number, position: number): void {
    if (this.#transaction !== undefined) throw new CdcError('a transaction begins before the last one ended');
    this.#begun = false;
    this.#transaction = {
      gtid: gtid.text,
      source: gtid.source,
      number: gtid.number,
      file: this.#file,
      fileNumber: this.#fileNumber,
      position,
      endPosition: 0,
      serverId: bytes.readUInt32LE(start + 5),
      committedAt: gtid.committedAt || bytes.readUInt32LE(start) * 1000,
    };
  }

  #commit(): void {
    const transaction = this.#close();
    if (transaction) this.#handler.commit(transaction);
  }

  #close(): Transaction | undefined {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    this.#begun = false;
    if (transaction) transaction.endPosition = this.#position;
    return transaction;
  }

  #query(bytes: Buffer, start: number, end: number, position: number): void {
    const cursor = new ByteCursor(bytes, start + HEADER_LENGTH, end);
    cursor.take(8);
    const schemaLength = cursor.u8();
    cursor.take(2);
    cursor.take(cursor.u16());
    const schema = cursor.text(schemaLength);
    cursor.take(1);
    if (this.#transaction === undefined) {
      this.#begin({ source: '', number: 0, text: '', committedAt: 0 }, bytes, start, position);
    }
    const transaction = this.#transaction as Transaction;
    const statement: Statement = cursor.left === 5 ? { kind: 'begin' } : classify(cursor.text(cursor.left));
    switch (statement.kind) {
      case 'begin':
        this.#begun = true;
        return;
      case 'commit':
        return this.#commit();
      case 'rollback':
        this.#handler.rollback(transaction);
        return this.#commit();
      case 'rollback-to':
        throw new CdcError('a transaction was rolled back to a savepoint in the binlog', {
          why: 'it changed tables with and without transactions, so the server logged rows that it then took back',
          hint: 'keep non-transactional tables (MyISAM, temporary) out of transactions that roll back to savepoints',
        });
      case 'xa':
        throw new CdcError('the binlog holds an XA transaction, which this version does not follow', {
          hint: 'let XA transactions end before starting cdc, or do without them',
        });
      case 'truncate': {
        const owner = statement.schema ?? schema;
        if (this.#handler.captures(owner, statement.table)) {
          this.#handler.truncate(owner, statement.table, position, transaction);
        }
        break;
      }
      case 'dml': {
        const owner = statement.schema ?? schema;
        if (statement.table === undefined || this.#handler.captures(owner, statement.table)) {
          throw new CdcError(`the binlog holds a ${statement.verb} statement instead of the rows that it changed`, {
            why: 'some session writes with binlog_format STATEMENT or MIXED',
            hint: 'SET GLOBAL binlog_format=ROW, end the sessions that override it, then run cdc backfill for the table',
          });
        }
        break;
      }
    }
    if (!this.#begun) this.#commit();
  }

  #tableMap(bytes: Buffer, body: number, end: number): void {
    const cursor = new ByteCursor(bytes, body, end);
    const id = cursor.u48();
    const known = this.#tables.get(id);
    if (known !== undefined && known.bytes.compare(bytes, body, end) === 0) return;
    cursor.take(2);
    const { schema, name } = readTableName(cursor);
    let captured: T | undefined;
    if (this.#handler.captures(schema, name)) {
      captured = this.#handler.table(readTableMap(schema, name, cursor, this.#decode));
    }
    this.#tables.set(id, { bytes: Buffer.from(bytes.subarray(body, end)), schema, name, captured });
  }

  #rowsEvent(op: RowOp, type: number, bytes: Buffer, start: number, end: number, position: number): void {
    const cursor = new ByteCursor(bytes, start + HEADER_LENGTH, end);
    const id = cursor.u48();
    cursor.take(2);
    if (type >= E.WRITE_ROWS) cursor.take(cursor.u16() - 2);
    const table = this.#tables.get(id);
    if (table === undefined) {
      if (id === DUMMY_TABLE_ID) return;
      throw new CdcError(`a rows event names table id ${id}, which no table map has introduced`);
    }
    if (table.captured === undefined) return;
    if (this.#transaction === undefined) throw new CdcError('a rows event stands outside of any transaction');
    const rows = this.#rows;
    const bitmap = (cursor.lenenc() + 7) >> 3;
    rows.beforeColumns = rows.afterColumns = cursor.take(bitmap);
    if (op === 'u') rows.afterColumns = cursor.take(bitmap);
    rows.op = op;
    rows.bytes = bytes;
    rows.at = cursor.at;
    rows.end = end;
    rows.eventStart = start;
    rows.position = position;
    try {
      this.#handler.rows(table.captured, rows, this.#transaction);
    } catch (error) {
      const { message, why, hint } = asCdcError(error);
      throw new CdcError(`${table.schema}.${table.name}: ${message}`, {
        ...(why && { why }),
        ...(hint && { hint }),
        cause: error,
      });
    }
  }
}

function verifyChecksum(bytes: Buffer, start: number, bodyEnd: number, type: number, flags: number): void {
  // The server computes it without the in-use flag, and sends that flag with the file it still writes.
  if (type === E.FORMAT_DESCRIPTION && (flags & FLAG_IN_USE) !== 0) return;
  if (crc32(bytes.subarray(start, bodyEnd)) !== bytes.readUInt32LE(bodyEnd)) {
    throw new CdcError('a binlog event does not match its checksum', {
      why: 'it was damaged on the server or on the way',
      hint: 'start again; if it stays, the binlog on the server is damaged: repair or fail over, then cdc backfill',
    });
  }
}

function unsupported(type: number): CdcError {
  switch (type) {
    case E.INCIDENT:
      return new CdcError('the server reports an incident: changes are missing from its binlog', {
        hint: 'see the error log of the server, restart cdc behind the incident with an empty checkpoint, then cdc backfill',
      });
    case E.TRANSACTION_PAYLOAD:
      return new CdcError('the binlog holds a compressed transaction, which this version does not decode', {
        hint: 'SET GLOBAL binlog_transaction_compression=OFF, also in sessions that set it',
      });
    case E.PARTIAL_UPDATE_ROWS:
      return new CdcError('the binlog holds a partial JSON update, which this version does not decode', {
        hint: "SET GLOBAL binlog_row_value_options='', also in sessions that set it",
      });
    case E.XA_PREPARE:
      return new CdcError('the binlog holds an XA transaction, which this version does not follow');
    case E.BEGIN_LOAD_QUERY:
    case E.EXECUTE_LOAD_QUERY:
      return new CdcError('the binlog holds LOAD DATA as a statement instead of the rows that it changed', {
        hint: 'SET GLOBAL binlog_format=ROW',
      });
    default:
      return new CdcError(`binlog event type ${type} is not known`, {
        hint: 'a newer cdc may know it; nothing was skipped',
      });
  }
}
