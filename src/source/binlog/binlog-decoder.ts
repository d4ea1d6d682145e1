import { crc32 } from 'node:zlib';
import type { Coordinates } from '../../model/coordinates.ts';
import type { RowsEvent } from '../../model/rows-event.ts';
import { CdcError, withContext } from '../../runtime/error.ts';
import { XA_BUFFER_MAX_BYTES } from '../limits.ts';
import { DAMAGED_BINLOG_HINT } from '../server/recovery-hints.ts';
import { isTransactionControl, READ_BEFORE_START } from './before-start.ts';
import type { BinlogHandler, EventContinuation, TableMapEntry } from './binlog-handler.ts';
import { BinlogPosition } from './binlog-position.ts';
import { ByteCursor } from './byte-cursor.ts';
import { EventType as E, FLAG_IGNORABLE, HEADER_LENGTH } from './event-type.ts';
import { type Gtid, readGtid, readGtidList, readMariadbGtid, readPreviousGtids, readTaggedGtid } from './gtid-event.ts';
import { QueryReader } from './query-reader.ts';
import {
  DUMMY_TABLE_ID,
  endsStatement,
  ROWS_EVENT_LAYOUTS,
  type RowsEventLayout,
  readRowsBody,
  readTableId,
} from './rows-header.ts';
import { type DecodeText, readTableMap, readTableName } from './table-map.ts';
import { type TableStatementOptions, TableStatements } from './table-statements.ts';
import { TableVersions } from './table-versions.ts';
import { embeddedEvents } from './transaction-payload.ts';
import { type FindPreparedXa, TransactionState } from './transaction-state.ts';
import { unsupported } from './unsupported.ts';
import type { BufferedXaRows } from './xa-buffer.ts';

/** Types that can be inside a compressed transaction: those of its statements and rows. */
const EMBEDDABLE: ReadonlySet<number> = new Set([
  ...Object.keys(ROWS_EVENT_LAYOUTS).map(Number),
  E.TABLE_MAP,
  E.QUERY,
  E.XID,
  E.XA_PREPARE,
  E.ROWS_QUERY,
  E.INTVAR,
  E.RAND,
  E.USER_VAR,
]);

/** Types that a decoder of statements reads. A compressed transaction can hold statements, and is unpacked before. */
const STATEMENT_EVENTS: ReadonlySet<number> = new Set([
  E.FORMAT_DESCRIPTION,
  E.ROTATE,
  E.HEARTBEAT,
  E.HEARTBEAT_V2,
  E.GTID,
  E.GTID_TAGGED,
  E.ANONYMOUS_GTID,
  E.MARIADB_GTID,
  E.QUERY,
  E.MARIADB_QUERY_COMPRESSED,
  E.EXECUTE_LOAD_QUERY,
  E.XID,
  E.XA_PREPARE,
]);

const EMPTY = Buffer.alloc(0);
const CHECKSUM_LENGTH = 4;
/** LOG_EVENT_BINLOG_IN_USE_F: the server has not closed the file. */
const FLAG_IN_USE = 0x01;
/** Before the first transaction of a server without GTIDs, and for ANONYMOUS_GTID. */
const NO_GTID: Gtid = { gtidSource: '', gtidNumber: 0, text: '', committedAt: 0, originalCommit: 0 };

export interface DecoderOptions<T> extends Partial<TableStatementOptions> {
  xaBufferBytes?: number;
  /** Reads statements and where transactions end, and passes over everything else, known or not. */
  statementsOnly?: boolean;
  findPreparedXa?: FindPreparedXa<T>;
  /**
   * Of transactions that begin before these coordinates, only the ends are read: they are committed, rolled back or
   * prepared. What else is in them can be unreadable, or of a table that no longer exists.
   */
  skipBefore?: Coordinates | undefined;
}

/**
 * Reads the events of a binlog stream one by one and gives them to a handler as transactions of row images.
 *
 * Its state: the position after the last event; whether events carry a checksum; the table maps in use; and the
 * transactions that are open or prepared (`TransactionState`).
 */
