import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, inject, test } from 'vitest';
import { VerifyFixture } from './verify/verify-fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-loaded-'));
afterAll(() => rmSync(directory, { recursive: true }));

// Nothing listens on these ports, so a command loads all it needs and then fails.
writeFileSync(
  join(directory, 'cdc.yaml'),
  'source: { url: "mysql://cdc@127.0.0.1:1" }\nfirehose: { stream: s, endpoint: "http://127.0.0.1:1" }\n',
);

const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const DEPENDENCIES = Object.keys({ ...dependencies, ...optionalDependencies });
const DIST = resolve('dist');

/** The packages of package.json, and the parts of src/local, that a command loads until its first output. */
async function loadedBy(command: string, cwd = directory): Promise<string[]> {
  // Node lists every script there that the process has loaded, ES module or not.
  const coverage = mkdtempSync(join(directory, 'coverage-'));
  const child = spawn(process.execPath, [join(DIST, 'main.js'), ...command.split(' ')], {
    cwd,
    env: { ...process.env, NODE_V8_COVERAGE: coverage },
  });
  const end = () => child.kill('SIGTERM');
  child.stdout.once('data', end);
  child.stderr.once('data', end);
  await once(child, 'close');
  const urls = readdirSync(coverage)
    .flatMap((file) => JSON.parse(readFileSync(join(coverage, file), 'utf8')).result)
    .map(({ url }: { url: string }) => url);
  const packages = DEPENDENCIES.filter((name) => urls.some((url) => url.includes(`/node_modules/${name}/`)));
  const local = ['local/demo', 'local/firehose', 'local/mysql'].filter((folder) =>
    urls.some((url) => url.startsWith(pathToFileURL(join(DIST, folder, '/')).href)),
  );
  return [...packages, ...local];
}

const CONFIG = ['zod', 'yaml', 'fastest-levenshtein'];
const SERVER = ['mysql2', 'iconv-lite'];
const BINLOG = ['@vlasky/zongji', 'fzstd'];
const AWS = [
  '@aws-sdk/client-firehose',
  '@aws-sdk/credential-provider-node',
  '@smithy/node-http-handler',
  // The SDK signs with it.
  '@smithy/signature-v4',
];

test.each<[command: string, packages: string[]]>([
  ['--help', []],
  ['--version', []],
  ['no-such-command', []],
  ['run --help', []],
  ['backfill --help', []],
  ['backfill --rate none', CONFIG],
  ['backfill', [...CONFIG, ...SERVER]],
  ['backfill --pause', CONFIG],
  ['verify --help', []],
  ['verify --sample none', CONFIG],
  ['check --help', []],
  ['init --help', []],
  ['complete bash', []],
  ['complete zsh -- run -c', []],
  ['complete zsh -- tail shop.', ['yaml']],
  ['init', [...CONFIG, ...SERVER]],
  ['status --help', []],
  ['tail --help', []],
  ['dead-letter retry --help', []],
  ['firehose --help', []],
  ['demo --help', []],
  ['demo --seconds none', []],
  ['dead-letter list', CONFIG],
  ['dead-letter retry --all', [...CONFIG, ...AWS]],
  ['check', [...CONFIG, ...SERVER, ...AWS]],
  ['status', [...CONFIG, ...SERVER]],
  ['tail', [...CONFIG, ...SERVER, ...BINLOG]],
  ['run', [...CONFIG, ...SERVER, ...BINLOG, ...AWS, 'pino', 'p-queue']],
  ['firehose --listen 127.0.0.1:0', ['zod', 'local/firehose']],
])('cdc %s loads only what it needs', async (command, packages) => {
  const loaded = await loadedBy(command);
  expect(loaded.sort()).toEqual(['commander', ...packages].sort());
});

test('cdc verify of a folder loads neither S3 nor DuckDB', async () => {
  const bed = new VerifyFixture(inject('mysqlUrl'), 'loaded_modules');
  try {
    await bed.createSchema('CREATE TABLE a (id INT PRIMARY KEY)');
    await bed.start();
    await bed.delivered();
    const { code, stderr } = await bed.verify();
    expect(code, stderr).toBe(0);
    const loaded = await loadedBy('verify', bed.directory);
    expect(loaded).toEqual(expect.arrayContaining([...CONFIG, ...SERVER]));
    expect(loaded.filter((name) => /client-s3|duckdb|^local/.test(name))).toEqual([]);
  } finally {
    await bed.remove();
  }
});
