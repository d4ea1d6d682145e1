import { type Coordinates, fileNumber } from '../../model/coordinates.ts';
import type { Transaction } from '../../model/rows-event.ts';
import { EventType as E, FLAG_ARTIFICIAL, HEADER_LENGTH } from './event-type.ts';

/** Where an event is in the common header: its end position, 32 bits (MySQL: Log_event_header in binlog_event.h). */
const END_POSITION_OFFSET = 13;
/** The header begins with the timestamp, in seconds. */
const TIMESTAMP_LENGTH = 4;

/** How many bytes of an event its digest covers. */
const DIGEST_MAX_BYTES = 1024;

/**
 * The digest of an event, FNV-1a: its timestamp and body, without what depends on checksums (its length and its CRC32).
 * It is made for each transaction, and most of them end with the 8 bytes of an XID: a call of zlib would take longer.
 * @param bodyEnd where its checksum begins, or the end of an event without one
 */
export function eventDigest(bytes: Buffer, start: number, bodyEnd: number): number {
  const body = start + HEADER_LENGTH;
  const end = Math.min(bodyEnd, body + DIGEST_MAX_BYTES);
  let hash = 0x811c9dc5;
  for (let i = start; i < start + TIMESTAMP_LENGTH; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  for (let i = body; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash >>> 0;
}

/** The file and position after the last event that was read. */
export class BinlogPosition {
  file = '';
  fileNumber = 0;
  position = 0;
  /** When the file was created, by its FORMAT_DESCRIPTION event; 0 until that is read. */
  fileCreated = 0;
  /** The event that was read last: `#bytes[#start..#bodyEnd)`, which starts at `#eventPosition` of the file. */
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #bodyEnd = 0;
  #eventPosition = 0;

  get coordinates(): Coordinates {
    return { file: this.file, position: this.position };
  }

  /** Continues at a position of a file, as a ROTATE event says. */
  rotate(file: string, position: number): void {
    if (file !== this.file) {
      this.file = file;
      this.fileNumber = fileNumber(file);
      this.fileCreated = 0;
    }
    this.position = position;
  }

  /** Whether the header of an event says that it follows the last one. */
  isInPlace(bytes: Buffer, start: number, end: number): boolean {
    return bytes.readUInt32LE(start + END_POSITION_OFFSET) === (this.position + end - start) % 2 ** 32;
  }

  /**
   * Moves to the end of an event and returns where it starts in the file. The position in its header has 32 bits and
   * can be 0; then the size of the event counts instead. The header decides where it can, because the server leaves
   * events out, such as MariaDB's annotations.
   */
  advance(bytes: Buffer, start: number, end: number, bodyEnd: number, type: number, flags: number): number {
    if ((flags & FLAG_ARTIFICIAL) !== 0 || type === E.HEARTBEAT || type === E.HEARTBEAT_V2) return this.position;
    const inHeader = bytes.readUInt32LE(start + END_POSITION_OFFSET);
    const size = end - start;
    if (type === E.FORMAT_DESCRIPTION && inHeader === 0) return this.position;
    let next = this.position + size;
    if (inHeader !== 0) {
      const above = Math.floor(this.position / 2 ** 32) * 2 ** 32;
      next = above + inHeader;
      if (next < this.position) next += 2 ** 32;
    }
    this.position = next;
    this.#bytes = bytes;
    this.#start = start;
    this.#bodyEnd = bodyEnd;
    this.#eventPosition = next - size;
    return next - size;
  }

  /** The event that was read last is the last one of the transaction. */
  end(transaction: Transaction): void {
    transaction.endPosition = this.position;
    transaction.fileCreated = this.fileCreated;
    transaction.lastEvent = this.#eventPosition;
    transaction.lastEventDigest = eventDigest(this.#bytes, this.#start, this.#bodyEnd);
  }
}
