import { inflateRawSync, inflateSync } from 'node:zlib';
import { CdcError } from '../../runtime/error.ts';

const STORED = 0;
const DEFLATE = 8;
/** Deflate makes at most 1032 bytes of one. */
const MAX_RATIO = 1032;

/**
 * The bytes of a value of a MariaDB COMPRESSED column: nothing for the empty string, else a header byte (method in the
 * high half, raw deflate in bit 3, size of the length below), the length big-endian, and the deflated bytes; short
 * values are stored behind a header byte of 0 (MariaDB: sql/field_comp.cc).
 */
export function inflateColumn(src: Buffer, from: number, to: number): Buffer {
  if (from === to) return src.subarray(from, to);
  const header = src[from] as number;
  if (header >> 4 === STORED) return src.subarray(from + 1, to);
  const lengthBytes = header & 7;
  const begin = from + 1 + lengthBytes;
  if (header >> 4 !== DEFLATE || lengthBytes < 1 || lengthBytes > 4 || begin > to) {
    throw broken(`its header byte is 0x${header.toString(16)}`);
  }
  const length = src.readUIntBE(from + 1, lengthBytes);
  if (length > (to - begin + 1) * MAX_RATIO) throw broken(`${to - begin} bytes cannot hold ${length}`);
  const inflate = (header & 8) !== 0 ? inflateRawSync : inflateSync;
  let whole: Buffer;
  try {
    whole = inflate(src.subarray(begin, to), { maxOutputLength: Math.max(length, 1) });
  } catch (error) {
    throw broken((error as Error).message);
  }
  if (whole.length !== length) throw broken(`${length} bytes announced, ${whole.length} inflated`);
  return whole;
}

const broken = (why: string): CdcError =>
  new CdcError('a value of a COMPRESSED column cannot be inflated', {
    why,
    hint: 'the event is damaged, or of a newer MariaDB: report it; nothing was skipped',
  });
