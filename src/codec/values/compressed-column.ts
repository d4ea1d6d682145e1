import { inflateRawSync, inflateSync } from 'node:zlib';
import { CdcError } from '../../runtime/error.ts';

const METHOD_STORED = 0;
const METHOD_DEFLATE = 8;
/** One deflated byte inflates to at most 1032 bytes. */
const MAX_RATIO = 1032;

/**
 * Decompresses a value of a MariaDB COMPRESSED column (MariaDB: sql/field_comp.cc). The empty string has no bytes. Any
 * other value has a header byte, its length (big-endian) and the deflated bytes. The header holds the method in its
 * high half, raw deflate in bit 3 and the width of the length below. A short value is stored as it is after a header
 * byte of 0.
 */
export function inflateColumn(src: Buffer, from: number, to: number): Buffer {
  if (from === to) return src.subarray(from, to);
  const header = src[from] as number;
  if (header >> 4 === METHOD_STORED) return src.subarray(from + 1, to);
  const lengthBytes = header & 7;
  const begin = from + 1 + lengthBytes;
  if (header >> 4 !== METHOD_DEFLATE || lengthBytes < 1 || lengthBytes > 4 || begin > to) {
    throw invalidCompressedValue(`its header byte is 0x${header.toString(16)}`);
  }
  const length = src.readUIntBE(from + 1, lengthBytes);
  if (length > (to - begin + 1) * MAX_RATIO)
    throw invalidCompressedValue(`${to - begin} bytes cannot inflate to ${length}`);
  const inflate = (header & 8) !== 0 ? inflateRawSync : inflateSync;
  let whole: Buffer;
  try {
    whole = inflate(src.subarray(begin, to), { maxOutputLength: Math.max(length, 1) });
  } catch (error) {
    throw invalidCompressedValue((error as Error).message);
  }
  if (whole.length !== length)
    throw invalidCompressedValue(`its length is ${length}, but it inflates to ${whole.length}`);
  return whole;
}

const invalidCompressedValue = (why: string): CdcError =>
  new CdcError('a value of a COMPRESSED column cannot be inflated', {
    why,
    hint: 'the event is damaged or from a newer MariaDB; report it (nothing was skipped)',
  });
