import { connect } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { kafkaAvailability } from '../../kafka/artifacts.ts';
import { type KafkaServer, startKafka } from '../../kafka/kafka-server.ts';

const unavailable = await kafkaAvailability();
const suite = (name: string) => (unavailable ? `${name} (skipped: ${unavailable})` : name);

describe.skipIf(unavailable)(suite('an Apache Kafka for the tests'), () => {
  const servers: KafkaServer[] = [];
  const start = async (options: Parameters<typeof startKafka>[0]) => {
    const started = Date.now();
    const server = await startKafka(options);
    if (process.env.CDC_TIMES) console.info(`${options?.brokers} brokers started in ${Date.now() - started} ms`);
    servers.push(server);
    return server;
  };
  afterAll(() => Promise.all(servers.map((server) => server.close())));

  test('one broker: a topic survives a kill', async () => {
    const server = await start({ brokers: 1 });
    await server.createTopic('shop.orders', 3, { 'cleanup.policy': 'compact' });
    await expect(server.createTopic('shop.orders')).rejects.toThrow('TopicExistsException');
    await server.killBroker(0);
    expect(await accepts(server.bootstrap[0] as string)).toBe(false);
    await server.startBroker(0);
    expect(await accepts(server.bootstrap[0] as string)).toBe(true);
    expect(await server.partitions('shop.orders')).toEqual([0, 1, 2].map(() => ({ leader: 0, inSync: [0] })));
    expect(await server.readTopic('shop.orders')).toEqual([]);
    expect(await server.readNew('shop.', new Map())).toEqual([]);
    expect(await server.readNew('no.', new Map())).toEqual([]);
    await expect(server.readTopic('no.such.topic')).rejects.toThrow('there is no topic no.such.topic');
  });

  test('three brokers: the partitions of one that is killed or stopped go to others', async () => {
    const server = await start({ brokers: 3 });
    await server.createTopic('shop.orders', 3, { 'min.insync.replicas': 2 });
    const leaders = async () => (await server.partitions('shop.orders')).map(({ leader }) => leader);
    expect((await leaders()).sort()).toEqual([0, 1, 2]);
    await server.stopBroker(0);
    expect(await leaders()).not.toContain(0);
    await server.startBroker(0);
    await server.killBroker(1);
    await expect.poll(leaders, { timeout: 120_000 }).not.toContain(1);
    await server.startBroker(1);
    const inSync = async () => (await server.partitions('shop.orders')).map((each) => each.inSync.length);
    await expect.poll(inSync, { timeout: 120_000 }).toEqual([3, 3, 3]);
  });

  test('a broker that cannot start says why', async () => {
    await expect(startKafka({ settings: { 'log.retention.ms': 'soon' } })).rejects.toThrow('log.retention.ms');
  });
});

function accepts(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => {}).once('connect', () => socket.destroy());
  });
}
