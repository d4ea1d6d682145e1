import { createHash } from 'node:crypto';
import type { RecordBuffers } from '../sink.ts';

/*
 * The aggregated record format of the Kinesis Producer Library ("KPL Aggregated Record Format", in its repository):
 *
 *   F3 89 9A C2 | AggregatedRecord | MD5 of AggregatedRecord
 *
 *   message AggregatedRecord {
 *     repeated string partition_key_table = 1;
 *     repeated string explicit_hash_key_table = 2;
 *     repeated Record records = 3;
 *   }
 *   message Record {
 *     required uint64 partition_key_index = 1;
 *     optional uint64 explicit_hash_key_index = 2;
 *     required bytes data = 3;
 *   }
 *
 * The Kinesis Client Library drops the user records of an aggregate once one of them has a hash key outside of the
 * shard that it reads (AggregatorUtil.java). So all have the keys of the record itself.
 */

const MAGIC = Buffer.from([0xf3, 0x89, 0x9a, 0xc2]);
const DIGEST_BYTES = 16;
const NEWLINE = 0x0a;

/** Protobuf: a field of bytes begins with its number and wire type 2. */
const PARTITION_KEY_TABLE = 0x0a;
const EXPLICIT_HASH_KEY_TABLE = 0x12;
const RECORDS = 0x1a;
/** Both indexes are 0, and then the data begins. */
const RECORD_HEAD = Buffer.from([0x08, 0x00, 0x10, 0x00, 0x1a]);

/** What the format adds to a record at most: for each event, and once for the keys, the magic number and the digest. */
export const EVENT_OVERHEAD_MAX = 1 + 4 + RECORD_HEAD.length + 4;
export const RECORD_OVERHEAD_MAX = 128;

/** The size of an aggregated record of these lines, at most. */
export const aggregatedBytesMax = (lines: RecordBuffers): number => {
  const events = eventLengths(lines);
  return events.reduce((sum, length) => sum + length + EVENT_OVERHEAD_MAX, RECORD_OVERHEAD_MAX);
};

/** One aggregated record, in which each line is a user record, newline included. */
export function aggregatedRecord(
  lines: RecordBuffers,
  { partitionKey, explicitHashKey }: { partitionKey: string; explicitHashKey: string },
): Buffer {
  const events = eventLengths(lines);
  const message = messageLength(events, partitionKey, explicitHashKey);
  const record = Buffer.allocUnsafe(MAGIC.length + message + DIGEST_BYTES);
  let at = MAGIC.copy(record, 0);
  at = putText(record, at, PARTITION_KEY_TABLE, partitionKey);
  at = putText(record, at, EXPLICIT_HASH_KEY_TABLE, explicitHashKey);
  let index = 0;
  let from = 0;
  for (const length of events) {
    record[at++] = RECORDS;
    at = putVarint(record, at, recordLength(length));
    at += RECORD_HEAD.copy(record, at);
    at = putVarint(record, at, length);
    // An event can begin in one buffer and end in another.
    for (let left = length; left > 0; ) {
      const buffer = lines[index] as Buffer;
      const copied = buffer.copy(record, at, from, Math.min(buffer.length, from + left));
      at += copied;
      left -= copied;
      from += copied;
      if (from === buffer.length) {
        index++;
        from = 0;
      }
    }
  }
  createHash('md5').update(record.subarray(MAGIC.length, at)).digest().copy(record, at);
  return record;
}

/** The lengths of the lines, newlines included. No newline is within an event. */
function eventLengths(lines: RecordBuffers): number[] {
  const lengths: number[] = [];
  let open = 0;
  for (const buffer of lines) {
    let from = 0;
    for (let newline = buffer.indexOf(NEWLINE); newline !== -1; newline = buffer.indexOf(NEWLINE, from)) {
      lengths.push(open + newline + 1 - from);
      open = 0;
      from = newline + 1;
    }
    open += buffer.length - from;
  }
  return open > 0 ? [...lengths, open] : lengths;
}

const recordLength = (data: number): number => RECORD_HEAD.length + varintLength(data) + data;

function messageLength(events: readonly number[], partitionKey: string, explicitHashKey: string): number {
  let length = 0;
  for (const text of [partitionKey, explicitHashKey]) {
    const bytes = Buffer.byteLength(text);
    length += 1 + varintLength(bytes) + bytes;
  }
  for (const event of events) length += 1 + varintLength(recordLength(event)) + recordLength(event);
  return length;
}

function putText(record: Buffer, start: number, field: number, text: string): number {
  record[start] = field;
  const at = putVarint(record, start + 1, Buffer.byteLength(text));
  return at + record.write(text, at);
}

/** Seven bits a byte, the lowest first; the high bit says that more follow. */
function putVarint(record: Buffer, start: number, value: number): number {
  let at = start;
  let left = value;
  for (; left >= 0x80; left >>>= 7) record[at++] = (left & 0x7f) | 0x80;
  record[at++] = left;
  return at;
}

function varintLength(value: number): number {
  let length = 1;
  for (let left = value >>> 7; left > 0; left >>>= 7) length++;
  return length;
}
