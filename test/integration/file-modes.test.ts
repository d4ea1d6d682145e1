import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import { Fixture, until } from './pipeline-fixture.ts';

const fixture = new Fixture(inject('mysqlUrl'), 'file_modes');
const made = join(fixture.directory, 'made');
const children: ReturnType<typeof start>[] = [];
afterAll(async () => {
  for (const { child } of children) child.kill('SIGKILL');
  await fixture.remove();
});

/** A command under the most generous umask. What it writes, its temporary files included, is below `made`. */
function start(...words: string[]) {
  const child = spawn('sh', ['-c', 'umask 000; exec "$0" "$@"', process.execPath, resolve('dist/main.js'), ...words], {
    cwd: made,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: join(made, 'tmp') },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  return { child, output: () => output, ended: once(child, 'close').then(([code]) => code as number) };
}

const OURS = new Set(['', 'tmp', 'cdc.yaml', 'plan.json']);
const open = new Map<string, string>();
const seen = new Set<string>();

/** Notes each file, folder and socket that another user could open. A temporary file can be gone a moment later. */
function look(): void {
  const walk = (path: string): void => {
    const name = relative(made, path);
    try {
      const stats = lstatSync(path);
      seen.add(name);
      if (!OURS.has(name) && (stats.mode & 0o077) !== 0) open.set(name, (stats.mode & 0o777).toString(8));
      if (stats.isDirectory()) for (const entry of readdirSync(path)) walk(join(path, entry));
    } catch {
      // gone
    }
  };
  walk(made);
}

test('nothing that cdc writes can be opened by others, whatever the umask', async () => {
  mkdirSync(join(made, 'tmp'), { recursive: true });
  chmodSync(made, 0o777);
  await fixture.createSchema(
    'CREATE TABLE item (id INT PRIMARY KEY, v VARCHAR(50))',
    "INSERT INTO item VALUES (1, 'a')",
  );
  writeFileSync(join(made, 'plan.json'), JSON.stringify({ rules: [{ fault: 'poison', text: 'PoisonValue' }] }));
  const timer = setInterval(look, 5);
  try {
    const firehose = start(
      ...['firehose', '--listen', '127.0.0.1:0', '--lake', 'lake', '--buffer-seconds', '0', '--gzip'],
      ...['--ledger', 'logs/ledger', '--faults', 'plan.json'],
    );
    children.push(firehose);
    await until(() => /http:\S+\d/.test(firehose.output()));
    const [endpoint] = /http:\S+\d/.exec(firehose.output()) as RegExpExecArray;
    writeFileSync(
      join(made, 'cdc.yaml'),
      `name: shop
source: { url: "${fixture.url}", start: snapshot }
tables: ["file_modes.*"]
firehose: { stream: changes, endpoint: "${endpoint}", linger: 20ms }
lake: lake
checkpoint: { file: state/of/shop.json }
`,
    );
    const command = async (code: number, ...words: string[]): Promise<void> => {
      const { ended, output } = start(...words);
      expect(await ended, `${words.join(' ')}: ${output()}`).toBe(code);
    };
    await command(0, 'check');
    const daemon = start('run');
    children.push(daemon);
    await until(() => daemon.output().includes('following the binlog'));
    await fixture.query("INSERT INTO file_modes.item VALUES (2, 'PoisonValue'), (3, 'c')");
    await until(() => daemon.output().includes('dead letter'));
    await command(0, 'backfill', 'file_modes.item', '--yes', '--where', 'id = 3');
    await fixture.query("INSERT INTO file_modes.item VALUES (4, 'd')");
    await until(() => /lake\/changes\/\S+/.test([...seen].join('\n')));
    await command(4, 'verify', '--wait', '30s');
    await command(0, 'merge', '--into', 'duckdb:shop.duckdb');
    await command(0, 'dead-letter', 'list');
    await command(0, 'status');
    daemon.child.kill('SIGTERM');
    await daemon.ended;
  } finally {
    clearInterval(timer);
  }
  look();
  expect(Object.fromEntries(open)).toEqual({});
  // All kinds were there: state, lock, socket, dead letter, lake, log of calls, target of the merge, work of a verify.
  const names = [...seen].join('\n');
  for (const kind of [
    /^state\/of\/shop\.json$/m,
    /^state\/of\/shop\.json\.epoch$/m,
    /^state\/of\/shop\.json\.lock$/m,
    /^state\/of\/shop\.sock$/m,
    /^state\/of\/dead-letter\/.+/m,
    /^lake\/changes\/.+/m,
    /ledger$/m,
    /shop\.duckdb$/m,
    /^tmp\/cdc-verify-[^/]+\/.+/m,
  ]) {
    expect(names).toMatch(kind);
  }
});
