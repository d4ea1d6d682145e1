import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { LANES } from '../../../../src/delivery/limits.ts';
import {
  hashKeyBytes,
  hashKeyOf,
  KINESIS_LANES,
  laneTarget,
  PARTITION_KEY_MAX_BYTES,
  partitionKey,
} from '../../../../src/sinks/kinesis/partition-key.ts';

const event = (key: string, name = 'orders') => ({
  key: Buffer.from(key),
  table: { schema: 'shop', name, columns: [], key: [0] },
  op: 'c' as const,
});

test('the partition key is the table and the key of the row', () => {
  expect(partitionKey(event('{"id":1}'))).toBe('shop.orders{"id":1}');
  expect(partitionKey(event('{"name":"Zoë"}'))).toBe('shop.orders{"name":"Zoë"}');
});

test('a table without a key has its name as the partition key', () => {
  expect(partitionKey(event(''))).toBe('shop.orders');
});

test.each([
  ['ASCII', 'k'],
  ['two bytes', 'ë'],
  ['three bytes', '鍵'],
  ['four bytes', '🔑'],
])('a key of %s characters that is too long is cut at a character, and its hash keeps it apart', (_, character) => {
  for (let length = 200; length < 270; length++) {
    const keys = ['1', '2'].map((end) => partitionKey(event(`{"id":"${character.repeat(length)}${end}"}`)));
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) {
      expect(Buffer.byteLength(key)).toBeLessThanOrEqual(PARTITION_KEY_MAX_BYTES);
      expect(key).toMatch(/^shop\.orders\{"id":"/);
      expect(key).not.toContain('\ufffd');
    }
  }
});

test('a key at the limit is not hashed', () => {
  const key = `{"id":"${'k'.repeat(PARTITION_KEY_MAX_BYTES - 'shop.orders{"id":""}'.length)}"}`;
  expect(partitionKey(event(key))).toBe(`shop.orders${key}`);
  expect(partitionKey(event(key.replace('k', 'kk')))).toMatch(/#[0-9a-f]{64}$/);
});

test('the hash key of a partition key is its MD5, as a number', () => {
  const hex = createHash('md5').update('shop.orders{"id":1}').digest('hex');
  expect(hashKeyOf('shop.orders{"id":1}').toString('hex')).toBe(hex);
  expect(hashKeyBytes(BigInt(`0x${hex}`).toString()).toString('hex')).toBe(hex);
  expect(hashKeyBytes('0').toString('hex')).toBe('0'.repeat(32));
  expect(hashKeyBytes((2n ** 128n - 1n).toString()).toString('hex')).toBe('f'.repeat(32));
});

test.each([1, 2, 4, 8, 16, 32, 64])(
  'lanes are spread evenly over %s shards, never at the edge of a range',
  (shards) => {
    const counts = new Array<number>(shards).fill(0);
    for (let lane = 0; lane < 64; lane++) {
      const hashKey = BigInt(laneTarget(lane).explicitHashKey);
      const shard = Number((hashKey * BigInt(shards)) / 2n ** 128n);
      counts[shard] = (counts[shard] as number) + 1;
      expect(hashKey % (2n ** 128n / 64n)).toBe(2n ** 121n);
    }
    expect(new Set(counts)).toEqual(new Set([64 / shards]));
  },
);

test('every lane of delivery has a hash key of its own', () => {
  expect(KINESIS_LANES).toBe(LANES);
  const hashKeys = Array.from({ length: LANES }, (_, lane) => laneTarget(lane).explicitHashKey);
  expect(new Set(hashKeys).size).toBe(LANES);
});
