import { ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { decimalLayout, putDecimal } from '../bytes/decimal.ts';
import { putQuoted } from '../bytes/json-text.ts';
import { doubleText, putInt32, putInt64, putPadded, putUint32, putUint64 } from '../bytes/number-text.ts';
import { u16, u32 } from '../bytes/row-bytes.ts';
import {
  DOUBLE,
  INT16,
  INT32,
  INT64,
  LARGE_ARRAY,
  LARGE_OBJECT,
  LITERAL,
  OPAQUE,
  SMALL_ARRAY,
  SMALL_OBJECT,
  STRING,
  UINT16,
  UINT32,
  UINT64,
} from './json-type.ts';

/**
 * Converts MySQL's binary JSON to MySQL's own text (format: sql-common/json_binary.h; text: sql-common/json_dom.cc).
 * The input is not trusted: every offset is checked against its container, and depth and output size are bounded.
 */

/** MySQL rejects documents deeper than this (JSON_DOCUMENT_MAX_DEPTH). */
const MAX_DEPTH = 100;

const COMMA = 0x2c;
const COLON = 0x3a;
const SPACE = 0x20;

const LITERALS = ['null', 'true', 'false'];

const malformedJson = (why: string): CdcError => new CdcError('a JSON document in the binlog is malformed', { why });

/** Writes the text of one document. The output is bounded, because offsets can refer to the same bytes many times. */
class JsonbReader {
  readonly src: Buffer;
  readonly out: ByteWriter;
  #budget: number;
  #afterLength = 0;

  constructor(src: Buffer, out: ByteWriter, length: number) {
    this.src = src;
    this.out = out;
    this.#budget = length;
  }

  u16(at: number, end: number): number {
    this.check(at, 2, end);
    return u16(this.src, at);
  }

  u32(at: number, end: number): number {
    this.check(at, 4, end);
    return u32(this.src, at);
  }

  /** Reads a count, size or offset: four bytes in a large container, two in a small one. */
  offset(large: boolean, at: number, end: number): number {
    return large ? this.u32(at, end) : this.u16(at, end);
  }

  check(at: number, length: number, end: number): void {
    if (length < 0 || at + length > end)
      throw malformedJson(`it needs ${length} bytes at offset ${at}, but the value ends at ${end}`);
  }

  /** Charges bytes that are read against the budget, which follows from the length of the document. */
  spend(bytes: number): void {
    this.#budget -= bytes;
    if (this.#budget < 0) throw malformedJson('it refers to the same bytes more than once');
  }

  value(type: number, at: number, end: number, depth: number): void {
    const { src, out } = this;
    switch (type) {
      case SMALL_OBJECT:
      case LARGE_OBJECT:
        return this.container(type === LARGE_OBJECT, true, at, end, depth);
      case SMALL_ARRAY:
      case LARGE_ARRAY:
        return this.container(type === LARGE_ARRAY, false, at, end, depth);
      case LITERAL: {
        this.check(at, 1, end);
        const literal = LITERALS[src[at] as number];
        if (literal === undefined) throw malformedJson(`it has the literal ${src[at]}`);
        return out.ascii(literal);
      }
      case INT16:
        return putInt32(out, (this.u16(at, end) << 16) >> 16);
      case UINT16:
        return putUint32(out, this.u16(at, end));
      case INT32:
        return putInt32(out, this.u32(at, end) | 0);
      case UINT32:
        return putUint32(out, this.u32(at, end));
      case INT64:
        return putInt64(out, this.u32(at + 4, end), this.u32(at, end));
      case UINT64:
        return putUint64(out, this.u32(at + 4, end), this.u32(at, end));
      case DOUBLE:
        this.check(at, 8, end);
        return out.ascii(jsonDoubleText(src.readDoubleLE(at)));
      case STRING: {
        const length = this.variableLength(at, end);
        const from = this.#afterLength;
        this.check(from, length, end);
        this.spend(length);
        return putQuoted(out, src, from, from + length);
      }
      case OPAQUE: {
        this.check(at, 1, end);
        const length = this.variableLength(at + 1, end);
        const from = this.#afterLength;
        this.check(from, length, end);
        this.spend(length);
        return this.opaque(src[at] as number, from, length);
      }
      default:
        throw malformedJson(`it has the value type ${type}`);
    }
  }

  container(large: boolean, object: boolean, at: number, end: number, depth: number): void {
    if (depth > MAX_DEPTH) throw malformedJson(`it is deeper than ${MAX_DEPTH} levels`);
    const { src, out } = this;
    const width = large ? 4 : 2;
    const count = this.offset(large, at, end);
    const size = this.offset(large, at + width, end);
    this.check(at, size, end);
    const own = at + size;
    const keys = at + 2 * width;
    const values = object ? keys + count * (width + 2) : keys;
    this.check(values, count * (1 + width), own);
    this.spend(2 * width + (values - keys) + count * (1 + width));
    out.byte(object ? 0x7b : 0x5b);
    for (let i = 0; i < count; i++) {
      if (i > 0) {
        out.byte(COMMA);
        out.byte(SPACE);
      }
      if (object) {
        const entry = keys + i * (width + 2);
        const from = at + this.offset(large, entry, end);
        const length = this.u16(entry + width, own);
        this.check(from, length, own);
        this.spend(length);
        putQuoted(out, src, from, from + length);
        out.byte(COLON);
        out.byte(SPACE);
      }
      const entry = values + i * (1 + width);
      const type = src[entry] as number;
      const inline =
        type === LITERAL || type === INT16 || type === UINT16 || (large && (type === INT32 || type === UINT32));
      this.value(type, inline ? entry + 1 : at + this.offset(large, entry + 1, end), own, depth + 1);
    }
    out.byte(object ? 0x7d : 0x5d);
  }

  /** Reads a length in groups of seven bits, low group first. `#afterLength` becomes the offset after it. */
  variableLength(at: number, end: number): number {
    let length = 0;
    for (let i = 0; i < 5; i++) {
      this.check(at + i, 1, end);
      const byte = this.src[at + i] as number;
      length += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) {
        this.#afterLength = at + i + 1;
        return length;
      }
    }
    throw malformedJson('a length has more than five bytes');
  }

  opaque(type: number, at: number, length: number): void {
    const { src, out } = this;
    if (type === T.NEWDECIMAL && length >= 2) {
      // The digits are stored in full groups of nine, so a DECIMAL(65) can have a precision of up to 81 here.
      const [precision, scale] = [src[at] as number, src[at + 1] as number];
      const layout = decimalLayout(precision, scale);
      if (scale <= precision && precision <= 81 && layout.byteLength === length - 2) {
        return putDecimal(out, src, at + 2, layout);
      }
    }
    if (length === 8 && (type === T.TIME || type === T.DATE || type === T.DATETIME || type === T.TIMESTAMP)) {
      return putPackedTemporal(out, type, src.readBigInt64LE(at));
    }
    // MySQL prints other types, such as BIT, BLOB and GEOMETRY, as their type code and bytes.
    const lines = src.toString('base64', at, at + length).match(/.{1,76}/g) ?? [];
    out.ascii(`"base64:type${type}:${lines.join('\\n')}"`);
  }
}

/** MySQL's packed temporal has the fraction in its low 24 bits (MySQL: my_time.cc, TIME_from_longlong_*_packed). */
function putPackedTemporal(out: ByteWriter, type: number, packed: bigint): void {
  const negative = packed < 0n;
  const absolute = negative ? -packed : packed;
  const micros = Number(absolute & 0xffffffn);
  const whole = Number(absolute >> 24n);
  out.byte(0x22);
  if (type === T.TIME) {
    if (negative) out.byte(0x2d);
    putClock(out, (whole >> 12) & 0x3ff, (whole >> 6) & 63, whole & 63, micros);
  } else {
    const date = Math.floor(whole / 2 ** 17);
    const yearMonth = date >> 5;
    putPadded(out, Math.floor(yearMonth / 13), 4);
    out.byte(0x2d);
    putPadded(out, yearMonth % 13, 2);
    out.byte(0x2d);
    putPadded(out, date & 31, 2);
    if (type !== T.DATE) {
      const clock = whole % 2 ** 17;
      out.byte(0x20);
      putClock(out, clock >> 12, (clock >> 6) & 63, clock & 63, micros);
    }
  }
  out.byte(0x22);
}

function putClock(out: ByteWriter, hour: number, minute: number, second: number, micros: number): void {
  putPadded(out, hour, hour > 99 ? 3 : 2);
  out.byte(0x3a);
  putPadded(out, minute, 2);
  out.byte(0x3a);
  putPadded(out, second, 2);
  out.byte(0x2e);
  putPadded(out, micros, 6);
}

/**
 * The text of a JSON double as MySQL prints it, with the shortest digits and `.0` on whole numbers. Numbers below 1e-15
 * and whole numbers from 1e15 have an exponent without `+` (MySQL: strings/dtoa.cc, my_gcvt; sql-common/json_dom.cc).
 */
export function jsonDoubleText(value: number): string {
  if (!Number.isFinite(value)) throw malformedJson(`it has the double ${value}`);
  const magnitude = Math.abs(value);
  if ((magnitude >= 1e-6 && magnitude < 1e15) || magnitude === 0) {
    const text = doubleText(value);
    return text.includes('.') ? text : `${text}.0`;
  }
  const [mantissa = '', exponent] = magnitude.toExponential().split('e');
  const digits = mantissa.replace('.', '');
  /** Digits before the point. */
  const whole = Number(exponent) + 1;
  const sign = value < 0 ? '-' : '';
  if (whole > 0 && digits.length > whole) return `${sign}${digits.slice(0, whole)}.${digits.slice(whole)}`;
  if (whole <= 0 && whole > -15) return `${sign}0.${'0'.repeat(-whole)}${digits}`;
  return `${sign}${mantissa}e${Number(exponent)}`;
}

/**
 * Appends the text of the document in `src[from..to)`. An empty document is JSON null, which the server stores for a
 * NOT NULL column without a value.
 */
export function putJsonDocument(out: ByteWriter, src: Buffer, from: number, to: number): void {
  if (from === to) return out.ascii('null');
  // The factor allows bytes that several entries share: the server can store an equal key once.
  new JsonbReader(src, out, (to - from) * 4 + 64).value(src[from] as number, from + 1, to, 0);
}
