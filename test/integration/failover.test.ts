import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import { MariadbGtidPosition } from '../../src/model/mariadb-gtid-position.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { type Cdc, Fixture, tableOf, until } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';

const TABLE = 'CREATE TABLE item (id INT PRIMARY KEY, n INT NOT NULL)';

const FOLLOW = {
  mysql: (port: number) => [
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${port}, SOURCE_USER='root', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1`,
    'START REPLICA',
  ],
  mariadb: (port: number) => [
    `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${port}, MASTER_USER='root', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1`,
    'START SLAVE',
  ],
};
const PROMOTE = {
  mysql: ['STOP REPLICA', 'RESET REPLICA ALL', 'SET GLOBAL read_only=OFF'],
  mariadb: ['STOP SLAVE', 'RESET SLAVE ALL', 'SET GLOBAL read_only=OFF'],
};
const PAUSE = { mysql: 'STOP REPLICA SQL_THREAD', mariadb: 'STOP SLAVE SQL_THREAD' };
const GO_ON = { mysql: 'START REPLICA SQL_THREAD', mariadb: 'START SLAVE SQL_THREAD' };

type Flavor = 'mysql' | 'mariadb';

describe.each(['mysql', 'mariadb'] as const)('failover of %s', (flavor) => {
  let primary: LocalServer;
  let replica: LocalServer;
  let proxy: TcpProxy;
  let fixture: Fixture;
  let daemon: Cdc | undefined;

  beforeEach(async () => {
    const settings = flavor === 'mariadb' ? ['--log-slave-updates=ON', '--gtid-strict-mode=ON'] : [];
    [primary, replica] = await Promise.all([
      startTestServer({ flavor, settings }),
      startTestServer({ flavor, settings }),
    ]);
    await on(replica, ...FOLLOW[flavor](primary.port), 'SET GLOBAL read_only=ON');
    fixture = new Fixture(primary.url, 'shop');
    await fixture.createSchema(TABLE);
    proxy = await TcpProxy.listen(primary.port);
    fixture.configure((await fixture.startFirehose()).endpoint);
    const file = join(fixture.directory, 'cdc.yaml');
    const hosts = `mysql://root@127.0.0.1:${proxy.port},127.0.0.1:${replica.port}/`;
    writeFileSync(file, readFileSync(file, 'utf8').replace(primary.url, hosts));
  });
  afterEach(async () => {
    daemon?.child.kill('SIGKILL');
    proxy.close();
    await fixture.remove().catch(() => {});
    await Promise.all([primary.stop(), replica.stop()]);
  });

  test('the primary is killed under load, the replica promoted: nothing is lost, seq grows, one order per key', async () => {
    // The replica's binlogs have lower numbers then: only a new epoch keeps seq growing.
    await on(primary, ...Array.from({ length: 5 }, () => 'FLUSH BINARY LOGS'));
    daemon = await fixture.run();
    expect(followed(daemon)).toEqual([proxy.port]);
    const before = await work(primary, 0, 1_500, async () => {
      // Replication is asynchronous: what the daemon has when its link goes dead, the replica must get first.
      proxy.blackhole('open and new');
      const reached = await gtids(primary, flavor);
      await until(async () => contains(await gtids(replica, flavor), reached, flavor));
      await primary.kill();
      proxy.cut('rst');
    });
    expect(before).toBeGreaterThan(50);
    await on(replica, ...PROMOTE[flavor]);
    (fixture as { url: string }).url = replica.url;
    await work(replica, 100_000, 1_000);
    await fixture.delivered();
    expect(followed(daemon)).toEqual([proxy.port, replica.port]);
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });

    expect(await fixture.compare('item')).toMatchObject({ equal: true, conflicts: 0 });
    const events = (await fixture.landed()).filter((event) => tableOf(event) === 'item');
    const files = events.map((event) => (event.source as { file: string }).file);
    expect((files.at(-1) as string) < (files[0] as string)).toBe(true);
    const last = new Map<number, number>();
    const seen = new Set<unknown>();
    for (const { seq, after, source } of events) {
      if (seen.has(seq)) continue;
      seen.add(seq);
      const { id, n } = after as { id: number; n: number };
      // In the order of seq each row counts up, without a step missing, over both servers.
      expect([id, n, source]).toEqual([id, (last.get(id) ?? 0) + 1, source]);
      last.set(id, n);
    }
  });

  test('a replica that lags behind what was delivered is waited for', async () => {
    daemon = await fixture.run();
    await fixture.delivered();
    await until(async () => (await count(replica, 'marker')) === 1);
    await on(replica, PAUSE[flavor]);
    await on(primary, 'INSERT INTO shop.item VALUES (1, 1)');
    await fixture.delivered();
    await primary.kill();
    proxy.close();
    await until(() => daemon?.stderr().includes('the replica is behind the checkpoint') === true);
    expect(daemon.child.exitCode).toBeNull();
    await on(replica, GO_ON[flavor]);
    await until(() => followed(daemon as Cdc).length === 2);
    await on(replica, ...PROMOTE[flavor]);
    (fixture as { url: string }).url = replica.url;
    await on(replica, 'UPDATE shop.item SET n = 2');
    await fixture.delivered();
    expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 1 });
  });

  test('a replica that was promoted without what was delivered stops it with code 4, naming what is missing', async () => {
    daemon = await fixture.run();
    await fixture.delivered();
    await until(async () => (await count(replica, 'marker')) === 1);
    await on(replica, ...PROMOTE[flavor]);
    await on(primary, 'INSERT INTO shop.item VALUES (1, 1)');
    await fixture.delivered();
    // The old primary is gone for good: its host is not named any more.
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    const saved = readFileSync(fixture.checkpoint, 'utf8');
    const file = join(fixture.directory, 'cdc.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(`127.0.0.1:${proxy.port},`, ''));
    daemon = await fixture.run();
    const { code, stderr } = await daemon.ended;
    expect(code).toBe(4);
    expect(stderr).toMatch(/the checkpoint is ahead of the server/);
    expect(stderr).toMatch(flavor === 'mysql' ? /never executed [0-9a-f-]{36}:\d+/ : /is beyond 0-\d+-\d+/);
    expect(readFileSync(fixture.checkpoint, 'utf8')).toBe(saved);
  });
});

