import { CdcError } from '../../runtime/error.ts';

/** Readers of unsigned integers in a row image, little-endian except `u32be`. */
export const byteAt = (src: Uint8Array, at: number): number => src[at] as number;
export const u16 = (src: Uint8Array, at: number): number => byteAt(src, at) | (byteAt(src, at + 1) << 8);
export const u24 = (src: Uint8Array, at: number): number => u16(src, at) | (byteAt(src, at + 2) << 16);
export const u32 = (src: Uint8Array, at: number): number => (u24(src, at) | (byteAt(src, at + 3) << 24)) >>> 0;
export const u32be = (src: Uint8Array, at: number): number =>
  ((byteAt(src, at) << 24) | (byteAt(src, at + 1) << 16) | (byteAt(src, at + 2) << 8) | byteAt(src, at + 3)) >>> 0;

/** Readers of a length, by its width of 0 to 4 bytes. */
export const LENGTH_READERS = [(): number => 0, byteAt, u16, u24, u32];

export function checkLength(at: number, length: number, end: number): void {
  if (at + length > end) {
    throw new CdcError('a value in a row image is longer than its event', {
      why: `it needs ${length} bytes, but the event has ${end - at} left`,
    });
  }
}
