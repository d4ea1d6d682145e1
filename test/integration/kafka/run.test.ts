import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import type { DaemonStatus } from '../../../src/admin/daemon-status.ts';
import { kafkaAvailability } from '../../kafka/artifacts.ts';
import { type KafkaServer, startKafka } from '../../kafka/kafka-server.ts';
import { cdc, Fixture, until } from '../pipeline-fixture.ts';

const reason = await kafkaAvailability();
const KEYS = 20;

describe.skipIf(reason !== undefined)(`cdc run into Kafka${reason ? ` (cannot run: ${reason})` : ''}`, () => {
  let kafka: KafkaServer;
  let fixture: Fixture;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(() => kafka?.close());
  beforeEach(async () => {
    fixture = new Fixture(inject('mysqlUrl'), `kafka_${process.pid}`);
    await fixture.createSchema(
      'CREATE TABLE item (id INT PRIMARY KEY, n INT NOT NULL, pad LONGTEXT)',
      'CREATE TABLE log (text VARCHAR(40))',
    );
  });
  afterEach(() => fixture.remove());

  const TABLES = () => `"${fixture.schema}.item", "${fixture.schema}.log"`;
  const configure = (name: string, more = '', brokers = kafka.bootstrap, tables = TABLES()) =>
    writeFileSync(
      join(fixture.directory, 'cdc.yaml'),
      `name: ${name}
source: { url: "${fixture.url}" }
tables: [${tables}]
kafka:
  brokers: ${JSON.stringify(brokers)}
${more}`,
    );
  interface Event {
    op: string;
    key: { id: number };
    after: { n: number } | null;
    seq: string;
  }
  const stored = async (topic: string) =>
    (await kafka.readTopic(topic)).map(({ value, ...record }) => ({
      ...record,
      event: value === null ? null : (JSON.parse(String(value)) as Event),
    }));

  test('the daemon and the broker are killed: no change is lost, and each key repeats only a suffix', async () => {
    configure('killed', '  create_topics: { partitions: 6, config: { cleanup.policy: compact } }');
    const topic = `killed.${fixture.schema}.item`;
    let daemon = await fixture.run();
    const connection = await createConnection({ uri: fixture.url, database: fixture.schema });
    let n = 0;
    let isOver = false;
    const writing = (async () => {
      while (!isOver) {
        const rows = Array.from({ length: 10 }, () => `(${Math.floor(Math.random() * KEYS)},${n++},'x')`);
        await connection.query(`REPLACE INTO item VALUES ${rows.join(',')}`);
        await sleep(5);
      }
    })();
    for (let round = 0; round < 3; round++) {
      await sleep(1_500);
      daemon.child.kill('SIGKILL');
      await daemon.ended;
      if (round === 1) {
        await kafka.killBroker(0);
        await kafka.startBroker(0);
      }
      daemon = await fixture.run();
    }
    isOver = true;
    await writing;
    await connection.query(
      `REPLACE INTO item VALUES ${Array.from({ length: KEYS }, (_, id) => `(${id},${n++},'last')`)}`,
    );
    connection.destroy();
    const last = n - 1;
    await until(async () => (await stored(topic)).some(({ event }) => event?.after?.n === last));
    daemon.child.kill('SIGTERM');
    expect((await daemon.ended).code).toBe(0);
    const newest = new Map<number, string>();
    const final = new Map<number, number | undefined>();
    const seqs = new Map<number, string[]>();
    for (const { event, key, headers } of await stored(topic)) {
      const { id } = JSON.parse(String(key)) as { id: number };
      if (event === null) continue;
      expect(event.key).toEqual({ id });
      expect(String(headers[0]?.value)).toBe(event.seq);
      const its = seqs.get(id) ?? [];
      // Either a change that is newer than all before, or one that was there already.
      expect(event.seq > (newest.get(id) ?? '') || its.includes(event.seq)).toBe(true);
      seqs.set(id, [...its, event.seq]);
      if (event.seq < (newest.get(id) ?? '')) continue;
      newest.set(id, event.seq);
      final.set(id, event.after?.n);
    }
    const expected = Array.from({ length: KEYS }, (_, id) => [id, n - KEYS + id] as const);
    expect([...final].sort(([a], [b]) => a - b)).toEqual(expected);
  });

  test('a row that the topic does not take is a dead letter, and what follows it is stored', async () => {
    configure('large');
    await kafka.createTopic(`large.${fixture.schema}.item`, 1, { 'max.message.bytes': 50_000 });
    await kafka.createTopic(`large.${fixture.schema}.log`, 4);
    const daemon = await fixture.run();
    await fixture.query(
      `USE ${fixture.schema}`,
      `INSERT INTO item VALUES (1, 1, 'small')`,
      // Snappy makes it a little smaller only.
      `INSERT INTO item VALUES (1000, 2, '${randomBytes(60_000).toString('base64')}')`,
      `INSERT INTO log VALUES ('a'), ('b'), ('c'), ('d')`,
      `INSERT INTO item VALUES (3, 4, 'after')`,
    );
    await until(async () => (await stored(`large.${fixture.schema}.item`)).some(({ event }) => event?.after?.n === 4));
    await until(async () => (await kafka.readTopic(`large.${fixture.schema}.log`)).length === 4);
    daemon.child.kill('SIGTERM');
    expect((await daemon.ended).code).toBe(0);
    // A table without a key has one partition, and its order.
    const logs = await kafka.readTopic(`large.${fixture.schema}.log`);
    expect(new Set(logs.map(({ partition }) => partition)).size).toBe(1);
    expect(logs.map(({ value }) => JSON.parse(String(value)).after.text)).toEqual(['a', 'b', 'c', 'd']);
    const items = await stored(`large.${fixture.schema}.item`);
    // In any order: they have other keys.
    expect(items.map(({ event }) => event?.after?.n).sort()).toEqual([1, 4]);
    const listed = await cdc(fixture.directory, 'dead-letter', 'list');
    expect(listed.stdout).toContain('refused by Kafka');
  });

  test('a topic that is missing stops the daemon, and the check names it: also that of a table behind a star', async () => {
    configure('absent', '', kafka.bootstrap, `"${fixture.schema}.i*", "${fixture.schema}.log"`);
    const check = await cdc(fixture.directory, 'check');
    expect(check.code).toBe(3);
    expect(check.stdout).toContain(`error: there is no topic absent.${fixture.schema}.log`);
    // It may never change.
    expect(check.stdout).toContain(`warning: there is no topic absent.${fixture.schema}.item`);
    const run = await cdc(fixture.directory, 'run');
    expect(run.code).toBe(3);

    for (const table of ['item', 'log']) await kafka.createTopic(`absent.${fixture.schema}.${table}`);
    const { code, stdout } = await cdc(fixture.directory, 'check');
    expect(code).toBe(0);
    expect(stdout).toMatch(/the topics absent\.\S+, absent\.\S+ have one replica/);
  });

  test('while the brokers are away, the log and the status say why nothing is stored', async () => {
    const away = await startKafka();
    try {
      const topic = `away.${fixture.schema}.item`;
      await away.createTopic(topic);
      await away.createTopic(`away.${fixture.schema}.log`);
      configure('away', '', away.bootstrap);
      const daemon = await fixture.run();
      await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1, 1, 'x')`);
      await until(async () => (await away.readTopic(topic)).length === 1);
      const stream = async () => {
        const { stdout } = await cdc(fixture.directory, 'status', '--json');
        const { delivery, health } = JSON.parse(stdout) as DaemonStatus;
        return {
          why: health.problems.find(({ code }) => code === 'stream_not_accepting')?.why,
          ...delivery?.streams[0],
        };
      };
      expect(await stream()).toMatchObject({ accepting: true, obstacle: null });

      await away.stopBroker(0);
      await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (2, 2, 'x')`);
      await until(() => daemon.stderr().includes('events of the stream wait; retrying'));
      await until(async () => !(await stream()).accepting);
      const { obstacle, why } = await stream();
      expect(obstacle?.reason).toMatch(/ECONNREFUSED|connection/i);
      expect(why).toBe(obstacle?.reason);
      expect(daemon.stderr()).toContain(obstacle?.reason);

      await away.startBroker(0);
      await until(async () => (await stream()).obstacle === null);
      await until(async () => (await away.readTopic(topic)).length === 2);

      // It hangs, and its connections stay open.
      await away.pauseBroker(0);
      await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (3, 3, 'x')`);
      const silent = `the broker ${away.bootstrap[0]} does not answer`;
      await until(async () => (await stream()).obstacle?.reason === silent);
      await until(() => daemon.stderr().includes(silent));
      await away.resumeBroker(0);
      await until(async () => (await stream()).obstacle === null);
      await until(async () => (await away.readTopic(topic)).length === 3);
      daemon.child.kill('SIGTERM');
      expect((await daemon.ended).code).toBe(0);
    } finally {
      await away.close();
    }
  });

  test('the daemon starts before the brokers, and continues when they are there', async () => {
    const down = await startKafka();
    try {
      await down.createTopic(`later.${fixture.schema}.item`);
      await down.createTopic(`later.${fixture.schema}.log`);
      await down.stopBroker(0);
      const file = join(fixture.directory, 'cdc.yaml');
      writeFileSync(
        file,
        `name: later\nsource: { url: "${fixture.url}" }\ntables: ["${fixture.schema}.item", "${fixture.schema}.log"]\n` +
          `kafka: { brokers: ${JSON.stringify(down.bootstrap)}, timeout: 5s }\n`,
      );
      const daemon = await fixture.run();
      await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1, 1, 'x')`);
      await sleep(8_000);
      expect(daemon.child.exitCode).toBeNull();
      await down.startBroker(0);
      await until(async () => (await down.readTopic(`later.${fixture.schema}.item`)).length > 0);
      expect(await down.readTopic(`later.${fixture.schema}.item`)).toHaveLength(1);
      daemon.child.kill('SIGTERM');
      expect((await daemon.ended).code).toBe(0);
    } finally {
      await down.close();
    }
  });
});
