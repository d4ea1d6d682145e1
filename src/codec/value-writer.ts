import { BINARY_COLLATION, type Column, ColumnType as T } from '../change/table.ts';
import { CdcError } from '../error.ts';
import { type Charsets, charsetOf, decodeText, escapedBytes, isSingleByte, isUtf8Charset } from './charset.ts';
import { decimalLayout, putDecimal } from './decimal.ts';
import { putJsonDocument } from './json-binary.ts';
import { isValidText, putEscaped, putQuoted, quoted } from './json-text.ts';
import { doubleText, floatText, putInt32, putInt64, putUint32, putUint53, putUint64 } from './number-text.ts';
import { Output } from './output.ts';
import { fractionBytes, putDate, putDateTime, putDuration, putTimestamp, readFraction } from './temporal.ts';

/** How values are written; the `values` section of the configuration. */
export interface ValueFormat {
  bigint: 'number' | 'string';
  decimal: 'string' | 'number';
  json: 'string' | 'nested';
  binary: 'base64' | 'hex';
  temporal: 'iso' | 'mysql' | 'epoch_micros';
  zero_dates: 'text' | 'null';
}

/**
 * Writes one non-NULL value: reads it at `at` in the row image, which ends at `end`, appends its JSON to `out` and
 * returns the offset behind it. A fixed-size read may pass `end` inside the buffer; the caller checks the sum.
 */
export type ValueWriter = (src: Buffer, at: number, end: number, out: Output) => number;

const QUOTE = 0x22;

const byteAt = (src: Buffer, at: number): number => src[at] as number;
const u16 = (src: Buffer, at: number): number => byteAt(src, at) | (byteAt(src, at + 1) << 8);
const u24 = (src: Buffer, at: number): number => u16(src, at) | (byteAt(src, at + 2) << 16);
const u32 = (src: Buffer, at: number): number => (u24(src, at) | (byteAt(src, at + 3) << 24)) >>> 0;
const u32be = (src: Buffer, at: number): number =>
  ((byteAt(src, at) << 24) | (byteAt(src, at + 1) << 16) | (byteAt(src, at + 2) << 8) | byteAt(src, at + 3)) >>> 0;

const LENGTH_READERS = [(): number => 0, byteAt, u16, u24, u32];

function checkLength(at: number, length: number, end: number): void {
  if (at + length > end) {
    throw new CdcError('a value in a row image is longer than its event', {
      why: `${length} bytes wanted, ${end - at} left`,
    });
  }
}

