import { crc32 } from 'node:zlib';
import { type Coordinates, fileNumber } from '../../model/coordinates.ts';
import type { GtidSet } from '../../model/gtid-set.ts';
import type { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { ByteCursor } from './byte-cursor.ts';
import { EventType as E, FLAG_ARTIFICIAL, FLAG_IGNORABLE, HEADER_LENGTH } from './event-type.ts';
import { type Gtid, readGtid, readGtidList, readMariadbGtid, readPreviousGtids, readTaggedGtid } from './gtid-event.ts';
import { inflateRest } from './mariadb-compression.ts';
import { classify, type Statement } from './query-event.ts';
import { DUMMY_TABLE_ID, ROWS_KINDS, type RowsKind, readRowsBody, readTableId } from './rows-header.ts';
import { type DecodeText, readTableMap, readTableName, type TableMap } from './table-map.ts';
import { embeddedEvents } from './transaction-payload.ts';
import { statementInsteadOfRows, unsupported } from './unsupported.ts';
import { type ParkedRows, readXaPrepare, XaTransactions } from './xa-buffer.ts';

/** What the reader tells of the stream, in binlog order. `T` is what the handler makes of a table version. */
export interface BinlogHandler<T> {
  captures(schema: string, table: string): boolean;
  /**
   * A version of a captured table, once; what it returns comes back with each of its rows events.
   * @param at where its transaction begins
   */
  table(map: TableMap, at: Coordinates): T | Promise<T>;
  /** A statement that is none of a transaction's frame: DDL and the like. */
  statement(sql: string, at: Coordinates): void;
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
  prepared(transaction: Transaction): void;
  /** A file begins: all transactions of the files before it. */
  previous(gtids: GtidSet | MariadbGtidPosition): void;
  /** Nothing more to read for now; all before these coordinates has been told. */
  idle(at: Coordinates): void;
}

/**
 * What is left of an event: each `next()` tells more of it, so that whoever drives them may pause; a promise among them
 * has to settle first, and what it rejects with is thrown in.
 */
export type Steps = Generator<Promise<void> | undefined, void, void>;

export interface MappedTable<T> {
  /** The bytes of its TABLE_MAP event behind the header: the same bytes are the same version. */
  bytes: Buffer;
  schema: string;
  name: string;
  /** Undefined for a table that is not captured. */
  captured: T | undefined;
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
const PARKED_BYTES = 128 * 1024 * 1024;

export interface ReaderOptions<T> {
  parkedBytes?: number;
  /** Changes that are logged as statements do not matter to the caller. */
  passesStatements?: boolean;
  /** The rows of an XA transaction that was prepared before the stream began; undefined if no binlog has them. */
  findPrepared?: (xid: string, before: Coordinates) => Promise<ParkedRows<MappedTable<T>> | undefined>;
}

/**
 * Reads the events of a binlog stream one by one and tells them as transactions of row images.
 *
 * State: the file and position behind the last event; the checksum in force; the table maps of the stream; the
 * transaction that is open; and the XA transactions that are prepared. A transaction opens with its GTID event (or
 * BEGIN, where there are none) and ends with XID, COMMIT, ROLLBACK, XA PREPARE, or, when no BEGIN came, with the one
 * statement it holds.
 */
export class BinlogReader<T> {
  readonly #handler: BinlogHandler<T>;
  readonly #decode: DecodeText;
  readonly #tables = new Map<number, MappedTable<T>>();
  readonly #xa: XaTransactions<MappedTable<T>>;
  readonly #passesStatements: boolean;
  readonly #findPrepared: ReaderOptions<T>['findPrepared'];
  #checksum: boolean;
  /** Whether a MariaDB wrote the file, by its FORMAT_DESCRIPTION event. */
  #mariadb = false;
  #file = '';
  #fileNumber = 0;
  #position = 0;
  #transaction: Transaction | undefined;
  /** Inside BEGIN … COMMIT, where a statement does not commit by itself. */
  #begun = false;
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
  constructor(handler: BinlogHandler<T>, decode: DecodeText, checksum: boolean, options: ReaderOptions<T> = {}) {
    this.#handler = handler;
    this.#decode = decode;
    this.#checksum = checksum;
    this.#xa = new XaTransactions(options.parkedBytes ?? PARKED_BYTES);
    this.#passesStatements = options.passesStatements ?? false;
    this.#findPrepared = options.findPrepared;
  }

  /** The rows of an XA transaction that is prepared where the reader stands; it is forgotten here. */
  takePrepared(xid: string): ParkedRows<MappedTable<T>> | undefined {
    return this.#xa.end(xid)?.parked;
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
  read(bytes: Buffer, start: number, end: number): Steps | undefined {
    const type = bytes[start + 4] as number;
    try {
      const steps = this.#event(type, bytes, start, end);
      return steps && this.#located(steps, type);
    } catch (error) {
      throw this.#locate(error, type);
    }
  }

  *#located(steps: Steps, type: number): Steps {
    try {
      yield* steps;
    } catch (error) {
      throw this.#locate(error, type);
    }
  }

  #locate(error: unknown, type: number): CdcError {
    const { message, why, hint, kind, exitCode } = asCdcError(error);
    return new CdcError(`${message} (at ${this.#file}:${this.#position}, event type ${type})`, {
      kind,
      exitCode,
      ...(why && { why }),
      hint: hint ?? 'the checkpoint has not moved; report this with the event if it is not a damaged binlog',
      cause: error,
    });
  }

  #event(type: number, bytes: Buffer, start: number, end: number): Steps | undefined {
    if (end - start < HEADER_LENGTH || bytes.readUInt32LE(start + 9) !== end - start) {
      throw new CdcError('a binlog event has another length than its header says');
    }
    const flags = bytes.readUInt16LE(start + 17);
    if (type === E.FORMAT_DESCRIPTION) this.#checksum = bytes[end - CHECKSUM_LENGTH - 1] === 1;
    const bodyEnd = this.#checksum ? end - CHECKSUM_LENGTH : end;
    if (bodyEnd < start + HEADER_LENGTH) throw new CdcError('a binlog event has no room for its checksum');
    if (this.#checksum) verifyChecksum(bytes, start, bodyEnd, type, flags);
    const position = this.#advance(bytes, start, end, type, flags);
    if (type === E.TRANSACTION_PAYLOAD) return this.#payload(bytes, start + HEADER_LENGTH, bodyEnd, position);
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
  ): Steps | undefined {
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
        this.#begin({ source: '', number: 0, text: '', committedAt }, bytes, start, position);
        return undefined;
      }
      case E.MARIADB_GTID: {
        const gtid = readMariadbGtid(new ByteCursor(bytes, body, end), bytes.readUInt32LE(start + 5));
        this.#begin(gtid, bytes, start, position);
        this.#begun = !gtid.standalone;
        if (gtid.preparesXa) this.#xa.begin();
        return undefined;
      }
      case E.XID: {
        const cursor = new ByteCursor(bytes, body, end);
        cursor.take(8);
        cursor.done('an XID event');
        this.#commit();
        return undefined;
      }
      case E.QUERY:
      case E.MARIADB_QUERY_COMPRESSED:
        return this.#query(type === E.MARIADB_QUERY_COMPRESSED, bytes, start, end, position);
      case E.XA_PREPARE:
        return this.#prepare(new ByteCursor(bytes, body, end), position);
      case E.ROTATE: {
        const cursor = new ByteCursor(bytes, body, end);
        const next = cursor.u64('a binlog position');
        this.#enter(cursor.text(cursor.left), next);
        return undefined;
      }
      case E.HEARTBEAT:
      case E.HEARTBEAT_V2:
        if (this.#transaction === undefined) this.#handler.idle(this.coordinates);
        return undefined;
      case E.FORMAT_DESCRIPTION:
        this.#format(bytes, body, end);
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
        this.#handler.previous(readPreviousGtids(cursor));
        cursor.done('a PREVIOUS_GTIDS event');
        return undefined;
      }
      case E.MARIADB_GTID_LIST: {
        const cursor = new ByteCursor(bytes, body, end);
        this.#handler.previous(readGtidList(cursor));
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

  #enter(file: string, position: number): void {
    if (file !== this.#file) {
      this.#file = file;
      this.#fileNumber = fileNumber(file);
    }
    this.#position = position;
  }

  /** Binlog version 4, whose events are laid out as read here since MySQL 5.1. */
  #format(bytes: Buffer, body: number, end: number): void {
    const cursor = new ByteCursor(bytes, body, end);
    const version = cursor.u16();
    this.#mariadb = cursor.text(50).includes('MariaDB');
    if (version !== 4) throw new CdcError(`the binlog has format version ${version}, and only 4 is read`);
    // A crash cut the file before this one off, and with it the transaction at its end, which never committed.
    const transaction = this.#transaction;
    if (transaction !== undefined) {
      if (this.#xa.open) this.#xa.close();
      this.#transaction = undefined;
      this.#begun = false;
      this.#handler.rollback(transaction);
    }
    // A server that restarted numbers its tables anew.
    this.#tables.clear();
  }

  #begin(gtid: Gtid, bytes: Buffer, start: number, position: number): void {
    if (this.#transaction !== undefined) throw new CdcError('a transaction begins before the last one ended');
    this.#begun = false;
    this.#transaction = {
      gtid: gtid.text,
      gtidSource: gtid.source,
      gtidNumber: gtid.number,
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

  #query(compressed: boolean, bytes: Buffer, start: number, end: number, position: number): Steps | undefined {
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
    // Nearly all statements of a stream are BEGIN, and nothing else has five letters and a B.
    if (cursor.left === 5 && bytes[cursor.at] === 0x42) {
      this.#begun = true;
      return undefined;
    }
    const text = compressed ? inflateRest(cursor).toString() : cursor.text(cursor.left);
    const statement = classify(text);
    switch (statement.kind) {
      case 'other':
        this.#handler.statement(text, { file: this.#file, position });
        break;
      case 'begin':
        this.#begun = true;
        return undefined;
      case 'commit':
        this.#commit();
        return undefined;
      case 'rollback':
        if (this.#xa.open) this.#xa.close();
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
        if (this.#handler.captures(owner, statement.table)) {
          this.#handler.truncate(owner, statement.table, position, transaction);
        }
        break;
      }
      case 'dml': {
        const owner = statement.schema ?? schema;
        if (this.#passesStatements) break;
        if (statement.table === undefined || this.#handler.captures(owner, statement.table)) {
          throw statementInsteadOfRows(statement.verb);
        }
        break;
      }
    }
    if (!this.#begun) this.#commit();
    return undefined;
  }

  #xaStatement(
    { verb, xid, onePhase }: Extract<Statement, { kind: 'xa' }>,
    position: number,
    transaction: Transaction,
  ): Steps | undefined {
    switch (verb) {
      case 'START':
        this.#begun = true;
        this.#xa.begin();
        return undefined;
      case 'END':
      case 'PREPARE':
        return undefined;
      case 'ROLLBACK':
        if (this.#xa.open) this.#xa.close();
        transaction.preparedTransaction = this.#xa.end(xid)?.transaction;
        this.#commit();
        return undefined;
      case 'COMMIT': {
        if (onePhase && this.#xa.open) return this.#tellParked(this.#xa.close(), position);
        const found = this.#xa.end(xid);
        if (found === undefined) return this.#commitOlder(xid, position);
        transaction.preparedTransaction = found.transaction;
        return this.#tellParked(found.parked, position);
      }
    }
  }

  #prepare(cursor: ByteCursor, position: number): Steps | undefined {
    const { onePhase, xid } = readXaPrepare(cursor);
    if (this.#xa.open === undefined) throw new CdcError(`XA PREPARE of ${xid}, which has not begun`);
    if (onePhase) return this.#tellParked(this.#xa.close(), position);
    const transaction = this.#close() as Transaction;
    this.#xa.prepare(xid, transaction);
    this.#handler.prepared(transaction);
    return undefined;
  }

  /** Tells the rows as part of the open transaction, at the position where they became true, and commits it. */
  *#tellParked(parked: ParkedRows<MappedTable<T>>, position: number): Steps {
    for (const { table, rows } of parked.events) {
      rows.position = position;
      this.#tell(table, rows);
      yield undefined;
    }
    this.#commit();
  }

  /** An XA transaction that was prepared before the stream began is committed in it: its rows are looked for. */
  *#commitOlder(xid: string, position: number): Steps {
    const { file, position: start } = this.#transaction as Transaction;
    let parked: ParkedRows<MappedTable<T>> | undefined;
    yield this.#findPrepared?.(xid, { file, position: start }).then((found) => {
      parked = found;
    });
    if (parked === undefined) throw unknownXa(xid);
    yield* this.#tellParked(parked, position);
  }

  *#payload(bytes: Buffer, from: number, to: number, position: number): Steps {
    for (const { bytes: inner, start, end, offset } of embeddedEvents(bytes, from, to)) {
      const type = inner[start + 4] as number;
      if (!EMBEDDABLE.has(type)) throw new CdcError(`a compressed transaction holds an event of type ${type}`);
      const steps = this.#dispatch(type, 0, inner, start, end, position, start - offset);
      if (steps !== undefined) yield* steps;
      yield undefined;
    }
  }

  #tableMap(bytes: Buffer, body: number, end: number): Steps | undefined {
    const cursor = new ByteCursor(bytes, body, end);
    const id = cursor.u48();
    const known = this.#tables.get(id);
    if (known !== undefined && known.bytes.compare(bytes, body, end) === 0) return undefined;
    cursor.take(2);
    const { schema, name } = readTableName(cursor);
    const table: MappedTable<T> = { bytes: Buffer.from(bytes.subarray(body, end)), schema, name, captured: undefined };
    this.#tables.set(id, table);
    if (!this.#handler.captures(schema, name)) return undefined;
    const map = readTableMap(schema, name, cursor, this.#decode, this.#mariadb);
    const at = { file: this.#file, position: this.#transaction?.position ?? this.#position };
    const captured = this.#handler.table(map, at);
    if (captured instanceof Promise) return learn(table, captured);
    table.captured = captured;
    return undefined;
  }

  #rowsEvent(kind: RowsKind, cursor: ByteCursor, position: number, origin: number): void {
    const id = readTableId(kind, cursor);
    const table = this.#tables.get(id);
    if (table === undefined) {
      if (id === DUMMY_TABLE_ID) return;
      throw new CdcError(`a rows event names table id ${id}, which no table map has introduced`);
    }
    if (table.captured === undefined) return;
    if (this.#transaction === undefined) throw new CdcError('a rows event stands outside of any transaction');
    const rows = this.#rows;
    readRowsBody(kind, cursor, origin, rows);
    rows.position = position;
    const { open } = this.#xa;
    if (open === undefined) this.#tell(table, rows);
    else this.#xa.put(open, table, rows, position - this.#transaction.position);
  }

  #tell(table: MappedTable<T>, rows: RowsEvent): void {
    try {
      this.#handler.rows(table.captured as T, rows, this.#transaction as Transaction);
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
function* learn<T>(table: MappedTable<T>, captured: Promise<T>): Steps {
  yield captured.then((value) => {
    table.captured = value;
  });
}
