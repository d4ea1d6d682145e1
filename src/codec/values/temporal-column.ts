import { type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import { byteAt, checkLength, u24, u32, u32be } from '../bytes/row-bytes.ts';
import type { ValueWriter } from '../bytes/value-writer.ts';
import {
  fractionBytes,
  packedClockSeconds,
  putDate,
  putDateTime,
  putDuration,
  putTimestamp,
  readFraction,
  type TemporalFormat,
  type TemporalStyle,
} from './temporal.ts';

/**
 * Creates the writer of a DATE, TIME, DATETIME or TIMESTAMP column, whose `meta` is its number of fractional digits.
 */
export function temporalWriter({ name, type, meta }: Column, style: TemporalStyle, zeroNull: boolean): ValueWriter {
  const utc = type === T.TIMESTAMP || type === T.TIMESTAMP2;
  const format: TemporalFormat = { style, zeroNull, digits: meta, utc };
  switch (type) {
    case T.DATE:
      return (src, at, _end, out) => {
        const packed = u24(src, at);
        putDate(out, packed >> 9, (packed >> 5) & 15, packed & 31, format);
        return at + 3;
      };
    case T.DATETIME2: {
      const length = 5 + fractionBytes(meta);
      return (src, at, _end, out) => {
        // 40 big-endian bits: sign 1, year * 13 + month 17, day 5, hour 5, minute 6, second 6.
        const low = u32be(src, at + 1);
        const yearMonth = (byteAt(src, at) & 0x7f) * 1024 + (low >>> 22);
        const second = packedClockSeconds(low & 0x1ffff, 23);
        const year = Math.floor(yearMonth / 13);
        const micros = readFraction(src, at + 5, meta);
        putDateTime(out, year, yearMonth - year * 13, (low >> 17) & 31, second, micros, format);
        return at + length;
      };
    }
    case T.TIMESTAMP2: {
      const length = 4 + fractionBytes(meta);
      return (src, at, _end, out) => {
        putTimestamp(out, u32be(src, at), readFraction(src, at + 4, meta), format);
        return at + length;
      };
    }
    case T.TIME2: {
      const fraction = fractionBytes(meta);
      return (src, at, _end, out) => {
        // Clock and fraction bytes are one signed number with an offset that makes it unsigned: -1 us is
        // 0x7fffff.ffffff.
        let packed = (byteAt(src, at) << 16) | (byteAt(src, at + 1) << 8) | byteAt(src, at + 2);
        for (let i = 0; i < fraction; i++) packed = packed * 256 + byteAt(src, at + 3 + i);
        const scale = 256 ** fraction;
        packed -= 0x800000 * scale;
        const absolute = Math.abs(packed);
        const clock = Math.floor(absolute / scale);
        const micros = (absolute - clock * scale) * (fraction === 1 ? 10_000 : fraction === 2 ? 100 : 1);
        const seconds = packedClockSeconds(clock, 838);
        putDuration(out, packed < 0, seconds, micros, format);
        return at + 3 + fraction;
      };
    }
    // The formats before MySQL 5.6. Only MariaDB has them with a fraction. The binlog does not contain the fractional
    // digits, so they come from the resolved table schema, and a value out of range is an error.
    case T.TIME:
      return meta > 0 ? oldTimeFraction(format) : oldTime(format);
    case T.DATETIME:
      return meta > 0 ? oldDateTimeFraction(format) : oldDateTime(format);
    case T.TIMESTAMP:
      return oldTimestamp(format);
    default:
      throw new CdcError(`column ${name} has the binlog type ${type}, which is not a date or time`);
  }
}

/** An integer whose decimal digits are hhmmss. */
function oldTime(format: TemporalFormat): ValueWriter {
  return (src, at, end, out) => {
    checkLength(at, 3, end);
    const packed = (u24(src, at) << 8) >> 8;
    putDuration(out, packed < 0, clockSeconds(Math.abs(packed), 838), 0, format);
    return at + 3;
  };
}

/** An integer whose decimal digits are yyyymmddhhmmss. */
function oldDateTime(format: TemporalFormat): ValueWriter {
  return (src, at, end, out) => {
    checkLength(at, 8, end);
    const packed = u32(src, at + 4) * 0x100000000 + u32(src, at);
    const date = Math.floor(packed / 1e6);
    const year = Math.floor(date / 10_000);
    const month = Math.floor(date / 100) % 100;
    const day = date % 100;
    if (year > 9999 || month > 12 || day > 31) throw notOldFormat();
    putDateTime(out, year, month, day, clockSeconds(packed - date * 1e6, 23), 0, format);
    return at + 8;
  };
}

function clockSeconds(hhmmss: number, maxHour: number): number {
  const hour = Math.floor(hhmmss / 10_000);
  const minute = Math.floor(hhmmss / 100) % 100;
  const second = hhmmss % 100;
  if (hour > maxHour || minute > 59 || second > 59) throw notOldFormat();
  return hour * 3600 + minute * 60 + second;
}

const notOldFormat = (): CdcError =>
  new CdcError('a TIME or DATETIME in the format before MySQL 5.6 is out of range', {
    why: 'the column has fractional digits that the binlog does not contain, or the event is damaged',
    hint: 'run ALTER TABLE … FORCE with mysql56_temporal_format=ON on MariaDB, or exclude the table from `tables`',
  });

/**
 * Bytes of MariaDB's old formats, by fractional digits (MariaDB: hires_bytes of Type_handler_time, _datetime,
 * _timestamp).
 */
const OLD_TIME_BYTES = [3, 4, 4, 5, 5, 5, 6];
const OLD_DATETIME_BYTES = [5, 6, 6, 7, 7, 7, 8];
const OLD_FRACTION_BYTES = [0, 1, 1, 2, 2, 3, 3];
const MAX_TIME_SECONDS = 838 * 3600 + 59 * 60 + 59;

/** An unsigned big-endian number of units of the last digit, with an offset so that no TIME is negative. */
function oldTimeFraction(format: TemporalFormat): ValueWriter {
  const { digits } = format;
  const length = OLD_TIME_BYTES[digits] as number;
  const unit = 10 ** digits;
  // MariaDB's zero_point is one second more than the largest TIME.
  const zero = (MAX_TIME_SECONDS + 1) * unit;
  return (src, at, end, out) => {
    checkLength(at, length, end);
    const units = src.readUIntBE(at, length) - zero;
    const absolute = Math.abs(units);
    const seconds = Math.floor(absolute / unit);
    if (seconds > MAX_TIME_SECONDS) throw notOldFormat();
    putDuration(out, units < 0, seconds, (absolute - seconds * unit) * 10 ** (6 - digits), format);
    return at + length;
  };
}

/** An unsigned big-endian number of units of the last digit: ((((y * 13 + m) * 32 + d) * 24 + h) * 60 + i) * 60 + s. */
function oldDateTimeFraction(format: TemporalFormat): ValueWriter {
  const { digits } = format;
  const length = OLD_DATETIME_BYTES[digits] as number;
  const unit = 10n ** BigInt(digits);
  return (src, at, end, out) => {
    checkLength(at, length, end);
    const high = BigInt(length > 4 ? src.readUIntBE(at, length - 4) : 0);
    const packed = (high << 32n) | BigInt(u32be(src, at + length - 4));
    const micros = Number(packed % unit) * 10 ** (6 - digits);
    const whole = Number(packed / unit);
    const day = Math.floor(whole / 86_400);
    const month = Math.floor(day / 32);
    const year = Math.floor(month / 13);
    if (year > 9999) throw notOldFormat();
    putDateTime(out, year, month % 13, day % 32, whole % 86_400, micros, format);
    return at + length;
  };
}

/** Four bytes of seconds: little-endian without a fraction, big-endian and followed by the fraction otherwise. */
function oldTimestamp(format: TemporalFormat): ValueWriter {
  const { digits } = format;
  const fraction = OLD_FRACTION_BYTES[digits] as number;
  return (src, at, end, out) => {
    checkLength(at, 4 + fraction, end);
    if (fraction === 0) putTimestamp(out, u32(src, at), 0, format);
    else {
      const micros = src.readUIntBE(at + 4, fraction) * 10 ** (6 - digits);
      if (micros > 999_999) throw notOldFormat();
      putTimestamp(out, u32be(src, at), micros, format);
    }
    return at + 4 + fraction;
  };
}