/** The writer of one column. Row image format: MySQL Field::pack of each type (sql/field.cc, sql-common/my_time.cc). */
export function valueWriter(column: Column, format: ValueFormat, charsets: Charsets): ValueWriter {
  const { type, meta, unsigned } = column;
  const temporal = { style: format.temporal, zeroNull: format.zero_dates === 'null' };
  switch (type) {
    case T.TINY:
      return unsigned
        ? (src, at, _end, out) => {
            putUint32(out, byteAt(src, at));
            return at + 1;
          }
        : (src, at, _end, out) => {
            putInt32(out, (byteAt(src, at) << 24) >> 24);
            return at + 1;
          };
    case T.SHORT:
      return unsigned
        ? (src, at, _end, out) => {
            putUint32(out, u16(src, at));
            return at + 2;
          }
        : (src, at, _end, out) => {
            putInt32(out, (u16(src, at) << 16) >> 16);
            return at + 2;
          };
    case T.INT24:
      return unsigned
        ? (src, at, _end, out) => {
            putUint32(out, u24(src, at));
            return at + 3;
          }
        : (src, at, _end, out) => {
            putInt32(out, (u24(src, at) << 8) >> 8);
            return at + 3;
          };
    case T.LONG:
      return unsigned
        ? (src, at, _end, out) => {
            putUint32(out, u32(src, at));
            return at + 4;
          }
        : (src, at, _end, out) => {
            putInt32(out, u32(src, at) | 0);
            return at + 4;
          };
    case T.LONGLONG: {
      const put = unsigned ? putUint64 : putInt64;
      return maybeQuoted(format.bigint === 'string', (src, at, _end, out) => {
        put(out, u32(src, at + 4), u32(src, at));
        return at + 8;
      });
    }
    case T.YEAR:
      return (src, at, _end, out) => {
        putUint32(out, byteAt(src, at) === 0 ? 0 : 1900 + byteAt(src, at));
        return at + 1;
      };
    case T.BIT:
      return bitWriter((meta + 7) >> 3, format.bigint === 'string' && meta > 53);
    case T.FLOAT:
      return (src, at, end, out) => {
        checkLength(at, 4, end);
        out.ascii(floatText(src.readFloatLE(at)));
        return at + 4;
      };
    case T.DOUBLE:
      return (src, at, end, out) => {
        checkLength(at, 8, end);
        out.ascii(doubleText(src.readDoubleLE(at)));
        return at + 8;
      };
    case T.NEWDECIMAL: {
      const layout = decimalLayout(meta >> 8, meta & 0xff);
      return maybeQuoted(format.decimal === 'string', (src, at, _end, out) => {
        putDecimal(out, src, at, layout);
        return at + layout.byteLength;
      });
    }
    case T.DATE:
      return (src, at, _end, out) => {
        const packed = u24(src, at);
        putDate(out, packed >> 9, (packed >> 5) & 15, packed & 31, temporal);
        return at + 3;
      };
    case T.DATETIME2: {
      const length = 5 + fractionBytes(meta);
      return (src, at, _end, out) => {
        // 40 bits, big-endian: sign 1, year * 13 + month 17, day 5, hour 5, minute 6, second 6.
        const low = u32be(src, at + 1);
        const yearMonth = (byteAt(src, at) & 0x7f) * 1024 + (low >>> 22);
        const second = ((low >> 12) & 31) * 3600 + ((low >> 6) & 63) * 60 + (low & 63);
        const year = Math.floor(yearMonth / 13);
        const micros = readFraction(src, at + 5, meta);
        putDateTime(out, year, yearMonth - year * 13, (low >> 17) & 31, second, micros, meta, false, temporal);
        return at + length;
      };
    }
    case T.TIMESTAMP2: {
      const length = 4 + fractionBytes(meta);
      return (src, at, _end, out) => {
        putTimestamp(out, u32be(src, at), readFraction(src, at + 4, meta), meta, temporal);
        return at + length;
      };
    }
    case T.TIME2: {
      const fraction = fractionBytes(meta);
      return (src, at, _end, out) => {
        // One signed number over clock and fraction bytes, offset to be unsigned: -1 us is 0x7fffff.ffffff.
        let packed = (byteAt(src, at) << 16) | (byteAt(src, at + 1) << 8) | byteAt(src, at + 2);
        for (let i = 0; i < fraction; i++) packed = packed * 256 + byteAt(src, at + 3 + i);
        const scale = 256 ** fraction;
        packed -= 0x800000 * scale;
        const absolute = Math.abs(packed);
        const clock = Math.floor(absolute / scale);
        const micros = (absolute - clock * scale) * (fraction === 1 ? 10_000 : fraction === 2 ? 100 : 1);
        const seconds = ((clock >> 12) & 0x3ff) * 3600 + ((clock >> 6) & 63) * 60 + (clock & 63);
        putDuration(out, packed < 0, seconds, micros, meta, temporal);
        return at + 3 + fraction;
      };
    }
    // The formats before MySQL 5.6: decimal digits in an integer.
    case T.TIME:
      return (src, at, _end, out) => {
        const packed = (u24(src, at) << 8) >> 8;
        const n = Math.abs(packed);
        const seconds = Math.floor(n / 10_000) * 3600 + (Math.floor(n / 100) % 100) * 60 + (n % 100);
        putDuration(out, packed < 0, seconds, 0, 0, temporal);
        return at + 3;
      };
    case T.DATETIME:
      return (src, at, _end, out) => {
        const n = u32(src, at + 4) * 0x100000000 + u32(src, at);
        const date = Math.floor(n / 1e6);
        const clock = n - date * 1e6;
        const second = Math.floor(clock / 10_000) * 3600 + (Math.floor(clock / 100) % 100) * 60 + (clock % 100);
        putDateTime(
          out,
          Math.floor(date / 10_000),
          Math.floor(date / 100) % 100,
          date % 100,
          second,
          0,
          0,
          false,
          temporal,
        );
        return at + 8;
      };
    case T.TIMESTAMP:
      return (src, at, _end, out) => {
        putTimestamp(out, u32(src, at), 0, 0, temporal);
        return at + 4;
      };
    case T.VARCHAR:
    case T.VAR_STRING:
      return bytesWriter(column, meta > 255 ? 2 : 1, format, charsets);
    case T.STRING:
      return column.collation === BINARY_COLLATION
        ? fixedBinaryWriter(meta, format.binary)
        : bytesWriter(column, meta > 255 ? 2 : 1, format, charsets);
    case T.BLOB:
    case T.TINY_BLOB:
    case T.MEDIUM_BLOB:
    case T.LONG_BLOB:
      return bytesWriter(column, meta, format, charsets);
    case T.ENUM:
      return enumWriter(column.labels, meta);
    case T.SET:
      return setWriter(column.labels, meta);
    case T.JSON:
      return jsonWriter(meta, format.json === 'nested');
    case T.GEOMETRY:
      return geometryWriter(meta, format.binary);
    case T.VECTOR:
      return vectorWriter(meta);
    default:
      throw new CdcError(`column ${column.name} has the binlog type ${type}, which is not known`, {
        hint: 'exclude the table from `tables` and report the type',
      });
  }
}

