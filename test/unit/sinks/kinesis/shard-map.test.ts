import { afterEach, beforeEach, expect, test } from 'vitest';
import { KinesisSink } from '../../../../src/sinks/kinesis/kinesis-sink.ts';
import { hashKeyBytes, hashKeyOf, laneTarget } from '../../../../src/sinks/kinesis/partition-key.ts';
import { ShardMap } from '../../../../src/sinks/kinesis/shard-map.ts';
import { type LocalKinesis, startLocalKinesis } from '../../../kinesis/local-kinesis.ts';
import { eventsOf } from './streams.ts';

const STREAM = 'changes';
let kinesis: LocalKinesis;

beforeEach(async () => {
  kinesis = await startLocalKinesis();
  await kinesis.createStream(STREAM, 3);
});
afterEach(() => kinesis.close());

test('each record is stored in the shard that the map has for it, before and after a reshard', async () => {
  const map = new ShardMap(kinesis.client, STREAM);
  const options = { region: undefined, endpoint: kinesis.endpoint, stream: STREAM, quota: 'off' as const };
  const sink = new KinesisSink({ ...options, aggregate: 'off' });
  const aggregating = new KinesisSink({ ...options, aggregate: { maxEvents: 10 } });
  const events = [...eventsOf(200, 1).values()].map(([event]) => event as NonNullable<typeof event>);
  try {
    for (const reshard of [
      async () => {},
      () => kinesis.split(STREAM, 'shardId-000000000001'),
      () => kinesis.merge(STREAM, 'shardId-000000000003', 'shardId-000000000004'),
    ]) {
      await reshard();
      await map.refresh();
      kinesis.stored.length = 0;
      await sink.send(events, new AbortController().signal);
      const byKey = kinesis.stored.map(({ partitionKey }) => map.shardOf(hashKeyOf(partitionKey)));
      expect(byKey).toEqual(kinesis.stored.map(({ shardId }) => shardId));
      expect(new Set(byKey).size).toBe((await kinesis.openShards(STREAM)).length);
      kinesis.stored.length = 0;
      await aggregating.send(events.slice(0, 64), new AbortController().signal);
      const byLane = events
        .slice(0, 64)
        .map(({ lane = 0 }) => map.shardOf(hashKeyBytes(laneTarget(lane).explicitHashKey)));
      expect(byLane).toEqual(kinesis.stored.map(({ shardId }) => shardId));
    }
  } finally {
    sink.close();
    aggregating.close();
  }
});

test('a map that is not known has no shard, and asks again', async () => {
  const changes: string[][] = [];
  const map = new ShardMap(kinesis.client, 'later', (open) => changes.push([...open]));
  await map.refresh();
  expect(map.shardOf(hashKeyOf('a'))).toBeUndefined();
  await kinesis.createStream('later', 1);
  await expect.poll(() => map.shardOf(hashKeyOf('a')), { timeout: 20_000 }).toBe('shardId-000000000000');
  expect(changes).toEqual([['shardId-000000000000']]);
});
