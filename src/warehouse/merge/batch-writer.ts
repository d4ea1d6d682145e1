import { type EventScanner, Op } from '../../lake/event-scanner.ts';
import { SEQ_LENGTH } from '../../model/seq.ts';

/** No JSON has this byte, because it escapes control characters. */
export const FIELD_END = 0x02;
const LINE_END = 0x0a;
const CHUNK_BYTES = 4 * 1024 * 1024;

const FIELD = String.fromCharCode(FIELD_END);
const op = (letter: string): Buffer => Buffer.from(letter + FIELD);
const OPS = { c: op('c'), u: op('u'), d: op('d'), t: op('t') };
/** The two values of the field, with the end of the field before it. */
const PARTIAL = Buffer.from(`${FIELD}1${FIELD}`);
const WHOLE = Buffer.from(`${FIELD}0${FIELD}`);
const HEAD_BYTES = OPS.c.length + SEQ_LENGTH + PARTIAL.length;

/**
 * Writes events as the lines that a target loads: schema, table, op (`c`, `u`, `d` or `t`), `seq`, whether the row is
 * partial, and the row as JSON, with FIELD_END between them. Format debezium gives the `after` of a row and the `key`
 * of a `d`, format flat the whole line.
 */
export class BatchWriter {
  readonly #format: 'debezium' | 'flat';
  #bytes = Buffer.allocUnsafe(CHUNK_BYTES);
  #length = 0;

  constructor(format: 'debezium' | 'flat') {
    this.#format = format;
  }

  get isFull(): boolean {
    return this.#length >= CHUNK_BYTES / 2;
  }

  /**
   * @param prefix names of schema and table as `tablePrefix` gives them
   * @param scanner after its `scan` of this line
   */
  add(prefix: Buffer, bytes: Buffer, from: number, to: number, scanner: EventScanner): void {
    const { op, isUpdate, partial, seqFrom, rowFrom, rowTo, keyFrom, keyTo } = scanner;
    this.#reserve(prefix.length + HEAD_BYTES);
    this.#copyShort(prefix, 0, prefix.length);
    this.#copyShort(op === Op.gone ? OPS.d : op === Op.emptied ? OPS.t : isUpdate ? OPS.u : OPS.c, 0, 2);
    this.#copyShort(bytes, seqFrom, seqFrom + SEQ_LENGTH);
    this.#copyShort(partial ? PARTIAL : WHOLE, 0, PARTIAL.length);
    if (op === Op.emptied) this.#copy(EMPTY_OBJECT);
    else if (this.#format === 'flat') this.#copyOf(bytes, from, to);
    else if (op === Op.gone) this.#copyOf(bytes, keyFrom, keyTo);
    else this.#copyOf(bytes, rowFrom - 1, rowTo + 1);
    this.#reserve(1);
    this.#bytes[this.#length++] = LINE_END;
  }

  /** The lines since the last call; valid until the next `add`. */
  take(): Buffer {
    const lines = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return lines;
  }

  /** Where the room is reserved. A call of native code would take longer than so few bytes. */
  #copyShort(bytes: Buffer, from: number, to: number): void {
    const target = this.#bytes;
    let length = this.#length;
    for (let at = from; at < to; at++) target[length++] = bytes[at] as number;
    this.#length = length;
  }

  #copy(bytes: Buffer): void {
    this.#copyOf(bytes, 0, bytes.length);
  }

  #copyOf(bytes: Buffer, from: number, to: number): void {
    this.#reserve(to - from);
    this.#length += bytes.copy(this.#bytes, this.#length, from, to);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

const EMPTY_OBJECT = Buffer.from('{}');

/** The first fields of a line. */
export const tablePrefix = (schema: string, table: string): Buffer => Buffer.from(`${schema}${FIELD}${table}${FIELD}`);
