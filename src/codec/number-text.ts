import type { Output } from './output.ts';

const ZERO = 0x30;
const MINUS = 0x2d;

/** Room that any number written here needs at most. */
export const NUMBER_ROOM = 32;

/** Decimal digits of an integer from 0 to 2^32 - 1. */
export function putUint32(out: Output, value: number): void {
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
export function putPadded(out: Output, value: number, width: number): void {
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
export function putUint53(out: Output, value: number): void {
  if (value <= 0xffffffff) return putUint32(out, value);
  const high = Math.floor(value / 1e9);
  putUint32(out, high);
  putPadded(out, value - high * 1e9, 9);
}

export function putInt32(out: Output, value: number): void {
  if (value < 0) {
    out.byte(MINUS);
    putUint32(out, -value);
  } else putUint32(out, value);
}

/** An unsigned 64-bit integer in two halves, all digits exact. */
export function putUint64(out: Output, high: number, low: number): void {
  if (high < 0x200000) putUint53(out, high * 0x100000000 + low);
  else out.ascii(((BigInt(high) << 32n) | BigInt(low)).toString());
}

/** A signed 64-bit integer in two halves (two's complement), all digits exact. */
export function putInt64(out: Output, high: number, low: number): void {
  if (high < 0x80000000) return putUint64(out, high, low);
  out.byte(MINUS);
  const negatedLow = (~low + 1) >>> 0;
  putUint64(out, negatedLow === 0 ? (~high + 1) >>> 0 : ~high >>> 0, negatedLow);
}

const HEX = Buffer.from('0123456789abcdef');

/** `width` lower-case hex digits of an integer below 2^53. */
export function putHex(out: Output, value: number, width: number): void {
  out.ensure(width);
  const { bytes } = out;
  let at = out.at + width;
  out.at = at;
  let rest = value;
  for (let i = 0; i < width; i++) {
    const next = Math.floor(rest / 16);
    bytes[--at] = HEX[rest - next * 16] as number;
    rest = next;
  }
}

/** The shortest text that reads back to the same double (ECMAScript Number::toString, the closest of several). */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The shortest text that reads back to the same float32. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 16_777_216) return doubleText(value);
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}
