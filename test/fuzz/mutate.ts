/** A seeded random number generator (mulberry32). The same seed gives the same mutations everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes at the limits of lengths, types and bitmaps. */
const EDGE_VALUES = [0x00, 0x01, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];
const HEADER_BYTES = 19;
const SIZE_OFFSET = 9;

/**
 * Returns a damaged copy of a binlog event without checksum. Bits are flipped, edge values are written, and bytes are
 * removed or repeated. The size in the header is nearly always corrected, so that the damage reaches the decoder of the
 * body.
 */
export function mutateEvent(event: Buffer, random: () => number): Buffer {
  const below = (n: number): number => Math.floor(random() * n);
  let bytes: Buffer = Buffer.from(event);
  for (let count = 1 + below(3); count > 0; count--) {
    const at = HEADER_BYTES + below(Math.max(1, bytes.length - HEADER_BYTES));
    switch (below(6)) {
      case 0:
      case 1:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << below(8));
        break;
      case 2:
        if (at < bytes.length) bytes[at] = EDGE_VALUES[below(EDGE_VALUES.length)] as number;
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
  if (random() < 0.98) bytes.writeUInt32LE(bytes.length, SIZE_OFFSET);
  return bytes;
}
