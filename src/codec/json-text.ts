import { isUtf8 } from 'node:buffer';
import type { Output } from './output.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = Buffer.from('0123456789abcdef');

/** For each byte: 0 to copy it, 1 for \u00xx, else the letter that follows the backslash (RFC 8259, section 7). */
export const ESCAPE: Uint8Array = new Uint8Array(256);
ESCAPE.fill(1, 0, 0x20);
for (const [char, letter] of ['\bb', '\ff', '\nn', '\rr', '\tt', '""', '\\\\']) {
  ESCAPE[(char as string).charCodeAt(0)] = (letter as string).charCodeAt(0);
}

/** Strings up to this length go byte by byte; longer ones are scanned, then copied in runs. */
const SHORT = 48;

/** Appends `src[from..to)`, UTF-8, as the inside of a JSON string. */
export function putEscaped(out: Output, src: Uint8Array, from: number, to: number): void {
  const length = to - from;
  if (length <= SHORT) {
    out.ensure(length * 6);
    const { bytes } = out;
    let { at } = out;
    for (let i = from; i < to; i++) {
      const byte = src[i] as number;
      if (ESCAPE[byte] === 0) bytes[at++] = byte;
      else at = escapeByte(bytes, at, byte);
    }
    out.at = at;
    return;
  }
  let run = from;
  out.ensure(length);
  for (let i = from; i < to; i++) {
    const byte = src[i] as number;
    if (ESCAPE[byte] === 0) continue;
    putRun(out, src, run, i);
    out.ensure(6);
    out.at = escapeByte(out.bytes, out.at, byte);
    run = i + 1;
  }
  putRun(out, src, run, to);
}

function putRun(out: Output, src: Uint8Array, from: number, to: number): void {
  if (from === to) return;
  out.ensure(to - from);
  out.bytes.set(src.subarray(from, to), out.at);
  out.at += to - from;
}

function escapeByte(bytes: Uint8Array, at: number, byte: number): number {
  const letter = ESCAPE[byte] as number;
  bytes[at] = BACKSLASH;
  if (letter !== 1) {
    bytes[at + 1] = letter;
    return at + 2;
  }
  bytes[at + 1] = 0x75;
  bytes[at + 2] = 0x30;
  bytes[at + 3] = 0x30;
  bytes[at + 4] = HEX[byte >> 4] as number;
  bytes[at + 5] = HEX[byte & 15] as number;
  return at + 6;
}

/** Whether any byte is beyond ASCII: only then can a string be broken UTF-8. */
export function isValidText(src: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    if ((src[i] as number) >= 0x80) return isUtf8(src.subarray(from, to));
  }
  return true;
}

/** Appends UTF-8 bytes as a JSON string, quotes included. */
export function putQuoted(out: Output, src: Uint8Array, from: number, to: number): void {
  out.byte(QUOTE);
  putEscaped(out, src, from, to);
  out.byte(QUOTE);
}

/** A text as the bytes of a JSON string, quotes included: for constants. */
export function quoted(text: string): Buffer {
  return Buffer.from(JSON.stringify(text));
}
