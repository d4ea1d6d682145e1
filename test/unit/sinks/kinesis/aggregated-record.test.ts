import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aggregatedBytesMax, aggregatedRecord } from '../../../../src/sinks/kinesis/aggregated-record.ts';
import { laneTarget } from '../../../../src/sinks/kinesis/partition-key.ts';
import { deaggregate } from '../../../kinesis/deaggregate.ts';

const line = fc
  .oneof(fc.string({ maxLength: 20, unit: 'binary' }), fc.string({ minLength: 100, maxLength: 20_000 }))
  .map((text) => Buffer.from(`${text.replaceAll('\n', ' ')}\n`));

/** The bytes, cut into buffers at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...ends].map((start, i) => bytes.subarray(start, ends[i] ?? bytes.length));
}

test('a reader of AWS finds each line as a user record, in order, with the keys of its lane', () => {
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 30 }),
      fc.array(fc.nat(1_000_000), { maxLength: 12 }),
      fc.nat(63),
      (lines, places, lane) => {
        const target = laneTarget(lane);
        const buffers = cut(Buffer.concat(lines), places);
        const record = aggregatedRecord(buffers, target);
        const read = deaggregate(record);
        expect(read.map(({ data }) => data.toString())).toEqual(lines.map(String));
        expect(new Set(read.map(({ partitionKey }) => partitionKey))).toEqual(new Set([target.partitionKey]));
        expect(new Set(read.map(({ explicitHashKey }) => explicitHashKey))).toEqual(new Set([target.explicitHashKey]));
        expect(record.length).toBeLessThanOrEqual(aggregatedBytesMax(buffers));
      },
    ),
    { numRuns: 200 },
  );
});

test('lines whose lengths need one to four bytes are whole', () => {
  const lines = [1, 126, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152].map((length) =>
    Buffer.from(`${'x'.repeat(length - 1)}\n`),
  );
  const read = deaggregate(aggregatedRecord(lines, laneTarget(0)));
  expect(read.map(({ data }) => data.length)).toEqual(lines.map(({ length }) => length));
});

test('a record begins with the magic number and ends with the MD5 of what is between', () => {
  const record = aggregatedRecord([Buffer.from('{"id":1}\n')], laneTarget(3));
  expect(record.subarray(0, 4).toString('hex')).toBe('f3899ac2');
  const digest = createHash('md5').update(record.subarray(4, -16)).digest();
  expect(record.subarray(-16).equals(digest)).toBe(true);
});

test('the reader notices a record that was damaged', () => {
  const record = aggregatedRecord([Buffer.from('{"id":1}\n')], laneTarget(3));
  record[record.length - 1] = (record[record.length - 1] as number) ^ 1;
  const read = (): string[] => deaggregate(record).map(({ data }) => String(data));
  expect(read).toThrow();
});
