import { crc32 } from 'node:zlib';
import { type Coordinates, fileNumber } from '../../model/coordinates.ts';
import type { GtidSet } from '../../model/gtid-set.ts';
import type { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { ByteCursor } from './byte-cursor.ts';
import { EventType as E, FLAG_ARTIFICIAL, FLAG_IGNORABLE, HEADER_LENGTH } from './event-type.ts';
import { type Gtid, readGtid, readGtidList, readMariadbGtid, readPreviousGtids, readTaggedGtid } from './gtid-event.ts';
import { decompressBody } from './mariadb-compression.ts';
import { type ClassifiedStatement, classifyStatement } from './query-event.ts';
import { DUMMY_TABLE_ID, ROWS_KINDS, type RowsEventLayout, readRowsBody, readTableId } from './rows-header.ts';
import { type DecodeText, readTableMap, readTableName, type TableMap } from './table-map.ts';
import { embeddedEvents } from './transaction-payload.ts';
import { statementInsteadOfRows, unsupported } from './unsupported.ts';
import { type BufferedXaRows, readXaPrepare, XaBuffer } from './xa-buffer.ts';

/** What the reader tells of the stream, in binlog order. `T` is what the handler makes of a table version. */
export interface BinlogHandler<T> {
  isCaptured(schema: string, table: string): boolean;
  /**
   * A version of a captured table, once; what it returns comes back with each of its rows events.
   * @param at where its transaction begins
   */
  tableMap(map: TableMap, at: Coordinates): T | Promise<T>;
  /** A statement that is none of a transaction's frame: DDL and the like. */
  ddl(sql: string, at: Coordinates): void;
  rows(table: T, rows: RowsEvent, transaction: Transaction): void;
  truncate(schema: string, table: string, position: number, transaction: Transaction): void;
  commit(transaction: Transaction): void;
  /** The transaction that rows were told of did not happen. */
  rollback(transaction: Transaction): void;
  savepoint(name: string): void;
  /** What was told of the open transaction since that savepoint did not happen. */
  rollbackTo(name: string): void;
  /**
   * An XA transaction is prepared. Its rows are told, if ever, with the transaction of its XA COMMIT, whose `ends` is
   * this one; until then it must not count as delivered, or the server would not send its rows again.
   */
  xaPrepared(transaction: Transaction): void;
  /** A file begins: all transactions of the files before it. */
  previousGtids(gtids: GtidSet | MariadbGtidPosition): void;
  /** Nothing more to read for now; all before these coordinates has been told. */
  heartbeat(at: Coordinates): void;
}

/**
 * What is left of an event: each `next()` tells more of it, so that whoever drives them may pause; a promise among them
 * has to settle first, and what it rejects with is thrown in.
 */
export type EventContinuation = Generator<Promise<void> | undefined, void, void>;

export interface TableMapEntry<T> {
  /** The bytes of its TABLE_MAP event behind the header: the same bytes are the same version. */
  bytes: Buffer;
  schema: string;
  name: string;
  /** Undefined for a table that is not captured. */
  handle: T | undefined;
}

/** Types that may stand inside a compressed transaction: those of its statements and rows. */
const EMBEDDABLE: ReadonlySet<number> = new Set([
  ...Object.keys(ROWS_KINDS).map(Number),
  E.TABLE_MAP,
  E.QUERY,
  E.XID,
  E.XA_PREPARE,
  E.ROWS_QUERY,
  E.INTVAR,
  E.RAND,
  E.USER_VAR,
]);

const CHECKSUM_LENGTH = 4;
const FLAG_IN_USE = 0x01;
/** Raw row bytes of XA transactions that are neither committed nor rolled back. */
const XA_BUFFER_MAX_BYTES = 128 * 1024 * 1024;

export interface DecoderOptions<T> {
  xaBufferBytes?: number;
  /** Changes that are logged as statements do not matter to the caller. */
  ignoreStatementDml?: boolean;
  /** The rows of an XA transaction that was prepared before the stream began; undefined if no binlog has them. */
  findPreparedXa?: (xid: string, before: Coordinates) => Promise<BufferedXaRows<TableMapEntry<T>> | undefined>;
}

/**
 * Reads the events of a binlog stream one by one and tells them as transactions of row images.
 *
 * State: the file and position behind the last event; the checksum in force; the table maps of the stream; the
 * transaction that is open; and the XA transactions that are prepared. A transaction opens with its GTID event (or
 * BEGIN, where there are none) and ends with XID, COMMIT, ROLLBACK, XA PREPARE, or, when no BEGIN came, with the one
 * statement it holds.
 */
export class BinlogDecoder<T> {
  readonly #handler: BinlogHandler<T>;
  readonly #decode: DecodeText;
  readonly #tables = new Map<number, TableMapEntry<T>>();
  readonly #xa: XaBuffer<TableMapEntry<T>>;
  readonly #ignoreStatementDml: boolean;
  readonly #findPreparedXa: DecoderOptions<T>['findPreparedXa'];
  #checksum: boolean;
  /** Whether a MariaDB wrote the file, by its FORMAT_DESCRIPTION event. */
  #mariadb = false;
  #file = '';
  #fileNumber = 0;
  #position = 0;
  #transaction: Transaction | undefined;
  /** Inside BEGIN … COMMIT, where a statement does not commit by itself. */
  #inExplicitTransaction = false;
  readonly #rows: RowsEvent = {
    op: 'c',
    bytes: Buffer.alloc(0),
    imagesStart: 0,
    end: 0,
    beforeBitmap: 0,
    afterBitmap: 0,
    ordinalBase: 0,
    position: 0,
    partialJson: false,
  };

  /** @param checksum whether events carry a CRC32 until the first FORMAT_DESCRIPTION event says so itself */
  constructor(handler: BinlogHandler<T>, decode: DecodeText, checksum: boolean, options: DecoderOptions<T> = {}) {
    this.#handler = handler;
    this.#decode = decode;
    this.#checksum = checksum;
    this.#xa = new XaBuffer(options.xaBufferBytes ?? XA_BUFFER_MAX_BYTES);
    this.#ignoreStatementDml = options.ignoreStatementDml ?? false;
    this.#findPreparedXa = options.findPreparedXa;
  }

  /** The rows of an XA transaction that is prepared where the reader stands; it is forgotten here. */
  takePreparedXa(xid: string): BufferedXaRows<TableMapEntry<T>> | undefined {
    return this.#xa.takePrepared(xid)?.parked;
  }

  /** Where the reader stands: everything before it has been told. */
  get coordinates(): Coordinates {
    return { file: this.#file, position: this.#position };
  }

  /**
   * Takes one whole event, `bytes[start..end)`, header and checksum included. What it returns is the rest of the
   * event, to be driven to its end before the next event is read.
   * @throws CdcError for what cannot be understood, with file and position; so do the steps
   */
  read(bytes: Buffer, start: number, end: number): EventContinuation | undefined {
    const type = bytes[start + 4] as number;
    try {
      const steps = this.#readEvent(type, bytes, start, end);
      return steps && this.#withLocation(steps, type);
    } catch (error) {
      throw this.#addLocation(error, type);
    }
  }

  *#withLocation(steps: EventContinuation, type: number): EventContinuation {
    try {
      yield* steps;
    } catch (error) {
      throw this.#addLocation(error, type);
    }
  }

  #addLocation(error: unknown, type: number): CdcError {
    const { message, why, hint, kind, exitCode } = asCdcError(error);
    return new CdcError(`${message} (at ${this.#file}:${this.#position}, event type ${type})`, {
      kind,
      exitCode,
      ...(why && { why }),
      hint: hint ?? 'the checkpoint has not moved; report this with the event if it is not a damaged binlog',
      cause: error,
    });
  }

  #readEvent(type: number, bytes: Buffer, start: number, end: number): EventContinuation | undefined {
    if (end - start < HEADER_LENGTH || bytes.readUInt32LE(start + 9) !== end - start) {
      throw new CdcError('a binlog event has another length than its header says');
    }
    const flags = bytes.readUInt16LE(start + 17);
    if (type === E.FORMAT_DESCRIPTION) this.#checksum = bytes[end - CHECKSUM_LENGTH - 1] === 1;
    const bodyEnd = this.#checksum ? end - CHECKSUM_LENGTH : end;
    if (bodyEnd < start + HEADER_LENGTH) throw new CdcError('a binlog event has no room for its checksum');
    if (this.#checksum) verifyChecksum(bytes, start, bodyEnd, type, flags);
    const position = this.#advance(bytes, start, end, type, flags);
    if (type === E.TRANSACTION_PAYLOAD)
      return this.#transactionPayload(bytes, start + HEADER_LENGTH, bodyEnd, position);
    return this.#dispatch(type, flags, bytes, start, bodyEnd, position, start);
  }

  /**
   * Tells one event, whose body ends at `end`.
   * @param position where it, or the compressed transaction that it is in, starts in the file
   * @param origin where in `bytes` ordinals count from
   */
  #dispatch(
    type: number,
    flags: number,
    bytes: Buffer,
    start: number,
    end: number,
    position: number,
    origin: number,
  ): EventContinuation | undefined {
    const body = start + HEADER_LENGTH;
    const kind = ROWS_KINDS[type];
    if (kind !== undefined) {
      this.#rowsEvent(kind, new ByteCursor(bytes, body, end), position, origin);
      return undefined;
    }
    switch (type) {
      case E.TABLE_MAP:
        return this.#tableMap(bytes, body, end);
      case E.GTID:
        this.#begin(readGtid(new ByteCursor(bytes, body, end)), bytes, start, position);
        return undefined;
      case E.GTID_TAGGED:
        this.#begin(readTaggedGtid(new ByteCursor(bytes, body, end)), bytes, start, position);
        return undefined;
      case E.ANONYMOUS_GTID: {
        const { committedAt } = readGtid(new ByteCursor(bytes, body, end));
        this.#begin({ gtidSource: '', gtidNumber: 0, text: '', committedAt }, bytes, start, position);
        return undefined;
      }
      case E.MARIADB_GTID: {
        const gtid = readMariadbGtid(new ByteCursor(bytes, body, end), bytes.readUInt32LE(start + 5));
        this.#begin(gtid, bytes, start, position);
        this.#inExplicitTransaction = !gtid.standalone;
        if (gtid.preparesXa) this.#xa.begin();
        return undefined;
      }
      case E.XID: {
        const cursor = new ByteCursor(bytes, body, end);
        cursor.skip(8);
        cursor.expectEnd('an XID event');
        this.#commit();
        return undefined;
      }
      case E.QUERY:
      case E.MARIADB_QUERY_COMPRESSED:
        return this.#query(type === E.MARIADB_QUERY_COMPRESSED, bytes, start, end, position);
      case E.XA_PREPARE:
        return this.#xaPrepare(new ByteCursor(bytes, body, end), position);
      case E.ROTATE: {
        const cursor = new ByteCursor(bytes, body, end);
        const next = cursor.u64('a binlog position');
        this.#setPosition(cursor.text(cursor.remaining), next);
        return undefined;
      }
      case E.HEARTBEAT:
      case E.HEARTBEAT_V2:
        if (this.#transaction === undefined) this.#handler.heartbeat(this.coordinates);
        return undefined;
      case E.FORMAT_DESCRIPTION:
        this.#formatDescription(bytes, body, end);
        return undefined;
      case E.STOP:
      case E.INTVAR:
      case E.RAND:
      case E.USER_VAR:
      case E.ROWS_QUERY:
      case E.TRANSACTION_CONTEXT:
      case E.VIEW_CHANGE:
      case E.MARIADB_ANNOTATE_ROWS:
      case E.MARIADB_BINLOG_CHECKPOINT:
      // The server decrypts what it sends.
      case E.MARIADB_START_ENCRYPTION:
        return undefined;
      case E.PREVIOUS_GTIDS: {
        const cursor = new ByteCursor(bytes, body, end);
        this.#handler.previousGtids(readPreviousGtids(cursor));
        cursor.expectEnd('a PREVIOUS_GTIDS event');
        return undefined;
      }
      case E.MARIADB_GTID_LIST: {
        const cursor = new ByteCursor(bytes, body, end);
        this.#handler.previousGtids(readGtidList(cursor));
        return undefined;
      }
      default:
        if ((flags & FLAG_IGNORABLE) === 0) throw unsupported(type);
        return undefined;
    }
  }

  /**
   * Moves the position over the event and returns where it starts in the file. Header positions have 32 bits, and may
   * be 0: the sizes of the events carry the count then. What the server does not send, such as MariaDB's annotations,
   * shows only in the positions.
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

  #setPosition(file: string, position: number): void {
    if (file !== this.#file) {
      this.#file = file;
      this.#fileNumber = fileNumber(file);
    }
    this.#position = position;
  }

  /** Binlog version 4, whose events are laid out as read here since MySQL 5.1. */
  #formatDescription(bytes: Buffer, body: number, end: number): void {
    const cursor = new ByteCursor(bytes, body, end);
    const version = cursor.u16();
    this.#mariadb = cursor.text(50).includes('MariaDB');
    if (version !== 4) throw new CdcError(`the binlog has format version ${version}, and only 4 is read`);
    // A crash cut the file before this one off, and with it the transaction at its end, which never committed.
    const transaction = this.#transaction;
    if (transaction !== undefined) {
      if (this.#xa.open) this.#xa.takeOpen();
      this.#transaction = undefined;
      this.#inExplicitTransaction = false;
      this.#handler.rollback(transaction);
    }
    // A server that restarted numbers its tables anew.
    this.#tables.clear();
  }

  #begin(gtid: Gtid, bytes: Buffer, start: number, position: number): void {
    if (this.#transaction !== undefined) throw new CdcError('a transaction begins before the last one ended');
    this.#inExplicitTransaction = false;
    this.#transaction = {
      gtid: gtid.text,
      gtidSource: gtid.gtidSource,
      gtidNumber: gtid.gtidNumber,
      file: this.#file,
      fileNumber: this.#fileNumber,
      position,
      endPosition: 0,
      serverId: bytes.readUInt32LE(start + 5),
      committedAt: gtid.committedAt || bytes.readUInt32LE(start) * 1000,
      preparedTransaction: undefined,
    };
  }

  #commit(): void {
    if (this.#xa.open !== undefined) throw new CdcError('an XA transaction ends without XA PREPARE');
    const transaction = this.#endTransaction();
    if (transaction) this.#handler.commit(transaction);
  }

  #endTransaction(): Transaction | undefined {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    this.#inExplicitTransaction = false;
    if (transaction) transaction.endPosition = this.#position;
    return transaction;
  }

  #query(
    compressed: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    position: number,
  ): EventContinuation | undefined {
    const cursor = new ByteCursor(bytes, start + HEADER_LENGTH, end);
    cursor.skip(8);
    const schemaLength = cursor.u8();
    cursor.skip(2);
    cursor.skip(cursor.u16());
    const schema = cursor.text(schemaLength);
    cursor.skip(1);
    if (this.#transaction === undefined) {
      this.#begin({ gtidSource: '', gtidNumber: 0, text: '', committedAt: 0 }, bytes, start, position);
    }
    const transaction = this.#transaction as Transaction;
    // Nearly all statements of a stream are BEGIN, and nothing else has five letters and a B.
    if (cursor.remaining === 5 && bytes[cursor.at] === 0x42) {
      this.#inExplicitTransaction = true;
      return undefined;
    }
    const text = compressed ? decompressBody(cursor).toString() : cursor.text(cursor.remaining);
    const statement = classifyStatement(text);
    switch (statement.kind) {
      case 'other':
        this.#handler.ddl(text, { file: this.#file, position });
        break;
      case 'begin':
        this.#inExplicitTransaction = true;
        return undefined;
      case 'commit':
        this.#commit();
        return undefined;
      case 'rollback':
        if (this.#xa.open) this.#xa.takeOpen();
        this.#handler.rollback(transaction);
        this.#commit();
        return undefined;
      case 'savepoint':
        if (this.#xa.open) this.#xa.open.savepoint(statement.name);
        else this.#handler.savepoint(statement.name);
        break;
      case 'rollback-to':
        if (this.#xa.open) this.#xa.rollbackTo(this.#xa.open, statement.name);
        else this.#handler.rollbackTo(statement.name);
        break;
      case 'xa':
        return this.#xaStatement(statement, position, transaction);
      case 'truncate': {
        const owner = statement.schema ?? schema;
        if (this.#handler.isCaptured(owner, statement.table)) {
          this.#handler.truncate(owner, statement.table, position, transaction);
        }
        break;
      }
      case 'dml': {
        const owner = statement.schema ?? schema;
        if (this.#ignoreStatementDml) break;
        if (statement.table === undefined || this.#handler.isCaptured(owner, statement.table)) {
          throw statementInsteadOfRows(statement.verb);
        }
        break;
      }
    }
    if (!this.#inExplicitTransaction) this.#commit();
    return undefined;
  }

  #xaStatement(
    { verb, xid, onePhase }: Extract<ClassifiedStatement, { kind: 'xa' }>,
    position: number,
    transaction: Transaction,
  ): EventContinuation | undefined {
    switch (verb) {
      case 'START':
        this.#inExplicitTransaction = true;
        this.#xa.begin();
        return undefined;
      case 'END':
      case 'PREPARE':
        return undefined;
      case 'ROLLBACK':
        if (this.#xa.open) this.#xa.takeOpen();
        transaction.preparedTransaction = this.#xa.takePrepared(xid)?.transaction;
        this.#commit();
        return undefined;
      case 'COMMIT': {
        if (onePhase && this.#xa.open) return this.#emitBufferedRows(this.#xa.takeOpen(), position);
        const found = this.#xa.takePrepared(xid);
        if (found === undefined) return this.#commitXaFromOlderBinlog(xid, position);
        transaction.preparedTransaction = found.transaction;
        return this.#emitBufferedRows(found.parked, position);
      }
    }
  }

  #xaPrepare(cursor: ByteCursor, position: number): EventContinuation | undefined {
    const { onePhase, xid } = readXaPrepare(cursor);
    if (this.#xa.open === undefined) throw new CdcError(`XA PREPARE of ${xid}, which has not begun`);
    if (onePhase) return this.#emitBufferedRows(this.#xa.takeOpen(), position);
    const transaction = this.#endTransaction() as Transaction;
    this.#xa.prepare(xid, transaction);
    this.#handler.xaPrepared(transaction);
    return undefined;
  }

  /** Tells the rows as part of the open transaction, at the position where they became true, and commits it. */
  *#emitBufferedRows(parked: BufferedXaRows<TableMapEntry<T>>, position: number): EventContinuation {
    for (const { table, rows } of parked.events) {
      rows.position = position;
      this.#emitRows(table, rows);
      yield undefined;
    }
    this.#commit();
  }

  /** An XA transaction that was prepared before the stream began is committed in it: its rows are looked for. */
  *#commitXaFromOlderBinlog(xid: string, position: number): EventContinuation {
    const { file, position: start } = this.#transaction as Transaction;
    let parked: BufferedXaRows<TableMapEntry<T>> | undefined;
    yield this.#findPreparedXa?.(xid, { file, position: start }).then((found) => {
      parked = found;
    });
    if (parked === undefined) throw unknownXa(xid);
    yield* this.#emitBufferedRows(parked, position);
  }

  *#transactionPayload(bytes: Buffer, from: number, to: number, position: number): EventContinuation {
    for (const { bytes: inner, start, end, offset } of embeddedEvents(bytes, from, to)) {
      const type = inner[start + 4] as number;
      if (!EMBEDDABLE.has(type)) throw new CdcError(`a compressed transaction holds an event of type ${type}`);
      const steps = this.#dispatch(type, 0, inner, start, end, position, start - offset);
      if (steps !== undefined) yield* steps;
      yield undefined;
    }
  }

  #tableMap(bytes: Buffer, body: number, end: number): EventContinuation | undefined {
    const cursor = new ByteCursor(bytes, body, end);
    const id = cursor.u48();
    const known = this.#tables.get(id);
    if (known !== undefined && known.bytes.compare(bytes, body, end) === 0) return undefined;
    cursor.skip(2);
    const { schema, name } = readTableName(cursor);
    const table: TableMapEntry<T> = { bytes: Buffer.from(bytes.subarray(body, end)), schema, name, handle: undefined };
    this.#tables.set(id, table);
    if (!this.#handler.isCaptured(schema, name)) return undefined;
    const map = readTableMap(schema, name, cursor, this.#decode, this.#mariadb);
    const at = { file: this.#file, position: this.#transaction?.position ?? this.#position };
    const captured = this.#handler.tableMap(map, at);
    if (captured instanceof Promise) return resolveTable(table, captured);
    table.handle = captured;
    return undefined;
  }

  #rowsEvent(kind: RowsEventLayout, cursor: ByteCursor, position: number, origin: number): void {
    const id = readTableId(kind, cursor);
    const table = this.#tables.get(id);
    if (table === undefined) {
      if (id === DUMMY_TABLE_ID) return;
      throw new CdcError(`a rows event names table id ${id}, which no table map has introduced`);
    }
    if (table.handle === undefined) return;
    if (this.#transaction === undefined) throw new CdcError('a rows event stands outside of any transaction');
    const rows = this.#rows;
    readRowsBody(kind, cursor, origin, rows);
    rows.position = position;
    const { open } = this.#xa;
    if (open === undefined) this.#emitRows(table, rows);
    else this.#xa.add(open, table, rows, position - this.#transaction.position);
  }

  #emitRows(table: TableMapEntry<T>, rows: RowsEvent): void {
    try {
      this.#handler.rows(table.handle as T, rows, this.#transaction as Transaction);
    } catch (error) {
      const { message, why, hint, kind, exitCode } = asCdcError(error);
      throw new CdcError(`${table.schema}.${table.name}: ${message}`, {
        kind,
        exitCode,
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
      hint: 'start again; if it stays, the binlog on the server is damaged: repair it or fail over, then copy the tables anew',
    });
  }
}

function unknownXa(xid: string): CdcError {
  return new CdcError(`the rows of the XA transaction ${xid} are in no binlog that is left`, {
    exitCode: 4,
    why: 'it was prepared before the start, in a binlog that is purged, and is committed here',
    hint: 'move the checkpoint file away, start again (source.start: now), and copy its tables anew',
  });
}

/** The table is told of once its columns are known; its rows stand behind it in the binlog. */
function* resolveTable<T>(table: TableMapEntry<T>, captured: Promise<T>): EventContinuation {
  yield captured.then((value) => {
    table.handle = value;
  });
}
