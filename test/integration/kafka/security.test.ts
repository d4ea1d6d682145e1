import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kafka as kafkaSchema } from '../../../src/config/kafka-schema.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { KafkaClient } from '../../../src/sinks/kafka/kafka-client.ts';
import { KafkaSink } from '../../../src/sinks/kafka/kafka-sink.ts';
import { MessageWriter } from '../../../src/sinks/kafka/message-text.ts';
import { checkKafka } from '../../../src/sinks/kafka/preflight.ts';
import { tokenSasl } from '../../../src/sinks/kafka/security.ts';
import { TopicNames } from '../../../src/sinks/kafka/topic-names.ts';
import type { RecordOutcome } from '../../../src/sinks/sink.ts';
import { kafkaAvailability } from '../../kafka/artifacts.ts';
import { type KafkaServer, startKafka } from '../../kafka/kafka-server.ts';
import { Authority } from '../tls/authority.ts';
import { openSink, recordOf, tableOf } from './open-sink.ts';

const reason = await kafkaAvailability();
const { signal } = new AbortController();
const PASSWORD = 'correct-horse';
const WRONG = 'battery-staple';
const table = tableOf('secured');
const record = recordOf({ table, id: 1, n: 0 });

/** An unsecured token, which the broker of the tests takes. */
function tokenOf(seconds: number): string {
  const now = Math.floor(Date.now() / 1000);
  const parts = [{ alg: 'none' }, { sub: 'cdc', iat: now - 5, exp: now + seconds }];
  return `${parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;
}

describe.skipIf(reason !== undefined)(`security of Kafka${reason ? ` (cannot run: ${reason})` : ''}`, () => {
  let kafka: KafkaServer;
  let authority: Authority;
  let stranger: Authority;
  beforeAll(async () => {
    authority = new Authority();
    stranger = new Authority();
    const { cert, key } = authority.issue({ name: 'localhost' });
    kafka = await startKafka({
      sasl: { mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'], users: { cdc: PASSWORD } },
      tls: { key: readFileSync(key, 'utf8'), certificate: readFileSync(cert, 'utf8') },
      // Sessions of seconds: a connection is replaced while others go on.
      settings: { 'connections.max.reauth.ms': 4_000 },
      advertisedHost: 'localhost',
    });
    await kafka.createTopic('cdc.shop.secured', 3);
  });
  afterAll(async () => {
    await kafka?.close();
    authority?.remove();
    stranger?.remove();
  });

  const keysOf = (mechanism: string, password: string, ca = authority.file) => ({
    brokers: kafka.bootstrap,
    tls: { ca_file: ca },
    sasl: { mechanism, username: 'cdc', password },
    timeout: '4s',
  });
  const sendWith = async (keys: ReturnType<typeof keysOf>): Promise<RecordOutcome> => {
    const sink = await openSink(keys);
    try {
      return (await sink.send([record], signal))[0] as RecordOutcome;
    } finally {
      sink.close();
    }
  };
  const topicNamed = (table: string) => ({ name: `cdc.shop.${table}`, isNamed: true });
  const findings = (keys: object) =>
    checkKafka(kafkaSchema.parse(keys), 'cdc', Promise.resolve(['secured', 'absent'].map(topicNamed)));

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    '%s: the right password writes, a wrong one is named',
    async (mechanism) => {
      const right = { ...keysOf(mechanism, PASSWORD), timeout: '20s' };
      expect(await sendWith(right)).toEqual({ kind: 'accepted' });
      const outcome = await sendWith(keysOf(mechanism, WRONG));
      expect(outcome).toMatchObject({ kind: 'rejected', scope: 'stream', hint: expect.stringContaining('kafka.sasl') });
      expect(JSON.stringify(outcome)).not.toContain(WRONG);
      const [finding] = await findings(keysOf(mechanism, WRONG));
      expect(finding).toMatchObject({ severity: 'error', fix: expect.stringContaining('password') });
      expect(JSON.stringify(finding)).not.toContain(WRONG);
    },
  );

  test('the check finds the topic that is missing, and the one with a single replica', async () => {
    expect(await findings({ ...keysOf('plain', PASSWORD), timeout: '20s' })).toEqual([
      expect.objectContaining({ severity: 'error', what: 'there is no topic cdc.shop.absent' }),
      expect.objectContaining({ severity: 'warning', what: 'the topic cdc.shop.secured has one replica' }),
    ]);
  });

  test('a certificate of an unknown authority is named, and waits for its correction', async () => {
    const keys = keysOf('plain', PASSWORD, stranger.file);
    expect(await sendWith(keys)).toMatchObject({
      kind: 'throttled',
      reason: expect.stringContaining('kafka.tls.ca_file'),
    });
    expect(await findings(keys)).toEqual([
      expect.objectContaining({ severity: 'error', fix: expect.stringContaining('kafka.tls.ca_file') }),
    ]);
  });

  test('a password file is read again: after a rotation the sink continues by itself', async () => {
    const file = join(authority.directory, 'password');
    writeFileSync(file, WRONG);
    const { brokers, tls } = keysOf('plain', '');
    const sasl = { mechanism: 'scram-sha-256', username: 'cdc', password_file: file };
    const sink = await openSink({ brokers, tls, sasl, timeout: '60s' });
    const outcomes = sink.send([record], signal);
    setTimeout(() => writeFileSync(file, `${PASSWORD}\n`), 2_000);
    expect(await outcomes).toEqual([{ kind: 'accepted' }]);
    sink.close();
  });

  test('sessions end again and again, and every event is stored once', async () => {
    await kafka.createTopic('cdc.shop.sessions', 3);
    const sink = await openSink({ ...keysOf('scram-sha-512', PASSWORD), timeout: '60s' });
    const ends = Date.now() + 15_000;
    let n = 0;
    const lane = async (id: number) => {
      while (Date.now() < ends) {
        const records = Array.from({ length: 20 }, () =>
          recordOf({ table: tableOf('sessions'), id, n: n++, lane: id }),
        );
        for (const outcome of await sink.send(records, signal)) expect(outcome).toEqual({ kind: 'accepted' });
      }
    };
    await Promise.all([1, 2, 3, 4].map(lane));
    sink.close();
    const stored = (await kafka.readTopic('cdc.shop.sessions')).map(
      ({ value }) => JSON.parse(String(value)).n as number,
    );
    expect(stored.sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  });

  test('OAUTHBEARER: an expired token is refused although the broker answers it without an error', async () => {
    const [host, port] = (kafka.bootstrap[0] as string).split(':') as [string, string];
    const open = (token: () => Promise<string>) => {
      const client = new KafkaClient({
        bootstrap: [{ host, port: Number(port) }],
        ...{ clientId: 'cdc', connectTimeoutMs: 5_000, requestTimeoutMs: 5_000 },
        tls: () => ({ ca: readFileSync(authority.file) }),
        sasl: () => tokenSasl(token),
      });
      const { values } = configSchema.parse({
        source: { url: 'mysql://cdc@127.0.0.1', password: 'secret' },
        kafka: { brokers: kafka.bootstrap },
      });
      const forms = { format: 'debezium', flatPrefix: '_', schemas: false, tombstones: true } as const;
      const writer = new MessageWriter({ ...forms, topicPrefix: 'cdc', values });
      const topics = new TopicNames('{name}.{db}.{table}', 'cdc');
      return new KafkaSink({ client, writer, topics, compression: 'none', timeoutMs: 10_000, ackTimeoutMs: 4_000 });
    };
    let seconds = -60;
    const sink = open(async () => tokenOf(seconds));
    expect((await sink.send([record], signal))[0]).toMatchObject({
      ...{ kind: 'rejected', scope: 'stream', reason: expect.stringContaining('invalid_token') },
    });
    seconds = 600;
    expect(await sink.send([record], signal)).toEqual([{ kind: 'accepted' }]);
    sink.close();
  });
});
