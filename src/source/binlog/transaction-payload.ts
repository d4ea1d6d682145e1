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

/** The offset of the size in the header of an event. */
const SIZE_OFFSET = 9;

/** The first size of the buffer for decompressed events. It grows if an event needs more. */
const INITIAL_BUFFER_BYTES = 256 * 1024;

/** One whole event of a payload, `bytes[start..end)`, with header and without checksum. Valid until the next one. */
export interface EmbeddedEvent {
  bytes: Buffer;
  start: number;
  end: number;
  /** Where it starts in the uncompressed payload. */
  offset: number;
}

const malformed = (why: string): CdcError => new CdcError('a compressed transaction is malformed', { why });

/**
 * The events inside a TRANSACTION_PAYLOAD body, one by one. No more is decompressed than the next event needs. The
 * same object is yielded each time.
 */
export function* embeddedEvents(body: Buffer, from: number, to: number): Generator<EmbeddedEvent> {
  const { compression, size, payload } = readHeader(new ByteCursor(body, from, to));
  const event: EmbeddedEvent = { bytes: body, start: payload, end: payload, offset: 0 };
  if (compression === NONE) {
    for (let at = payload; at < to; ) at += eventSize(body, at, to - at, to - at);
    while (event.end < to) {
      event.start = event.end;
      event.offset = event.start - payload;
      event.end += body.readUInt32LE(event.start + SIZE_OFFSET);
      yield event;
    }
    return;
  }
  if (compression !== ZSTD) throw new CdcError(`a transaction is compressed with the unknown method ${compression}`);
  let bytes = Buffer.allocUnsafe(Math.min(size, INITIAL_BUFFER_BYTES));
  let head = 0;
  let tail = 0;
  let offset = 0;
  /**
   * The length of the whole event at `head`. The last event commits, so it is yielded only after the payload is
   * complete.
   */
  let heldBack = 0;
  const next = (): EmbeddedEvent => {
    event.bytes = bytes;
    event.start = head;
    event.offset = offset;
    head += heldBack;
    offset += heldBack;
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
    while (tail - head - heldBack >= HEADER_LENGTH) {
      const length = eventSize(bytes, head + heldBack, tail - head - heldBack, size - offset - heldBack);
      if (length > tail - head - heldBack) break;
      if (heldBack > 0) yield next();
      heldBack = length;
    }
  }
  const out = offset + tail - head;
  if (out !== size || tail - head !== heldBack) throw malformed(`it decompressed to ${out} bytes instead of ${size}`);
  if (heldBack > 0) yield next();
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
    else throw malformed(`its header has the unknown field ${field}`);
    value.expectEnd('a field of a compressed transaction');
  }
  const left = cursor.remaining;
  if (payloadSize !== undefined && payloadSize !== left)
    throw malformed(`its payload has ${left} bytes instead of ${payloadSize}`);
  if (size === undefined && compression !== NONE) throw malformed('its uncompressed size is missing');
  return { compression, size: size ?? left, payload: cursor.at };
}

/** The length in the header at `at`, of which `available` bytes are there. The event can have at most `rest` bytes. */
function eventSize(bytes: Buffer, at: number, available: number, rest: number): number {
  if (available < HEADER_LENGTH) throw malformed('an event is incomplete');
  const size = bytes.readUInt32LE(at + SIZE_OFFSET);
  if (size < HEADER_LENGTH || size > rest) throw malformed(`an event has the invalid length ${size}`);
  return size;
}
