import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sink, SinkRecord } from '../../../src/sinks/sink.ts';
import { kafkaAvailability } from '../../kafka/artifacts.ts';
import { type KafkaServer, startKafka } from '../../kafka/kafka-server.ts';
import { openSink, recordOf, tableOf } from './open-sink.ts';

const reason = await kafkaAvailability();
const LANES = 12;
const KEYS_PER_LANE = 5;
/** Lanes that one request has events of. */
const LANES_PER_SEND = 3;

/** Sends events of some lanes until `ends`, as delivery does: a lane continues behind its first failed record. */
async function sendLanes(sink: Sink, table: string, lanes: readonly number[], ends: () => boolean) {
  const { signal } = new AbortController();
  const queues = new Map<number, SinkRecord[]>(lanes.map((lane) => [lane, []]));
  const counts = new Map<number, number>();
  const kinds = new Map<string, number>();
  while (!ends() || [...queues.values()].some((queue) => queue.length > 0)) {
    for (const lane of lanes) {
      const queue = queues.get(lane) as SinkRecord[];
      while (!ends() && queue.length < 40) {
        const id = lane * KEYS_PER_LANE + Math.floor(Math.random() * KEYS_PER_LANE);
        const n = counts.get(id) ?? 0;
        counts.set(id, n + 1);
        queue.push(recordOf({ table: tableOf(table), id, n, lane, pad: 'x'.repeat(200) }));
      }
    }
    const outcomes = await sink.send([...queues.values()].flat(), signal);
    let first = 0;
    for (const queue of queues.values()) {
      const its = outcomes.slice(first, first + queue.length);
      first += queue.length;
      for (const { kind } of its) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      const failed = its.findIndex(({ kind }) => kind !== 'accepted');
      queue.splice(0, failed < 0 ? queue.length : failed);
    }
    if (outcomes.some(({ kind }) => kind !== 'accepted')) await sleep(200);
  }
  return { counts, kinds };
}

async function storedByKey(kafka: KafkaServer, topic: string): Promise<Map<number, number[]>> {
  const stored = new Map<number, number[]>();
  const partitions = new Map<number, number>();
  for (const { value, partition } of await kafka.readTopic(topic)) {
    const { id, n } = JSON.parse(String(value)) as { id: number; n: number };
    expect(partitions.get(id) ?? partition).toBe(partition);
    partitions.set(id, partition);
    stored.set(id, [...(stored.get(id) ?? []), n]);
  }
  return stored;
}

describe.skipIf(reason !== undefined)(`order in Kafka${reason ? ` (cannot run: ${reason})` : ''}`, () => {
  let kafka: KafkaServer;
  beforeAll(async () => {
    kafka = await startKafka({ brokers: 3 });
  });
  afterAll(() => kafka?.close());

  const groups = Array.from({ length: LANES / LANES_PER_SEND }, (_, i) =>
    Array.from({ length: LANES_PER_SEND }, (_, j) => i * LANES_PER_SEND + j),
  );

  test('brokers are killed, stopped and frozen: every event is stored once, in the order of its key', async () => {
    const topic = 'cdc.shop.killed';
    await kafka.createTopic(topic, 6, { 'min.insync.replicas': 2 });
    const sink = await openSink({ brokers: kafka.bootstrap, timeout: '240s', compression: 'snappy' });
    let isOver = false;
    const sending = Promise.all(groups.map((lanes) => sendLanes(sink, 'killed', lanes, () => isOver)));
    const leader = async () => (await kafka.partitions(topic))[0]?.leader ?? 0;
    const inSync = async () => {
      while ((await kafka.partitions(topic)).some((each) => each.leader < 0 || each.inSync.length < 3))
        await sleep(200);
    };
    for (const how of ['kill', 'stop', 'freeze', 'kill'] as const) {
      await sleep(1_000);
      const victim = Math.max(0, await leader());
      if (how === 'freeze') {
        kafka.pauseBroker(victim);
        await sleep(7_000);
        kafka.resumeBroker(victim);
      } else {
        await (how === 'kill' ? kafka.killBroker(victim) : kafka.stopBroker(victim));
        await sleep(2_000);
        await kafka.startBroker(victim);
      }
      await inSync();
    }
    isOver = true;
    const results = await sending;
    sink.close();
    const stored = await storedByKey(kafka, topic);
    let events = 0;
    for (const { counts, kinds } of results) {
      expect([...kinds.keys()]).toEqual(['accepted']);
      for (const [id, count] of counts) {
        expect(stored.get(id)).toEqual(Array.from({ length: count }, (_, n) => n));
        events += count;
      }
    }
    expect(events).toBeGreaterThan(1_000);
  });

  test('brokers are away longer than the timeout: nothing is lost, and repeats are a suffix', async () => {
    const topic = 'cdc.shop.away';
    await kafka.createTopic(topic, 6, { 'min.insync.replicas': 2 });
    const sink = await openSink({ brokers: kafka.bootstrap, timeout: '2s' });
    let isOver = false;
    const sending = Promise.all(groups.map((lanes) => sendLanes(sink, 'away', lanes, () => isOver)));
    for (let round = 0; round < 3; round++) {
      await sleep(1_000);
      for (const broker of [0, 1, 2]) kafka.pauseBroker(broker);
      await sleep(5_000);
      for (const broker of [0, 1, 2]) kafka.resumeBroker(broker);
      await sleep(3_000);
    }
    isOver = true;
    const results = await sending;
    sink.close();
    expect(results.some(({ kinds }) => kinds.has('unknown') || kinds.has('throttled'))).toBe(true);
    const stored = await storedByKey(kafka, topic);
    for (const { counts } of results) {
      for (const [id, count] of counts) {
        let next = 0;
        for (const n of stored.get(id) ?? []) {
          // Either the next one, or the log goes back and repeats.
          expect(n).toBeLessThanOrEqual(next);
          next = n + 1;
        }
        expect(next).toBe(count);
      }
    }
  });
});
