import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { NUMBER_ROOM, putPadded, putUint32, putUint53 } from '../bytes/number-text.ts';

export type TemporalStyle = 'iso' | 'mysql' | 'epoch_micros';

/** How the values of one temporal column are written. */
export interface TemporalFormat {
  style: TemporalStyle;
  /** A date with a zero month or day is written as null. */
  zeroNull: boolean;
  /** Fractional digits of the column. */
  digits: number;
  /** Whether the column holds an instant, which style `iso` marks with `Z`. */
  utc: boolean;
}

const ZERO = 0x30;
const QUOTE = 0x22;
const DASH = 0x2d;
const COLON = 0x3a;
const DOT = 0x2e;
const POWERS = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

/** Storage bytes of `digits` fractional digits in the formats since MySQL 5.6. */
export const fractionBytes = (digits: number): number => (digits + 1) >> 1;

/** Reads a big-endian fraction as microseconds. */
export function readFraction(src: Uint8Array, at: number, digits: number): number {
  switch (fractionBytes(digits)) {
    case 1:
      return (src[at] as number) * 10_000;
    case 2:
      return (((src[at] as number) << 8) | (src[at + 1] as number)) * 100;
    case 3:
      return ((src[at] as number) << 16) | ((src[at + 1] as number) << 8) | (src[at + 2] as number);
    default:
      return 0;
  }
}

const outOfRange = (why: string): CdcError =>
  new CdcError('a date or time in a row image is out of range', {
    why,
    hint: 'the event is damaged, or its table map describes other columns; report it (nothing was skipped)',
  });

/**
 * Converts a packed clock (hour from bit 12, minute 6 bits, second 6 bits) to seconds.
 * @throws CdcError if out of range
 */
export function packedClockSeconds(clock: number, maxHour: number): number {
  const hour = clock >> 12;
  const minute = (clock >> 6) & 63;
  const second = clock & 63;
  if (hour > maxHour || minute > 59 || second > 59) throw outOfRange(`the time of day is ${hour}:${minute}:${second}`);
  return hour * 3600 + minute * 60 + second;
}

/** Writes two decimal digits of a number below 100. The caller has ensured the room. */
function twoDigits(bytes: Uint8Array, at: number, value: number): void {
  const tens = (value * 103) >> 10;
  bytes[at] = ZERO + tens;
  bytes[at + 1] = ZERO + value - tens * 10;
}

function putClock(out: ByteWriter, seconds: number, micros: number, digits: number): void {
  if (micros > 999_999) throw outOfRange(`the fraction is ${micros} microseconds`);
  out.ensure(NUMBER_ROOM);
  const { bytes } = out;
  let { at } = out;
  let hour = (seconds / 3600) | 0;
  const rest = seconds - hour * 3600;
  const minute = (rest / 60) | 0;
  if (hour > 99) {
    const hundreds = (hour / 100) | 0;
    bytes[at++] = ZERO + hundreds;
    hour -= hundreds * 100;
  }
  twoDigits(bytes, at, hour);
  bytes[at + 2] = COLON;
  twoDigits(bytes, at + 3, minute);
  bytes[at + 5] = COLON;
  twoDigits(bytes, at + 6, rest - minute * 60);
  out.at = at + 8;
  if (digits > 0) {
    out.byte(DOT);
    putPadded(out, (micros / (POWERS[6 - digits] as number)) | 0, digits);
  }
}

