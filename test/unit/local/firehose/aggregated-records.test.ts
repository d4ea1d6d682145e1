import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { userRecords } from '../../../../src/local/firehose/aggregated-records.ts';
import { aggregatedRecord } from '../../../../src/sinks/kinesis/aggregated-record.ts';
import { laneTarget } from '../../../../src/sinks/kinesis/partition-key.ts';

type Aggregate = (
  records: { data: string; partitionKey: string; explicitHashKey?: string }[],
  onRecord: (record: { data: Buffer }, done: () => void) => void,
  done: () => void,
  onError: (error: Error) => void,
) => void;

const { aggregate } = createRequire(import.meta.url)('aws-kinesis-agg') as { aggregate: Aggregate };

const TEXTS = ['{"id":1}\n', `${'x'.repeat(40_000)}\n`, 'ü\n'];

test('the records that the library of AWS has aggregated are taken apart', async () => {
  const record = await new Promise<Buffer>((resolve, reject) => {
    const records = TEXTS.map((text, i) => ({ data: Buffer.from(text).toString('base64'), partitionKey: `p${i}` }));
    aggregate(
      records,
      ({ data }, done) => {
        resolve(Buffer.from(data));
        done();
      },
      () => {},
      reject,
    );
  });
  const read = userRecords(record).map(String);
  // The library puts what it was given into the record, base64 included.
  expect(read.map((text) => (TEXTS.includes(text) ? text : String(Buffer.from(text, 'base64'))))).toEqual(TEXTS);
});

test('the records of cdc are taken apart', () => {
  const record = aggregatedRecord(
    TEXTS.map((text) => Buffer.from(text)),
    laneTarget(9),
  );
  expect(userRecords(record).map(String)).toEqual(TEXTS);
});

test.each([
  ['a record that is not aggregated', Buffer.from('{"id":1}\n')],
  ['an empty record', Buffer.alloc(0)],
  ['a record with the magic number alone', Buffer.from('f3899ac2', 'hex')],
  ['a record with a wrong digest', Buffer.from(`f3899ac2${'00'.repeat(40)}`, 'hex')],
])('%s is its own', (_, record) => {
  expect(userRecords(record)).toEqual([record]);
});
