import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { CdcError } from '../../runtime/error.ts';
import type { ByteCursor } from './byte-cursor.ts';

/** The name of an XA transaction as the server writes it in statements. */
export const xidText = (gtrid: string, bqual: string, format: number): string => `X'${gtrid}',X'${bqual}',${format}`;

/**
 * XA_PREPARE_LOG_EVENT: whether it commits in one phase, then the xid (MySQL: control_events.h; MariaDB: log_event.h).
 */
export function readXaPrepare(cursor: ByteCursor): { onePhase: boolean; xid: string } {
  const onePhase = cursor.u8() !== 0;
  const format = cursor.u32();
  const gtridLength = cursor.u32();
  const bqualLength = cursor.u32();
  const gtrid = cursor.text(gtridLength, 'hex');
  const xid = xidText(gtrid, cursor.text(bqualLength, 'hex'), format);
  cursor.expectEnd('an XA_PREPARE event');
  return { onePhase, xid };
}

/** The memory that a buffered rows event needs besides its bytes, counted for the limit. */
const ROWS_EVENT_OVERHEAD_BYTES = 400;

interface BufferedRowsEvent<T> {
  table: T;
  rows: RowsEvent;
}

/** Raw copies of the rows events of a transaction that can still be rolled back. */
export class BufferedXaRows<T> {
  events: BufferedRowsEvent<T>[] = [];
  bytes = 0;
  readonly #savepoints = new Map<string, number>();

  /**
   * Copies the event, whose buffer is reused. Returns the bytes that the copy counts for the limit.
   * @param before the bytes of its transaction before this event: ordinals count on over the events of a transaction
   */
  add(table: T, rows: RowsEvent, before: number): number {
    // The bitmaps are in front of the images.
    const from = rows.beforeBitmap;
    const bytes = Buffer.from(rows.bytes.subarray(from, rows.end));
    const cost = bytes.length + ROWS_EVENT_OVERHEAD_BYTES;
    this.bytes += cost;
    this.events.push({
      table,
      rows: {
        ...rows,
        bytes,
        imagesStart: rows.imagesStart - from,
        end: bytes.length,
        beforeBitmap: 0,
        afterBitmap: rows.afterBitmap - from,
        ordinalBase: rows.ordinalBase - from - before,
      },
    });
    return cost;
  }

  savepoint(name: string): void {
    this.#savepoints.set(name, this.events.length);
  }

  /** Discards the rows since the savepoint and returns the bytes that this frees. */
  rollbackTo(name: string): number {
    const kept = this.#savepoints.get(name);
    if (kept === undefined) throw unknownSavepoint(name);
    const before = this.bytes;
    for (const { rows } of this.events.splice(kept)) this.bytes -= rows.bytes.length + ROWS_EVENT_OVERHEAD_BYTES;
    return before - this.bytes;
  }
}

interface PreparedXa<T> {
  transaction: Transaction;
  rows: BufferedXaRows<T>;
}

const unknownSavepoint = (name: string): CdcError =>
  new CdcError(`the binlog rolls back to the savepoint ${name}, which it has not set`);

/**
 * The rows of the XA transactions of a stream. The binlog has them at XA PREPARE, before it is decided whether they
 * happen. They are buffered here until XA COMMIT, which emits them, or XA ROLLBACK, which discards them.
 */
export class XaBuffer<T> {
  readonly #limit: number;
  readonly #prepared = new Map<string, PreparedXa<T>>();
  #bytes = 0;
  /** The rows of the XA transaction that is open in the stream. */
  open: BufferedXaRows<T> | undefined;

  /** @param limit the bytes that can be buffered, all transactions together */
  constructor(limit: number) {
    this.#limit = limit;
  }

  begin(): void {
    this.open = new BufferedXaRows();
  }

  add(open: BufferedXaRows<T>, table: T, rows: RowsEvent, before: number): void {
    this.#bytes += open.add(table, rows, before);
    if (this.#bytes <= this.#limit) return;
    throw new CdcError(`XA transactions that are not committed have more than ${this.#limit} bytes of rows`, {
      why: `their rows are buffered until XA COMMIT; prepared: ${[...this.#prepared.keys()].join(' ') || 'none yet'}`,
      hint: 'commit or roll them back (XA RECOVER lists them), or make them smaller; the checkpoint is before them, nothing is lost',
    });
  }

  rollbackTo(open: BufferedXaRows<T>, name: string): void {
    this.#bytes -= open.rollbackTo(name);
  }

  /** Returns the rows of the open transaction, which no longer count for the limit. */
  takeOpen(): BufferedXaRows<T> {
    const open = this.open;
    if (open === undefined) throw new CdcError('an XA transaction ends that has not begun');
    this.open = undefined;
    this.#bytes -= open.bytes;
    return open;
  }

  prepare(xid: string, transaction: Transaction): void {
    if (this.#prepared.has(xid)) throw new CdcError(`the XA transaction ${xid} is prepared twice`);
    const rows = this.takeOpen();
    this.#bytes += rows.bytes;
    this.#prepared.set(xid, { transaction, rows });
  }

  /**
   * Returns and forgets the transaction prepared under this name; undefined if the stream began after its XA PREPARE.
   */
  takePrepared(xid: string): PreparedXa<T> | undefined {
    const found = this.#prepared.get(xid);
    if (found === undefined) return undefined;
    this.#prepared.delete(xid);
    this.#bytes -= found.rows.bytes;
    return found;
  }
}