/** The ports of the servers that it has followed, one after the other. */
function followed(daemon: Cdc): number[] {
  return [...daemon.stderr().matchAll(/"host":"127\.0\.0\.1:(\d+)","server"/g)].map((match) => Number(match[1]));
}

async function on(server: LocalServer, ...statements: string[]): Promise<void> {
  const connection = await createConnection({ uri: server.url });
  try {
    for (const sql of statements) await connection.query(sql);
  } finally {
    connection.destroy();
  }
}

/** What the server has executed. */
async function gtids(server: LocalServer, flavor: Flavor): Promise<string> {
  const connection = await createConnection({ uri: server.url, rowsAsArray: true });
  const variable = flavor === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_current_pos';
  try {
    const [rows] = await connection.query(`SELECT ${variable}`);
    return (rows as unknown as [[string]])[0][0];
  } finally {
    connection.destroy();
  }
}

const contains = (all: string, part: string, flavor: Flavor): boolean =>
  flavor === 'mysql'
    ? GtidSet.parse(all).containsAll(GtidSet.parse(part))
    : MariadbGtidPosition.parse(all).containsAll(MariadbGtidPosition.parse(part));

async function count(server: LocalServer, table: string): Promise<number> {
  const connection = await createConnection({ uri: server.url, database: 'shop', rowsAsArray: true });
  try {
    const [rows] = await connection.query(`SELECT COUNT(*) FROM ${table}`);
    return Number((rows as unknown as [[number]])[0][0]);
  } catch {
    return 0;
  } finally {
    connection.destroy();
  }
}

/** Each row counts its own changes. Returns how many committed; with `end` they run until it has ended the server. */
async function work(server: LocalServer, salt: number, ms: number, end?: () => Promise<void>): Promise<number> {
  const deadline = Date.now() + ms;
  let committed = 0;
  let ended = false;
  const client = async (n: number): Promise<void> => {
    const connection: Connection = await createConnection({ uri: server.url, database: 'shop' });
    connection.on('error', () => {});
    try {
      for (let i = n; !ended && (end || Date.now() < deadline); i += 3) {
        const id = (i + salt) % 40;
        await connection.query(`INSERT INTO item VALUES (${id}, 1) ON DUPLICATE KEY UPDATE n = n + 1`);
        committed++;
        await new Promise((done) => setTimeout(done, 3));
      }
    } catch (error) {
      if (!end) throw error;
    } finally {
      connection.destroy();
    }
  };
  const clients = [0, 1, 2].map(client);
  if (end) {
    await new Promise((done) => setTimeout(done, ms));
    await until(() => committed > 100);
    await end();
    ended = true;
  }
  await Promise.all(clients);
  return committed;
}
