import { expect, test } from 'vitest';
import { aggregatedRecord } from '../../../../src/sinks/kinesis/aggregated-record.ts';
import { kinesisLimits } from '../../../../src/sinks/kinesis/limits.ts';
import { laneTarget, PARTITION_KEY_MAX_BYTES } from '../../../../src/sinks/kinesis/partition-key.ts';

const MIB = 1024 * 1024;

test.each([
  ['a stream that does not say', undefined, MIB, 5 * MIB],
  ['a stream with records of 1 MiB', 1_024, MIB, 5 * MIB],
  ['a stream with records of 2 MiB', 2_048, 2 * MIB, 10 * MIB],
  ['a stream with records of 10 MiB', 10_240, 10 * MIB, 10 * MIB],
])('the events and partition keys of %s stay within its sizes', (_, recordKiB, recordBytes, requestBytes) => {
  const { maxRecords, maxRecordBytes, maxRequestBytes } = kinesisLimits(recordKiB, undefined);
  expect(maxRecords).toBe(500);
  expect(maxRecordBytes + PARTITION_KEY_MAX_BYTES).toBeLessThanOrEqual(recordBytes);
  expect(maxRequestBytes + maxRecords * PARTITION_KEY_MAX_BYTES).toBeLessThanOrEqual(requestBytes);
  expect(maxRecordBytes).toBeLessThanOrEqual(maxRequestBytes);
  // Little is lost.
  expect(maxRecordBytes).toBeGreaterThan(recordBytes * 0.98);
});

test.each([1, 500, 1_000])('aggregated records of %s events stay within the size of a record', (events) => {
  const { maxRecordBytes, maxRequestBytes } = kinesisLimits(undefined, events);
  const length = Math.floor(maxRecordBytes / events);
  const lines = Array.from({ length: events }, () => Buffer.from(`${'x'.repeat(length - 1)}\n`));
  const target = laneTarget(63);
  const bytes = aggregatedRecord(lines, target).length + target.partitionKey.length;
  expect(bytes).toBeLessThanOrEqual(MIB);
  expect(bytes).toBeGreaterThan(MIB * 0.95);
  expect(maxRequestBytes).toBeGreaterThan(4 * MIB);
});