function maybeQuoted(quote: boolean, write: ValueWriter): ValueWriter {
  if (!quote) return write;
  return (src, at, end, out) => {
    out.byte(QUOTE);
    const next = write(src, at, end, out);
    out.byte(QUOTE);
    return next;
  };
}

function bitWriter(length: number, asString: boolean): ValueWriter {
  return maybeQuoted(asString, (src, at, end, out) => {
    checkLength(at, length, end);
    if (length <= 6) putUint53(out, src.readUIntBE(at, length));
    else putUint64(out, length === 8 ? u32be(src, at) : u32be(src, at - 1) & 0xffffff, u32be(src, at + length - 4));
    return at + length;
  });
}

/** Appends bytes as a base64 or hex string. */
function putBinary(out: Output, src: Buffer, from: number, to: number, encoding: 'base64' | 'hex'): void {
  const room = encoding === 'hex' ? (to - from) * 2 : Math.ceil((to - from) / 3) * 4;
  out.ensure(room + 2);
  out.byte(QUOTE);
  out.at += out.bytes.write(src.toString(encoding, from, to), out.at, 'latin1');
  out.byte(QUOTE);
}

/** VARCHAR, VARBINARY, CHAR, TEXT and BLOB: a length of `width` bytes, then the bytes. */
function bytesWriter(column: Column, width: number, format: ValueFormat, charsets: Charsets): ValueWriter {
  const length = LENGTH_READERS[width];
  if (length === undefined) throw new CdcError(`column ${column.name} has a length of ${width} bytes`);
  const put = textPutter(column, format, charsets);
  return (src, at, end, out) => {
    checkLength(at, width, end);
    const from = at + width;
    const size = length(src, at);
    checkLength(from, size, end);
    put(out, src, from, from + size);
    return from + size;
  };
}

type Putter = (out: Output, src: Buffer, from: number, to: number) => void;

function textPutter(column: Column, format: ValueFormat, charsets: Charsets): Putter {
  if (column.collation === BINARY_COLLATION) {
    return (out, src, from, to) => putBinary(out, src, from, to, format.binary);
  }
  const charset = charsetOf(column.collation, charsets);
  if (isUtf8Charset(charset)) {
    return (out, src, from, to) => {
      if (isValidText(src, from, to)) putQuoted(out, src, from, to);
      else out.put(quoted(src.toString('utf8', from, to)));
    };
  }
  if (isSingleByte(charset)) {
    const escaped = escapedBytes(charset);
    return (out, src, from, to) => {
      out.byte(QUOTE);
      for (let i = from; i < to; i++) out.put(escaped[src[i] as number] as Buffer);
      out.byte(QUOTE);
    };
  }
  return (out, src, from, to) => out.put(quoted(decodeText(src.subarray(from, to), charset)));
}

