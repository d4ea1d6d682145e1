import { compressionsAlgorithms, crc32c } from '@platformatic/kafka';
import type { KafkaMessage } from './message-text.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** Who writes a batch, and its place among the batches of a partition. */
export interface BatchIdentity {
  producerId: bigint;
  /** int16. */
  epoch: number;
  /** The number of its first record in the partition, int32. */
  sequence: number;
}

/** A header comes before the records of a batch (Kafka protocol, record batch, magic 2). */
const HEADER_BYTES = 61;
/** Where fields of the header are. The CRC is of all that follows it. */
const AT = { length: 8, leaderEpoch: 12, magic: 16, crc: 17, attributes: 21, lastOffset: 23, times: 27 } as const;
const IDENTITY_AT = { producerId: 43, epoch: 51, sequence: 53 } as const;
const COUNT_AT = 57;
const MAGIC = 2;

const zigZag = (n: number): number => ((n << 1) ^ (n >> 31)) >>> 0;

function varintSize(n: number): number {
  let v = zigZag(n);
  let size = 1;
  while (v >= 128) {
    v >>>= 7;
    size++;
  }
  return size;
}

function putVarint(target: Buffer, start: number, n: number): number {
  let at = start;
  let v = zigZag(n);
  while (v >= 128) {
    target[at++] = (v & 127) | 128;
    v >>>= 7;
  }
  target[at++] = v;
  return at;
}

/** Collects the messages of a batch, and writes it in one buffer of its exact size. */
export class RecordBatchBuilder {
  readonly messages: KafkaMessage[] = [];
  readonly #sizes: number[] = [];
  readonly #maxBytes: number;
  #bytes = HEADER_BYTES;

  /** @param maxBytes of the whole batch without compression. The first message can be larger. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of the batch without compression. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message, unless the batch is full. Returns whether it did. */
  add(message: KafkaMessage): boolean {
    const count = this.messages.length;
    const size = recordSize(message, count);
    const bytes = this.#bytes + varintSize(size) + size;
    if (count > 0 && bytes > this.#maxBytes) return false;
    this.messages.push(message);
    this.#sizes.push(size);
    this.#bytes = bytes;
    return true;
  }

  /**
   * The batch without who writes it: `stampBatch` adds that.
   * @param now milliseconds since 1970, of every record
   */
  build(compression: Compression, now: number): Buffer {
    const plain = Buffer.allocUnsafeSlow(this.#bytes);
    let at = HEADER_BYTES;
    this.messages.forEach((message, i) => {
      at = putRecord(plain, at, message, i, this.#sizes[i] as number);
    });
    const { bitmask, compressSync } = compressionsAlgorithms[compression];
    let batch = plain;
    if (compression !== 'none') {
      const records = compressSync(plain.subarray(HEADER_BYTES));
      batch = Buffer.allocUnsafeSlow(HEADER_BYTES + records.length);
      records.copy(batch, HEADER_BYTES);
    }
    batch.writeBigInt64BE(0n, 0);
    batch.writeInt32BE(batch.length - AT.leaderEpoch, AT.length);
    batch.writeInt32BE(-1, AT.leaderEpoch);
    batch[AT.magic] = MAGIC;
    batch.writeInt16BE(bitmask, AT.attributes);
    batch.writeInt32BE(this.messages.length - 1, AT.lastOffset);
    batch.writeBigInt64BE(BigInt(now), AT.times);
    batch.writeBigInt64BE(BigInt(now), AT.times + 8);
    batch.writeInt32BE(this.messages.length, COUNT_AT);
    return batch;
  }
}

/** Writes who sends the batch into it, and its checksum. The same identity gives the same bytes. */
export function stampBatch(batch: Buffer, { producerId, epoch, sequence }: BatchIdentity): void {
  batch.writeBigInt64BE(producerId, IDENTITY_AT.producerId);
  batch.writeInt16BE(epoch, IDENTITY_AT.epoch);
  batch.writeInt32BE(sequence, IDENTITY_AT.sequence);
  batch.writeUInt32BE(crc32c(batch.subarray(AT.attributes)) >>> 0, AT.crc);
}

/** Sequence numbers begin again at 0 after the largest int32. */
export function sequenceAfter(sequence: number, records: number): number {
  const next = sequence + records;
  return next > 0x7fffffff ? next - 0x80000000 : next;
}

function valueBytes(value: readonly Buffer[]): number {
  let bytes = 0;
  for (const part of value) bytes += part.length;
  return bytes;
}

const sizeOf = (bytes: number): number => varintSize(bytes) + bytes;

/** Bytes of a record after its length. */
function recordSize({ key, value, headers }: KafkaMessage, index: number): number {
  let size = 1 + 1 + varintSize(index);
  size += key === null ? 1 : sizeOf(key.length);
  size += value === null ? 1 : sizeOf(valueBytes(value));
  size += varintSize(headers.length);
  for (const [name, content] of headers) size += sizeOf(Buffer.byteLength(name)) + sizeOf(content.length);
  return size;
}

function putRecord(target: Buffer, start: number, message: KafkaMessage, index: number, size: number): number {
  const { key, value, headers } = message;
  let at = putVarint(target, start, size);
  target[at++] = 0; // attributes
  target[at++] = 0; // time, relative to that of the batch
  at = putVarint(target, at, index);
  at = putVarint(target, at, key === null ? -1 : key.length);
  if (key !== null) at += key.copy(target, at);
  at = putVarint(target, at, value === null ? -1 : valueBytes(value));
  if (value !== null) for (const part of value) at += part.copy(target, at);
  at = putVarint(target, at, headers.length);
  for (const [name, content] of headers) {
    at = putVarint(target, at, Buffer.byteLength(name));
    at += target.write(name, at);
    at = putVarint(target, at, content.length);
    at += content.copy(target, at);
  }
  return at;
}
