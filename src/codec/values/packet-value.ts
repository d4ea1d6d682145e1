import { type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import { putQuoted } from '../bytes/json-text.ts';
import { putUint32 } from '../bytes/number-text.ts';
import { byteAt, checkLength, u16, u24, u32 } from '../bytes/row-bytes.ts';
import type { BytesFormatter, ValueWriter } from '../bytes/value-writer.ts';
import type { Charsets } from '../charset/charset.ts';
import { createValueWriter, geometryFormatter, vectorFormatter } from './create-value-writer.ts';
import { MAXWELL_VALUES, putQuotedWkt, setArrayWriter } from './maxwell-value.ts';
import { packetTemporalWriter } from './packet-temporal.ts';
import { bytesFormatter, enumWriter, setWriter } from './string-column.ts';
import type { ValueFormat } from './value-format.ts';

const ZERO = 0x30;
const NINE = 0x39;
const QUOTE = 0x22;

/** Bytes of ENUM and SET, which are selected as BIGINT UNSIGNED: `DeclaredTable.select`. */
const NUMBER_BYTES = 8;

/**
 * Creates the writer of one column of a row packet: a row of the binary protocol, with strings in the column's own
 * character set (character_set_results = NULL) and times in UTC. It writes the same JSON as the writer that
 * `createValueWriter` makes for a row image. (MySQL: Protocol_binary in sql/protocol_classic.cc)
 */
export function createPacketValueWriter(column: Column, format: ValueFormat, charsets: Charsets): ValueWriter {
  const { type, meta } = column;
  switch (type) {
    case T.INT24:
      return createValueWriter({ ...column, type: T.LONG }, format, charsets);
    case T.YEAR:
      return yearWriter;
    case T.BIT:
      return bitWriter((meta + 7) >> 3, createValueWriter(column, format, charsets));
    case T.NEWDECIMAL:
      return lenencWriter(format.decimal === 'string' ? putQuotedDecimal : putDecimalText);
    case T.DATE:
    case T.TIME:
    case T.TIME2:
    case T.DATETIME:
    case T.DATETIME2:
    case T.TIMESTAMP:
    case T.TIMESTAMP2:
      return packetTemporalWriter(column, format.temporal, format.zero_dates === 'null');
    case T.ENUM:
      return numberWriter(enumWriter(column.labels, 2));
    case T.SET:
      return numberWriter(setWriter(column.labels, meta));
    case T.UUID:
    case T.INET4:
    case T.INET6:
      return lenencWriter(putQuoted);
    case T.JSON:
      return lenencWriter(format.json === 'nested' ? putAsIs : putQuoted);
    case T.GEOMETRY:
      return lenencWriter(geometryFormatter(format.binary));
    case T.VECTOR:
      return lenencWriter(vectorFormatter);
    case T.STRING:
    case T.VARCHAR:
    case T.VAR_STRING:
    case T.VARCHAR_COMPRESSED:
    case T.BLOB:
    case T.TINY_BLOB:
    case T.MEDIUM_BLOB:
    case T.LONG_BLOB:
    case T.BLOB_COMPRESSED:
      break;
    default:
      // The other integers and the floats have the same bytes in both.
      return createValueWriter(column, format, charsets);
  }
  return lenencWriter(bytesFormatter(column, format, charsets));
}

/** The same for format maxwell, as `maxwellValueWriter`. */
export function maxwellPacketWriter(column: Column, format: ValueFormat, charsets: Charsets): ValueWriter {
  const { type, labels, meta } = column;
  if (type === T.GEOMETRY) return lenencWriter(putQuotedWkt);
  if (type !== T.SET) return createPacketValueWriter(column, { ...format, ...MAXWELL_VALUES }, charsets);
  return numberWriter(setArrayWriter(labels, meta));
}

/** Reads a length-encoded length, then passes that many bytes to `put`. */
function lenencWriter(put: BytesFormatter): ValueWriter {
  return (src, at, end, out) => {
    let from = at + 1;
    let size = byteAt(src, at);
    if (size > 0xfa) {
      const width = size === 0xfc ? 2 : size === 0xfd ? 3 : 8;
      checkLength(from, width, end);
      size =
        width === 2 ? u16(src, from) : width === 3 ? u24(src, from) : u32(src, from) + u32(src, from + 4) * 2 ** 32;
      from += width;
    }
    checkLength(from, size, end);
    put(out, src, from, from + size);
    return from + size;
  };
}

/** A number that was selected for an ENUM or SET begins with the bytes of the row image. */
function numberWriter(write: ValueWriter): ValueWriter {
  return (src, at, end, out) => {
    checkLength(at, NUMBER_BYTES, end);
    write(src, at, end, out);
    return at + NUMBER_BYTES;
  };
}

/** The bytes of the row image after their length. */
function bitWriter(length: number, write: ValueWriter): ValueWriter {
  return (src, at, end, out) => {
    if (byteAt(src, at) !== length)
      throw new CdcError(`a BIT value has ${byteAt(src, at)} bytes, but its column has ${length}`);
    return write(src, at + 1, end, out);
  };
}

const yearWriter: ValueWriter = (src, at, _end, out) => {
  putUint32(out, u16(src, at));
  return at + 2;
};

const putAsIs: BytesFormatter = (out, src, from, to) => out.copy(src.subarray(from, to));

const putQuotedDecimal: BytesFormatter = (out, src, from, to) => {
  out.byte(QUOTE);
  putDecimalText(out, src, from, to);
  out.byte(QUOTE);
};

/** ZEROFILL, which is unsigned, prints zeros in front; they are display only. */
const putDecimalText: BytesFormatter = (out, src, from, to) => {
  let at = from;
  while (byteAt(src, at) === ZERO && at + 1 < to && byteAt(src, at + 1) >= ZERO && byteAt(src, at + 1) <= NINE) at++;
  out.ensure(to - at);
  const { bytes } = out;
  for (; at < to; at++) bytes[out.at++] = byteAt(src, at);
};
