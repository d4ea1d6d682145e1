import { BINARY_COLLATION, type Column } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { jsonString, putQuoted, putText } from '../bytes/json-text.ts';
import { byteAt, checkLength, LENGTH_READERS, u16 } from '../bytes/row-bytes.ts';
import type { BytesFormatter, ValueWriter } from '../bytes/value-writer.ts';
import {
  type Charsets,
  charsetOf,
  decodeText,
  endOfPiece,
  escapedBytes,
  extendsAscii,
  isSingleByte,
  isUtf8Charset,
} from '../charset/charset.ts';
import { inflateColumn } from './compressed-column.ts';
import type { ValueFormat } from './value-format.ts';

/** Bytes of text that are decoded at once. A multiple of the widest unit, 4. */
const TEXT_PIECE_BYTES = 16 * 1024 * 1024;
/** Bytes that become a string at once, a multiple of 3 for base64. A whole value can be too long for a string. */
const BINARY_PIECE_BYTES = 3 * 1024 * 1024;
const QUOTE = 0x22;
const COMMA = 0x2c;

/** Reads a length of `width` bytes, then passes that many bytes to `put`. */
export function sizedWriter(width: number, put: BytesFormatter): ValueWriter {
  const length = LENGTH_READERS[width];
  if (length === undefined || width === 0)
    throw new CdcError(`a column has a length prefix of ${width} bytes`, { why: 'the width must be 1 to 4' });
  return (src, at, end, out) => {
    checkLength(at, width, end);
    const from = at + width;
    const size = length(src, at);
    checkLength(from, size, end);
    put(out, src, from, from + size);
    return from + size;
  };
}

/** CHAR, VARCHAR, VARBINARY, TEXT and BLOB. */
export function bytesWriter(column: Column, width: number, format: ValueFormat, charsets: Charsets): ValueWriter {
  return sizedWriter(width, bytesFormatter(column, format, charsets));
}

/** The same types as COMPRESSED columns of MariaDB. */
export function compressedWriter(column: Column, width: number, format: ValueFormat, charsets: Charsets): ValueWriter {
  const put = bytesFormatter(column, format, charsets);
  return sizedWriter(width, (out, src, from, to) => {
    const whole = inflateColumn(src, from, to);
    put(out, whole, 0, whole.length);
  });
}

/** Appends bytes as a base64 or hex string. */
export function putBinary(out: ByteWriter, src: Buffer, from: number, to: number, encoding: 'base64' | 'hex'): void {
  const room = encoding === 'hex' ? (to - from) * 2 : Math.ceil((to - from) / 3) * 4;
  out.ensure(room + 2);
  out.byte(QUOTE);
  for (let at = from; at < to; at += BINARY_PIECE_BYTES) {
    const text = src.toString(encoding, at, Math.min(to, at + BINARY_PIECE_BYTES));
    out.at += out.bytes.write(text, out.at, 'latin1');
  }
  out.byte(QUOTE);
}

/** The formatter of the plain bytes of the same types. */
export function bytesFormatter(column: Column, format: ValueFormat, charsets: Charsets): BytesFormatter {
  if (column.collation === BINARY_COLLATION) {
    return (out, src, from, to) => putBinary(out, src, from, to, format.binary);
  }
  const charset = charsetOf(column.collation, charsets);
  if (isUtf8Charset(charset)) {
    return (out, src, from, to) => {
      if (!putText(out, src, from, to)) putDecoded(out, src, from, to, charset);
    };
  }
  const convert = isSingleByte(charset) ? singleByteConverter(charset) : converter(charset);
  if (!extendsAscii(charset)) return convert;
  return (out, src, from, to) => {
    if (isAscii(src, from, to)) putQuoted(out, src, from, to);
    else convert(out, src, from, to);
  };
}

function singleByteConverter(charset: string): BytesFormatter {
  const escaped = escapedBytes(charset);
  return (out, src, from, to) => {
    out.byte(QUOTE);
    for (let i = from; i < to; i++) out.copy(escaped[byteAt(src, i)] as Buffer);
    out.byte(QUOTE);
  };
}

function converter(charset: string): BytesFormatter {
  return (out, src, from, to) => putDecoded(out, src, from, to, charset);
}

/** Appends text of another character set as a JSON string, in pieces: a string has at most 2^29 characters. */
function putDecoded(out: ByteWriter, src: Buffer, from: number, to: number, charset: string): void {
  if (to - from <= TEXT_PIECE_BYTES) return out.copy(jsonString(decodeText(src.subarray(from, to), charset)));
  out.byte(QUOTE);
  for (let at = from; at < to; ) {
    const limit = at + TEXT_PIECE_BYTES;
    const end = limit < to ? (endOfPiece(src, at, limit, charset) ?? to) : to;
    out.copy(jsonString(decodeText(src.subarray(at, end), charset)).subarray(1, -1));
    at = end;
  }
  out.byte(QUOTE);
}

function isAscii(src: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (byteAt(src, i) >= 0x80) return false;
  return true;
}

/** BINARY(n). The binlog drops trailing zero bytes, so they are added again. */
export function fixedBytesWriter(length: number, put: BytesFormatter): ValueWriter {
  const width = length > 255 ? 2 : 1;
  return (src, at, end, out) => {
    checkLength(at, width, end);
    const size = width === 2 ? u16(src, at) : byteAt(src, at);
    checkLength(at + width, size, end);
    const from = at + width;
    if (size >= length) put(out, src, from, from + size);
    else {
      const padded = Buffer.alloc(length);
      src.copy(padded, 0, from, from + size);
      put(out, padded, 0, length);
    }
    return from + size;
  };
}

export function enumWriter(labels: readonly string[], width: number): ValueWriter {
  // Index 0 is the empty string, which the server stores for an invalid value.
  const texts = ['', ...labels].map(jsonString);
  return (src, at, _end, out) => {
    const index = width === 1 ? byteAt(src, at) : u16(src, at);
    const text = texts[index];
    if (text === undefined)
      throw new CdcError(`an ENUM value has index ${index}, but the column has ${labels.length} labels`);
    out.copy(text);
    return at + width;
  };
}

export function setWriter(labels: readonly string[], width: number): ValueWriter {
  const texts = labels.map((label) => jsonString(label).subarray(1, -1));
  return (src, at, end, out) => {
    checkLength(at, width, end);
    let first = true;
    out.byte(QUOTE);
    for (let i = 0; i < width * 8; i++) {
      if ((byteAt(src, at + (i >> 3)) & (1 << (i & 7))) === 0) continue;
      const text = texts[i];
      if (text === undefined)
        throw new CdcError(`a SET value has member ${i}, but the column has ${labels.length} labels`);
      if (!first) out.byte(COMMA);
      out.copy(text);
      first = false;
    }
    out.byte(QUOTE);
    return at + width;
  };
}