export class BinlogDecoder<T> {
  readonly #handler: BinlogHandler<T>;
  readonly #decode: DecodeText;
  readonly #position = new BinlogPosition();
  readonly #tables = new TableVersions<T>();
  readonly #transactions: TransactionState<T>;
  readonly #statementsOnly: boolean;
  readonly #queries: QueryReader<T>;
  /** Undefined once the start is reached. */
  #skipBefore: Coordinates | undefined;
  #checksum: boolean;
  /** Whether a MariaDB wrote the file, by its FORMAT_DESCRIPTION event. */
  #mariadb = false;
  /** Filled again for each rows event, so that no event allocates one. */
  readonly #rows: RowsEvent = {
    op: 'c',
    bytes: EMPTY,
    imagesStart: 0,
    end: 0,
    beforeBitmap: 0,
    afterBitmap: 0,
    ordinalBase: 0,
    position: 0,
    partialJson: false,
  };

  /** @param checksum whether events carry a CRC32 until the first FORMAT_DESCRIPTION event decides */
  constructor(handler: BinlogHandler<T>, decode: DecodeText, checksum: boolean, options: DecoderOptions<T> = {}) {
    const { xaBufferBytes = XA_BUFFER_MAX_BYTES, statementsOnly = false, findPreparedXa } = options;
    const { foldNames = false, ignoreStatementDml = false } = options;
    this.#handler = handler;
    this.#decode = decode;
    this.#checksum = checksum;
    this.#statementsOnly = statementsOnly;
    this.#skipBefore = options.skipBefore;
    this.#transactions = new TransactionState(handler, this.#position, xaBufferBytes, findPreparedXa, (position) =>
      this.#isBeforeStart(position),
    );
    const onSchemaChange = () => this.#tables.forgetVersions();
    this.#queries = new QueryReader(
      this.#position,
      this.#transactions,
      new TableStatements(handler, this.#transactions, { foldNames, ignoreStatementDml, onSchemaChange }),
      decode,
    );
  }

  /** The position after the last event. The handler has received everything before it. */
  get coordinates(): Coordinates {
    return this.#position.coordinates;
  }

  /** The same while no transaction is open; undefined within one, and before the first event. */
  get boundary(): Coordinates | undefined {
    return this.#transactions.open === undefined && this.#position.file !== '' ? this.coordinates : undefined;
  }

  /** The rows of an XA transaction that is prepared at this position; it is forgotten here. */
  takePreparedXa(xid: string): BufferedXaRows<TableMapEntry<T>> | undefined {
    return this.#transactions.takePreparedXa(xid);
  }

  /**
   * Takes one whole event, `bytes[start..end)`, header and checksum included. A returned continuation is the rest of
   * the event; the caller runs it to its end before the next event.
   * @throws CdcError with file and position if the event cannot be understood; so do the steps
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
    const { file, position } = this.#position;
    return withContext(
      error,
      (message) => `${message} (at ${file}:${position}, event type ${type})`,
      'the checkpoint has not moved; if the binlog is not damaged, report this error with the event',
    );
  }

  #readEvent(type: number, bytes: Buffer, start: number, end: number): EventContinuation | undefined {
    if (end - start < HEADER_LENGTH || bytes.readUInt32LE(start + 9) !== end - start) {
      throw new CdcError('the length of a binlog event differs from the length in its header');
    }
    const flags = bytes.readUInt16LE(start + 17);
    if (type === E.FORMAT_DESCRIPTION) this.#checksum = bytes[end - CHECKSUM_LENGTH - 1] === 1;
    const bodyEnd = this.#checksum ? end - CHECKSUM_LENGTH : end;
    if (bodyEnd < start + HEADER_LENGTH) throw new CdcError('a binlog event is too short for its checksum');
    if (this.#checksum && !this.#canBeDamaged(type, bytes, start, end))
      verifyChecksum(bytes, start, bodyEnd, type, flags);
    const position = this.#position.advance(bytes, start, end, bodyEnd, type, flags);
    if (type === E.TRANSACTION_PAYLOAD)
      return this.#transactionPayload(bytes, start + HEADER_LENGTH, bodyEnd, position);
    return this.#dispatch(type, flags, bytes, start, bodyEnd, position, start);
  }

  /**
   * Handles one event, whose body ends at `end`.
   * @param position where the event, or the compressed transaction around it, starts in the file
   * @param origin the offset in `bytes` from which ordinals count
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
    if (this.#statementsOnly && !STATEMENT_EVENTS.has(type)) return undefined;
    const cursor = new ByteCursor(bytes, start + HEADER_LENGTH, end);
    if (this.#skipBefore !== undefined && this.#passesOver(type, cursor, bytes, start, position)) return undefined;
    const layout = ROWS_EVENT_LAYOUTS[type];
    if (layout !== undefined) return this.#rowsEvent(layout, cursor, position, origin);
    switch (type) {
      case E.TABLE_MAP:
        return this.#tableMap(cursor);
      case E.GTID:
        return this.#begin(readGtid(cursor), bytes, start, position);
      case E.GTID_TAGGED:
        return this.#begin(readTaggedGtid(cursor), bytes, start, position);
      case E.ANONYMOUS_GTID:
        return this.#begin({ ...readGtid(cursor), gtidSource: '', gtidNumber: 0, text: '' }, bytes, start, position);
      case E.MARIADB_GTID:
        return this.#beginMariadb(cursor, bytes, start, position);
      case E.XID:
        return this.#xid(cursor);
      case E.QUERY:
      case E.MARIADB_QUERY_COMPRESSED:
      case E.EXECUTE_LOAD_QUERY:
        this.#openTransaction(bytes, start, position);
        return this.#queries.read(type, cursor, position);
      case E.XA_PREPARE:
        return this.#transactions.xaPrepare(cursor, position);
      case E.ROTATE:
        return this.#rotate(cursor);
      case E.HEARTBEAT:
      case E.HEARTBEAT_V2:
        if (this.#transactions.open === undefined)
          this.#handler.heartbeat(this.coordinates, this.#position.fileCreated);
        return undefined;
      case E.FORMAT_DESCRIPTION:
        return this.#formatDescription(cursor, bytes.readUInt32LE(start));
      case E.PREVIOUS_GTIDS:
        this.#handler.previousGtids(readPreviousGtids(cursor));
        cursor.expectEnd('a PREVIOUS_GTIDS event');
        return undefined;
      case E.MARIADB_GTID_LIST:
        this.#handler.previousGtids(readGtidList(cursor));
        return undefined;
      // The file of LOAD DATA, before the event with its statement.
      case E.BEGIN_LOAD_QUERY:
      case E.APPEND_BLOCK:
      case E.DELETE_FILE:
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
      default:
        if ((flags & FLAG_IGNORABLE) === 0) throw unsupported(type);
        return undefined;
    }
  }

  /** Whether an event at this position is of a transaction that is read only to reach the start. */
  #isBeforeStart(position: number): boolean {
    const start = this.#skipBefore;
    if (start === undefined) return false;
    if (this.#position.file === start.file && (this.#transactions.open?.position ?? position) < start.position)
      return true;
    this.#skipBefore = undefined;
    // Tables that were read before the start are not resolved.
    this.#tables.clear();
    return false;
  }

  /** Passes over an event before the start, unless it begins or ends a transaction, or is of an XA transaction. */
  #passesOver(type: number, cursor: ByteCursor, bytes: Buffer, start: number, position: number): boolean {
    if (READ_BEFORE_START.has(type) || !this.#isBeforeStart(position)) return false;
    const isQuery = type === E.QUERY || type === E.MARIADB_QUERY_COMPRESSED;
    if (this.#transactions.isXaOpen) return !isQuery && type !== E.TABLE_MAP && ROWS_EVENT_LAYOUTS[type] === undefined;
    if (!isQuery) return true;
    const body = new ByteCursor(cursor.bytes, cursor.at, cursor.end);
    if (isTransactionControl(body, type === E.MARIADB_QUERY_COMPRESSED)) return false;
    this.#openTransaction(bytes, start, position);
    this.#transactions.endStatement();
    return true;
  }

  /** Whether nobody reads the body of the event, because it is before the start. Its header must be sound. */
  #canBeDamaged(type: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.#skipBefore === undefined || (ROWS_EVENT_LAYOUTS[type] === undefined && type !== E.TABLE_MAP))
      return false;
    const { position } = this.#position;
    return this.#position.isInPlace(bytes, start, end) && !this.#transactions.isXaOpen && this.#isBeforeStart(position);
  }

  #rowsEvent(layout: RowsEventLayout, cursor: ByteCursor, position: number, origin: number): undefined {
    const isLast = endsStatement(cursor);
    const id = readTableId(layout, cursor);
    const table = this.#tables.get(id);
    if (table === undefined && id !== DUMMY_TABLE_ID)
      throw new CdcError(`a rows event names table id ${id}, which no table map has introduced`);
    if (table?.isCaptured) {
      if (this.#transactions.open === undefined) throw new CdcError('a rows event is outside of any transaction');
      const rows = this.#rows;
      readRowsBody(layout, cursor, origin, rows);
      rows.position = position;
      this.#transactions.rows(table, rows);
      // An event can have a gigabyte.
      rows.bytes = EMPTY;
    }
    if (isLast) this.#tables.endStatement();
  }

  #tableMap(cursor: ByteCursor): EventContinuation | undefined {
    const { bytes, at: start, end } = cursor;
    const id = cursor.u48();
    if (this.#tables.introduces(id, bytes, start, end)) return undefined;
    cursor.skip(2);
    const { schema, name } = readTableName(cursor);
    const isCaptured = this.#handler.isCaptured(schema, name);
    const table = this.#tables.add(id, bytes, start, end, { schema, name, isCaptured, handle: undefined });
    if (!isCaptured) return undefined;
    const map = readTableMap(schema, name, cursor, this.#decode, this.#mariadb);
    const { file, position } = this.#position;
    const at = { file, position: this.#transactions.open?.position ?? position };
    if (this.#isBeforeStart(position)) {
      table.unresolved = { map, at };
      return undefined;
    }
    const handle = this.#handler.tableMap(map, at);
    if (handle instanceof Promise) return resolveTable(table, handle);
    table.handle = handle;
    return undefined;
  }

  /** Where there are no GTIDs, the first statement begins a transaction. */
  #openTransaction(bytes: Buffer, start: number, position: number): void {
    if (this.#transactions.open === undefined) this.#transactions.begin(NO_GTID, bytes, start, position);
  }

  #begin(gtid: Gtid, bytes: Buffer, start: number, position: number): undefined {
    this.#transactions.begin(gtid, bytes, start, position);
  }

  #beginMariadb(cursor: ByteCursor, bytes: Buffer, start: number, position: number): undefined {
    const gtid = readMariadbGtid(cursor, bytes.readUInt32LE(start + 5));
    this.#transactions.begin(gtid, bytes, start, position);
    this.#queries.isUndecidedAlter = gtid.isUndecidedAlter;
    if (!gtid.standalone) this.#transactions.beginExplicit();
    if (gtid.preparesXa) this.#transactions.beginXa();
  }

  #xid(cursor: ByteCursor): undefined {
    cursor.skip(8);
    cursor.expectEnd('an XID event');
    this.#transactions.commit();
  }

  #rotate(cursor: ByteCursor): undefined {
    const position = cursor.u64('a binlog position');
    this.#position.rotate(cursor.text(cursor.remaining), position);
  }

  /** Binlog version 4, whose events have had this layout since MySQL 5.1. */
  #formatDescription(cursor: ByteCursor, created: number): undefined {
    const version = cursor.u16();
    this.#mariadb = cursor.text(50).includes('MariaDB');
    this.#queries.mariadb = this.#mariadb;
    if (version !== 4) throw new CdcError(`the binlog has format version ${version}, cdc reads only version 4`);
    // It is 0 unless the server was started with this file.
    if (cursor.u32() !== 0) this.#queries.serverStarted();
    this.#transactions.discard();
    // A server that restarted assigns its table ids again.
    this.#tables.clear();
    this.#position.fileCreated = created;
    this.#handler.fileBegins(this.#position.file, created);
  }

  *#transactionPayload(bytes: Buffer, from: number, to: number, position: number): EventContinuation {
    try {
      yield* this.#embeddedEvents(bytes, from, to, position);
    } catch (error) {
      if (!this.#isBeforeStart(position)) throw error;
      // It is a whole transaction, which counts as done.
      if (this.#transactions.open !== undefined) this.#transactions.rollback();
    }
  }

  *#embeddedEvents(bytes: Buffer, from: number, to: number, position: number): EventContinuation {
    for (const { bytes: content, start, end, offset } of embeddedEvents(bytes, from, to)) {
      const type = content[start + 4] as number;
      if (!EMBEDDABLE.has(type)) throw new CdcError(`a compressed transaction holds an event of type ${type}`);
      const steps = this.#dispatch(type, 0, content, start, end, position, start - offset);
      if (steps !== undefined) yield* steps;
      yield undefined;
    }
  }
}

function verifyChecksum(bytes: Buffer, start: number, bodyEnd: number, type: number, flags: number): void {
  // The server computes it without the in-use flag, and sends that flag with the file that it still writes.
  if (type === E.FORMAT_DESCRIPTION && (flags & FLAG_IN_USE) !== 0) return;
  if (crc32(bytes.subarray(start, bodyEnd)) !== bytes.readUInt32LE(bodyEnd)) {
    throw new CdcError('a binlog event does not match its checksum', {
      why: 'it was damaged on the server or on the way',
      hint: DAMAGED_BINLOG_HINT,
    });
  }
}

/** The columns of the table are looked up. Its rows follow later in the binlog, so they wait for that. */
function* resolveTable<T>(table: TableMapEntry<T>, handle: Promise<T>): EventContinuation {
  yield handle.then((value) => {
    table.handle = value;
  });
}
