import type { Key } from '../../model/key-range.ts';
import { ColumnType as T } from '../../model/table.ts';
import type { ResultColumn } from './row-collector.ts';

/** The bytes of a value that has no length in front, by type of the protocol. */
export const FIXED_LENGTHS: Readonly<Record<number, number>> = {
  [T.TINY]: 1,
  [T.SHORT]: 2,
  [T.YEAR]: 2,
  [T.LONG]: 4,
  [T.INT24]: 4,
  [T.FLOAT]: 4,
  [T.LONGLONG]: 8,
  [T.DOUBLE]: 8,
};

/**
 * The values of some columns of a row packet, none of which is NULL. Its payload begins at `start`. (MySQL: Binary
 * Protocol Resultset Row)
 */
export function readKey(
  bytes: Buffer,
  start: number,
  columns: readonly ResultColumn[],
  wanted: readonly number[],
): Key {
  const last = Math.max(...wanted);
  const values = new Map<number, string>();
  let at = start + 1 + ((columns.length + 9) >> 3);
  for (let i = 0; i <= last; i++) {
    const bit = i + 2;
    if (((bytes[start + 1 + (bit >> 3)] as number) >> (bit & 7)) & 1) continue;
    let length = FIXED_LENGTHS[(columns[i] as ResultColumn).type];
    if (length === undefined) {
      // The length of a date or time is one byte, which is the same for lengths below 0xfb.
      const first = bytes[at++] as number;
      const width = first === 0xfc ? 2 : first === 0xfd ? 3 : first === 0xfe ? 8 : 0;
      length = width === 0 ? first : bytes.readUIntLE(at, Math.min(width, 6));
      at += width;
    }
    if (wanted.includes(i)) values.set(i, bytes.toString('base64', at, at + length));
    at += length;
  }
  return wanted.map((i) => {
    const value = values.get(i);
    if (value === undefined) throw new Error('a key column of a row is NULL');
    return value;
  });
}
