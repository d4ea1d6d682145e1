import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from './byte-writer.ts';
import { putPadded, putUint32 } from './number-text.ts';

/** Storage bytes of 0 to 9 decimal digits (MySQL: strings/decimal.cc, dig2bytes). */
const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const POWERS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const ZERO = 0x30;
const DOT = 0x2e;
const MINUS = 0x2d;

/** A DECIMAL is stored in groups of up to nine digits, the integer groups first. */
export interface DecimalLayout {
  /** The number of digits of each group. */
  groups: readonly number[];
  /** The number of groups before the decimal point. */
  integer: number;
  byteLength: number;
}

export function decimalLayout(precision: number, scale: number): DecimalLayout {
  const whole = precision - scale;
  const before = [whole % 9, ...Array.from({ length: Math.floor(whole / 9) }, () => 9)];
  const after = [...Array.from({ length: Math.floor(scale / 9) }, () => 9), scale % 9];
  const integer = before.filter((digits) => digits > 0);
  const groups = [...integer, ...after.filter((digits) => digits > 0)];
  const byteLength = groups.reduce((sum, digits) => sum + (BYTES_OF_DIGITS[digits] as number), 0);
  return { groups, integer: integer.length, byteLength };
}

/**
 * Appends a binary DECIMAL in MySQL's text form. The groups of digits are big-endian. The inverted top bit is the sign,
 * and every byte of a negative number is inverted (MySQL: strings/decimal.cc, bin2decimal).
 * @throws CdcError when the value of a group has too many digits
 */
export function putDecimal(out: ByteWriter, src: Uint8Array, at: number, layout: DecimalLayout): void {
  const { groups, integer } = layout;
  const negative = ((src[at] as number) & 0x80) === 0;
  const invert = negative ? 0xff : 0;
  const start = out.at;
  if (negative) out.byte(MINUS);
  let from = at;
  let flip = 0x80;
  let printed = false;
  let significant = false;
  for (let g = 0; g < groups.length; g++) {
    const digits = groups[g] as number;
    let value = 0;
    for (let n = BYTES_OF_DIGITS[digits] as number; n > 0; n--) {
      value = value * 256 + ((src[from++] as number) ^ invert ^ flip);
      flip = 0;
    }
    if (value >= (POWERS[digits] as number)) {
      throw new CdcError('a DECIMAL value is malformed', { why: `a group of ${digits} digits holds ${value}` });
    }
    if (value !== 0) significant = true;
    if (g === integer) {
      if (!printed) out.byte(ZERO);
      out.byte(DOT);
      printed = true;
    }
    if (printed) putPadded(out, value, digits);
    else if (value !== 0) {
      putUint32(out, value);
      printed = true;
    }
  }
  if (!printed) out.byte(ZERO);
  if (negative && !significant) {
    // MySQL prints zero without a sign.
    out.bytes.copyWithin(start, start + 1, out.at);
    out.at--;
  }
}
