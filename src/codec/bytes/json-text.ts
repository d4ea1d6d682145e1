import { isUtf8 } from 'node:buffer';
import type { ByteWriter } from './byte-writer.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = Buffer.from('0123456789abcdef');

const CONTROL = 1;

/** By byte: 0 copies it, CONTROL writes \u00xx, otherwise the letter after the backslash (RFC 8259, section 7). */
const ESCAPE: Uint8Array = new Uint8Array(256);
ESCAPE.fill(CONTROL, 0, 0x20);
for (const [char, letter] of ['\bb', '\ff', '\nn', '\rr', '\tt', '""', '\\\\']) {
  ESCAPE[(char as string).charCodeAt(0)] = (letter as string).charCodeAt(0);
}

/** Runs up to this length are copied byte by byte, because a call into native code costs more than it saves. */
const BYTEWISE_COPY_MAX = 40;

/** Appends the UTF-8 bytes `src[from..to)` as the inside of a JSON string. */
export function putEscaped(out: ByteWriter, src: Uint8Array, from: number, to: number): void {
  let i = from;
  while (i < to && ESCAPE[src[i] as number] === 0) i++;
  // Room for a two-byte escape of each remaining byte. A control character ensures its own room.
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

/** Copies bytes that need no escape. The caller has ensured the room. */
function putRun(out: ByteWriter, src: Uint8Array, from: number, to: number): void {
  const { bytes, at } = out;
  const length = to - from;
  if (length <= BYTEWISE_COPY_MAX) for (let i = 0; i < length; i++) bytes[at + i] = src[from + i] as number;
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

/** By byte: 0 for nothing to do, otherwise whether it needs an escape or is part of UTF-8 that must be validated. */
const NEEDS_ESCAPE = 1;
const BEYOND_ASCII = 2;
const NEEDS: Uint8Array = ESCAPE.map((letter, byte) => (letter !== 0 ? NEEDS_ESCAPE : byte >= 0x80 ? BEYOND_ASCII : 0));

/** Strings up to this length are copied and checked in one pass. */
const ONE_PASS_BYTES_MAX = 128;

/** Appends `src[from..to)` as a JSON string. Returns false and appends nothing when it is not valid UTF-8. */
export function putText(out: ByteWriter, src: Buffer, from: number, to: number): boolean {
  const length = to - from;
  let needs = 0;
  if (length <= ONE_PASS_BYTES_MAX) {
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

/** Appends UTF-8 bytes as a JSON string with its quotes. */
export function putQuoted(out: ByteWriter, src: Uint8Array, from: number, to: number): void {
  out.byte(QUOTE);
  putEscaped(out, src, from, to);
  out.byte(QUOTE);
}

/** The bytes of a JSON string with its quotes, for constants. */
export function jsonString(text: string): Buffer {
  return Buffer.from(JSON.stringify(text));
}
