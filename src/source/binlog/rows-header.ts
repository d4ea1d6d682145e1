import type { RowOp, RowsEvent } from '../../model/rows-event.ts';
import type { ByteCursor } from './byte-cursor.ts';
import { EventType as E } from './event-type.ts';
import { decompressBody } from './mariadb-compression.ts';

/** What the type of a rows event says of its layout. */
export interface RowsEventLayout {
  op: RowOp;
  /** Version 2 has a block of extra data in its header. */
  version: 1 | 2;
  compressed: boolean;
  partialJson: boolean;
}

const kind = (op: RowOp, version: 1 | 2, compressed = false, partialJson = false): RowsEventLayout => ({
  op,
  version,
  compressed,
  partialJson,
});

export const ROWS_KINDS: Readonly<Record<number, RowsEventLayout>> = {
  [E.WRITE_ROWS_V1]: kind('c', 1),
  [E.UPDATE_ROWS_V1]: kind('u', 1),
  [E.DELETE_ROWS_V1]: kind('d', 1),
  [E.WRITE_ROWS]: kind('c', 2),
  [E.UPDATE_ROWS]: kind('u', 2),
  [E.DELETE_ROWS]: kind('d', 2),
  [E.PARTIAL_UPDATE_ROWS]: kind('u', 2, false, true),
  [E.MARIADB_WRITE_ROWS_COMPRESSED_V1]: kind('c', 1, true),
  [E.MARIADB_UPDATE_ROWS_COMPRESSED_V1]: kind('u', 1, true),
  [E.MARIADB_DELETE_ROWS_COMPRESSED_V1]: kind('d', 1, true),
  [E.MARIADB_WRITE_ROWS_COMPRESSED]: kind('c', 2, true),
  [E.MARIADB_UPDATE_ROWS_COMPRESSED]: kind('u', 2, true),
  [E.MARIADB_DELETE_ROWS_COMPRESSED]: kind('d', 2, true),
};

/** The table id of a rows event that only ends a statement. */
export const DUMMY_TABLE_ID = 0xffffff;

/** Takes the header of the body: table id, flags and extra data. */
export function readTableId({ version }: RowsEventLayout, cursor: ByteCursor): number {
  const id = cursor.u48();
  cursor.skip(2);
  if (version === 2) cursor.skip(cursor.u16() - 2);
  return id;
}

/** Takes the rest: the count of columns, the bitmaps of those that are there, and the row images. */
export function readRowsBody(kind: RowsEventLayout, cursor: ByteCursor, origin: number, into: RowsEvent): void {
  const bitmap = (cursor.lenenc() + 7) >> 3;
  const before = cursor.skip(bitmap);
  const after = kind.op === 'u' ? cursor.skip(bitmap) : before;
  into.op = kind.op;
  into.partialJson = kind.partialJson;
  if (kind.compressed) {
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
