import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KinesisSink } from '../../../../src/sinks/kinesis/kinesis-sink.ts';
import { SHARD_QUOTA } from '../../../../src/sinks/kinesis/quota.ts';
import type { SinkRecord } from '../../../../src/sinks/sink.ts';
import type { KinesisFault } from '../../../kinesis/fault-proxy.ts';
import { type LocalKinesis, startLocalKinesis } from '../../../kinesis/local-kinesis.ts';
import { readStream } from '../../../kinesis/read-stream.ts';
import { sendInOrder } from './ordered-writer.ts';
import { eventsOf, faultsIn, readKeys } from './streams.ts';

const STREAM = 'changes';
const { signal } = new AbortController();

let kinesis: LocalKinesis;
/** 0 and 1; 0 becomes 2 and 3; 2 becomes 4 and 5, which become 6. */
const RESHARDS = [
  async () => {},
  () => kinesis.split(STREAM, 'shardId-000000000000'),
  () => kinesis.split(STREAM, 'shardId-000000000002'),
  () => kinesis.merge(STREAM, 'shardId-000000000004', 'shardId-000000000005'),
  async () => {},
];
const MERGED = 'shardId-000000000006';
let sink: KinesisSink;
const open = async (aggregate: { maxEvents: number } | 'off', quota: typeof SHARD_QUOTA | 'off' = 'off') => {
  const connection = { region: undefined, endpoint: kinesis.endpoint, timeoutMs: 2_000 };
  sink = new KinesisSink({ ...connection, stream: STREAM, aggregate, quota });
  await sink.open();
};

afterEach(async () => {
  sink.close();
  await kinesis.close();
});

describe.each([
  ['one event a record', 'off' as const],
  ['aggregated records', { maxEvents: 500 }],
])('while a stream is resharded, with %s', (_, aggregate) => {
  beforeEach(async () => {
    kinesis = await startLocalKinesis();
    await kinesis.createStream(STREAM, 2);
    await open(aggregate);
  });

  test('each key is whole and in order for a consumer that reads parents before children', async () => {
    // Aggregated, a lane is the unit of order, and each key is a lane of its own here.
    const [keys, each] = [60, 40];
    const faults: (KinesisFault | undefined)[] = [
      undefined,
      'second record throttled',
      undefined,
      'request throttled',
      { throttledShard: 'shardId-000000000001' },
      'token expired',
      'response lost',
    ];
    kinesis.setFault((call) => faults[call % faults.length]);
    // Each reshard happens while events are sent, and more are sent after it.
    const counts = new Map<string, number>();
    for (const [phase, reshard] of RESHARDS.entries()) {
      const events = eventsOf(keys, each, {
        from: (phase * each) / RESHARDS.length,
        to: ((phase + 1) * each) / RESHARDS.length,
      });
      const [sent] = await Promise.all([sendInOrder(sink, events, signal), reshard()]);
      for (const [kind, count] of sent) counts.set(kind, (counts.get(kind) ?? 0) + count);
    }
    kinesis.setFault(undefined);
    const records = await readStream(kinesis.client, STREAM);
    expect(faultsIn(readKeys(records), keys, each)).toEqual([]);
    // Only what was lost on the way back is repeated.
    expect(counts.get('accepted')).toBe(keys * each);
    expect(counts.get('throttled')).toBeGreaterThan(0);
    expect(records.length - keys * each).toBe(counts.get('unknown') ?? 0);
    // The events went to the children too.
    const used = new Set(records.map(({ shardId }) => shardId));
    for (const shard of ['shardId-000000000000', 'shardId-000000000003', MERGED]) expect(used).toContain(shard);
  });
});

describe('with the quotas of shards', () => {
  const start = async (records: number, shards: number) => {
    kinesis = await startLocalKinesis({ ...SHARD_QUOTA, records });
    await kinesis.createStream(STREAM, shards);
  };

  test('a stream that is not paced is throttled, and nothing is lost', async () => {
    await start(50, 2);
    await open('off', 'off');
    const counts = await sendInOrder(sink, eventsOf(250, 1), signal);
    expect(counts.get('throttled')).toBeGreaterThanOrEqual(100);
    expect(kinesis.throttled()).toBe(counts.get('throttled'));
    expect(faultsIn(readKeys(await readStream(kinesis.client, STREAM)), 250, 1)).toEqual([]);
  });

  test('a stream that is paced by records is not throttled, and no faster than its quota', async () => {
    await start(SHARD_QUOTA.records, 2);
    await open('off', SHARD_QUOTA);
    const begun = performance.now();
    const counts = await sendInOrder(sink, eventsOf(1_500, 2), signal);
    expect(Object.fromEntries(counts)).toEqual({ accepted: 3_000 });
    // Two shards take 1.5 seconds, less the quarter that they can be ahead.
    expect(performance.now() - begun).toBeGreaterThan(1_200);
  });

  test('a stream that is paced by bytes is not throttled', async () => {
    await start(SHARD_QUOTA.records, 2);
    await open('off', SHARD_QUOTA);
    const counts = await sendInOrder(sink, eventsOf(60, 1, { bytes: 50_000 }), signal);
    expect(Object.fromEntries(counts)).toEqual({ accepted: 60 });
  });

  test('aggregated records are paced by what they are on the wire', async () => {
    await start(SHARD_QUOTA.records, 2);
    await open({ maxEvents: 1_000 }, SHARD_QUOTA);
    // The format adds as much as such events have.
    const record = (lane: number) => ({ buffers: [Buffer.from('{"id":1}\n'.repeat(1_000))], lane });
    const records = new Map(Array.from({ length: 64 }, (_, lane) => [String(lane), new Array(3).fill(record(lane))]));
    expect(Object.fromEntries(await sendInOrder(sink, records, signal))).toEqual({ accepted: 192 });
  });

  test('a merge is noticed by throttling, and then the stream is paced for what is left', async () => {
    const quota = { ...SHARD_QUOTA, records: 100 };
    await start(quota.records, 2);
    await open('off', quota);
    await kinesis.merge(STREAM, 'shardId-000000000000', 'shardId-000000000001');
    kinesis.calls.delete('ListShards');
    // It is paced for two shards at first.
    const counts = await sendInOrder(sink, eventsOf(600, 1), signal);
    expect(counts.get('throttled')).toBeGreaterThan(0);
    expect(kinesis.calls.get('ListShards')).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(Object.fromEntries(await sendInOrder(sink, eventsOf(150, 1), signal))).toEqual({ accepted: 150 });
  });

  test('a stream whose shards cannot be listed is not paced', async () => {
    await start(SHARD_QUOTA.records, 1);
    const connection = { region: undefined, endpoint: kinesis.endpoint };
    sink = new KinesisSink({ ...connection, stream: 'not-listed', aggregate: 'off', quota: SHARD_QUOTA });
    await sink.open();
    const [record] = eventsOf(1, 1, { bytes: 1_000_000 }).get('0') as [SinkRecord];
    for (let i = 0; i < 3; i++) expect(sink.pacer?.admit(record, 0)).toBe(0);
  });
});
