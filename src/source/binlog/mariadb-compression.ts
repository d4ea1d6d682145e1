import { inflateSync } from 'node:zlib';
import { CdcError } from '../../runtime/error.ts';
import type { ByteCursor } from './byte-cursor.ts';

const ZLIB = 0;

const malformed = (why: string): CdcError => new CdcError('a compressed event is malformed', { why });

/**
 * Reads the rest of a compressed event and inflates it. Its layout: a byte with 0x80, the method and the number of
 * length bytes; the length, big-endian; a zlib stream (MariaDB: sql/log_event.cc, binlog_buf_uncompress).
 */
export function decompressBody(cursor: ByteCursor): Buffer {
  const head = cursor.u8();
  if ((head & 0x80) === 0 || ((head >> 4) & 7) !== ZLIB) throw malformed(`its method byte is 0x${head.toString(16)}`);
  const width = head & 7;
  if (width < 1 || width > 4) throw malformed(`its length has ${width} bytes`);
  const length = cursor.bytes.readUIntBE(cursor.skip(width), width);
  if (length === 0) throw malformed('it has no content');
  const packed = cursor.slice(cursor.remaining);
  let inflated: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    inflated = inflateSync(packed, { maxOutputLength: length, info: true }) as unknown as typeof inflated;
  } catch (error) {
    throw new CdcError('cannot inflate a compressed event', { why: (error as Error).message, cause: error });
  }
  if (inflated.buffer.length !== length)
    throw malformed(`it inflated to ${inflated.buffer.length} bytes instead of ${length}`);
  if (inflated.engine.bytesWritten !== packed.length) throw malformed('bytes follow its zlib stream');
  return inflated.buffer;
}
