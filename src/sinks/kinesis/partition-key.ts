import { createHash } from 'node:crypto';
import type { RecordEvent } from '../sink.ts';

/** Kinesis takes 256 characters (API reference, PutRecordsRequestEntry). Bytes count in the size of a record. */
export const PARTITION_KEY_MAX_BYTES = 256;
const HASH_DIGITS = 64;

/**
 * The partition key of an event: the table and the JSON of its key, such as `shop.orders{"id":1}`. A table without a
 * key has one partition key for all of its events. The end of a long key is replaced by the SHA-256 of the whole key.
 */
export function partitionKey({ key, table }: RecordEvent): string {
  const text = `${table.schema}.${table.name}${key.toString()}`;
  if (text.length * 3 <= PARTITION_KEY_MAX_BYTES) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= PARTITION_KEY_MAX_BYTES) return text;
  let end = PARTITION_KEY_MAX_BYTES - HASH_DIGITS - 1;
  // Not within a character: bytes 10xxxxxx continue one.
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}#${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Lanes of delivery (delivery/limits.ts). */
export const KINESIS_LANES = 64;
/** 2^128 hash keys, in two parts for each lane. */
const HALF_LANE = 2n ** 128n / BigInt(2 * KINESIS_LANES);

/** Where the records of a lane go: the middle of its part of the hash keys, so that lanes spread evenly over shards. */
export const laneTarget = (lane: number): { partitionKey: string; explicitHashKey: string } => ({
  partitionKey: `lane-${lane}`,
  explicitHashKey: (BigInt(2 * lane + 1) * HALF_LANE).toString(),
});

/** The hash key of a record as 16 bytes, which compare as the numbers do. */
export const hashKeyOf = (partitionKey: string): Buffer => createHash('md5').update(partitionKey).digest();

/** @param decimal a hash key as the API writes it */
export const hashKeyBytes = (decimal: string): Buffer =>
  Buffer.from(BigInt(decimal).toString(16).padStart(32, '0'), 'hex');
