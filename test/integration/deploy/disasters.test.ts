import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { readFile } from '../../deploy/deploy-files.ts';
import { blocks } from '../../docs-code.ts';
import { type Ended, startCdc, until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { VerifyFixture } from '../verify/verify-fixture.ts';

/**
 * The disasters of docs/RUNBOOK.md, each with the messages and the commands of its section, on a server of its own. In
 * the end the lake equals the source.
 */

const runbook = readFile('docs/RUNBOOK.md');

/** The section of a disaster: its text, with one space for each line break. */
function section(title: string): string {
  const text = new RegExp(`^### ${title}\\n([\\s\\S]*?)(?=^##)`, 'm').exec(runbook)?.[1];
  if (text === undefined) throw new Error(`docs/RUNBOOK.md has no section ${title}`);
  return text.replace(/\s+/g, ' ');
}

let server: LocalServer;
let bed: VerifyFixture;

beforeEach(async () => {
  server = await startTestServer({ flavor: 'mysql' });
  bed = new VerifyFixture(server.url, 'shop');
  await bed.createSchema('CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR(50))');
  await bed.start();
  await bed.query("INSERT INTO shop.orders VALUES (1, 'ada'), (2, 'bob'), (3, 'eve')");
  await bed.delivered();
});
afterEach(async () => {
  await bed.remove();
  await server.stop();
});

const stop = async (): Promise<void> => {
  bed.daemon?.child.kill('SIGTERM');
  expect(await bed.daemon?.ended).toMatchObject({ code: 0 });
};
const start = async (): Promise<void> => {
  bed.daemon = await bed.run();
};
const cdc = (...words: string[]): Promise<Ended> => startCdc(bed.directory, ...words).ended;

/** The log line or text that ends a daemon: its message, as a person reads it, must be in the section. */
function expectDocumented(output: string, message: string, title: string): void {
  expect(output).toContain(message);
  expect([title, section(title).includes(message)]).toEqual([title, true]);
}

const moveCheckpoint = (): void => renameSync(bed.checkpoint, `${bed.checkpoint}.lost`);

/** What each section ends with: all tables are complete, and the lake equals the source. */
async function expectWhole(): Promise<void> {
  const backfill = await cdc('backfill');
  expect(backfill.code, backfill.stderr).toBe(0);
  await bed.delivered();
  const verify = await cdc('verify');
  expect(verify.code, verify.stdout + verify.stderr).toBe(0);
}

async function purge(): Promise<void> {
  const connection = await createConnection({ uri: bed.url, rowsAsArray: true });
  const logs = async (): Promise<string[]> =>
    ((await connection.query('SHOW BINARY LOGS'))[0] as unknown as [string][]).map(([name]) => name);
  await connection.query('FLUSH BINARY LOGS');
  const last = (await logs()).at(-1);
  await until(async () => {
    await connection.query(`PURGE BINARY LOGS TO '${last}'`);
    return (await logs())[0] === last;
  });
  connection.destroy();
}

describe('a lost checkpoint', () => {
  test('whose epoch file is there: a new copy empties the tables and fills them', async () => {
    await stop();
    await bed.query("INSERT INTO shop.orders VALUES (4, 'dan')", 'DELETE FROM shop.orders WHERE id = 1');
    moveCheckpoint();
    await start();
    const status = await cdc('status');
    expectDocumented(status.stdout, 'tables are not complete', 'Lost checkpoint');
    await expectWhole();
  });

  test('with everything beside it: a copy, and a repair of what was deleted', async () => {
    await stop();
    await bed.query("INSERT INTO shop.orders VALUES (4, 'dan')", 'DELETE FROM shop.orders WHERE id = 1');
    rmSync(join(bed.directory, 'state'), { recursive: true });
    mkdirSync(join(bed.directory, 'state'));
    await start();
    const backfill = await cdc('backfill');
    expect(backfill.code, backfill.stderr).toBe(0);
    await bed.delivered();
    const repair = await cdc('verify', '--repair');
    expect(repair.code, repair.stdout + repair.stderr).toBe(0);
    expect(section('Lost checkpoint')).toContain('cdc verify --repair');
    await expectWhole();
  });
});

test('a purged binlog', async () => {
  await stop();
  await bed.query("INSERT INTO shop.orders VALUES (4, 'dan')", 'DELETE FROM shop.orders WHERE id = 1');
  await purge();
  const { code, stderr } = await cdc('run');
  expect(code).toBe(4);
  expectDocumented(stderr, 'the server no longer has the binlog that follows the checkpoint', 'Purged binlog');
  moveCheckpoint();
  await start();
  await expectWhole();
});

test('a purged binlog, with the checkpoint in MySQL', async () => {
  await stop();
  const file = join(bed.directory, 'cdc.yaml');
  const inMysql = readFileSync(file, 'utf8').replace('{ file: state/shop.json }', `{ mysql: { url: "${bed.url}" } }`);
  writeFileSync(file, inMysql);
  await start();
  expect((await cdc('backfill')).code).toBe(0);
  await bed.delivered();
  await stop();
  await bed.query("INSERT INTO shop.orders VALUES (4, 'dan')", 'DELETE FROM shop.orders WHERE id = 1');
  await purge();
  expect(await cdc('run')).toMatchObject({ code: 4, stderr: expect.stringContaining('no longer has the binlog') });
  const [away] = blocks(runbook).filter(({ language, text }) => language === 'sql' && text.startsWith('UPDATE'));
  await bed.query(away?.text ?? '');
  await start();
  await expectWhole();
});

test('a source that was restored from a backup', async () => {
  await stop();
  const data = server.directory;
  await server.kill();
  cpSync(data, `${data}.backup`, { recursive: true, filter: (path) => !path.includes('.sock') });
  await server.restart();
  await start();
  await bed.query("INSERT INTO shop.orders VALUES (4, 'dan')", 'DELETE FROM shop.orders WHERE id = 1');
  await bed.delivered();
  await stop();
  await server.kill();
  rmSync(data, { recursive: true });
  renameSync(`${data}.backup`, data);
  await server.restart();
  await bed.query("INSERT INTO shop.orders VALUES (5, 'fay')");
  const { code, stderr } = await cdc('run');
  expect(code).toBe(4);
  expectDocumented(stderr, 'the checkpoint is ahead of the server', 'Restored source');
  moveCheckpoint();
  await start();
  await expectWhole();
  expect(existsSync(`${bed.checkpoint}.epoch`)).toBe(true);
  expect(readFileSync(bed.checkpoint, 'utf8')).not.toBe('');
});
