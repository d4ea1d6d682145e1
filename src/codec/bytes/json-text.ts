import { isUtf8 } from 'node:buffer';
import type { ByteWriter } from './byte-writer.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = Buffer.from('0123456789abcdef');

const CONTROL = 1;

/** For each byte: 0 to copy it, CONTROL for \u00xx, else the letter behind the backslash (RFC 8259, section 7). */
const ESCAPE: Uint8Array = new Uint8Array(256);
ESCAPE.fill(CONTROL, 0, 0x20);
for (const [char, letter] of ['\bb', '\ff', '\nn', '\rr', '\tt', '""', '\\\\']) {
  ESCAPE[(char as string).charCodeAt(0)] = (letter as string).charCodeAt(0);
}

/** Runs up to this length go byte by byte: below it a call into native code costs more than it saves. */
const SHORT = 40;

/** Appends `src[from..to)`, UTF-8, as the inside of a JSON string. */
export function putEscaped(out: ByteWriter, src: Uint8Array, from: number, to: number): void {
  let i = from;
  while (i < to && ESCAPE[src[i] as number] === 0) i++;
  // Room for an escape of two bytes in place of each byte that is left; a control character asks for its own.
  out.ensure(to - from + (to - i) + LONGEST_ESCAPE);
  putRun(out, src, from, i);
  let { bytes, at } = out;
  for (; i < to; i++) {
    const byte = src[i] as number;
    const letter = ESCAPE[byte] as number;
    if (letter === 0) bytes[at++] = byte;
    else if (letter !== CONTROL) {
      bytes[at] = BACKSLASH;
      bytes[at + 1] = letter;
      at += 2;
    } else {
      out.at = at;
      out.ensure(2 * (to - i) + LONGEST_ESCAPE);
      bytes = out.bytes;
      at = putControl(bytes, at, byte);
    }
  }
  out.at = at;
}

const LONGEST_ESCAPE = 6;

/** Copies bytes that stand for themselves; there is room for them. */
function putRun(out: ByteWriter, src: Uint8Array, from: number, to: number): void {
  const { bytes, at } = out;
  const length = to - from;
  if (length <= SHORT) for (let i = 0; i < length; i++) bytes[at + i] = src[from + i] as number;
  else bytes.set(src.subarray(from, to), at);
  out.at = at + length;
}

function putControl(bytes: Uint8Array, at: number, byte: number): number {
  bytes[at] = BACKSLASH;
  bytes[at + 1] = 0x75;
  bytes[at + 2] = 0x30;
  bytes[at + 3] = 0x30;
  bytes[at + 4] = HEX[byte >> 4] as number;
  bytes[at + 5] = HEX[byte & 15] as number;
  return at + LONGEST_ESCAPE;
}

/** What a byte of text needs: nothing, an escape, or a look at whether the UTF-8 around it is sound. */
const NEEDS_ESCAPE = 1;
const BEYOND_ASCII = 2;
const NEEDS: Uint8Array = ESCAPE.map((letter, byte) => (letter !== 0 ? NEEDS_ESCAPE : byte >= 0x80 ? BEYOND_ASCII : 0));

/** Strings up to this length are copied and judged in one pass. */
const ONE_PASS = 128;

/** Appends `src[from..to)` as a JSON string. Returns false, and appends nothing, when it is not sound UTF-8. */
export function putText(out: ByteWriter, src: Buffer, from: number, to: number): boolean {
  const length = to - from;
  let needs = 0;
  if (length <= ONE_PASS) {
    out.ensure(length + 2);
    const { bytes } = out;
    let { at } = out;
    bytes[at++] = QUOTE;
    for (let i = from; i < to; i++) {
      const byte = src[i] as number;
      needs |= NEEDS[byte] as number;
      bytes[at++] = byte;
    }
    if ((needs & NEEDS_ESCAPE) === 0 && (needs === 0 || isUtf8(src.subarray(from, to)))) {
      bytes[at++] = QUOTE;
      out.at = at;
      return true;
    }
  } else for (let i = from; i < to; i++) needs |= NEEDS[src[i] as number] as number;
  if ((needs & BEYOND_ASCII) !== 0 && !isUtf8(src.subarray(from, to))) return false;
  putQuoted(out, src, from, to);
  return true;
}

/** Appends UTF-8 bytes as a JSON string, quotes included. */
export function putQuoted(out: ByteWriter, src: Uint8Array, from: number, to: number): void {
  out.byte(QUOTE);
  putEscaped(out, src, from, to);
  out.byte(QUOTE);
}

/** A text as the bytes of a JSON string, quotes included: for constants. */
export function jsonString(text: string): Buffer {
  return Buffer.from(JSON.stringify(text));
}
