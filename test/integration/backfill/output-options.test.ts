import { execFile, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { listObjects } from '../../../src/lake/objects.ts';
import { startLocalFirehose } from '../../../src/local/firehose/server.ts';
import { tableOf, until } from '../pipeline-fixture.ts';
import { BackfillFixture, rowsOf } from './backfill-fixture.ts';
import { query } from './snapshot-fixture.ts';

/** The rows of a backfill go where the changes of their table go, in the same format, by the same rules. */

let bed: BackfillFixture;
const ROWS = 1_200;
beforeAll(async () => {
  bed = new BackfillFixture(inject('mysqlUrl'), 'bf_options');
  const table = '(id INT PRIMARY KEY, v VARCHAR(40))';
  await bed.createSchema(
    `CREATE TABLE a ${table}`,
    `CREATE TABLE b ${table}`,
    ...['a', 'b'].flatMap((name) => rowsOf(name, ROWS)),
  );
  bed.firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake: bed.lake,
    streams: ['changes', 'other', 'flat', 'maxwell', 'gzip'].map((name) => ({ name, bufferSeconds: 0.2 })),
  });
});
afterAll(() => bed?.remove());
afterEach(() => bed.stopDaemon());

/** A pipeline of its own: its name, its stream and its checkpoint. */
const configure = (name: string, firehose: string, more = ''): void =>
  bed.write(`name: ${name}
source: { url: "${bed.url}" }
tables: ["bf_options.*"]
firehose: { stream: ${name}, endpoint: "${bed.firehose?.endpoint}", linger: 20ms, ${firehose} }
checkpoint: { file: state/shop.json }
${more}`);

type Line = Record<string, unknown>;

/** Objects of one second have no order by their names. */
const seqOf = ({ seq, _seq }: Line): string => String(seq ?? _seq);

/** The events of a stream, oldest first. */
async function lines(stream: string): Promise<Line[]> {
  const objects = await listObjects(bed.lake, stream);
  const found = objects.flatMap(({ path }) => {
    const bytes = readFileSync(path);
    const text = bytes[0] === 0x1f ? gunzipSync(bytes).toString() : bytes.toString();
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line);
  });
  return found.sort((a, b) => (seqOf(a) < seqOf(b) ? -1 : 1));
}

/** A daemon with a checkpoint of its own. */
async function start(): Promise<void> {
  rmSync(join(bed.directory, 'state'), { recursive: true, force: true });
  mkdirSync(join(bed.directory, 'state'));
  await bed.startDaemon();
}

async function source(table: string): Promise<Map<number, string>> {
  const rows = await query(bed.url, `SELECT id, v FROM bf_options.${table}`);
  return new Map(rows.map(([id, v]) => [Number(id), String(v)]));
}

/** What one event says: the id of the row, and its value or null if it is gone. */
const READ: Record<string, (line: Line) => [number, string | null]> = {
  flat: ({ id, v, _deleted }) => [id as number, _deleted ? null : (v as string)],
  maxwell: ({ type, data }) => {
    const { id, v } = data as { id: number; v: string };
    return [id, type === 'delete' ? null : v];
  },
  gzip: ({ key, after }) => [(key as { id: number }).id, (after as { v: string } | null)?.v ?? null],
};

test.each([
  ['flat', 'aggregate: off', 'format: flat'],
  ['maxwell', 'aggregate: { max_events: 100 }', 'format: maxwell'],
  ['gzip', 'compression: gzip', ''],
] as const)('a stream of %s, with %s, folds to the table', async (stream, firehose, more) => {
  configure(stream, firehose, `${more}\n`);
  await start();
  await bed.client.startBackfill({ tables: ['bf_options.a'], rate: 4_000 });
  for (let i = 0; i < 40; i++) {
    await bed.query(
      `UPDATE bf_options.a SET v = '${stream} ${i}' WHERE id % 40 = ${i}`,
      `DELETE FROM bf_options.a WHERE id = ${i * 7}`,
      `INSERT INTO bf_options.a VALUES (${i * 7}, 'again')`,
    );
  }
  expect(await bed.over('a')).toMatchObject([{ state: 'done' }]);
  const expected = await source('a');
  let rows = new Map<number, string>();
  await until(async () => {
    rows = new Map();
    for (const line of (await lines(stream)).filter((each) => !JSON.stringify(each).includes('"table":"b"'))) {
      const [id, v] = (READ[stream] as (typeof READ)[string])(line);
      if (v === null) rows.delete(id);
      else rows.set(id, v);
    }
    return rows.size === expected.size && [...expected].every(([id, v]) => rows.get(id) === v);
  });
});

