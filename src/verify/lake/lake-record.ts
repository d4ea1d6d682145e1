import { SEQ_LENGTH } from '../../model/seq.ts';
import { HASH_LENGTH } from './row-key.ts';

/** Where an event is in the lake. */
export interface EventPlace {
  /** The number of the object, as `LakeScan` counts them. */
  object: number;
  /** Where its line begins in the text of the object, in bytes, and how long it is. */
  offset: number;
  length: number;
}

/**
 * One event of the lake, without its values: table, hash of the key, seq, what it says of the row, and where it is.
 * With `payload`, the members of the row follow.
 *
 *     flags (1)  -  table (2)  key (16)  seq (18)  row (16)  object (4)  offset (6)  length (4)  payload length (4)
 */
const FLAGS = 0;
const TABLE = 2;
const KEY = 4;
const SEQ = KEY + HASH_LENGTH;
const SEQ_BYTES = SEQ_LENGTH / 2;
const ROW = SEQ + SEQ_BYTES;
const OBJECT = ROW + HASH_LENGTH;
const OFFSET = OBJECT + 4;
const LENGTH = OFFSET + 6;
const PAYLOAD = LENGTH + 4;
export const RECORD_LENGTH = PAYLOAD + 4;

/** Bits of the flags beside the op (the lowest two). */
const OP_MASK = 3;
const PARTIAL = 4;

/** Writes the fields of records, one after the other, into the same bytes. */
export class RecordWriter {
  readonly bytes = Buffer.alloc(RECORD_LENGTH);

  set(table: number, op: number, isPartial: boolean, key: string, row: string): void {
    const { bytes } = this;
    bytes.writeUInt16LE(table, TABLE);
    bytes[FLAGS] = op | (isPartial ? PARTIAL : 0);
    bytes.write(key, KEY, HASH_LENGTH, 'latin1');
    if (row === '') bytes.fill(0, ROW, ROW + HASH_LENGTH);
    else bytes.write(row, ROW, HASH_LENGTH, 'latin1');
  }

  setPlace(object: number, offset: number, length: number, payload: number): void {
    const { bytes } = this;
    bytes.writeUInt32LE(object, OBJECT);
    bytes.writeUIntLE(offset, OFFSET, 6);
    bytes.writeUInt32LE(length, LENGTH);
    bytes.writeUInt32LE(payload, PAYLOAD);
  }

  /** @param from where the 36 hex digits begin in `line` */
  setSeq(line: Buffer, from: number): void {
    for (let i = 0; i < SEQ_BYTES; i++) {
      this.bytes[SEQ + i] = (digit(line[from + 2 * i] as number) << 4) | digit(line[from + 2 * i + 1] as number);
    }
  }

  /** The seq of the record. */
  get seq(): string {
    return seqAt(this.bytes, 0);
  }
}

const digit = (byte: number): number => (byte < 0x3a ? byte - 0x30 : byte - 0x57);

export const tableAt = (bytes: Buffer, at: number): number => bytes.readUInt16LE(at + TABLE);
export const opAt = (bytes: Buffer, at: number): number => (bytes[at + FLAGS] as number) & OP_MASK;
export const isPartialAt = (bytes: Buffer, at: number): boolean => ((bytes[at + FLAGS] as number) & PARTIAL) !== 0;
/** Table and key together: what identifies a row. */
export const rowIdAt = (bytes: Buffer, at: number): string => bytes.toString('latin1', at + TABLE, at + SEQ);
export const rowAt = (bytes: Buffer, at: number): string => bytes.toString('latin1', at + ROW, at + OBJECT);
export const objectAt = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + OBJECT);
export const seqAt = (bytes: Buffer, at: number): string => bytes.toString('hex', at + SEQ, at + ROW);
export const nextAt = (bytes: Buffer, at: number): number => at + RECORD_LENGTH + bytes.readUInt32LE(at + PAYLOAD);

export const placeAt = (bytes: Buffer, at: number): EventPlace => ({
  object: bytes.readUInt32LE(at + OBJECT),
  offset: bytes.readUIntLE(at + OFFSET, 6),
  length: bytes.readUInt32LE(at + LENGTH),
});

/** The members of the row; undefined if the record has none. */
export function payloadAt(bytes: Buffer, at: number): string | undefined {
  const length = bytes.readUInt32LE(at + PAYLOAD);
  return length === 0 ? undefined : bytes.toString('utf8', at + RECORD_LENGTH, at + RECORD_LENGTH + length);
}

/** Orders two records by seq, and says whether they are the same event. */
export const compareSeq = (bytes: Buffer, a: number, b: number): number =>
  bytes.compare(bytes, b + SEQ, b + ROW, a + SEQ, a + ROW);

/** Whether two records of one seq say the same. */
export const sameEvent = (bytes: Buffer, a: number, b: number): boolean =>
  opAt(bytes, a) === opAt(bytes, b) && bytes.compare(bytes, b + ROW, b + OBJECT, a + ROW, a + OBJECT) === 0;

/** What identifies a row of a table, as `rowIdAt` gives it. */
export const rowIdOf = (table: number, key: string): string => String.fromCharCode(table & 0xff, table >> 8) + key;

export const tableOfId = (id: string): number => id.charCodeAt(0) | (id.charCodeAt(1) << 8);

/**
 * One row of the source, without its values: table, hash of the key, hash of the row, and the key as JSON.
 *
 *     table (2)  key (16)  row (16)  key length (4)
 */
const SOURCE_ROW = 2 + HASH_LENGTH;
const SOURCE_KEY_LENGTH = SOURCE_ROW + HASH_LENGTH;
const SOURCE_LENGTH = SOURCE_KEY_LENGTH + 4;

export function sourceRecord(table: number, key: string, row: string, keyText: Buffer): Buffer {
  const record = Buffer.allocUnsafe(SOURCE_LENGTH);
  record.writeUInt16LE(table, 0);
  record.write(key, 2, HASH_LENGTH, 'latin1');
  record.write(row, SOURCE_ROW, HASH_LENGTH, 'latin1');
  record.writeUInt32LE(keyText.length, SOURCE_KEY_LENGTH);
  return record;
}

/** Calls for each record of the source. `keyText` reads the key. */
export function eachSourceRecord(bytes: Buffer, visit: (id: string, row: string, keyText: () => string) => void): void {
  for (let at = 0; at < bytes.length; ) {
    const start = at + SOURCE_LENGTH;
    const end = start + bytes.readUInt32LE(at + SOURCE_KEY_LENGTH);
    const id = bytes.toString('latin1', at, at + SOURCE_ROW);
    visit(id, bytes.toString('latin1', at + SOURCE_ROW, at + SOURCE_KEY_LENGTH), () =>
      bytes.toString('utf8', start, end),
    );
    at = end;
  }
}
