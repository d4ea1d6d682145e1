import { hash } from 'node:crypto';
import { MemberCursor } from '../../lake/json-scan.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
/** Bytes of the hash of a key or a row. */
export const HASH_LENGTH = 16;

/** 128 bits of SHA-1 as a latin1 string, which is a key of a Map and writes to a buffer at once. */
export const hashBytes = (bytes: Buffer): string => hash('sha1', bytes, 'binary').slice(0, HASH_LENGTH);
export const hashText = (text: string): string => hash('sha1', text, 'binary').slice(0, HASH_LENGTH);

/**
 * The hash of a key, the same for the key in an event and for the key of a row that was selected. Columns are in the
 * order of the table's key. A value counts by its text, so that 1 and "1" (another `values.bigint`) are the same key.
 */
export class KeyHasher {
  readonly #names: readonly Buffer[];
  /** The length of each value, then its bytes. */
  #text = Buffer.allocUnsafe(4096);
  #length = 0;
  readonly #cursor = new MemberCursor();
  readonly #from: number[];
  readonly #to: number[];

  /** @param names the key columns, as JSON strings have them between their quotes */
  constructor(names: readonly string[]) {
    this.#names = names.map((name) => Buffer.from(JSON.stringify(name).slice(1, -1)));
    this.#from = names.map(() => 0);
    this.#to = names.map(() => 0);
  }

  /** The hash of the key that an object of JSON has among its members; undefined if it lacks a column. */
  ofObject(bytes: Buffer, from: number, to: number): string | undefined {
    const names = this.#names;
    this.#to.fill(0);
    let missing = names.length;
    let next = 0;
    const cursor = this.#cursor;
    cursor.open(bytes, from, to);
    while (missing > 0 && cursor.next()) {
      // The columns of a key come in their order.
      let column = next;
      if (!cursor.nameIs(names[column] as Buffer)) column = names.findIndex((name) => cursor.nameIs(name));
      if (column < 0 || this.#to[column] !== 0) continue;
      this.#from[column] = cursor.valueFrom;
      this.#to[column] = cursor.valueTo;
      missing--;
      next = column + 1 < names.length ? column + 1 : 0;
    }
    if (missing > 0) return undefined;
    this.#length = 0;
    for (let i = 0; i < names.length; i++) this.#add(bytes, this.#from[i] as number, this.#to[i] as number);
    return hashBytes(this.#text.subarray(0, this.#length));
  }

  /** The hash of a key by the JSON texts of its values. */
  ofValues(values: readonly string[]): string {
    this.#length = 0;
    for (const value of values) {
      if (value === 'null') {
        this.#putNull();
        continue;
      }
      const text = value.startsWith('"') ? (JSON.parse(value) as string) : value;
      const length = Buffer.byteLength(text);
      this.#reserve(length);
      this.#text.writeUInt32LE(length, this.#length);
      this.#text.write(text, this.#length + 4);
      this.#length += 4 + length;
    }
    return hashBytes(this.#text.subarray(0, this.#length));
  }

  #add(bytes: Buffer, from: number, to: number): void {
    if (bytes[from] === LETTER_N) return this.#putNull();
    const isText = bytes[from] === QUOTE;
    const start = isText ? from + 1 : from;
    const end = isText ? to - 1 : to;
    if (isText && hasEscape(bytes, start, end)) {
      const text = Buffer.from(JSON.parse(bytes.toString('utf8', from, to)) as string);
      this.#put(text, 0, text.length);
    } else this.#put(bytes, start, end);
  }

  /** NULL has a length that no text has. */
  #putNull(): void {
    this.#reserve(0);
    this.#text.writeUInt32LE(0xffffffff, this.#length);
    this.#length += 4;
  }

  #put(bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    this.#reserve(length);
    this.#text.writeUInt32LE(length, this.#length);
    bytes.copy(this.#text, this.#length + 4, from, to);
    this.#length += 4 + length;
  }

  #reserve(length: number): void {
    const needed = this.#length + 4 + length;
    if (needed <= this.#text.length) return;
    const larger = Buffer.allocUnsafe(needed * 2);
    this.#text.copy(larger, 0, 0, this.#length);
    this.#text = larger;
  }
}

function hasEscape(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] === BACKSLASH) return true;
  return false;
}

/** Whether a key belongs to the sample, by its hash: the same keys on both sides. */
export function isSampled(key: string, share: number | undefined): boolean {
  if (share === undefined) return true;
  const last = HASH_LENGTH - 1;
  const number = (key.charCodeAt(last) << 16) | (key.charCodeAt(last - 1) << 8) | key.charCodeAt(last - 2);
  return number < share * 2 ** 24;
}