test('rows go to the stream of their table, hashed and masked by the column rules, with a hashed key', async () => {
  configure(
    'changes',
    'routes: { "bf_options.b": other }',
    `columns:
  bf_options.b.id: { hash: sha256, secret: secret }
  bf_options.a.v: { mask: 1 }
  bf_options.b.v: drop
`,
  );
  await start();
  await bed.client.startBackfill({ tables: [], rate: 4_000, parallel: 2 });
  for (let i = 0; i < 20; i++) {
    await bed.query(
      `UPDATE bf_options.b SET id = id + 10000 WHERE id = ${i * 31 + 1}`,
      `DELETE FROM bf_options.b WHERE id = ${i * 17 + 2}`,
    );
  }
  const [a, b] = await bed.over('a', 'b');
  expect([a?.state, b?.state]).toEqual(['done', 'done']);
  await bed.query(
    "INSERT INTO bf_options.b VALUES (77777, 'last')",
    "UPDATE bf_options.a SET v = 'last!' WHERE id = 3",
  );
  const hash = (id: number): string => createHmac('sha256', 'secret').update(String(id)).digest('hex');
  await until(async () => (await lines('other')).some(({ key }) => (key as { id: string })?.id === hash(77777)));
  const newest = new Map<string, Record<string, unknown>>();
  for (const event of await lines('other')) {
    expect(tableOf(event)).toBe('b');
    newest.set((event.key as { id: string }).id, event);
  }
  const kept = [...newest.values()].filter(({ op }) => op !== 'd').map(({ after }) => after);
  const ids = [...(await source('b')).keys()];
  expect(kept.map((after) => (after as { id: string }).id).sort()).toEqual(ids.map(hash).sort());
  expect(Object.keys(kept[0] as object)).toEqual(['id']);
  const masked = (await lines('changes')).filter(({ op }) => op === 'r');
  expect(masked.length).toBeGreaterThan(0);
  for (const { after } of masked) expect((after as { v: string }).v).toMatch(/^\*+.$/);
});

test('the command draws the bars of the real daemon on a terminal, and prints objects with --json', async () => {
  configure('changes', '');
  await start();
  const json = await bed.backfill('bf_options.a', '--json');
  expect(json).toMatchObject({ code: 0, stderr: '' });
  const printed = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(printed[0]).toMatchObject({ estimate: { tables: 1 } });
  expect(printed.at(-1)).toMatchObject({ ok: true, rows: (await source('a')).size, tables: [{ state: 'done' }] });
  if (spawnSync('python3', ['-c', 'import pty']).status !== 0) return;
  const { stdout } = await promisify(execFile)(
    'python3',
    ['-c', TERMINAL, process.execPath, resolve('dist/main.js'), 'backfill', 'bf_options.a', '--rate', '800'],
    { cwd: bed.directory, env: { ...process.env, TERM: 'xterm-256color', LANG: 'C.UTF-8', NO_COLOR: '1' } },
  );
  expect(stdout).toContain('bf_options.a');
  expect(stdout).toMatch(/█/);
  expect(stdout).toContain('1 of 1 table complete');
  expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'));
  expect(stdout).toContain('EXIT 0');
});

/** Runs a command on a pseudo terminal to its end. */
const TERMINAL = `
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
seen = b''
while True:
    try: data = os.read(fd, 65536)
    except OSError: break
    if not data: break
    seen += data
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen + b'EXIT %d' % os.waitstatus_to_exitcode(status))
`;
