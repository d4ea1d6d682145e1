import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { type Cdc, cdc, Fixture, startCdc, until } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';

// Two pipelines of one process, each with a database, a stream and a folder of its own. The server of `billing` is one
// of this file's own, because it is stopped and loses its binlogs.

let server: LocalServer;
let shop: Fixture;
let billing: Fixture;
let fleet: Cdc | undefined;

beforeAll(async () => {
  server = await startTestServer({ flavor: 'mysql' });
});
afterAll(() => server.stop());
beforeEach(async () => {
  shop = new Fixture(inject('mysqlUrl'), `fleet_shop_${process.pid}`);
  billing = new Fixture(server.url, 'billing');
  for (const fixture of [shop, billing]) {
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
    await configure(fixture);
  }
});
afterEach(async () => {
  fleet?.child.kill('SIGKILL');
  await fleet?.ended;
  fleet = undefined;
  await shop.remove();
  await billing.remove();
});

const fileOf = (fixture: Fixture): string => join(fixture.directory, 'cdc.yaml');
const edit = (fixture: Fixture, from: string, to: string): void =>
  writeFileSync(fileOf(fixture), readFileSync(fileOf(fixture), 'utf8').replace(from, to));

async function configure(fixture: Fixture): Promise<void> {
  const { endpoint } = fixture.firehose ?? (await fixture.startFirehose());
  fixture.configure(endpoint);
  edit(fixture, 'name: shop', `name: ${fixture === shop ? 'shop' : 'billing'}`);
}

const run = (): Cdc => {
  fleet = startCdc(shop.directory, 'run', '-c', fileOf(shop), '-c', fileOf(billing));
  return fleet;
};

interface Line {
  level: number;
  name: string;
  msg: string;
  exitCode?: number;
  retryInMs?: number;
}
const linesOf = (running: Cdc): Line[] =>
  running
    .stderr()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
const following = (running: Cdc, name: string): number =>
  linesOf(running).filter((line) => line.name === name && line.msg === 'following the binlog').length;

/** Waits until the pipeline has failed for good. */
async function failed(running: Cdc, name: string): Promise<Line> {
  const find = (): Line | undefined => linesOf(running).find((line) => line.name === name && line.level === 60);
  await until(() => find() !== undefined || running.child.exitCode !== null);
  expect(running.child.exitCode).toBeNull();
  return find() as Line;
}

async function end(running: Cdc): Promise<void> {
  running.child.kill('SIGTERM');
  expect(await running.ended).toMatchObject({ code: 0 });
}

test('two databases are followed, each in its own stream, and SIGTERM delivers what both have read', async () => {
  const running = run();
  await until(() => following(running, 'shop') + following(running, 'billing') === 2);
  await Promise.all([shop.delivered(), billing.delivered()]);

  for (const fixture of [shop, billing]) {
    const { stdout } = await cdc(fixture.directory, 'status', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      name: fixture === shop ? 'shop' : 'billing',
      state: 'streaming',
      pid: running.child.pid,
    });
  }
  await shop.query(`INSERT INTO ${shop.schema}.item VALUES (1), (2)`);
  await billing.query('INSERT INTO billing.item VALUES (7)');
  await Promise.all([shop.delivered(), billing.delivered()]);
  await end(running);
  expect(await shop.compare('item')).toMatchObject({ equal: true });
  expect(await billing.compare('item')).toMatchObject({ equal: true });
  // No line is without the pipeline that it is about, and Node warns of nothing.
  expect([...new Set(linesOf(running).map(({ name }) => name))].sort()).toEqual(['billing', 'shop']);
});

test('while the server of one is down the other delivers, and the first continues once it is back', async () => {
  const running = run();
  await until(() => following(running, 'shop') + following(running, 'billing') === 2);
  await billing.delivered();
  await server.kill();
  await until(() => linesOf(running).some(({ name, level }) => name === 'billing' && level === 40));
  await shop.query(`INSERT INTO ${shop.schema}.item VALUES (1)`);
  await shop.delivered();
  await server.restart();
  await billing.query('INSERT INTO billing.item VALUES (8)');
  await billing.delivered();
  await shop.delivered();
  await end(running);
  expect(await billing.compare('item')).toMatchObject({ equal: true });
  expect(following(running, 'shop')).toBe(1);
});

