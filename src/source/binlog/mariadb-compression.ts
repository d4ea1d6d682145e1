import { inflateSync } from 'node:zlib';
import { CdcError } from '../../runtime/error.ts';
import type { ByteCursor } from './byte-cursor.ts';

const ZLIB = 0;

const broken = (why: string): CdcError => new CdcError('a compressed event is malformed', { why });

/**
 * Takes the rest of a compressed event and inflates it: a byte with 0x80, the method and the number of length bytes,
 * the length big-endian, a zlib stream (MariaDB: sql/log_event.cc, binlog_buf_uncompress).
 */
export function decompressBody(cursor: ByteCursor): Buffer {
  const head = cursor.u8();
  if ((head & 0x80) === 0 || ((head >> 4) & 7) !== ZLIB) throw broken(`method byte 0x${head.toString(16)}`);
  const width = head & 7;
  if (width < 1 || width > 4) throw broken(`a length of ${width} bytes`);
  const length = cursor.bytes.readUIntBE(cursor.skip(width), width);
  if (length === 0) throw broken('it has no content');
  const packed = cursor.slice(cursor.remaining);
  let inflated: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    inflated = inflateSync(packed, { maxOutputLength: length, info: true }) as unknown as typeof inflated;
  } catch (error) {
    throw new CdcError('a compressed event cannot be inflated', { why: (error as Error).message, cause: error });
  }
  if (inflated.buffer.length !== length) throw broken(`${inflated.buffer.length} bytes came out, it names ${length}`);
  if (inflated.engine.bytesWritten !== packed.length) throw broken('bytes follow its stream');
  return inflated.buffer;
}
