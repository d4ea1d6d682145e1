import { BINARY_COLLATION, type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { decimalLayout, putDecimal } from '../bytes/decimal.ts';
import { putEscaped } from '../bytes/json-text.ts';
import { doubleText, floatText, putInt32, putInt64, putUint32, putUint53, putUint64 } from '../bytes/number-text.ts';
import { byteAt, checkLength, u16, u24, u32, u32be } from '../bytes/row-bytes.ts';
import type { BytesFormatter, ValueWriter } from '../bytes/value-writer.ts';
import type { Charsets } from '../charset/charset.ts';
import { putJsonDocument } from '../json/json-binary.ts';
import { putInet4, putInet6, putUuid } from './mariadb-type.ts';
import {
  bytesWriter,
  compressedWriter,
  enumWriter,
  fixedBytesWriter,
  putBinary,
  setWriter,
  sizedWriter,
} from './string-column.ts';
import { temporalWriter } from './temporal-column.ts';
import type { ValueFormat } from './value-format.ts';

const QUOTE = 0x22;
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');

/**
 * Creates the writer of one column.
 * Row image format: Field::pack of each type (MySQL: sql/field.cc, sql-common/my_time.cc).
 */
export function createValueWriter(column: Column, format: ValueFormat, charsets: Charsets): ValueWriter {
  const { type, meta } = column;
  switch (type) {
    case T.TINY:
    case T.SHORT:
    case T.INT24:
    case T.LONG:
      return integerWriter(type, column.unsigned);
    case T.TINY1:
      return orBoolean(integerWriter(T.TINY, false), format.boolean.includes('tinyint1'));
    case T.LONGLONG:
      return bigintWriter(column.unsigned, format.bigint === 'string');
    case T.YEAR:
      return yearWriter;
    case T.BIT:
      return orBoolean(
        bitWriter((meta + 7) >> 3, format.bigint === 'string' && meta > 53),
        meta === 1 && format.boolean.includes('bit1'),
      );
    case T.FLOAT:
      return floatWriter;
    case T.DOUBLE:
      return doubleWriter;
    case T.NEWDECIMAL:
      return decimalWriter(meta >> 8, meta & 0xff, format.decimal === 'string');
    case T.DATE:
    case T.TIME:
    case T.TIME2:
    case T.DATETIME:
    case T.DATETIME2:
    case T.TIMESTAMP:
    case T.TIMESTAMP2:
      return temporalWriter(column, format.temporal, format.zero_dates === 'null');
    case T.STRING:
      if (column.collation === BINARY_COLLATION) return binaryWriter(meta, format.binary);
      return bytesWriter(column, meta > 255 ? 2 : 1, format, charsets);
    case T.VARCHAR:
    case T.VAR_STRING:
      return bytesWriter(column, meta > 255 ? 2 : 1, format, charsets);
    case T.VARCHAR_COMPRESSED:
      return compressedWriter(column, meta > 255 ? 2 : 1, format, charsets);
    case T.BLOB:
    case T.TINY_BLOB:
    case T.MEDIUM_BLOB:
    case T.LONG_BLOB:
      return bytesWriter(column, meta, format, charsets);
    case T.BLOB_COMPRESSED:
      return compressedWriter(column, meta, format, charsets);
    case T.UUID:
      return fixedBytesWriter(16, putUuid);
    case T.INET4:
      return fixedBytesWriter(4, putInet4);
    case T.INET6:
      return fixedBytesWriter(16, putInet6);
    case T.ENUM:
      return enumWriter(column.labels, meta);
    case T.SET:
      return setWriter(column.labels, meta);
    case T.JSON:
      return jsonWriter(meta, format.json === 'nested');
    case T.GEOMETRY:
      return sizedWriter(meta, geometryFormatter(format.binary));
    case T.VECTOR:
      return sizedWriter(meta, vectorFormatter);
    default:
      throw new CdcError(`column ${column.name} has the unknown binlog type ${type}`, {
        hint: 'exclude the table from `tables` and report the type',
      });
  }
}

function integerWriter(
  type: typeof T.TINY | typeof T.SHORT | typeof T.INT24 | typeof T.LONG,
  unsigned: boolean,
): ValueWriter {
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
  }
}

