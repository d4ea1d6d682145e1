import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from './byte-writer.ts';

const ZERO = 0x30;
const MINUS = 0x2d;

/** Room that any number written here needs at most. */
export const NUMBER_ROOM = 32;

/** Decimal digits of an integer from 0 to 2^32 - 1. */
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

/** Exactly `width` decimal digits, zeros in front. */
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

/** Decimal digits of an integer from 0 to 2^53 - 1. */
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

/** An unsigned 64-bit integer in two halves, all digits exact. */
export function putUint64(out: ByteWriter, high: number, low: number): void {
  if (high < 0x200000) putUint53(out, high * 0x100000000 + low);
  else out.ascii(((BigInt(high) << 32n) | BigInt(low)).toString());
}

/** A signed 64-bit integer in two halves (two's complement), all digits exact. */
export function putInt64(out: ByteWriter, high: number, low: number): void {
  if (high < 0x80000000) return putUint64(out, high, low);
  out.byte(MINUS);
  const negatedLow = (~low + 1) >>> 0;
  putUint64(out, negatedLow === 0 ? (~high + 1) >>> 0 : ~high >>> 0, negatedLow);
}

const HEX = Buffer.from('0123456789abcdef');

/** `width` lower-case hex digits of an integer below 2^53. */
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

/** The shortest text that reads back to the same double (ECMAScript Number::toString, the closest of several). */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) throw notANumber(value);
  return Object.is(value, -0) ? '-0' : String(value);
}

/** JSON has no text for it, and no server since 5.0 stores one. */
const notANumber = (value: number): CdcError =>
  new CdcError(`a floating-point value is ${value}`, {
    hint: 'UPDATE the row to a number, or exclude the table from `tables`',
  });

const SMALLEST_NORMAL_FLOAT = 2 ** -126;

/** The shortest text that reads back to the same float32, the closest of several. */
export function floatText(value: number): string {
  if (Number.isInteger(value) ? Math.abs(value) < 16_777_216 : !Number.isFinite(value)) return doubleText(value);
  // Six digits survive in a float32, so a text of fewer is found with six; not below the normal range.
  for (let digits = Math.abs(value) < SMALLEST_NORMAL_FLOAT ? 1 : 6; digits < 9; digits++) {
    const near = Number(value.toPrecision(digits));
    if (readsBack(near, value)) return String(Number.isInteger(value * 4096) ? evenOfTwo(near, value, digits) : near);
    // Below a power of two floats lie twice as dense: the nearest text may miss where the next one away hits.
    if (Number.isInteger(Math.log2(Math.abs(value)))) {
      const [mantissa = '', exponent] = value.toExponential(digits - 1).split('e');
      const away = Number(mantissa.replace('.', '')) + Math.sign(value);
      const next = Number(`${away}e${Number(exponent) - digits + 1}`);
      if (readsBack(next, value)) return String(next);
    }
  }
  return String(Number(value.toPrecision(9)));
}

/**
 * Of two decimals that are equally close the even one, where toPrecision takes the larger; `near` is the larger.
 * Halfway lies only what has at most nine digits itself, so no more than 12 binary ones behind the point.
 */
function evenOfTwo(near: number, value: number, digits: number): number {
  const half = value.toExponential(digits);
  if (!/5e/.test(half) || Number(half) !== value) return near;
  const [mantissa = '', exponent] = near.toExponential(digits - 1).split('e');
  const whole = Number(mantissa.replace('.', ''));
  if (whole % 2 === 0) return near;
  const other = Number(`${whole - Math.sign(whole)}e${Number(exponent) - digits + 1}`);
  return readsBack(other, value) ? other : near;
}

/** Whether a decimal of at most nine digits, here rounded to a double, rounds to this float32. */
function readsBack(decimal: number, value: number): boolean {
  if (Math.fround(decimal) !== value) return false;
  const mirrored = 2 * decimal - value;
  if (mirrored === value || Math.fround(mirrored) !== mirrored) return true;
  // The double lies halfway between two floats: what the decimal is rounded to depends on digits that the double lost.
  return /^-?\d\.\d{8}0+e/.test(decimal.toExponential(60));
}
