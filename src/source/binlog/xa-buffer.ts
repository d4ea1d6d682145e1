import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { CdcError } from '../../runtime/error.ts';
import type { ByteCursor } from './byte-cursor.ts';

/** An XA transaction's name as the server writes it in statements. */
export const xidText = (gtrid: string, bqual: string, format: number): string => `X'${gtrid}',X'${bqual}',${format}`;

/** XA_PREPARE_LOG_EVENT: whether it commits at once, then the xid (MySQL: control_events.h; MariaDB: log_event.h). */
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

/** What a parked rows event costs beyond its bytes. */
const ROWS_EVENT_OVERHEAD_BYTES = 400;

interface BufferedRowsEvent<T> {
  table: T;
  rows: RowsEvent;
}

/** Raw copies of the rows events of a transaction that may yet not happen. */
export class BufferedXaRows<T> {
  events: BufferedRowsEvent<T>[] = [];
  bytes = 0;
  readonly #savepoints = new Map<string, number>();

  /** @param before how many bytes of its transaction stand before the event: ordinals go on over its events */
  add(table: T, rows: RowsEvent, before: number): number {
    // The bitmaps stand in front of the images.
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

  /** Returns the bytes that this frees. */
  rollbackTo(name: string): number {
    const kept = this.#savepoints.get(name);
    if (kept === undefined) throw unknownSavepoint(name);
    const before = this.bytes;
    for (const { rows } of this.events.splice(kept)) this.bytes -= rows.bytes.length + ROWS_EVENT_OVERHEAD_BYTES;
    return before - this.bytes;
  }
}

const unknownSavepoint = (name: string): CdcError =>
  new CdcError(`the binlog rolls back to a savepoint ${name} that it has not set`);

/**
 * The XA transactions of a stream. Their rows stand in the binlog at XA PREPARE, long before anyone knows whether
 * they happened, so they are parked here: until XA COMMIT, which tells them, or XA ROLLBACK, which drops them.
 */
export class XaBuffer<T> {
  readonly #limit: number;
  readonly #prepared = new Map<string, { transaction: Transaction; parked: BufferedXaRows<T> }>();
  #bytes = 0;
  /** The rows of the XA transaction that the stream is in. */
  open: BufferedXaRows<T> | undefined;

  /** @param limit bytes that may be parked */
  constructor(limit: number) {
    this.#limit = limit;
  }

  begin(): void {
    this.open = new BufferedXaRows();
  }

  add(open: BufferedXaRows<T>, table: T, rows: RowsEvent, before: number): void {
    this.#bytes += open.add(table, rows, before);
    if (this.#bytes <= this.#limit) return;
    throw new CdcError(`the XA transactions that are not committed hold more than ${this.#limit} bytes of rows`, {
      why: `their rows are kept until XA COMMIT; prepared: ${[...this.#prepared.keys()].join(' ') || 'none yet'}`,
      hint: 'end them (XA RECOVER lists them), or make them smaller; the checkpoint stands before them, nothing is lost',
    });
  }

  rollbackTo(open: BufferedXaRows<T>, name: string): void {
    this.#bytes -= open.rollbackTo(name);
  }

  /** Gives up the open transaction's rows to the caller. */
  takeOpen(): BufferedXaRows<T> {
    const open = this.open;
    if (open === undefined) throw new CdcError('an XA transaction ends that never began');
    this.open = undefined;
    this.#bytes -= open.bytes;
    return open;
  }

  prepare(xid: string, transaction: Transaction): void {
    if (this.#prepared.has(xid)) throw new CdcError(`the XA transaction ${xid} is prepared twice`);
    const parked = this.takeOpen();
    this.#bytes += parked.bytes;
    this.#prepared.set(xid, { transaction, parked });
  }

  /** What was prepared under this name, which is forgotten; undefined if that was before the stream began. */
  takePrepared(xid: string): { transaction: Transaction; parked: BufferedXaRows<T> } | undefined {
    const found = this.#prepared.get(xid);
    if (found === undefined) return undefined;
    this.#prepared.delete(xid);
    this.#bytes -= found.parked.bytes;
    return found;
  }
}