/** BINARY(n): the binlog drops trailing zero bytes, the value has them. */
function fixedBinaryWriter(length: number, encoding: 'base64' | 'hex'): ValueWriter {
  const width = length > 255 ? 2 : 1;
  return (src, at, end, out) => {
    checkLength(at, width, end);
    const size = width === 2 ? u16(src, at) : byteAt(src, at);
    checkLength(at + width, size, end);
    const from = at + width;
    if (size >= length) putBinary(out, src, from, from + size, encoding);
    else {
      const padded = Buffer.alloc(length);
      src.copy(padded, 0, from, from + size);
      putBinary(out, padded, 0, length, encoding);
    }
    return from + size;
  };
}

function enumWriter(labels: readonly string[], width: number): ValueWriter {
  // Index 0 is the empty string that an invalid value became.
  const texts = ['', ...labels].map(quoted);
  return (src, at, _end, out) => {
    const index = width === 1 ? byteAt(src, at) : u16(src, at);
    const text = texts[index];
    if (text === undefined) throw new CdcError(`an ENUM value has index ${index} of ${labels.length} labels`);
    out.put(text);
    return at + width;
  };
}

function setWriter(labels: readonly string[], width: number): ValueWriter {
  const texts = labels.map((label) => quoted(label).subarray(1, -1));
  return (src, at, end, out) => {
    checkLength(at, width, end);
    let first = true;
    out.byte(QUOTE);
    for (let i = 0; i < width * 8; i++) {
      if ((byteAt(src, at + (i >> 3)) & (1 << (i & 7))) === 0) continue;
      const text = texts[i];
      if (text === undefined) throw new CdcError(`a SET value has member ${i} of ${labels.length} labels`);
      if (!first) out.byte(0x2c);
      out.put(text);
      first = false;
    }
    out.byte(QUOTE);
    return at + width;
  };
}

/** Four length bytes at most, then the payload. */
function lengthAndPayload(width: number, put: Putter): ValueWriter {
  const length = LENGTH_READERS[width] ?? u32;
  return (src, at, end, out) => {
    checkLength(at, width, end);
    const size = length(src, at);
    checkLength(at + width, size, end);
    put(out, src, at + width, at + width + size);
    return at + width + size;
  };
}

function jsonWriter(width: number, nested: boolean): ValueWriter {
  if (nested) return lengthAndPayload(width, putJsonDocument);
  const document = new Output(4096);
  return lengthAndPayload(width, (out, src, from, to) => {
    document.at = 0;
    putJsonDocument(document, src, from, to);
    out.byte(QUOTE);
    putEscaped(out, document.bytes, 0, document.at);
    out.byte(QUOTE);
  });
}

function geometryWriter(width: number, encoding: 'base64' | 'hex'): ValueWriter {
  return lengthAndPayload(width, (out, src, from, to) => {
    checkLength(from, 4, to);
    out.ascii('{"srid":');
    putUint32(out, u32(src, from));
    out.ascii(',"wkb":');
    putBinary(out, src, from + 4, to, encoding);
    out.byte(0x7d);
  });
}

function vectorWriter(width: number): ValueWriter {
  return lengthAndPayload(width, (out, src, from, to) => {
    if ((to - from) % 4 !== 0)
      throw new CdcError(`a VECTOR value has ${to - from} bytes, which is no multiple of four`);
    out.byte(0x5b);
    for (let at = from; at < to; at += 4) {
      if (at > from) out.byte(0x2c);
      out.ascii(floatText(src.readFloatLE(at)));
    }
    out.byte(0x5d);
  });
}