function putYearMonthDay(out: ByteWriter, year: number, month: number, day: number): void {
  if (year > 9999 || month > 12) throw outOfRange(`the year is ${year}, the month ${month}`);
  out.ensure(NUMBER_ROOM);
  const { bytes, at } = out;
  const century = (year / 100) | 0;
  twoDigits(bytes, at, century);
  twoDigits(bytes, at + 2, year - century * 100);
  bytes[at + 4] = DASH;
  twoDigits(bytes, at + 5, month);
  bytes[at + 7] = DASH;
  twoDigits(bytes, at + 8, day);
  out.at = at + 10;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible date algorithms"). */
function epochDays(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function putMicros(out: ByteWriter, seconds: number, micros: number): void {
  const negative = seconds < 0;
  let whole = negative ? -seconds : seconds;
  let rest = micros;
  if (negative && micros > 0) {
    whole -= 1;
    rest = 1_000_000 - micros;
  }
  if (negative) out.byte(DASH);
  if (whole === 0) {
    putUint32(out, rest);
    return;
  }
  putUint53(out, whole);
  putPadded(out, rest, 6);
}

const DAYS_OF_MONTH = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whether the calendar has the day. MySQL can also store zero days and days such as 30 February. */
function isDay(year: number, month: number, day: number): boolean {
  if (month === 0 || day === 0 || day > (DAYS_OF_MONTH[month] ?? 0)) return false;
  return day < 29 || month !== 2 || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
}

/**
 * Appends a date with a time of day. A day that the calendar lacks has no number of microseconds, so with
 * `epoch_micros` such a value is written as text. With `zero_dates: null`, a date with a zero month or day is null.
 */
export function putDateTime(
  out: ByteWriter,
  year: number,
  month: number,
  day: number,
  secondOfDay: number,
  micros: number,
  { style, zeroNull, digits, utc }: TemporalFormat,
): void {
  out.ensure(NUMBER_ROOM * 2);
  if (zeroNull && (month === 0 || day === 0)) return out.ascii('null');
  if (style === 'epoch_micros' && isDay(year, month, day)) {
    return putMicros(out, epochDays(year, month, day) * 86_400 + secondOfDay, micros);
  }
  const mysql = style === 'mysql';
  out.byte(QUOTE);
  putYearMonthDay(out, year, month, day);
  out.byte(mysql ? 0x20 : 0x54);
  putClock(out, secondOfDay, micros, digits);
  if (utc && !mysql) out.byte(0x5a);
  out.byte(QUOTE);
}

export function putDate(out: ByteWriter, year: number, month: number, day: number, format: TemporalFormat): void {
  if (format.zeroNull && (month === 0 || day === 0)) return out.ascii('null');
  if (format.style === 'epoch_micros' && isDay(year, month, day)) {
    return putMicros(out, epochDays(year, month, day) * 86_400, 0);
  }
  out.byte(QUOTE);
  putYearMonthDay(out, year, month, day);
  out.byte(QUOTE);
}

/** Appends a TIMESTAMP of UTC seconds since 1970. Zero seconds without a fraction is MySQL's zero timestamp. */
export function putTimestamp(out: ByteWriter, seconds: number, micros: number, format: TemporalFormat): void {
  if (seconds === 0 && micros === 0) return putDateTime(out, 0, 0, 0, 0, 0, format);
  if (format.style === 'epoch_micros') return putMicros(out, seconds, micros);
  const days = Math.floor(seconds / 86_400);
  if (days !== lastDay.days) lastDay = civilDay(days);
  const { year, month, day } = lastDay;
  putDateTime(out, year, month, day, seconds - days * 86_400, micros, format);
}

interface CivilDay {
  days: number;
  year: number;
  month: number;
  day: number;
}

/** The day of the previous TIMESTAMP. The next one is nearly always on the same day. */
let lastDay = civilDay(0);

/** The inverse of epochDays. TIMESTAMP has 32 unsigned bits of seconds, so the era is never negative. */
function civilDay(days: number): CivilDay {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return {
    days,
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1,
  };
}

/** Appends a TIME, which is a duration of either sign. With `epoch_micros` it is a number of microseconds. */
export function putDuration(
  out: ByteWriter,
  negative: boolean,
  seconds: number,
  micros: number,
  { style, digits }: TemporalFormat,
): void {
  out.ensure(NUMBER_ROOM);
  if (style === 'epoch_micros') {
    if (negative) out.byte(DASH);
    return putMicros(out, seconds, micros);
  }
  out.byte(QUOTE);
  if (negative) out.byte(DASH);
  putClock(out, seconds, micros, digits);
  out.byte(QUOTE);
}
