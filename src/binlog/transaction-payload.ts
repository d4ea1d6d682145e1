import { CdcError } from '../error.ts';
import { ByteCursor } from './byte-cursor.ts';
import { HEADER_LENGTH } from './event-type.ts';
import { decompress } from './zstd.ts';

/** Fields of the header (MySQL: libs/mysql/binlog/event/codecs/binary.h, Transaction_payload). */
const END_OF_HEADER = 0;
const PAYLOAD_SIZE = 1;
const COMPRESSION_TYPE = 2;
const UNCOMPRESSED_SIZE = 3;
/** Compression types (compression/base.h). */
const ZSTD = 0;
const NONE = 255;

const INITIAL_BYTES = 256 * 1024;

/** One whole event of a payload, `bytes[start..end)`, header included and without checksum; valid until the next. */
export interface EmbeddedEvent {
  bytes: Buffer;
  start: number;
  end: number;
  /** Where it starts in the uncompressed payload. */
  offset: number;
}

const broken = (why: string): CdcError => new CdcError('a compressed transaction is malformed', { why });

/**
 * The events inside a TRANSACTION_PAYLOAD body, one by one: no more is decompressed than the next event needs. The
 * object given is the same each time.
 */
export function* embeddedEvents(body: Buffer, from: number, to: number): Generator<EmbeddedEvent> {
  const { compression, size, payload } = readHeader(new ByteCursor(body, from, to));
  const event: EmbeddedEvent = { bytes: body, start: payload, end: payload, offset: 0 };
  if (compression === NONE) {
    for (let left = to - payload; left > 0; left = to - event.end) {
      event.offset = event.end - payload;
      event.start = event.end;
      event.end += eventSize(body, event.start, left, left);
      yield event;
    }
    return;
  }
  if (compression !== ZSTD) throw new CdcError(`a transaction is compressed by method ${compression}, not known`);
  let bytes = Buffer.allocUnsafe(Math.min(size, INITIAL_BYTES));
  let head = 0;
  let tail = 0;
  let offset = 0;
  for (const chunk of decompress(body, payload, to)) {
    if (offset + (tail - head) + chunk.length > size) throw broken(`it is larger than the ${size} bytes it names`);
    if (tail + chunk.length > bytes.length) {
      const live = tail - head;
      const needed = live + chunk.length;
      const target = needed > bytes.length ? Buffer.allocUnsafeSlow(needed * 2) : bytes;
      bytes.copy(target, 0, head, tail);
      bytes = target;
      head = 0;
      tail = live;
    }
    bytes.set(chunk, tail);
    tail += chunk.length;
    while (tail - head >= HEADER_LENGTH) {
      const length = eventSize(bytes, head, tail - head, size - offset);
      if (length > tail - head) break;
      event.bytes = bytes;
      event.start = head;
      event.end = head + length;
      event.offset = offset;
      head += length;
      offset += length;
      yield event;
    }
  }
  if (offset !== size) throw broken(`${offset} bytes of whole events came out, it names ${size}`);
}

function readHeader(cursor: ByteCursor): { compression: number; size: number; payload: number } {
  let compression = NONE;
  let size: number | undefined;
  let payloadSize: number | undefined;
  for (let field = cursor.lenenc(); field !== END_OF_HEADER; field = cursor.lenenc()) {
    const value = cursor.part(cursor.lenenc());
    if (field === PAYLOAD_SIZE) payloadSize = value.lenenc();
    else if (field === COMPRESSION_TYPE) compression = value.lenenc();
    else if (field === UNCOMPRESSED_SIZE) size = value.lenenc();
    else throw broken(`header field ${field}`);
    value.done('a field of a compressed transaction');
  }
  const left = cursor.left;
  if (payloadSize !== undefined && payloadSize !== left) throw broken(`${left} bytes follow, ${payloadSize} are named`);
  if (size === undefined && compression !== NONE) throw broken('it does not name its size');
  return { compression, size: size ?? left, payload: cursor.at };
}

/** The length that the header at `at` states; `available` bytes are there, at most `rest` can follow. */
function eventSize(bytes: Buffer, at: number, available: number, rest: number): number {
  if (available < HEADER_LENGTH) throw broken('an event is cut off');
  const size = bytes.readUInt32LE(at + 9);
  if (size < HEADER_LENGTH || size > rest) throw broken(`an event says that it has ${size} bytes`);
  return size;
}
