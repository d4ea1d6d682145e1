import type { Random } from '../../src/local/demo/random.ts';

/** Bytes at the limits of lengths, types and bitmaps. */
const EDGE_VALUES = [0x00, 0x01, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];
const HEADER_BYTES = 19;
const SIZE_OFFSET = 9;

/**
 * Returns a damaged copy of a binlog event without checksum. Bits are flipped, edge values are written, and bytes are
 * removed or repeated. The size in the header is nearly always corrected, so that the damage reaches the decoder of the
 * body.
 */
export function mutateEvent(event: Buffer, { below, chance, pick }: Random): Buffer {
  let bytes: Buffer = Buffer.from(event);
  for (let count = 1 + below(3); count > 0; count--) {
    const at = HEADER_BYTES + below(Math.max(1, bytes.length - HEADER_BYTES));
    switch (below(6)) {
      case 0:
      case 1:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << below(8));
        break;
      case 2:
        if (at < bytes.length) bytes[at] = pick(EDGE_VALUES);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(8))]);
        break;
      case 4: {
        const length = 1 + below(16);
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(at - Math.min(at, length), at),
          bytes.subarray(at),
        ]);
        break;
      }
      default:
        bytes = bytes.subarray(0, at);
    }
  }
  if (bytes.length < HEADER_BYTES) return bytes;
  if (chance(0.98)) bytes.writeUInt32LE(bytes.length, SIZE_OFFSET);
  return bytes;
}
