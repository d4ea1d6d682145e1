import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { kafka as kafkaSchema } from '../../../src/config/kafka-schema.ts';
import { KafkaClient } from '../../../src/sinks/kafka/kafka-client.ts';
import { checkKafka } from '../../../src/sinks/kafka/preflight.ts';
import type { Sink, SinkRecord } from '../../../src/sinks/sink.ts';
import { kafkaAvailability } from '../../kafka/artifacts.ts';
import { KafkaProxy, type ProduceFault, type ProduceRequest } from '../../kafka/kafka-proxy.ts';
import { type KafkaServer, startKafka } from '../../kafka/kafka-server.ts';
import { kindsOf, openSink, recordOf, sinkWith, tableOf } from './open-sink.ts';

const reason = await kafkaAvailability();
const INVALID_PRODUCER_EPOCH = 47;
const { signal } = new AbortController();

describe.skipIf(reason !== undefined)(`retries of Kafka${reason ? ` (cannot run: ${reason})` : ''}`, () => {
  let kafka: KafkaServer;
  let proxy: KafkaProxy;
  const sinks: Sink[] = [];
  beforeAll(async () => {
    kafka = await startKafka({
      proxy: async (port) => {
        proxy = await KafkaProxy.listen(port);
        return proxy.port;
      },
    });
  });
  afterEach(() => {
    proxy.fault = () => undefined;
    proxy.isAway = false;
    for (const sink of sinks.splice(0)) sink.close();
  });
  afterAll(async () => {
    await kafka?.close();
    await proxy?.close();
  });

  const open = async (topic: string, keys: Record<string, unknown> = {}, partitions = 1, settings = {}) => {
    await kafka.createTopic(`cdc.shop.${topic}`, partitions, settings);
    const sink = await openSink({ brokers: kafka.bootstrap, timeout: '60s', compression: 'none', ...keys });
    sinks.push(sink);
    return { sink, table: tableOf(topic) };
  };
  const stored = async (topic: string) =>
    (await kafka.readTopic(`cdc.shop.${topic}`)).map(({ value }) =>
      value === null ? null : (JSON.parse(String(value)) as { n: number }).n,
    );

  test.each([
    ['lose', 'lost'],
    ['reset', 'cut'],
    ['stall', 'stalled'],
    ['empty', 'emptied'],
    [{ answer: 6 }, 'moved'],
    [{ answer: 7 }, 'timed-out'],
    [{ answer: 19 }, 'few-replicas'],
    [{ answer: 999 }, 'unheard-of'],
  ] as [ProduceFault, string][])(
    'after %j it sends the same bytes, and each event is stored once',
    async (fault, name) => {
      // A stalled answer costs a quarter of the timeout.
      const { sink, table } = await open(name, { timeout: '20s' });
      const seen: Buffer[] = [];
      let left = 2;
      proxy.fault = ({ frame }) => {
        seen.push(Buffer.from(frame.subarray(frame.length - 200)));
        return left-- > 0 ? fault : undefined;
      };
      const first = Array.from({ length: 20 }, (_, n) => recordOf({ table, id: 1, n, lane: 1 }));
      const second = Array.from({ length: 20 }, (_, i) => recordOf({ table, id: 2, n: 20 + i, lane: 2 }));
      const outcomes = await Promise.all([sink.send(first, signal), sink.send(second, signal)]);
      expect(new Set(outcomes.flatMap(kindsOf))).toEqual(new Set(['accepted']));
      expect(await stored(name)).toEqual(Array.from({ length: 40 }, (_, n) => n));
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[2]).toEqual(seen[0]);
    },
  );

  test.each([45, 46, 47, 59])('after code %i it begins again, and loses nothing', async (answer) => {
    const name = `again${answer}`;
    const { sink, table } = await open(name);
    const send = (n: number) => sink.send([recordOf({ table, id: 1, n })], signal);
    await send(0);
    let left = 1;
    proxy.fault = () => (left-- > 0 ? { answer } : undefined);
    expect(kindsOf(await send(1))).toEqual(['accepted']);
    expect(kindsOf(await send(2))).toEqual(['accepted']);
    expect(await stored(name)).toEqual([0, 1, 2]);
  });

  test('a batch that comes after its outcome was unknown, and after what followed, is refused', async () => {
    const { sink, table } = await open('late', { timeout: '2s' });
    const send = (...ns: number[]) =>
      sink.send(
        ns.map((n) => recordOf({ table, id: 1, n })),
        signal,
      );
    expect(kindsOf(await send(0))).toEqual(['accepted']);
    const held: ProduceRequest[] = [];
    proxy.fault = (request) => {
      held.push(request);
      return 'drop';
    };
    expect(kindsOf(await send(1, 2))).toEqual(['unknown', 'unknown']);
    proxy.fault = () => undefined;
    expect(kindsOf(await send(1, 2, 3))).toEqual(['accepted', 'accepted', 'accepted']);
    expect(await proxy.replay(held[0] as ProduceRequest)).toBe(INVALID_PRODUCER_EPOCH);
    expect(kindsOf(await send(4))).toEqual(['accepted']);
    expect(await stored('late')).toEqual([0, 1, 2, 3, 4]);
  });

  test('a batch that was stored while its outcome was unknown is repeated, and nothing else', async () => {
    const { sink, table } = await open('repeated', { timeout: '2s' });
    const send = (...ns: number[]) =>
      sink.send(
        ns.map((n) => recordOf({ table, id: 1, n })),
        signal,
      );
    proxy.fault = () => 'lose';
    expect(kindsOf(await send(0, 1))).toEqual(['unknown', 'unknown']);
    proxy.fault = () => undefined;
    expect(kindsOf(await send(0, 1, 2))).toEqual(['accepted', 'accepted', 'accepted']);
    expect(await stored('repeated')).toEqual([0, 1, 0, 1, 2]);
  });

  test('another event of the same place in the sequence is stored, not taken for the one whose answer was lost', async () => {
    const { sink, table } = await open('mistaken', { timeout: '2s' });
    const send = (id: number, n: number) => sink.send([recordOf({ table, id, n, lane: id })], signal);
    proxy.fault = () => 'lose';
    expect(kindsOf(await send(1, 0))).toEqual(['unknown']);
    proxy.fault = () => undefined;
    expect(kindsOf(await send(2, 1))).toEqual(['accepted']);
    expect(await stored('mistaken')).toEqual([0, 1]);
  });

  test('what never left has not been stored, and says so', async () => {
    const { sink, table } = await open('behind', { timeout: '3s' });
    const send = (n: number) => sink.send([recordOf({ table, id: 1, n })], signal);
    proxy.fault = () => 'drop';
    const first = send(0);
    await sleep(500);
    const second = send(1);
    expect((await first)[0]).toMatchObject({ kind: 'unknown', reason: expect.stringContaining('3 s') });
    proxy.fault = () => undefined;
    expect(kindsOf(await second)).toEqual(['accepted']);
    proxy.fault = () => ({ answer: 19 });
    expect((await send(2))[0]).toMatchObject({
      kind: 'throttled',
      reason: expect.stringContaining('NOT_ENOUGH_REPLICAS'),
    });
    proxy.fault = () => undefined;
    expect(kindsOf(await send(2))).toEqual(['accepted']);
    expect(await stored('behind')).toEqual([1, 2]);
  });

  test('a record beyond max.message.bytes is rejected, and those behind it in its lane are not stored', async () => {
    const { sink, table } = await open('large', {}, 1, { 'max.message.bytes': 20_000 });
    const pad = (bytes: number) => 'x'.repeat(bytes);
    const outcomes = await sink.send(
      [
        recordOf({ table, id: 1, n: 0, lane: 1, pad: pad(9_000) }),
        recordOf({ table, id: 1, n: 1, lane: 1, pad: pad(30_000) }),
        recordOf({ table, id: 1, n: 2, lane: 1 }),
        recordOf({ table, id: 2, n: 3, lane: 2, pad: pad(9_000) }),
        recordOf({ table, id: 2, n: 4, lane: 2, pad: pad(9_000) }),
      ],
      signal,
    );
    expect(kindsOf(outcomes)).toEqual(['accepted', 'rejected', 'throttled', 'accepted', 'accepted']);
    expect(outcomes[1]).toMatchObject({ scope: 'record', hint: expect.stringContaining('max.message.bytes') });
    expect(await stored('large')).toEqual([0, 3, 4]);
    expect(kindsOf(await sink.send([recordOf({ table, id: 1, n: 2, lane: 1 })], signal))).toEqual(['accepted']);
    expect(await stored('large')).toEqual([0, 3, 4, 2]);
  });

  test('a compacted topic does not take a message without a key: the record is named', async () => {
    const { sink, table } = await open('compacted', {}, 1, { 'cleanup.policy': 'compact' });
    const [first, second] = await sink.send(
      [recordOf({ table, id: 1, n: 0, lane: 1 }), recordOf({ table, id: null, n: 1, lane: 2 })],
      signal,
    );
    expect(first).toEqual({ kind: 'accepted' });
    expect(second).toMatchObject({ kind: 'rejected', scope: 'record', hint: expect.stringContaining('without a key') });
    expect(await stored('compacted')).toEqual([0]);
  });

  test('a missing topic is an error of the stream, or created as the configuration says', async () => {
    const sink = await openSink({ brokers: kafka.bootstrap, timeout: '20s' });
    sinks.push(sink);
    const record = recordOf({ table: tableOf('absent'), id: 1, n: 0 });
    expect((await sink.send([record], signal))[0]).toMatchObject({
      ...{ kind: 'rejected', scope: 'stream', reason: 'there is no topic cdc.shop.absent' },
      hint: expect.stringContaining('create_topics'),
    });
    const creating = await openSink({
      brokers: kafka.bootstrap,
      create_topics: { partitions: 3, config: { 'cleanup.policy': 'compact' } },
    });
    sinks.push(creating);
    const both = [record, recordOf({ table: tableOf('absent2'), id: 1, n: 0 })];
    const outcomes = await Promise.all([creating.send(both, signal), creating.send(both, signal)]);
    expect(new Set(outcomes.flatMap(kindsOf))).toEqual(new Set(['accepted']));
    expect(await kafka.partitions('cdc.shop.absent')).toHaveLength(3);
    const wrong = await openSink({
      brokers: kafka.bootstrap,
      create_topics: { partitions: 1, config: { 'no.such': 1 } },
    });
    sinks.push(wrong);
    expect((await wrong.send([recordOf({ table: tableOf('absent3'), id: 1, n: 0 })], signal))[0]).toMatchObject({
      ...{ kind: 'rejected', scope: 'stream', reason: expect.stringContaining('INVALID_CONFIG') },
    });
  });

  test('brokers that are away are asked for metadata a few times in a second, however old the last ones are', async () => {
    await kafka.createTopic('cdc.shop.away');
    const sink = sinkWith(kafka.bootstrap, { metadataMaxAgeMs: 1 });
    sinks.push(sink);
    const record = recordOf({ table: tableOf('away'), id: 1, n: 0 });
    expect(kindsOf(await sink.send([record], signal))).toEqual(['accepted']);
    proxy.isAway = true;
    proxy.cut();
    const sent = sink.send([record], signal);
    const before = proxy.connections;
    await sleep(3_000);
    const connections = proxy.connections - before;
    expect(connections).toBeGreaterThan(2);
    expect(connections).toBeLessThan(60);
    proxy.isAway = false;
    expect(kindsOf(await sent)).toEqual(['accepted']);
  });

  test('a topic that is deleted under way ends what waits for it, long before the timeout', async () => {
    const { sink, table } = await open('deleted_topic', { timeout: '300s' });
    const record = recordOf({ table, id: 1, n: 0 });
    expect(kindsOf(await sink.send([record], signal))).toEqual(['accepted']);
    await kafka.admin('deleteTopic', { topic: 'cdc.shop.deleted_topic' });
    expect((await sink.send([record, record], signal))[1]).toMatchObject({
      ...{ kind: 'rejected', scope: 'stream', reason: 'there is no topic cdc.shop.deleted_topic' },
    });
  });

  test('a topic that is deleted under way is created again where cdc creates topics', async () => {
    const { sink, table } = await open('again_topic', { timeout: '300s', create_topics: { partitions: 2 } });
    const record = recordOf({ table, id: 1, n: 0 });
    expect(kindsOf(await sink.send([record], signal))).toEqual(['accepted']);
    await kafka.admin('deleteTopic', { topic: 'cdc.shop.again_topic' });
    expect(kindsOf(await sink.send([record], signal))).toEqual(['throttled']);
    expect(kindsOf(await sink.send([record], signal))).toEqual(['accepted']);
    expect(await kafka.partitions('cdc.shop.again_topic')).toHaveLength(2);
  });

  test('a broker that is silent holds metadata back only until another one is asked', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const [host, real] = (kafka.bootstrap[0] as string).split(':') as [string, string];
    const client = new KafkaClient({
      bootstrap: [
        { host: '127.0.0.1', port },
        { host, port: Number(real) },
      ],
      ...{ clientId: 'cdc', connectTimeoutMs: 600_000, requestTimeoutMs: 600_000 },
    });
    try {
      await client.refresh();
      expect(await client.initProducerId()).toBeGreaterThanOrEqual(0n);
    } finally {
      client.close();
      silent.close();
    }
  });

  test.each([1, 4])(
    'behind a record that fails none of its key is stored, and the others are stored once: %i partitions',
    async (partitions) => {
      const name = `middle${partitions}`;
      const { sink, table } = await open(name, {}, partitions, { 'max.message.bytes': 20_000 });
      const ids = [1, 2, 3, 1, 4, 5, 2, 1, 6, 3, 1, 7, 8];
      const LARGE = 3;
      let waiting = ids.map((id, n) =>
        recordOf({ table, id, n, lane: 1, pad: 'x'.repeat(n === LARGE ? 30_000 : 3_000) }),
      );
      const keyOf = (record: SinkRecord) => String(record.events?.[0]?.key);
      for (let round = 0; waiting.length > 0; round++) {
        expect(round).toBeLessThan(10);
        const outcomes = await sink.send(waiting, signal);
        const failed = new Set<string>();
        for (const [i, record] of waiting.entries()) {
          if (outcomes[i]?.kind !== 'accepted') failed.add(keyOf(record));
          else expect(failed).not.toContain(keyOf(record));
        }
        // As delivery does: what is stored or a dead letter is not sent again.
        waiting = waiting.filter((_, i) => outcomes[i]?.kind === 'throttled');
      }
      const left = ids.map((_, n) => n).filter((n) => n !== LARGE);
      const found = (await stored(name)) as number[];
      expect([...found].sort((a, b) => a - b)).toEqual(left);
      for (const id of new Set(ids)) {
        expect(found.filter((n) => ids[n] === id)).toEqual(left.filter((n) => ids[n] === id));
      }
    },
  );

  test('a topic with more partitions than before is followed', async () => {
    const { sink, table } = await open('grown', {}, 2);
    expect(kindsOf(await sink.send([recordOf({ table, id: 1, n: 0 })], signal))).toEqual(['accepted']);
    await kafka.admin('addPartitions', { topic: 'cdc.shop.grown', partitions: 4 });
    const records = Array.from({ length: 50 }, (_, n) => recordOf({ table, id: n, n }));
    expect(new Set(kindsOf(await sink.send(records, signal)))).toEqual(new Set(['accepted']));
    expect(await stored('grown')).toHaveLength(51);
  });

  test('the check names SASL where the listener has none', async () => {
    const checkOf = (keys: object) =>
      checkKafka(kafkaSchema.parse({ brokers: kafka.bootstrap, ...keys }), 'cdc', Promise.resolve([]));
    const sasl = { mechanism: 'plain', username: 'cdc', password: 'secret' };
    expect(await checkOf({ sasl })).toMatchObject([{ severity: 'error', fix: expect.stringContaining('has no SASL') }]);
  });

  test('the check asks whether the brokers would create the topics, and creates none', async () => {
    const checkOf = (create_topics: object) => {
      const missing = Promise.resolve([{ name: 'cdc.shop.not_yet', isNamed: false }]);
      return checkKafka(kafkaSchema.parse({ brokers: kafka.bootstrap, create_topics }), 'cdc', missing);
    };
    expect(await checkOf({ partitions: 2, replication_factor: 3 })).toMatchObject([
      { severity: 'error', transient: true, what: expect.stringContaining('INVALID_REPLICATION_FACTOR') },
    ]);
    expect(await checkOf({ partitions: 2, config: { 'cleanup.polic': 'compact' } })).toMatchObject([
      {
        severity: 'error',
        what: expect.stringContaining('cleanup.polic'),
        fix: expect.stringContaining('create_topics'),
      },
    ]);
    expect(await checkOf({ partitions: 2 })).toEqual([]);
    await expect(kafka.readTopic('cdc.shop.not_yet')).rejects.toThrow('there is no topic');
  });

  test('a DELETE has a tombstone behind it', async () => {
    const { sink, table } = await open('deleted');
    const records = [recordOf({ table, id: 1, n: 0 }), recordOf({ table, id: 1, n: 1, op: 'd' as const })];
    expect(kindsOf(await sink.send(records, signal))).toEqual(['accepted', 'accepted']);
    expect(await stored('deleted')).toEqual([0, 1, null]);
  });
});
