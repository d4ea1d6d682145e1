import type { Coordinates } from '../../model/coordinates.ts';
import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { CdcError, withContext } from '../../runtime/error.ts';
import type { XaStatement } from '../statement/statement.ts';
import type { BinlogHandler, EventContinuation, TableMapEntry } from './binlog-handler.ts';
import type { BinlogPosition } from './binlog-position.ts';
import type { ByteCursor } from './byte-cursor.ts';
import type { Gtid } from './gtid-event.ts';
import { type BufferedXaRows, readXaPrepare, XaBuffer, xidText } from './xa-buffer.ts';

/** Finds the rows of an XA transaction that was prepared before the stream began; undefined if no binlog has them. */
export type FindPreparedXa<T> = (
  xid: string,
  before: Coordinates,
) => Promise<BufferedXaRows<TableMapEntry<T>> | undefined>;

/** Whether an event at this position is of a transaction that is read only to reach the start. */
export type IsBeforeStart = (position: number) => boolean;

/**
 * The transaction that is open, and the XA transactions that are prepared.
 *
 * A transaction opens with its GTID event, or with its first statement where there are no GTIDs. It ends with XID,
 * COMMIT, ROLLBACK or XA PREPARE, or, if no BEGIN came, with the one statement that it holds.
 *
 * The handler receives rows at once, except those of an XA transaction: they are buffered from XA START until XA COMMIT
 * or XA ROLLBACK.
 */
export class TransactionState<T> {
  readonly #handler: BinlogHandler<T>;
  readonly #position: BinlogPosition;
  readonly #xa: XaBuffer<TableMapEntry<T>>;
  readonly #findPreparedXa: FindPreparedXa<T> | undefined;
  readonly #isBeforeStart: IsBeforeStart;
  #open: Transaction | undefined;
  /** Between BEGIN and COMMIT, where a statement does not commit by itself. */
  #isExplicit = false;

  constructor(
    handler: BinlogHandler<T>,
    position: BinlogPosition,
    xaBufferBytes: number,
    findPreparedXa: FindPreparedXa<T> | undefined,
    isBeforeStart: IsBeforeStart,
  ) {
    this.#handler = handler;
    this.#position = position;
    this.#xa = new XaBuffer(xaBufferBytes);
    this.#findPreparedXa = findPreparedXa;
    this.#isBeforeStart = isBeforeStart;
  }

  /** Whether rows are buffered, because their XA transaction is open. */
  get isXaOpen(): boolean {
    return this.#xa.open !== undefined;
  }

  get open(): Transaction | undefined {
    return this.#open;
  }

  /** Between BEGIN and COMMIT. */
  get isExplicit(): boolean {
    return this.#isExplicit;
  }

  /** @param position where the first event of the transaction starts in the file */
  begin(gtid: Gtid, bytes: Buffer, start: number, position: number): Transaction {
    if (this.#open !== undefined) throw new CdcError('a transaction begins before the previous one ended');
    this.#isExplicit = false;
    this.#open = {
      gtid: gtid.text,
      gtidSource: gtid.gtidSource,
      gtidNumber: gtid.gtidNumber,
      file: this.#position.file,
      fileNumber: this.#position.fileNumber,
      position,
      endPosition: 0,
      serverId: bytes.readUInt32LE(start + 5),
      committedAt: gtid.committedAt || bytes.readUInt32LE(start) * 1000,
      originalCommit: gtid.originalCommit,
      fileCreated: 0,
      lastEvent: 0,
      lastEventDigest: 0,
      preparedTransaction: undefined,
    };
    return this.#open;
  }

  /** BEGIN: only COMMIT, ROLLBACK or an XID event ends the transaction. */
  beginExplicit(): void {
    this.#isExplicit = true;
  }

