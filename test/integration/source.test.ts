import { readFileSync } from 'node:fs';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { sourceConnection } from '../../src/config/source-connection.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import { MariadbGtidPosition } from '../../src/model/mariadb-gtid-position.ts';
import type { CdcError } from '../../src/runtime/error.ts';
import { BinlogClient, type DumpOptions } from '../../src/source/binlog/binlog-client.ts';
import { MISSED_HEARTBEATS_MAX } from '../../src/source/limits.ts';
import { connect, readServerInfo } from '../../src/source/server/server-info.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { type Cdc, Fixture, startCdc, tableOf, until } from './pipeline-fixture.ts';

const TABLE = 'CREATE TABLE item (id INT PRIMARY KEY, doc LONGBLOB)';
const FLAVORS = ['mysql', 'mariadb'] as const;
const urlOf = (flavor: (typeof FLAVORS)[number]): string => inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const dumpThreads = async (connection: Connection): Promise<number[]> => {
  const [rows] = await connection.query({ sql: 'SHOW PROCESSLIST', rowsAsArray: true });
  return (rows as unknown as unknown[][])
    .filter((row) => /Binlog Dump/.test(String(row[4])))
    .map((row) => Number(row[0]));
};

describe.each(FLAVORS)('the dump connection to %s', (flavor) => {
  let fixture: Fixture;
  let proxy: TcpProxy;
  const ending: AbortController[] = [];

  beforeEach(async () => {
    fixture = new Fixture(urlOf(flavor), `source_${flavor}_${process.pid}`);
    await fixture.createSchema(TABLE);
    proxy = await TcpProxy.listen(Number(new URL(fixture.url).port));
  });
  afterEach(async () => {
    for (const end of ending.splice(0)) end.abort();
    proxy.close();
    await fixture.remove();
  });

  /** A stream through the proxy, its bytes counted, with a heartbeat every 400 ms. */
  async function follow(over: Partial<DumpOptions> = {}) {
    const facts = await readServerInfo(sourceConnection({ url: fixture.url, server_id: 'auto', start: 'now' }));
    const end = new AbortController();
    ending.push(end);
    const seen = { bytes: 0, events: 0 };
    const stream = new BinlogClient({
      connection: { host: '127.0.0.1', port: proxy.port, user: 'root' },
      serverId: 'auto',
      from: { coordinates: facts.end },
      server: facts,
      heartbeatMs: 400,
      onStart: () => {},
      onEvent: (_bytes, from, to) => {
        seen.events++;
        seen.bytes += to - from;
        return undefined;
      },
      signal: end.signal,
      ...over,
    });
    const outcome: { error?: CdcError; ended?: true } = {};
    stream.follow().then(
      () => (outcome.ended = true),
      (error) => (outcome.error = error),
    );
    // Beyond the first events, which are given more time.
    await until(() => seen.events > 5 || outcome.error !== undefined);
    return { stream, seen, outcome, end };
  }

  test('that is half open is noticed by its silence', async () => {
    const { outcome } = await follow();
    proxy.blackhole('open');
    await until(() => outcome.error !== undefined);
    expect(outcome.error).toMatchObject({ message: 'the binlog connection is silent', kind: 'retry' });
  });

  test('that is paused for longer than the deadline is not taken for dead, and nothing of it is lost', async () => {
    const { stream, seen, outcome } = await follow();
    stream.pause();
    const before = seen.bytes;
    await fixture.query(
      ...Array.from({ length: 8 }, (_, i) => `INSERT INTO ${fixture.schema}.item VALUES (${i}, REPEAT('x', 1000000))`),
    );
    await wait(2_000);
    expect(seen.bytes).toBe(before);
    stream.resume();
    await until(() => seen.bytes - before > 8_000_000 || outcome.error !== undefined);
    expect(outcome).toEqual({});
  });

  test('over which an event comes more slowly than the deadline is not taken for dead', async () => {
    const { seen, outcome } = await follow();
    proxy.throttleMs = 150;
    const before = seen.bytes;
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1, REPEAT('x', 1500000))`);
    const began = Date.now();
    await until(() => seen.bytes - before > 1_500_000 || outcome.error !== undefined);
    expect(outcome).toEqual({});
    // Else it has not tried what it says.
    expect(Date.now() - began).toBeGreaterThan(MISSED_HEARTBEATS_MAX * 400);
  });

  test('that the server drops while it is paused ends in an error that is tried again', async () => {
    const admin = await createConnection({ uri: fixture.url });
    const others = await dumpThreads(admin);
    const { stream, outcome } = await follow();
    stream.pause();
    await fixture.query(
      ...Array.from({ length: 8 }, (_, i) => `INSERT INTO ${fixture.schema}.item VALUES (${i}, REPEAT('x', 1000000))`),
    );
    for (const id of await dumpThreads(admin)) if (!others.includes(id)) await admin.query(`KILL ${id}`);
    admin.destroy();
    await wait(500);
    stream.resume();
    await until(() => outcome.error !== undefined);
    expect(outcome.error).toMatchObject({ kind: 'retry' });
  });

  test('to another server than the one that said where to begin is refused, and tried again', async () => {
    const { outcome, seen } = await follow({ server: { flavor, identity: 'the one before' } });
    expect(outcome.error).toMatchObject({
      kind: 'retry',
      message: 'the source server changed between two connections',
    });
    expect(seen.events).toBe(0);
  });

  test('and a query over a half-open link fails instead of waiting without end', async () => {
    const connection = await connect({ host: '127.0.0.1', port: proxy.port, user: 'root' }, 1_500);
    await wait(2_000);
    // Without a question it may be silent.
    await connection.query('SELECT 1');
    proxy.blackhole('open');
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });
});

describe.each(FLAVORS)('cdc run against %s', (flavor) => {
  let fixture: Fixture;
  let proxy: TcpProxy;
  let daemon: Cdc | undefined;
  beforeEach(async () => {
    fixture = new Fixture(urlOf(flavor), `follow_${flavor}_${process.pid}`);
    await fixture.createSchema(TABLE);
    proxy = await TcpProxy.listen(Number(new URL(fixture.url).port));
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterEach(async () => {
    daemon?.child.kill('SIGKILL');
    proxy.close();
    await fixture.remove();
  });

  const saved = (): { gtids: string; file: string; position: number; epoch: number } =>
    JSON.parse(readFileSync(fixture.checkpoint, 'utf8'));
  const stop = async (): Promise<void> => {
    daemon?.child.kill('SIGTERM');
    expect(await daemon?.ended).toMatchObject({ code: 0 });
  };
  const itemIds = async (): Promise<number[]> =>
    (await fixture.landed())
      .filter((event) => tableOf(event) === 'item')
      .map((event) => (event.after as { id: number }).id);

  test('a link that goes dead without a word, and one that is cut, are replaced; nothing is lost', async () => {
    const direct = fixture.url;
    (fixture as { url: string }).url = `mysql://root@127.0.0.1:${proxy.port}`;
    fixture.configure(fixture.firehose?.endpoint ?? '');
    (fixture as { url: string }).url = direct;
    daemon = await fixture.run();
    await fixture.delivered();
    await until(() => proxy.connections > 0);
    const followed = (): number => daemon?.stderr().split('following the binlog').length ?? 0;
    // A heartbeat more, so that the link is beyond its first events.
    await wait(6_000);
    proxy.blackhole('open');
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1, NULL)`);
    await until(() => followed() >= 3);
    expect(daemon.stderr()).toContain('the binlog connection is silent');
    await fixture.delivered();
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (2, NULL)`);
    proxy.cut('fin');
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (3, NULL)`);
    await fixture.delivered();
    expect(new Set(await itemIds())).toEqual(new Set([1, 2, 3]));
    await stop();
  });

  test('a transaction that is filtered out, and a heartbeat alone, move the checkpoint', async () => {
    daemon = await fixture.run();
    await fixture.delivered();
    await until(() => saved().gtids !== null);
    const other = `${fixture.schema}_other`;
    await fixture.query(
      `DROP DATABASE IF EXISTS ${other}`,
      `CREATE DATABASE ${other}`,
      `CREATE TABLE ${other}.t (id INT PRIMARY KEY)`,
      `INSERT INTO ${other}.t VALUES (1)`,
      `DROP DATABASE ${other}`,
    );
    const admin = await createConnection({ uri: fixture.url, rowsAsArray: true });
    const [rows] = await admin.query(
      `SELECT ${flavor === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_binlog_pos'}`,
    );
    const [[executed]] = rows as unknown as [[string]];
    const contained = (): boolean =>
      flavor === 'mysql'
        ? GtidSet.parse(saved().gtids).containsAll(GtidSet.parse(executed))
        : MariadbGtidPosition.parse(saved().gtids).containsAll(MariadbGtidPosition.parse(executed));
    await until(contained);
    const { file } = saved();
    await admin.query('FLUSH BINARY LOGS');
    await until(() => saved().file > file);
    admin.destroy();
    await stop();
  });

  test('seq grows over rotations and restarts, the epoch stays', async () => {
    daemon = await fixture.run();
    await fixture.delivered();
    const { epoch } = saved();
    for (let id = 1; id <= 6; id++) {
      await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (${id}, NULL)`);
      if (id % 2 === 0) await fixture.query('FLUSH BINARY LOGS');
      if (id % 3 === 0) {
        daemon.child.kill(id === 3 ? 'SIGKILL' : 'SIGTERM');
        await daemon.ended;
        daemon = await fixture.run();
      }
    }
    await fixture.delivered();
    await stop();
    expect([...new Set(await itemIds())]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(saved().epoch).toBe(epoch);
  });

  test.runIf(flavor === 'mysql')(
    'GTIDs out of order: what fills a hole while it is down is delivered then',
    async () => {
      daemon = await fixture.run();
      const uuid = `aaaaaaaa-0000-4000-8000-${String(process.pid).padStart(12, '0')}`;
      const as = (number: number): Promise<void> =>
        fixture.query(
          `SET gtid_next = '${uuid}:${number}'`,
          `INSERT INTO ${fixture.schema}.item VALUES (${number}, NULL)`,
          `SET gtid_next = AUTOMATIC`,
        );
      await as(5);
      await as(9);
      await fixture.delivered();
      await stop();
      expect(saved().gtids).toContain(`${uuid}:5:9`);
      await as(7);
      await as(2);
      daemon = await fixture.run();
      await fixture.delivered();
      await stop();
      expect(saved().gtids).toContain(`${uuid}:2:5:7:9`);
      expect(await itemIds()).toEqual([5, 9, 7, 2]);
    },
  );

  test.runIf(flavor === 'mariadb')('domains go on each from its own place, whatever server id wrote last', async () => {
    daemon = await fixture.run();
    const as = (domain: number, server: number, id: number): Promise<void> =>
      fixture.query(
        `SET SESSION gtid_domain_id = ${domain}, SESSION server_id = ${server}`,
        `INSERT INTO ${fixture.schema}.item VALUES (${id}, NULL)`,
      );
    await as(7, 100, 1);
    await as(8, 100, 2);
    await fixture.delivered();
    await stop();
    await as(8, 101, 3);
    await as(7, 100, 4);
    await as(9, 102, 5);
    daemon = await fixture.run();
    await fixture.delivered();
    await stop();
    expect(await itemIds()).toEqual([1, 2, 3, 4, 5]);
    expect(saved().gtids).toMatch(/7-100-\d+,8-101-\d+,9-102-\d+/);
    // Nothing comes twice: a restart begins behind the last of each.
    daemon = startCdc(fixture.directory, 'run');
    await until(() => daemon?.stderr().includes('following the binlog') === true);
    await fixture.delivered();
    expect(await itemIds()).toEqual([1, 2, 3, 4, 5]);
    await stop();
  });
});
