import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Fixture, tableOf, until } from './pipeline-fixture.ts';

const PACKAGE = '@duckdb/node-api';
const PGLITE = '@electric-sql/pglite';
const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const installed = mkdtempSync(join(tmpdir(), 'cdc-light-'));
const duckdb = join(installed, 'node_modules', '@duckdb');

// What `npm install --omit=optional` leaves: the build, and all packages but DuckDB and PGlite.
beforeAll(() => {
  cpSync('dist', join(installed, 'dist'), { recursive: true });
  cpSync('package.json', join(installed, 'package.json'));
  mkdirSync(join(installed, 'node_modules'));
  for (const name of readdirSync('node_modules')) {
    if (!['@duckdb', '@electric-sql'].includes(name))
      symlinkSync(resolve('node_modules', name), join(installed, 'node_modules', name));
  }
});
afterAll(() => rmSync(installed, { recursive: true }));

function start(cwd: string, ...words: string[]) {
  const child = spawn(process.execPath, [join(installed, 'dist', 'main.js'), ...words], {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CDC_LOG_LEVEL: 'info' },
  });
  let stderr = '';
  child.stderr.on('data', (data) => (stderr += data));
  const ended = once(child, 'close').then(([code]) => ({ code, stderr }));
  return { child, ended, stderr: () => stderr };
}

test('DuckDB and PGlite are among the optional packages only', () => {
  expect(Object.keys(optionalDependencies)).toEqual([PACKAGE, PGLITE]);
  expect(dependencies).not.toHaveProperty([PACKAGE]);
  expect(dependencies).not.toHaveProperty([PGLITE]);
});

test('cdc run streams without DuckDB', async () => {
  const fixture = new Fixture(inject('mysqlUrl'), `light_${process.pid}`);
  try {
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
    fixture.configure((await fixture.startFirehose()).endpoint);
    const daemon = start(fixture.directory, 'run');
    await until(() => daemon.stderr().includes('following the binlog') || daemon.child.exitCode !== null);
    expect(daemon.child.exitCode).toBeNull();
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (7)`);
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
    const items = (await fixture.landed()).filter((event) => tableOf(event) === 'item');
    expect(items).toMatchObject([{ op: 'c', after: { id: 7 } }]);
  } finally {
    await fixture.remove();
  }
});

test('cdc demo says how to get DuckDB, before it starts anything', async () => {
  const { code, stderr } = await start(installed, 'demo', '--seconds', '1', '--directory', 'demo').ended;
  expect(stderr).toBe(
    `error: DuckDB is not installed
  why: it folds the lake, and is an optional package
  do:  run npm install ${PACKAGE}@${optionalDependencies[PACKAGE]} where cdc is installed
`,
  );
  expect(code).toBe(1);
  expect(readdirSync(installed)).not.toContain('demo');
});

test('cdc firehose --warehouse says how to get PGlite, before it starts anything', async () => {
  const { code, stderr } = await start(installed, 'firehose', '--listen', '127.0.0.1:0', '--warehouse', 'wh').ended;
  expect(stderr).toBe(
    `error: PGlite is not installed
  why: it is the embedded warehouse, and is an optional package
  do:  run npm install ${PGLITE}@${optionalDependencies[PGLITE]} where cdc is installed
`,
  );
  expect(code).toBe(1);
  expect(readdirSync(installed)).not.toContain('wh');
});

test('a DuckDB that does not load says why', async () => {
  const folder = join(duckdb, 'node-api');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "@duckdb/node-api", "version": "0.0.0", "main": "index.js" }');
  writeFileSync(join(folder, 'index.js'), 'throw new Error("no binding for this platform\\nsecond line");');
  try {
    const { code, stderr } = await start(installed, 'demo', '--seconds', '1').ended;
    expect(stderr).toContain('error: DuckDB cannot be loaded\n  why: no binding for this platform\n  do:  ');
    expect(code).toBe(1);
  } finally {
    rmSync(duckdb, { recursive: true });
  }
});
