import type { RowOp, RowsEvent } from '../../model/rows-event.ts';
import type { ByteCursor } from './byte-cursor.ts';
import { EventType as E } from './event-type.ts';
import { decompressBody } from './mariadb-compression.ts';

/** The layout that the type of a rows event implies. */
export interface RowsEventLayout {
  op: RowOp;
  /** Version 2 has a block of extra data in its header (MySQL: Rows_event in rows_event.h). */
  version: 1 | 2;
  compressed: boolean;
  partialJson: boolean;
}

const layout = (op: RowOp, version: 1 | 2, compressed = false, partialJson = false): RowsEventLayout => ({
  op,
  version,
  compressed,
  partialJson,
});

export const ROWS_EVENT_LAYOUTS: Readonly<Record<number, RowsEventLayout>> = {
  [E.WRITE_ROWS_V1]: layout('c', 1),
  [E.UPDATE_ROWS_V1]: layout('u', 1),
  [E.DELETE_ROWS_V1]: layout('d', 1),
  [E.WRITE_ROWS]: layout('c', 2),
  [E.UPDATE_ROWS]: layout('u', 2),
  [E.DELETE_ROWS]: layout('d', 2),
  [E.PARTIAL_UPDATE_ROWS]: layout('u', 2, false, true),
  [E.MARIADB_WRITE_ROWS_COMPRESSED_V1]: layout('c', 1, true),
  [E.MARIADB_UPDATE_ROWS_COMPRESSED_V1]: layout('u', 1, true),
  [E.MARIADB_DELETE_ROWS_COMPRESSED_V1]: layout('d', 1, true),
  [E.MARIADB_WRITE_ROWS_COMPRESSED]: layout('c', 2, true),
  [E.MARIADB_UPDATE_ROWS_COMPRESSED]: layout('u', 2, true),
  [E.MARIADB_DELETE_ROWS_COMPRESSED]: layout('d', 2, true),
};

/** The table id of a rows event that only ends a statement. */
export const DUMMY_TABLE_ID = 0xffffff;

/** STMT_END_F: the last rows event of its statement (MySQL: Rows_event in rows_event.h). */
const FLAG_STATEMENT_END = 0x01;

/** Whether the rows event, whose body is not read yet, is the last one of its statement. */
export const endsStatement = ({ bytes, at }: ByteCursor): boolean => ((bytes[at + 6] ?? 0) & FLAG_STATEMENT_END) !== 0;

/** Reads the start of the body: table id, flags and extra data. Returns the table id. */
export function readTableId({ version }: RowsEventLayout, cursor: ByteCursor): number {
  const id = cursor.u48();
  cursor.skip(2);
  if (version === 2) cursor.skip(cursor.u16() - 2);
  return id;
}

/** Reads the rest into `into`: the column count, the bitmaps of the columns that are present, and the row images. */
export function readRowsBody(layout: RowsEventLayout, cursor: ByteCursor, origin: number, into: RowsEvent): void {
  const bitmapLength = (cursor.lenenc() + 7) >> 3;
  const before = cursor.skip(bitmapLength);
  const after = layout.op === 'u' ? cursor.skip(bitmapLength) : before;
  into.op = layout.op;
  into.partialJson = layout.partialJson;
  if (layout.compressed) {
    const bitmaps = cursor.bytes.subarray(before, cursor.at);
    into.bytes = Buffer.concat([bitmaps, decompressBody(cursor)]);
    into.beforeBitmap = 0;
    into.afterBitmap = after - before;
    into.imagesStart = bitmaps.length;
    into.end = into.bytes.length;
    into.ordinalBase = origin - before;
    return;
  }
  into.bytes = cursor.bytes;
  into.beforeBitmap = before;
  into.afterBitmap = after;
  into.imagesStart = cursor.at;
  into.end = cursor.end;
  into.ordinalBase = origin;
}
