import type { StreamDescriptionSummary } from '@aws-sdk/client-kinesis';
import { expect, test } from 'vitest';
import { checkDataStream, unlistedShards } from '../../../../src/sinks/kinesis/check-stream.ts';

const AGGREGATED = { aggregate: { max_events: 500, max_bytes: 51_200 } };

const findings = (changes: Partial<StreamDescriptionSummary>, options: Parameters<typeof checkDataStream>[1]) => {
  const stream = { StreamName: 's', StreamStatus: 'ACTIVE', RetentionPeriodHours: 72, OpenShardCount: 4, ...changes };
  return checkDataStream(stream as StreamDescriptionSummary, options).map(
    ({ severity, what, transient }) => `${transient ? 'transient ' : ''}${severity} ${what}`,
  );
};

test('an active stream, and one that is resharded, have no finding', () => {
  expect(findings({}, { aggregate: 'off' })).toEqual([]);
  expect(findings({ StreamStatus: 'UPDATING' }, { aggregate: 'off' })).toEqual([]);
});

test('a stream that accepts no records is an error; one that is being created is waited for', () => {
  expect(findings({ StreamStatus: 'CREATING' }, { aggregate: 'off' })).toEqual([
    'transient error the stream s is CREATING',
  ]);
  expect(findings({ StreamStatus: 'DELETING' }, { aggregate: 'off' })).toEqual(['error the stream s is DELETING']);
});

test('a retention of a day is a warning', () => {
  expect(findings({ RetentionPeriodHours: 24 }, { aggregate: 'off' })).toEqual([
    'warning the stream s keeps its records for 24 hours',
  ]);
});

test('more shards than aggregated records have hash keys are a warning', () => {
  expect(findings({ OpenShardCount: 65 }, AGGREGATED)).toEqual([
    'warning the stream s has 65 open shards, and cdc aggregates records',
  ]);
  expect(findings({ OpenShardCount: 64 }, AGGREGATED)).toEqual([]);
  expect(findings({ OpenShardCount: 65 }, { aggregate: 'off' })).toEqual([]);
});

test('shards that cannot be listed are a warning that names the permission', () => {
  expect(unlistedShards('s', 'AccessDeniedException: no').fix).toContain('kinesis:ListShards');
});