function bigintWriter(unsigned: boolean, asString: boolean): ValueWriter {
  const put = unsigned ? putUint64 : putInt64;
  return quotedIf(asString, (src, at, _end, out) => {
    put(out, u32(src, at + 4), u32(src, at));
    return at + 8;
  });
}

const yearWriter: ValueWriter = (src, at, _end, out) => {
  putUint32(out, byteAt(src, at) === 0 ? 0 : 1900 + byteAt(src, at));
  return at + 1;
};

function bitWriter(length: number, asString: boolean): ValueWriter {
  return quotedIf(asString, (src, at, end, out) => {
    checkLength(at, length, end);
    if (length <= 6) putUint53(out, src.readUIntBE(at, length));
    else putUint64(out, length === 8 ? u32be(src, at) : u32be(src, at - 1) & 0xffffff, u32be(src, at + length - 4));
    return at + length;
  });
}

/** The writer of a value of one byte. 0 and 1 become words; any other value keeps its number, so that none is lost. */
function orBoolean(write: ValueWriter, asBoolean: boolean): ValueWriter {
  if (!asBoolean) return write;
  return (src, at, end, out) => {
    const value = byteAt(src, at);
    if (value > 1) return write(src, at, end, out);
    out.copy(value === 1 ? TRUE : FALSE);
    return at + 1;
  };
}

const floatWriter: ValueWriter = (src, at, end, out) => {
  checkLength(at, 4, end);
  out.ascii(floatText(src.readFloatLE(at)));
  return at + 4;
};

const doubleWriter: ValueWriter = (src, at, end, out) => {
  checkLength(at, 8, end);
  out.ascii(doubleText(src.readDoubleLE(at)));
  return at + 8;
};

function decimalWriter(precision: number, scale: number, asString: boolean): ValueWriter {
  const layout = decimalLayout(precision, scale);
  return quotedIf(asString, (src, at, _end, out) => {
    putDecimal(out, src, at, layout);
    return at + layout.byteLength;
  });
}

function quotedIf(quoted: boolean, write: ValueWriter): ValueWriter {
  if (!quoted) return write;
  return (src, at, end, out) => {
    out.byte(QUOTE);
    const next = write(src, at, end, out);
    out.byte(QUOTE);
    return next;
  };
}

function binaryWriter(length: number, encoding: 'base64' | 'hex'): ValueWriter {
  return fixedBytesWriter(length, (out, src, from, to) => putBinary(out, src, from, to, encoding));
}

function jsonWriter(width: number, nested: boolean): ValueWriter {
  if (nested) return sizedWriter(width, putJsonDocument);
  const document = new ByteWriter(4096);
  return sizedWriter(width, (out, src, from, to) => {
    document.at = 0;
    putJsonDocument(document, src, from, to);
    out.byte(QUOTE);
    putEscaped(out, document.bytes, 0, document.at);
    out.byte(QUOTE);
  });
}

export function geometryFormatter(encoding: 'base64' | 'hex'): BytesFormatter {
  return (out, src, from, to) => {
    checkLength(from, 4, to);
    out.ascii('{"srid":');
    putUint32(out, u32(src, from));
    out.ascii(',"wkb":');
    putBinary(out, src, from + 4, to, encoding);
    out.byte(0x7d);
  };
}

export const vectorFormatter: BytesFormatter = (out, src, from, to) => {
  if ((to - from) % 4 !== 0) throw new CdcError(`a VECTOR value has ${to - from} bytes, not a multiple of four`);
  out.byte(0x5b);
  for (let at = from; at < to; at += 4) {
    if (at > from) out.byte(0x2c);
    out.ascii(floatText(src.readFloatLE(at)));
  }
  out.byte(0x5d);
};
