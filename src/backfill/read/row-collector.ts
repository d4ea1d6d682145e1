import { BUFFER_DOUBLING_MAX_BYTES, CHUNK_BUFFER_BYTES } from './limits.ts';
import { PACKET_HEADER_LENGTH } from './row-chunk.ts';

const PACKET_MAX = 0xffffff;
const ERR = 0xff;
const EOF = 0xfe;
const EMPTY = Buffer.alloc(0);
/** The fixed part of a column definition, from the end of the packet: type, then flags (2), decimals, filler (2). */
const TYPE_FROM_END = 6;
const FLAGS_FROM_END = 5;
const UNSIGNED_FLAG = 0x20;

/** A column of a result set, as the protocol describes it. */
export interface ResultColumn {
  /** The type of the protocol (enum_field_types). */
  type: number;
  unsigned: boolean;
}

/** Row packets with their headers, and where each ends. */
export interface CollectedRows {
  count: number;
  bytes: Buffer;
  ends: Uint32Array;
}

type Phase = 'header' | 'columns' | 'columns-end' | 'rows';

/**
 * Collects the packets of one result set in one buffer, straight from the bytes of the socket: each chunk of the socket
 * is copied once, and no row becomes an object. Rows keep their headers; the further headers of a row of 16 MiB or more
 * are removed. (MySQL: Protocol::COM_STMT_EXECUTE response)
 */
export class RowCollector {
  bytes: Buffer;
  ends: Uint32Array;
  /** The rows that are complete; the last one ends at `end`. */
  count = 0;
  end = 0;
  readonly columns: ResultColumn[] = [];
  /** The column definitions as they came: equal for every execution, unless the table has changed. */
  definitions: Buffer = Buffer.alloc(0);
  #phase: Phase = 'header';
  #columnCount = 0;
  /** The bytes that have arrived. */
  #length = 0;
  /** Where the packet that is not complete begins, and where its present part ends; 0 before its header is there. */
  #packet = 0;
  #partEnd = 0;
  /** More parts of the packet follow. */
  #continues = false;

  /** @param spare a buffer to use, if it has about this capacity */
  constructor(capacity = CHUNK_BUFFER_BYTES, rows = 1024, spare: Buffer = EMPTY) {
    const isFitting = spare.length >= capacity && spare.length <= 2 * capacity;
    this.bytes = isFitting ? spare : Buffer.allocUnsafeSlow(Math.max(capacity, 64 * 1024));
    this.ends = new Uint32Array(Math.max(rows, 16));
  }

  /** The bytes of complete rows and of the row that is arriving. */
  get length(): number {
    return this.#length;
  }