  /** Commits the transaction if the statement that was read is all of it. */
  endStatement(): void {
    if (!this.#isExplicit) this.commit();
  }

  commit(): void {
    if (this.#xa.open !== undefined) throw new CdcError('an XA transaction ends without XA PREPARE');
    const transaction = this.#end();
    if (transaction) this.#handler.commit(transaction);
  }

  /** ROLLBACK: the rows are discarded, and the transaction counts as done. */
  rollback(afterwards?: () => void): void {
    this.#undo(this.#open as Transaction);
    afterwards?.();
    this.commit();
  }

  /** The file ends within the transaction: a crash of the server cut it off, and it never committed. */
  discard(): void {
    const transaction = this.#open;
    if (transaction === undefined) return;
    this.#open = undefined;
    this.#isExplicit = false;
    this.#undo(transaction);
  }

  savepoint(name: string): void {
    if (this.#xa.open) this.#xa.open.savepoint(name);
    else this.#handler.savepoint(name);
  }

  rollbackTo(name: string): void {
    if (this.#xa.open) this.#xa.rollbackTo(this.#xa.open, name);
    else this.#handler.rollbackTo(name);
  }

  /** A rows event. The buffer of `rows` is reused, so whatever is kept of it is copied. */
  rows(table: TableMapEntry<T>, rows: RowsEvent): void {
    const transaction = this.#open as Transaction;
    const { open } = this.#xa;
    if (open === undefined) this.#emitRows(table, rows, transaction);
    else this.#xa.add(open, table, rows, rows.position - transaction.position);
  }

  /** The rows of this transaction are buffered from here on. */
  beginXa(): void {
    this.#xa.begin();
  }

  /** @param position where the statement is in the file: an XA COMMIT makes the buffered rows true there */
  xaStatement(statement: XaStatement, position: number): EventContinuation | undefined {
    const { verb, gtrid, bqual, format, onePhase } = statement;
    const xid = xidText(gtrid, bqual, format);
    const transaction = this.#open as Transaction;
    switch (verb) {
      case 'START':
        this.#isExplicit = true;
        this.#xa.begin();
        return undefined;
      case 'END':
      case 'PREPARE':
        return undefined;
      case 'ROLLBACK':
        if (this.#xa.open) this.#xa.takeOpen();
        transaction.preparedTransaction = this.#xa.takePrepared(xid)?.transaction;
        this.commit();
        return undefined;
      case 'COMMIT': {
        if (this.#isBeforeStart(position)) return this.#commitXaBeforeStart(xid);
        if (onePhase && this.#xa.open) return this.#emitBufferedRows(this.#xa.takeOpen(), position);
        const prepared = this.#xa.takePrepared(xid);
        if (prepared === undefined) return this.#commitXaFromOlderBinlog(xid, position);
        transaction.preparedTransaction = prepared.transaction;
        return this.#emitBufferedRows(prepared.rows, position);
      }
    }
  }

  /** An XA_PREPARE event, which ends its transaction; with ONE PHASE it commits it at once. */
  xaPrepare(cursor: ByteCursor, position: number): EventContinuation | undefined {
    const { onePhase, xid } = readXaPrepare(cursor);
    if (this.#xa.open === undefined) throw new CdcError(`XA PREPARE of ${xid} without XA START`);
    if (onePhase) {
      if (this.#isBeforeStart(position)) return this.#commitXaBeforeStart(xid);
      return this.#emitBufferedRows(this.#xa.takeOpen(), position);
    }
    const transaction = this.#end() as Transaction;
    this.#xa.prepare(xid, transaction);
    this.#handler.xaPrepared(transaction);
    return undefined;
  }

  /** The rows of a prepared XA transaction, which is forgotten; undefined if none has this name. */
  takePreparedXa(xid: string): BufferedXaRows<TableMapEntry<T>> | undefined {
    return this.#xa.takePrepared(xid)?.rows;
  }

  /** Its rows are not needed, wherever they are. */
  #commitXaBeforeStart(xid: string): undefined {
    const transaction = this.#open as Transaction;
    const prepared = this.#xa.open ? undefined : this.#xa.takePrepared(xid);
    if (this.#xa.open) this.#xa.takeOpen();
    transaction.preparedTransaction = prepared?.transaction;
    this.commit();
  }

  #undo(transaction: Transaction): void {
    if (this.#xa.open) this.#xa.takeOpen();
    this.#handler.rollback(transaction);
  }

  #end(): Transaction | undefined {
    const transaction = this.#open;
    this.#open = undefined;
    this.#isExplicit = false;
    if (transaction) this.#position.end(transaction);
    return transaction;
  }

  /** Emits the rows as part of the open transaction, at the position where they became true, and commits it. */
  *#emitBufferedRows(buffered: BufferedXaRows<TableMapEntry<T>>, position: number): EventContinuation {
    for (const { table, rows } of buffered.events) {
      if (table.unresolved !== undefined) yield* this.#resolve(table, table.unresolved);
      rows.position = position;
      this.#emitRows(table, rows, this.#open as Transaction);
      yield undefined;
    }
    this.commit();
  }

  *#resolve(table: TableMapEntry<T>, { map, at }: NonNullable<TableMapEntry<T>['unresolved']>): EventContinuation {
    const handle = this.#handler.tableMap(map, at);
    delete table.unresolved;
    if (handle instanceof Promise) {
      yield handle.then((value) => {
        table.handle = value;
      });
    } else table.handle = handle;
  }

  /** The XA transaction was prepared before the stream began, so its rows are searched in older binlogs. */
  *#commitXaFromOlderBinlog(xid: string, position: number): EventContinuation {
    const { file, position: start } = this.#open as Transaction;
    let buffered: BufferedXaRows<TableMapEntry<T>> | undefined;
    yield this.#findPreparedXa?.(xid, { file, position: start }).then((found) => {
      buffered = found;
    });
    if (buffered === undefined) throw missingXaRows(xid);
    yield* this.#emitBufferedRows(buffered, position);
  }

  #emitRows(table: TableMapEntry<T>, rows: RowsEvent, transaction: Transaction): void {
    try {
      this.#handler.rows(table.handle as T, rows, transaction);
    } catch (error) {
      throw withContext(error, (message) => `${table.schema}.${table.name}: ${message}`);
    }
  }
}

const missingXaRows = (xid: string): CdcError =>
  new CdcError(`no binlog has the rows of the XA transaction ${xid} any more`, {
    exitCode: 4,
    why: 'the transaction was prepared before the start position, in a binlog that has been purged, and commits here',
    hint: 'move the checkpoint file away (but not its .epoch file), start again with source.start: now, and copy its tables again (cdc backfill)',
  });
