import type { Output } from './output.ts';

/** Bytes that hold 0 to 9 decimal digits (MySQL: strings/decimal.cc, dig2bytes). */
const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const ZERO = 0x30;

export interface DecimalLayout {
  /** Digits in the incomplete leading group, and in each further group of nine, before the point. */
  leading: number;
  whole: number;
  /** Groups of nine after the point, and digits in the incomplete trailing group. */
  fraction: number;
  trailing: number;
  byteLength: number;
}

export function decimalLayout(precision: number, scale: number): DecimalLayout {
  const integer = precision - scale;
  const whole = Math.floor(integer / 9);
  const leading = integer - whole * 9;
  const fraction = Math.floor(scale / 9);
  const trailing = scale - fraction * 9;
  const byteLength =
    (BYTES_OF_DIGITS[leading] as number) + whole * 4 + fraction * 4 + (BYTES_OF_DIGITS[trailing] as number);
  return { leading, whole, fraction, trailing, byteLength };
}

/**
 * Appends a binary DECIMAL as MySQL prints it: groups of nine digits in four big-endian bytes, the sign in the
 * inverted top bit, negative numbers with every byte inverted (MySQL: strings/decimal.cc, bin2decimal).
 */
export function putDecimal(out: Output, src: Uint8Array, at: number, layout: DecimalLayout): void {
  const negative = ((src[at] as number) & 0x80) === 0;
  const invert = negative ? 0xff : 0;
  out.ensure(80);
  const { bytes } = out;
  let to = out.at;
  const start = to;
  if (negative) bytes[to++] = 0x2d;
  let from = at;
  let flip = 0x80;
  let printed = false;
  let significant = false;
  const group = (digits: number, inFraction: boolean): void => {
    let value = 0;
    for (let n = BYTES_OF_DIGITS[digits] as number; n > 0; n--) {
      value = value * 256 + (((src[from++] as number) ^ invert ^ flip) & 0xff);
      flip = 0;
    }
    if (value !== 0) significant = true;
    for (let unit = 10 ** (digits - 1); unit >= 1; unit /= 10) {
      const digit = Math.floor(value / unit);
      value -= digit * unit;
      if (digit !== 0 || printed || inFraction) {
        bytes[to++] = ZERO + digit;
        printed = true;
      }
    }
  };
  if (layout.leading > 0) group(layout.leading, false);
  for (let i = 0; i < layout.whole; i++) group(9, false);
  if (!printed) bytes[to++] = ZERO;
  if (layout.fraction > 0 || layout.trailing > 0) {
    bytes[to++] = 0x2e;
    for (let i = 0; i < layout.fraction; i++) group(9, true);
    if (layout.trailing > 0) group(layout.trailing, true);
  }
  if (negative && !significant) {
    bytes.copyWithin(start, start + 1, to);
    to--;
  }
  out.at = to;
}
