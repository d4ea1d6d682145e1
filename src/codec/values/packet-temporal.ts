import { type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import { byteAt, checkLength, u16, u32 } from '../bytes/row-bytes.ts';
import type { ValueWriter } from '../bytes/value-writer.ts';
import { putDate, putDateTime, putDuration, type TemporalFormat, type TemporalStyle } from './temporal.ts';

const MAX_HOUR = 838;

/**
 * Creates the writer of a DATE, TIME, DATETIME or TIMESTAMP column in a row packet. A value has a length byte, then the
 * date (4 bytes), the time of day (3) and the microseconds (4), without those at the end that are all zero (MySQL:
 * Protocol_binary::store_datetime). A TIMESTAMP is in the time zone of the session, which is UTC.
 */
export function packetTemporalWriter({ type, meta }: Column, style: TemporalStyle, zeroNull: boolean): ValueWriter {
  const utc = type === T.TIMESTAMP || type === T.TIMESTAMP2;
  const format: TemporalFormat = { style, zeroNull, digits: meta, utc };
  switch (type) {
    case T.DATE:
      return dateWriter(format);
    case T.TIME:
    case T.TIME2:
      return timeWriter(format);
    default:
      return dateTimeWriter(format);
  }
}

function dateWriter(format: TemporalFormat): ValueWriter {
  return (src, at, end, out) => {
    const length = lengthOf(src, at, end, 4, 4);
    if (length === 0) putDate(out, 0, 0, 0, format);
    else putDate(out, u16(src, at + 1), byteAt(src, at + 3), byteAt(src, at + 4), format);
    return at + 1 + length;
  };
}

function dateTimeWriter(format: TemporalFormat): ValueWriter {
  return (src, at, end, out) => {
    const length = lengthOf(src, at, end, 4, 7);
    if (length === 0) putDateTime(out, 0, 0, 0, 0, 0, format);
    else {
      const second = length > 4 ? clockSeconds(src, at + 5, 23) : 0;
      const micros = length > 7 ? u32(src, at + 8) : 0;
      putDateTime(out, u16(src, at + 1), byteAt(src, at + 3), byteAt(src, at + 4), second, micros, format);
    }
    return at + 1 + length;
  };
}

/** A sign byte and days, then the time of day. */
function timeWriter(format: TemporalFormat): ValueWriter {
  return (src, at, end, out) => {
    const length = lengthOf(src, at, end, 8, 8);
    if (length === 0) putDuration(out, false, 0, 0, format);
    else {
      const seconds = u32(src, at + 2) * 86_400 + clockSeconds(src, at + 6, 23);
      if (seconds >= (MAX_HOUR + 1) * 3600) throw outOfRange(`a TIME has ${seconds} seconds`);
      putDuration(out, byteAt(src, at + 1) !== 0, seconds, length > 8 ? u32(src, at + 9) : 0, format);
    }
    return at + 1 + length;
  };
}

/** The length of the value: nothing, the shorter or the longer form without a fraction, or the latter with one. */
function lengthOf(src: Buffer, at: number, end: number, short: number, long: number): number {
  const length = byteAt(src, at);
  if (length !== 0 && length !== short && length !== long && length !== long + 4)
    throw outOfRange(`it has a length of ${length}`);
  checkLength(at + 1, length, end);
  return length;
}

function clockSeconds(src: Buffer, at: number, maxHour: number): number {
  const hour = byteAt(src, at);
  const minute = byteAt(src, at + 1);
  const second = byteAt(src, at + 2);
  if (hour > maxHour || minute > 59 || second > 59) throw outOfRange(`the time of day is ${hour}:${minute}:${second}`);
  return hour * 3600 + minute * 60 + second;
}

const outOfRange = (why: string): CdcError =>
  new CdcError('a date or time in a row packet is out of range', {
    why,
    hint: 'the result of the SELECT has other columns than its table; report it (nothing was skipped)',
  });
