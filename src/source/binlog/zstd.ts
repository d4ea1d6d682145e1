import { Decompress } from 'fzstd';
import { CdcError } from '../../runtime/error.ts';
import { ZSTD_WINDOW_MAX_BYTES } from '../limits.ts';
import { DAMAGED_BINLOG_HINT } from '../server/recovery-hints.ts';

/** Zstandard frame format: RFC 8878, sections 3.1 and 3.1.1. */
const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_MAX_BYTES = 128 * 1024;
const BLOCK_HEADER_LENGTH = 3;
/** Block types. */
const RLE = 1;
const COMPRESSED = 2;
const RESERVED = 3;

const damaged = (why: string, cause?: unknown): CdcError =>
  new CdcError('a compressed transaction cannot be decompressed', {
    why,
    hint: DAMAGED_BINLOG_HINT,
    ...(cause !== undefined && { cause }),
  });

/**
 * Decompresses the zstd frames in `bytes[from..to)` block by block. Each step reads one block and yields its content,
 * which is at most 128 KiB, however small the block was. Yielded chunks stay valid.
 */
export function* decompress(bytes: Buffer, from: number, to: number): Generator<Uint8Array> {
  for (let at = from; at < to; ) {
    if (to - at < 8) throw damaged('the last frame is incomplete');
    const magic = bytes.readUInt32LE(at);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + bytes.readUInt32LE(at + 4);
      if (at > to) throw damaged('the last frame is incomplete');
    } else if (magic === MAGIC) at = yield* decompressFrame(bytes, at, to);
    else throw damaged(`a frame begins with the unknown magic number ${magic.toString(16)}`);
  }
}

/** Returns the offset after the frame. */
function* decompressFrame(bytes: Buffer, from: number, to: number): Generator<Uint8Array, number> {
  const { end, window, checksum } = readFrameHeader(bytes, from, to);
  if (window > ZSTD_WINDOW_MAX_BYTES) {
    throw new CdcError('a compressed transaction needs more memory to decompress than cdc allows', {
      why: `it was compressed with a window of ${window} bytes, the limit is ${ZSTD_WINDOW_MAX_BYTES}`,
      hint: 'SET GLOBAL binlog_transaction_compression_level_zstd=20 or lower; then move the checkpoint past the transaction and copy its tables again (cdc backfill)',
    });
  }
  const blockLimit = Math.min(window, BLOCK_MAX_BYTES);
  const ready: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => ready.push(chunk));
  let pushed = from;
  for (let at = end, last = false; !last; ) {
    if (to - at < BLOCK_HEADER_LENGTH) throw damaged('a frame ends inside a block');
    const header = bytes.readUIntLE(at, BLOCK_HEADER_LENGTH);
    last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === RESERVED || size > blockLimit) throw damaged(`a block has type ${type} and ${size} bytes`);
    if (type === COMPRESSED) rejectEndlessWeights(bytes, at + BLOCK_HEADER_LENGTH, size);
    at += BLOCK_HEADER_LENGTH + (type === RLE ? 1 : size) + (last && checksum ? 4 : 0);
    if (at > to) throw damaged('a frame ends inside a block');
    try {
      decoder.push(bytes.subarray(pushed, at), last);
    } catch (error) {
      throw damaged((error as Error).message, error);
    }
    pushed = at;
    for (const chunk of ready) if (chunk.length > 0) yield chunk;
    ready.length = 0;
  }
  return pushed;
}

function readFrameHeader(bytes: Buffer, from: number, to: number): { end: number; window: number; checksum: boolean } {
  const descriptor = bytes[from + 4] as number;
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const dictionary = from + (single ? 5 : 6);
  const size = dictionary + dictionaryBytes;
  const end = size + sizeBytes;
  if (end > to || (descriptor & 0x08) !== 0) throw damaged('a frame header is invalid');
  if (bytes.subarray(dictionary, size).some((byte) => byte !== 0)) throw damaged('a frame needs a dictionary');
  const checksum = (descriptor & 0x04) !== 0;
  if (single) {
    const content = sizeBytes === 8 ? Number(bytes.readBigUInt64LE(size)) : bytes.readUIntLE(size, sizeBytes);
    return { end, window: sizeBytes === 2 ? content + 256 : content, checksum };
  }
  const exponent = (bytes[from + 5] as number) >> 3;
  const mantissa = (bytes[from + 5] as number) & 7;
  const base = 2 ** (10 + exponent);
  return { end, window: base + (base / 8) * mantissa, checksum };
}

/**
 * fzstd reads Huffman weights (RFC 8878, section 4.2.1.2) forever if their FSE table has a single symbol, which takes
 * no bits. Only a damaged block has such a table.
 */
function rejectEndlessWeights(bytes: Buffer, block: number, size: number): void {
  const first = bytes[block] as number;
  if ((first & 3) !== 2) return;
  const tree = block + ([3, 3, 4, 5][(first >> 2) & 3] as number);
  const end = block + size;
  if (tree + 2 > end || (bytes[tree] as number) >= 128) return;
  let bit = (tree + 1) * 8 + 4;
  const bits = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++, bit++) value |= (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) << i;
    return value;
  };
  const total = 1 << (((bytes[tree + 1] as number) & 15) + 5);
  // Each probability has as many bits as the remaining total can need (section 4.1.1).
  for (let left = total; left > 0 && bit < end * 8; ) {
    const width = 32 - Math.clz32(left + 1);
    const spare = 2 ** width - 1 - (left + 1);
    let value = bits(width - 1);
    if (value >= spare && bits(1) === 1) value += 2 ** (width - 1) - spare;
    const probability = value - 1;
    if (probability === total) throw damaged('its Huffman weights have no end');
    if (probability === 0) while (bits(2) === 3 && bit < end * 8);
    left -= Math.abs(probability);
  }
}