  /**
   * Takes bytes of the socket. Returns undefined while the result set continues; at its end the bytes that follow the
   * last row: the packet that ends it (EOF, OK or ERR), and what came after.
   */
  take(chunk: Buffer): Buffer | undefined {
    this.#reserve(this.#length + chunk.length);
    chunk.copy(this.bytes, this.#length);
    this.#length += chunk.length;
    while (this.#completePacket()) {
      const from = this.#packet + PACKET_HEADER_LENGTH;
      const first = this.bytes[from] as number;
      const isEof = first === EOF && this.#partEnd - from < 9;
      if (this.#phase === 'rows' && first === 0) this.#addRow();
      else if (first === ERR || (isEof && this.#phase === 'rows')) return this.#finish();
      else if (this.#phase === 'header' && first === 0) return this.#finish();
      else this.#takeDefinition(from);
      this.#packet = this.#partEnd;
      this.#partEnd = 0;
    }
    return undefined;
  }

  /** Drops all complete rows; the row that is arriving stays. */
  clear(): void {
    this.bytes.copyWithin(0, this.end, this.#length);
    this.#moveDown(this.end);
    this.count = 0;
  }

  /** The complete rows. They share the buffer of the collector. */
  rows(): CollectedRows {
    const { bytes, ends, count, end } = this;
    return { count, bytes: bytes.subarray(0, end), ends: ends.subarray(0, count) };
  }

  /** Gives the complete rows away; the next rows go to new buffers. */
  detach(): CollectedRows {
    const rows = this.rows();
    const { bytes, end } = this;
    this.bytes = Buffer.allocUnsafeSlow(Math.max(bytes.length, this.#length - end));
    bytes.copy(this.bytes, 0, end, this.#length);
    this.ends = new Uint32Array(this.ends.length);
    this.#moveDown(end);
    this.count = 0;
    return rows;
  }

  #moveDown(by: number): void {
    this.#length -= by;
    this.#packet -= by;
    if (this.#partEnd > 0) this.#partEnd -= by;
    this.end = 0;
  }

  /** Whether the packet at `#packet` is complete. It then ends at `#partEnd`. */
  #completePacket(): boolean {
    const { bytes } = this;
    if (this.#partEnd === 0) {
      if (this.#length - this.#packet < PACKET_HEADER_LENGTH) return false;
      this.#startPart(this.#packet + PACKET_HEADER_LENGTH, this.#packet);
    }
    while (this.#continues && this.#partEnd + PACKET_HEADER_LENGTH <= this.#length) {
      const header = this.#partEnd;
      const size = readSize(bytes, header);
      bytes.copyWithin(header, header + PACKET_HEADER_LENGTH, this.#length);
      this.#length -= PACKET_HEADER_LENGTH;
      this.#continues = size === PACKET_MAX;
      this.#partEnd = header + size;
    }
    return !this.#continues && this.#partEnd <= this.#length;
  }

  #startPart(from: number, header: number): void {
    const size = readSize(this.bytes, header);
    this.#continues = size === PACKET_MAX;
    this.#partEnd = from + size;
  }

  #addRow(): void {
    if (this.count === this.ends.length) {
      const grown = new Uint32Array(this.ends.length * 2);
      grown.set(this.ends);
      this.ends = grown;
    }
    this.ends[this.count++] = this.#partEnd;
    this.end = this.#partEnd;
  }

  #takeDefinition(from: number): void {
    const to = this.#partEnd;
    if (this.#phase === 'header') {
      this.#columnCount = readCount(this.bytes, from);
      this.#phase = 'columns';
      return;
    }
    if (this.#phase === 'columns') {
      const type = this.bytes[to - TYPE_FROM_END] as number;
      this.columns.push({ type, unsigned: (this.bytes.readUInt16LE(to - FLAGS_FROM_END) & UNSIGNED_FLAG) !== 0 });
      if (this.columns.length === this.#columnCount) this.#phase = 'columns-end';
      return;
    }
    // The EOF packet after the definitions. Rows begin at the start of the buffer.
    this.definitions = Buffer.from(this.bytes.subarray(0, from - PACKET_HEADER_LENGTH));
    this.bytes.copyWithin(0, to, this.#length);
    this.#length -= to;
    this.#partEnd = 0;
    this.#packet = 0;
    this.#phase = 'rows';
  }

  #finish(): Buffer {
    return Buffer.from(this.bytes.subarray(this.#packet, this.#length));
  }

  #reserve(needed: number): void {
    const wanted = Math.max(needed, this.#partEnd);
    const { bytes } = this;
    if (wanted <= bytes.length) return;
    const growth = bytes.length > BUFFER_DOUBLING_MAX_BYTES ? bytes.length >> 1 : bytes.length;
    this.bytes = Buffer.allocUnsafeSlow(Math.max(wanted, bytes.length + growth));
    bytes.copy(this.bytes, 0, 0, this.#length);
  }
}

const readSize = (bytes: Buffer, at: number): number =>
  (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);

/** A column count; at most 4,096, so at most two bytes after the marker 0xfc. */
const readCount = (bytes: Buffer, at: number): number =>
  bytes[at] === 0xfc ? bytes.readUInt16LE(at + 1) : (bytes[at] as number);