test('a pipeline with a wrong password fails alone, and starts by itself once its file is right', async () => {
  edit(billing, 'root@', 'root:wrong@');
  const running = run();
  expect(await failed(running, 'billing')).toMatchObject({ exitCode: 3 });
  // What is committed before its first start is not its to deliver.
  await until(() => following(running, 'shop') === 1);
  await shop.delivered();
  const [restart] = linesOf(running).filter(({ retryInMs }) => retryInMs !== undefined);
  expect(restart).toMatchObject({ name: 'billing', level: 40, retryInMs: 30_000 });

  const { stdout } = await cdc(billing.directory, 'status', '--json');
  expect(JSON.parse(stdout)).toMatchObject({ name: 'billing', state: 'stopped' });

  edit(billing, 'root:wrong@', 'root@');
  await until(() => following(running, 'billing') === 1);
  await billing.delivered();
  await shop.delivered();
  await end(running);
  expect(following(running, 'shop')).toBe(1);
});

test('a pipeline whose binlog was purged fails alone, with code 4 in its last line', async () => {
  const first = run();
  await until(() => following(first, 'shop') + following(first, 'billing') === 2);
  await end(first);
  await billing.query('INSERT INTO billing.item VALUES (1)');
  const connection = await createConnection({ uri: billing.url, rowsAsArray: true });
  await connection.query('FLUSH BINARY LOGS');
  const [logs] = (await connection.query('SHOW BINARY LOGS')) as unknown as [[string][]];
  await connection.query(`PURGE BINARY LOGS TO '${logs.at(-1)?.[0]}'`);
  connection.destroy();

  const running = run();
  expect(await failed(running, 'billing')).toMatchObject({ exitCode: 4 });
  await shop.query(`INSERT INTO ${shop.schema}.item VALUES (1)`);
  await shop.delivered();
  await end(running);
  expect(await shop.compare('item')).toMatchObject({ equal: true });
});

test('if no pipeline is left, the process ends with their exit code', async () => {
  for (const fixture of [shop, billing]) edit(fixture, 'root@', 'root:wrong@');
  expect(await run().ended).toMatchObject({ code: 3 });
});

test('ten pipelines with one folder and one server start at once, and none disturbs another', async () => {
  const names = Array.from({ length: 10 }, (_, i) => `p${i}`);
  const files = names.map((name) => {
    const file = join(shop.directory, `${name}.yaml`);
    // Only the name differs: checkpoint, socket and dead letters are where the name puts them.
    const text = readFileSync(fileOf(shop), 'utf8')
      .replace('name: shop', `name: ${name}`)
      .replace(/^checkpoint.*$/m, '');
    writeFileSync(file, text);
    return file;
  });
  const running = startCdc(shop.directory, 'run', ...files.flatMap((file) => ['-c', file]));
  fleet = running;
  await until(() => names.every((name) => following(running, name) === 1));
  await shop.delivered();
  // The marker of the first of them is there. Each of them delivers one.
  const delivering = async (): Promise<number> => {
    const rows = (await shop.landed()).filter(({ after }) => (after as { id?: number } | null)?.id !== undefined);
    return new Set(rows.map(({ source }) => (source as { name: string }).name)).size;
  };
  await until(async () => (await delivering()) === 10);
  await end(running);
  expect(linesOf(running).filter(({ msg, level }) => level > 40 || /starts again/.test(msg))).toEqual([]);
});

test('an error in one file starts no pipeline', async () => {
  edit(billing, 'linger: 20ms', 'linger: never');
  const { code, stderr } = await run().ended;
  expect(code).toBe(2);
  expect(stderr).toMatch(/linger: must be/);
  expect(existsSync(join(shop.directory, 'state'))).toBe(false);
});

test('two files with the same name start no pipeline, and both are named', async () => {
  edit(billing, 'name: billing', 'name: shop');
  const { code, stderr } = await run().ended;
  expect(code).toBe(2);
  expect(stderr).toContain(`${fileOf(shop)} and ${fileOf(billing)} have the same name, shop`);
  expect(existsSync(join(shop.directory, 'state'))).toBe(false);
});
