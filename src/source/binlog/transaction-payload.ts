import { CdcError } from '../../runtime/error.ts';
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

/** Where an event's header holds its size. */
const SIZE_AT = 9;

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
    for (let at = payload; at < to; ) at += eventSize(body, at, to - at, to - at);
    while (event.end < to) {
      event.start = event.end;
      event.offset = event.start - payload;
      event.end += body.readUInt32LE(event.start + SIZE_AT);
      yield event;
    }
    return;
  }
  if (compression !== ZSTD) throw new CdcError(`a transaction is compressed by method ${compression}, not known`);
  let bytes = Buffer.allocUnsafe(Math.min(size, INITIAL_BYTES));
  let head = 0;
  let tail = 0;
  let offset = 0;
  /** The whole event at `head`. The last of all commits: it is not given before the payload has proved whole. */
  let held = 0;
  const give = (): EmbeddedEvent => {
    event.bytes = bytes;
    event.start = head;
    event.offset = offset;
    head += held;
    offset += held;
    event.end = head;
    return event;
  };
  for (const chunk of decompress(body, payload, to)) {
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
    while (tail - head - held >= HEADER_LENGTH) {
      const length = eventSize(bytes, head + held, tail - head - held, size - offset - held);
      if (length > tail - head - held) break;
      if (held > 0) yield give();
      held = length;
    }
  }
  const out = offset + tail - head;
  if (out !== size || tail - head !== held) throw broken(`${out} bytes came out, it names ${size}`);
  if (held > 0) yield give();
}

function readHeader(cursor: ByteCursor): { compression: number; size: number; payload: number } {
  let compression = NONE;
  let size: number | undefined;
  let payloadSize: number | undefined;
  for (let field = cursor.lenenc(); field !== END_OF_HEADER; field = cursor.lenenc()) {
    const value = cursor.subCursor(cursor.lenenc());
    if (field === PAYLOAD_SIZE) payloadSize = value.lenenc();
    else if (field === COMPRESSION_TYPE) compression = value.lenenc();
    else if (field === UNCOMPRESSED_SIZE) size = value.lenenc();
    else throw broken(`header field ${field}`);
    value.expectEnd('a field of a compressed transaction');
  }
  const left = cursor.remaining;
  if (payloadSize !== undefined && payloadSize !== left) throw broken(`${left} bytes follow, ${payloadSize} are named`);
  if (size === undefined && compression !== NONE) throw broken('it does not name its size');
  return { compression, size: size ?? left, payload: cursor.at };
}

/** The length that the header at `at` states; `available` bytes are there, at most `rest` can follow. */
function eventSize(bytes: Buffer, at: number, available: number, rest: number): number {
  if (available < HEADER_LENGTH) throw broken('an event is cut off');
  const size = bytes.readUInt32LE(at + SIZE_AT);
  if (size < HEADER_LENGTH || size > rest) throw broken(`an event says that it has ${size} bytes`);
  return size;
}
