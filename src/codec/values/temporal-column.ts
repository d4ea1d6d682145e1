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
  type TemporalOptions,
} from './temporal.ts';

/** The writer of a DATE, TIME, DATETIME or TIMESTAMP column. */
export function temporalWriter({ name, type, meta }: Column, options: TemporalOptions): ValueWriter {
  switch (type) {
    case T.DATE:
      return (src, at, _end, out) => {
        const packed = u24(src, at);
        putDate(out, packed >> 9, (packed >> 5) & 15, packed & 31, options);
        return at + 3;
      };
    case T.DATETIME2: {
      const length = 5 + fractionBytes(meta);
      return (src, at, _end, out) => {
        // 40 bits, big-endian: sign 1, year * 13 + month 17, day 5, hour 5, minute 6, second 6.
        const low = u32be(src, at + 1);
        const yearMonth = (byteAt(src, at) & 0x7f) * 1024 + (low >>> 22);
        const second = packedClockSeconds(low & 0x1ffff, 23);
        const year = Math.floor(yearMonth / 13);
        const micros = readFraction(src, at + 5, meta);
        putDateTime(out, year, yearMonth - year * 13, (low >> 17) & 31, second, micros, meta, false, options);
        return at + length;
      };
    }
    case T.TIMESTAMP2: {
      const length = 4 + fractionBytes(meta);
      return (src, at, _end, out) => {
        putTimestamp(out, u32be(src, at), readFraction(src, at + 4, meta), meta, options);
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
        const seconds = packedClockSeconds(clock, 838);
        putDuration(out, packed < 0, seconds, micros, meta, options);
        return at + 3 + fraction;
      };
    }
    // The formats before MySQL 5.6. With a fraction they are MariaDB's alone; the stream does not tell them apart, so
    // the digits come from whoever could prove them, and a value out of range is an error.
    case T.TIME:
      return meta > 0 ? oldTimeFraction(meta, options) : oldTime(options);
    case T.DATETIME:
      return meta > 0 ? oldDateTimeFraction(meta, options) : oldDateTime(options);
    case T.TIMESTAMP:
      return oldTimestamp(meta, options);
    default:
      throw new CdcError(`column ${name} has the binlog type ${type}, which is no date or time`);
  }
}

/** Decimal digits in an integer: hhmmss. */
function oldTime(options: TemporalOptions): ValueWriter {
  return (src, at, end, out) => {
    checkLength(at, 3, end);
    const packed = (u24(src, at) << 8) >> 8;
    putDuration(out, packed < 0, clockSeconds(Math.abs(packed), 838), 0, 0, options);
    return at + 3;
  };
}

/** yyyymmddhhmmss. */
function oldDateTime(options: TemporalOptions): ValueWriter {
  return (src, at, end, out) => {
    checkLength(at, 8, end);
    const n = u32(src, at + 4) * 0x100000000 + u32(src, at);
    const date = Math.floor(n / 1e6);
    const year = Math.floor(date / 10_000);
    const month = Math.floor(date / 100) % 100;
    const day = date % 100;
    if (year > 9999 || month > 12 || day > 31) throw notOldFormat();
    putDateTime(out, year, month, day, clockSeconds(n - date * 1e6, 23), 0, 0, false, options);
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
    why: 'the column has fractional digits that the binlog does not tell of, or the event is damaged',
    hint: 'ALTER TABLE … FORCE with mysql56_temporal_format=ON on MariaDB; or exclude the table from `tables`',
  });

/** Bytes of MariaDB's old formats by fractional digits (MariaDB: Type_handler_time, _datetime, _timestamp hires_bytes). */
const OLD_TIME_BYTES = [3, 4, 4, 5, 5, 5, 6];
const OLD_DATETIME_BYTES = [5, 6, 6, 7, 7, 7, 8];
const OLD_FRACTION_BYTES = [0, 1, 1, 2, 2, 3, 3];
const MAX_TIME_SECONDS = 838 * 3600 + 59 * 60 + 59;

/** An unsigned big-endian number of units of the last digit, offset so that the smallest TIME is not negative. */
function oldTimeFraction(digits: number, options: TemporalOptions): ValueWriter {
  const length = OLD_TIME_BYTES[digits] as number;
  const unit = 10 ** digits;
  // MariaDB's zero_point: one more than the largest TIME.
  const zero = (MAX_TIME_SECONDS + 1) * unit;
  return (src, at, end, out) => {
    checkLength(at, length, end);
    const units = src.readUIntBE(at, length) - zero;
    const absolute = Math.abs(units);
    const seconds = Math.floor(absolute / unit);
    if (seconds > MAX_TIME_SECONDS) throw notOldFormat();
    putDuration(out, units < 0, seconds, (absolute - seconds * unit) * 10 ** (6 - digits), digits, options);
    return at + length;
  };
}

/** An unsigned big-endian number of units of the last digit: ((((y * 13 + m) * 32 + d) * 24 + h) * 60 + i) * 60 + s. */
function oldDateTimeFraction(digits: number, options: TemporalOptions): ValueWriter {
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
    putDateTime(out, year, month % 13, day % 32, whole % 86_400, micros, digits, false, options);
    return at + length;
  };
}

/** Seconds: four bytes, little-endian without a fraction, big-endian and followed by the fraction with one. */
function oldTimestamp(digits: number, options: TemporalOptions): ValueWriter {
  const fraction = OLD_FRACTION_BYTES[digits] as number;
  return (src, at, end, out) => {
    checkLength(at, 4 + fraction, end);
    if (fraction === 0) putTimestamp(out, u32(src, at), 0, 0, options);
    else {
      const micros = src.readUIntBE(at + 4, fraction) * 10 ** (6 - digits);
      if (micros > 999_999) throw notOldFormat();
      putTimestamp(out, u32be(src, at), micros, digits, options);
    }
    return at + 4 + fraction;
  };
}
