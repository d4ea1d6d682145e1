import type { Random } from '../../src/local/demo/random.ts';

/** Bytes that sit on the edges of lengths, types and bitmaps. */
const EDGES = [0x00, 0x01, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];
const HEADER = 19;
const SIZE_AT = 9;

/**
 * A damaged copy of a binlog event without checksum: bits flipped, edge values written, bytes cut out, doubled or
 * moved; the size in the header fits again, nearly always, so that the damage reaches the body's reader.
 */
export function mutated(event: Buffer, random: Random): Buffer {
  const { below, chance, pick } = random;
  let bytes: Buffer = Buffer.from(event);
  for (let count = 1 + below(3); count > 0; count--) {
    const at = HEADER + below(Math.max(1, bytes.length - HEADER));
    switch (below(6)) {
      case 0:
      case 1:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << below(8));
        break;
      case 2:
        if (at < bytes.length) bytes[at] = pick(EDGES);
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
  if (bytes.length < HEADER) return bytes;
  if (chance(0.98)) bytes.writeUInt32LE(bytes.length, SIZE_AT);
  return bytes;
}
