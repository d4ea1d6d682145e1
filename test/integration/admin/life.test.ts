import { existsSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterEach, expect, inject, test } from 'vitest';
import { startCdc, until } from '../pipeline-fixture.ts';
import { AdminDaemon, addressOf, httpCall, readMetric, TOKEN } from './admin-daemon.ts';

let bed: AdminDaemon | undefined;
const open: Server[] = [];
afterEach(async () => {
  await bed?.remove();
  bed = undefined;
  for (const server of open.splice(0)) server.close();
});

/** Accepts connections and says nothing. */
function silentServer(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer(() => {}).listen(0, '127.0.0.1', () =>
      resolve((server.address() as { port: number }).port),
    );
    open.push(server);
  });
}

test('a daemon whose server does not answer yet is alive, not ready, and says what it waits for', async () => {
  bed = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  const { endpoint } = await bed.startFirehose();
  const port = await silentServer();
  const own = Object.assign(Object.create(bed), { url: `mysql://root@127.0.0.1:${port}` }) as AdminDaemon;
  own.configure(endpoint, 'admin: { listen: "127.0.0.1:0" }');
  bed.daemon = startCdc(bed.directory, 'run');
  await until(() => bed?.daemon?.stderr().includes('"url"') ?? false);
  const url = addressOf(bed.daemon);
  const get = async (path: string) => httpCall(url, path);
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(503);
  const status = JSON.parse((await get('/api/status')).text);
  expect(status).toMatchObject({ name: 'shop', state: 'starting', stream: null, delivery: null, backfill: null });
  expect(status.health).toMatchObject({ status: 'down', ready: false });
  expect(readMetric((await get('/metrics')).text, 'cdc_streaming').get('')).toBe(0);
  expect((await get('/api/backfill')).status).toBe(503);
  // The preflight gives up on it after its time, and the daemon continues waiting.
  await until(async () => JSON.parse((await get('/api/status')).text).state === 'waiting');
  expect(JSON.parse((await get('/api/status')).text).health.problems[0]).toMatchObject({
    code: 'not_streaming',
    why: expect.stringContaining('127.0.0.1'),
  });
});

test('a daemon that ends is stopping until everything is delivered, and then gone with its socket', async () => {
  bed = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  await bed.createSchema('CREATE TABLE t (id INT PRIMARY KEY)');
  await bed.start();
  await until(async () => (await bed?.status())?.health.ready ?? false);
  bed.firehose?.setFaults({ rules: [{ fault: 'all-fail' }] });
  await bed.query('INSERT INTO admin_life.t VALUES (1)');
  await until(async () => (await bed?.status())?.delivery?.streams[0]?.lanes.retrying === 1);
  bed.daemon?.child.kill('SIGTERM');
  await until(async () => (await bed?.status())?.state === 'stopping');
  expect(await bed.status()).toMatchObject({ health: { status: 'down', ready: false } });
  expect((await bed.call('/healthz')).status).toBe(200);
  expect((await bed.call('/readyz')).status).toBe(503);
  bed.firehose?.setFaults({ rules: [] });
  expect((await bed.daemon?.ended)?.code).toBe(0);
  expect(existsSync(join(bed.directory, 'state', 'shop.sock'))).toBe(false);
  await expect(bed.call('/healthz')).rejects.toThrow('ECONNREFUSED');
});

test('a port that is in use ends a start with 2, before anything else, and the daemon that has it continues', async () => {
  bed = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  await bed.createSchema('CREATE TABLE t (id INT PRIMARY KEY)');
  await bed.start();
  const { port } = new URL(bed.url0);
  const second = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  try {
    second.configure(bed.firehose?.endpoint ?? '', `admin: { listen: ${port} }`);
    const { code, stderr } = await startCdc(second.directory, 'run').ended;
    expect(code).toBe(2);
    expect(stderr).toContain(`port ${port} on 127.0.0.1 is already in use`);
    expect(stderr).toContain('admin.listen');
    expect(existsSync(join(second.directory, 'state', 'shop.sock'))).toBe(false);
    expect(existsSync(second.checkpoint)).toBe(false);
  } finally {
    rmSync(second.directory, { recursive: true });
  }
  expect((await bed.call('/readyz')).status).toBe(200);
});

test('a daemon that was killed leaves its socket, and the next one takes it', async () => {
  bed = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  await bed.createSchema('CREATE TABLE t (id INT PRIMARY KEY)');
  await bed.start();
  bed.daemon?.child.kill('SIGKILL');
  await bed.daemon?.ended;
  expect(existsSync(join(bed.directory, 'state', 'shop.sock'))).toBe(true);
  await bed.start();
  await until(async () => (await bed?.status())?.health.ready ?? false);
});

