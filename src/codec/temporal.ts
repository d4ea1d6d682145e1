import { NUMBER_ROOM, putPadded, putUint32, putUint53 } from './number-text.ts';
import type { Output } from './output.ts';

export type TemporalStyle = 'iso' | 'mysql' | 'epoch_micros';

export interface TemporalOptions {
  style: TemporalStyle;
  /** A zero month or day becomes null. */
  zeroNull: boolean;
}

const QUOTE = 0x22;
const DASH = 0x2d;
const COLON = 0x3a;
const DOT = 0x2e;
const POWERS = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

/** Storage bytes of `digits` fractional digits, in the formats since 5.6. */
export const fractionBytes = (digits: number): number => (digits + 1) >> 1;

/** Reads the fraction, big-endian, as microseconds. */
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

function putTime(out: Output, hour: number, minute: number, second: number, micros: number, digits: number): void {
  putPadded(out, hour, hour > 99 ? 3 : 2);
  out.byte(COLON);
  putPadded(out, minute, 2);
  out.byte(COLON);
  putPadded(out, second, 2);
  if (digits > 0) {
    out.byte(DOT);
    putPadded(out, Math.floor(micros / (POWERS[6 - digits] as number)), digits);
  }
}

function putYearMonthDay(out: Output, year: number, month: number, day: number): void {
  putPadded(out, year, 4);
  out.byte(DASH);
  putPadded(out, month, 2);
  out.byte(DASH);
  putPadded(out, day, 2);
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible date algorithms"). */
export function epochDays(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function putMicros(out: Output, seconds: number, micros: number): void {
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

/**
 * Appends a date with a time of day. A zero month or day has no place on the time line: with `epoch_micros` such a
 * value keeps its text, or is null where `zero_dates: null` says so.
 */
export function putDateTime(
  out: Output,
  year: number,
  month: number,
  day: number,
  secondOfDay: number,
  micros: number,
  digits: number,
  utc: boolean,
  { style, zeroNull }: TemporalOptions,
): void {
  out.ensure(NUMBER_ROOM * 2);
  const zero = month === 0 || day === 0;
  if (zero && zeroNull) return out.ascii('null');
  if (style === 'epoch_micros' && !zero) {
    return putMicros(out, epochDays(year, month, day) * 86_400 + secondOfDay, micros);
  }
  const mysql = style === 'mysql';
  out.byte(QUOTE);
  putYearMonthDay(out, year, month, day);
  out.byte(mysql ? 0x20 : 0x54);
  const hour = Math.floor(secondOfDay / 3600);
  const minute = Math.floor(secondOfDay / 60) % 60;
  putTime(out, hour, minute, secondOfDay % 60, micros, digits);
  if (utc && !mysql) out.byte(0x5a);
  out.byte(QUOTE);
}

export function putDate(out: Output, year: number, month: number, day: number, options: TemporalOptions): void {
  const zero = month === 0 || day === 0;
  if (zero && options.zeroNull) return out.ascii('null');
  if (options.style === 'epoch_micros' && !zero) return putMicros(out, epochDays(year, month, day) * 86_400, 0);
  out.byte(QUOTE);
  putYearMonthDay(out, year, month, day);
  out.byte(QUOTE);
}

/** Appends a TIMESTAMP, seconds since 1970 in UTC; 0 with no fraction is MySQL's zero timestamp. */
export function putTimestamp(
  out: Output,
  seconds: number,
  micros: number,
  digits: number,
  options: TemporalOptions,
): void {
  if (seconds === 0 && micros === 0) return putDateTime(out, 0, 0, 0, 0, 0, digits, true, options);
  if (options.style === 'epoch_micros') return putMicros(out, seconds, micros);
  // Civil date from days, the inverse of epochDays; seconds fit 32 bits unsigned, so the era is never negative.
  const days = Math.floor(seconds / 86_400) + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  putDateTime(out, year, month, day, seconds % 86_400, micros, digits, true, options);
}

/** Appends a TIME, which is a duration of either sign. `epoch_micros` gives its microseconds. */
export function putDuration(
  out: Output,
  negative: boolean,
  seconds: number,
  micros: number,
  digits: number,
  { style }: TemporalOptions,
): void {
  out.ensure(NUMBER_ROOM);
  if (style === 'epoch_micros') {
    if (negative) out.byte(DASH);
    return putMicros(out, seconds, micros);
  }
  out.byte(QUOTE);
  if (negative) out.byte(DASH);
  putTime(out, Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60, micros, digits);
  out.byte(QUOTE);
}
