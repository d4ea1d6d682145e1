import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from './byte-writer.ts';

const ZERO = 0x30;
const MINUS = 0x2d;

/** The maximum length in bytes of a number that this file writes. */
export const NUMBER_ROOM = 32;

/** Appends the decimal digits of an integer from 0 to 2^32 - 1. */
export function putUint32(out: ByteWriter, value: number): void {
  out.ensure(NUMBER_ROOM);
  const { bytes } = out;
  const length =
    value < 100_000
      ? value < 100
        ? value < 10
          ? 1
          : 2
        : value < 1000
          ? 3
          : value < 10_000
            ? 4
            : 5
      : value < 10_000_000
        ? value < 1_000_000
          ? 6
          : 7
        : value < 100_000_000
          ? 8
          : value < 1_000_000_000
            ? 9
            : 10;
  let at = out.at + length;
  out.at = at;
  let rest = value;
  for (let i = 0; i < length; i++) {
    const next = (rest / 10) >>> 0;
    bytes[--at] = ZERO + (rest - next * 10);
    rest = next;
  }
}

/** Appends exactly `width` decimal digits, with leading zeros. */
export function putPadded(out: ByteWriter, value: number, width: number): void {
  out.ensure(NUMBER_ROOM);
  const { bytes } = out;
  let at = out.at + width;
  out.at = at;
  let rest = value;
  for (let i = 0; i < width; i++) {
    const next = (rest / 10) >>> 0;
    bytes[--at] = ZERO + (rest - next * 10);
    rest = next;
  }
}

/** Appends the decimal digits of an integer from 0 to 2^53 - 1. */
export function putUint53(out: ByteWriter, value: number): void {
  if (value <= 0xffffffff) return putUint32(out, value);
  const high = Math.floor(value / 1e9);
  putUint32(out, high);
  putPadded(out, value - high * 1e9, 9);
}

export function putInt32(out: ByteWriter, value: number): void {
  if (value < 0) {
    out.byte(MINUS);
    putUint32(out, -value);
  } else putUint32(out, value);
}

/** Appends all digits of an unsigned 64-bit integer, which is given in two halves. */
export function putUint64(out: ByteWriter, high: number, low: number): void {
  if (high < 0x200000) putUint53(out, high * 0x100000000 + low);
  else out.ascii(((BigInt(high) << 32n) | BigInt(low)).toString());
}

/** Appends all digits of a signed 64-bit integer, which is given in two halves (two's complement). */
export function putInt64(out: ByteWriter, high: number, low: number): void {
  if (high < 0x80000000) return putUint64(out, high, low);
  out.byte(MINUS);
  const negatedLow = (~low + 1) >>> 0;
  putUint64(out, negatedLow === 0 ? (~high + 1) >>> 0 : ~high >>> 0, negatedLow);
}

const HEX = Buffer.from('0123456789abcdef');

/** Appends `width` lower-case hex digits of an integer below 2^53. */
export function putHex(out: ByteWriter, value: number, width: number): void {
  out.ensure(width);
  const { bytes } = out;
  const end = out.at + width;
  let high = Math.floor(value / 2 ** 32);
  let low = value >>> 0;
  for (let at = end - 1; at >= out.at; at--) {
    bytes[at] = HEX[low & 15] as number;
    low = (low >>> 4) | (high << 28);
    high >>>= 4;
  }
  out.at = end;
}

/** The shortest text that parses to the same double, the closest of several (ECMAScript Number::toString). */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) throw notFiniteError(value);
  return Object.is(value, -0) ? '-0' : String(value);
}

/** JSON cannot represent NaN and infinity, and no server since 5.0 stores them. */
const notFiniteError = (value: number): CdcError =>
  new CdcError(`a floating-point value is ${value}`, {
    hint: 'UPDATE the row to a number, or exclude the table from `tables`',
  });

const SMALLEST_NORMAL_FLOAT = 2 ** -126;

/** The shortest text that parses to the same float32, the closest of several. */
export function floatText(value: number): string {
  if (Number.isInteger(value) ? Math.abs(value) < 16_777_216 : !Number.isFinite(value)) return doubleText(value);
  // A float32 in the normal range keeps six digits, so six digits also find every shorter text.
  for (let digits = Math.abs(value) < SMALLEST_NORMAL_FLOAT ? 1 : 6; digits < 9; digits++) {
    const near = Number(value.toPrecision(digits));
    if (roundsTo(near, value)) return String(Number.isInteger(value * 4096) ? evenOfTie(near, value, digits) : near);
    // Below a power of two the floats are twice as dense. The nearest text can miss where the next one away from zero
    // fits.
    if (Number.isInteger(Math.log2(Math.abs(value)))) {
      const [mantissa = '', exponent] = value.toExponential(digits - 1).split('e');
      const away = Number(mantissa.replace('.', '')) + Math.sign(value);
      const next = Number(`${away}e${Number(exponent) - digits + 1}`);
      if (roundsTo(next, value)) return String(next);
    }
  }
  return String(Number(value.toPrecision(9)));
}

/**
 * Returns the even one of two decimals that are equally close. `near` is the larger one, which toPrecision returns.
 * A tie needs a value of at most nine decimal digits, which has at most 12 binary digits after the point.
 */
function evenOfTie(near: number, value: number, digits: number): number {
  const half = value.toExponential(digits);
  if (!/5e/.test(half) || Number(half) !== value) return near;
  const [mantissa = '', exponent] = near.toExponential(digits - 1).split('e');
  const whole = Number(mantissa.replace('.', ''));
  if (whole % 2 === 0) return near;
  const other = Number(`${whole - Math.sign(whole)}e${Number(exponent) - digits + 1}`);
  return roundsTo(other, value) ? other : near;
}

/** Whether a decimal of at most nine digits, given as its nearest double, rounds to this float32. */
function roundsTo(decimal: number, value: number): boolean {
  if (Math.fround(decimal) !== value) return false;
  const mirrored = 2 * decimal - value;
  if (mirrored === value || Math.fround(mirrored) !== mirrored) return true;
  // The double is halfway between two floats. The rounding of the decimal depends on digits that the double lost.
  return /^-?\d\.\d{8}0+e/.test(decimal.toExponential(60));
}