test('a scrape every 100 ms and a page that asks all the time hold nothing back', async () => {
  bed = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  await bed.createSchema('CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(99))');
  await bed.start();
  const statuses: number[] = [];
  const looking = setInterval(() => {
    for (const path of ['/metrics', '/api/status', '/api/history', '/readyz']) {
      bed?.call(path).then(
        ({ status }) => statuses.push(status),
        () => statuses.push(0),
      );
    }
  }, 100);
  try {
    for (let i = 0; i < 20; i++) {
      await bed.query(`INSERT INTO admin_life.t (note) VALUES ${Array(500).fill("('x')").join(',')}`);
    }
    await bed.delivered();
  } finally {
    clearInterval(looking);
  }
  await until(async () => (await bed?.metric('cdc_events_total'))?.get('{table="admin_life.t",op="c"}') === 10_000);
  expect((await bed.compare('t')).equal).toBe(true);
  expect(statuses.length).toBeGreaterThan(10);
  // Not ready at first; never refused or lost.
  expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
});

test('what changes something on the port needs the token, and then does it', async () => {
  bed = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  await bed.createSchema('CREATE TABLE t (id INT PRIMARY KEY)', 'INSERT INTO t VALUES (1), (2), (3)');
  await bed.start();
  const post = (path: string, token?: string, body = '{}') =>
    bed?.call(path, { method: 'POST', body, headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } });
  expect((await post('/api/backfill/pause'))?.status).toBe(401);
  expect((await post('/api/backfill/pause', 'wrong'))?.status).toBe(401);
  expect((await bed.status()).backfill?.state).toBe('idle');
  expect((await post('/api/backfill', TOKEN, '{"tables":["admin_life.t"]}'))?.status).toBe(202);
  await until(async () => (await bed?.status())?.backfill?.tables[0]?.state === 'done');
  const { tables } = await bed.status();
  expect(tables[0]).toMatchObject({ coverage: { complete: true }, events: { c: 0, r: 3 } });
  expect((await bed.metric('cdc_backfill_rows')).get('{table="admin_life.t"}')).toBe(3);
  expect((await bed.metric('cdc_table_complete')).get('{table="admin_life.t"}')).toBe(1);
});

test('a server that denies the monitor is not one that hangs: the stream continues, and the log says why', async () => {
  const root = new AdminDaemon(inject('mysqlUrl'), 'admin_life');
  await root.createSchema('CREATE TABLE t (id INT PRIMARY KEY)');
  await root.query(
    "DROP USER IF EXISTS 'seer'@'%'",
    "CREATE USER 'seer'@'%' IDENTIFIED BY 'seer'",
    "GRANT SELECT ON admin_life.* TO 'seer'@'%'",
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'seer'@'%'",
  );
  const url = new URL(inject('mysqlUrl'));
  url.username = 'seer';
  url.password = 'seer';
  bed = new AdminDaemon(url.href, 'admin_life');
  const ended = bed;
  try {
    await bed.start();
    await until(async () => (await bed?.status())?.health.ready ?? false);
    // The other idle connection of the account, zongji's, has not been used for longer.
    await new Promise((done) => setTimeout(done, 6_000));
    await root.query("REVOKE REPLICATION CLIENT ON *.* FROM 'seer'@'%'");
    const connection = await createConnection({ uri: inject('mysqlUrl') });
    await until(async () => {
      const [rows] = await connection.query<RowDataPacket[]>(
        "SELECT ID FROM performance_schema.processlist WHERE USER = 'seer' AND COMMAND = 'Sleep' AND TIME < 4",
      );
      for (const { ID } of rows) await connection.query(`KILL ${ID}`).catch(() => {});
      return rows.length > 0;
    });
    connection.destroy();
    await until(() => bed?.daemon?.stderr().includes('does not say where its binlog ends') ?? false);
    await new Promise((done) => setTimeout(done, 6_000));
    const { state, health, reconnects } = await bed.status();
    expect({ state, reconnects, codes: health.problems.map(({ code }) => code) }).toEqual({
      ...{ state: 'streaming', reconnects: 0 },
      codes: expect.not.arrayContaining(['source_silent']),
    });
    expect(bed.daemon?.stderr().split('does not say where its binlog ends')).toHaveLength(2);
  } finally {
    await ended.stop();
    await ended.firehose?.close();
    rmSync(ended.directory, { recursive: true });
    bed = root;
    await root.query("DROP USER 'seer'@'%'");
  }
});
