import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { DaemonStatus } from '../../src/admin/daemon-status.ts';
import { CheckpointFile } from '../../src/checkpoint/checkpoint-file.ts';
import { type Cdc, cdc, type Ended, Fixture, startCdc, startCdcWith, until } from './pipeline-fixture.ts';
import { cdcOnTerminal, hasTerminal } from './terminal.ts';

let fixture: Fixture;
let servers: Server[] = [];
let release: (() => Promise<void>) | undefined;

beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), `status_${process.pid}`);
  await fixture.createSchema(
    'CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR(50))',
    'CREATE TABLE `a b` (id INT PRIMARY KEY)',
    "INSERT INTO orders VALUES (1, 'ada')",
  );
  fixture.configure((await fixture.startFirehose()).endpoint);
});
afterEach(async () => {
  await release?.();
  release = undefined;
  for (const server of servers) server.close();
  servers = [];
  await fixture.remove();
});

const status = (...words: string[]): Promise<Ended> => cdc(fixture.directory, 'status', ...words);
async function statusJson(): Promise<DaemonStatus> {
  const { code, stdout, stderr } = await status('--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}
const socketPath = (): string => join(fixture.directory, 'state', 'shop.sock');
const stop = async ({ child, ended }: Cdc, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
  child.kill(signal);
  await ended;
};

describe('where no daemon runs', () => {
  test('and never did, it says so, and which tables MySQL has', async () => {
    const { code, stdout, stderr } = await status();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^shop: DOWN, stopped\n\ndown {9}no daemon runs\n.*it has not run yet/s);
    expect(stdout).toMatch(/\ntables {7}2, 2 INCOMPLETE\n/);
    expect(stdout).not.toContain('\u001b');
    expect(await statusJson()).toMatchObject({
      ...{ name: 'shop', pid: null, state: 'stopped', stream: null, delivery: null, backfill: null },
      checkpoint: { location: fixture.checkpoint, savedAt: null, position: null },
      health: { status: 'down', ready: false },
      deadLetters: { files: 0 },
    });
    expect(existsSync(join(fixture.directory, 'state'))).toBe(false);
  });

  test('it answers from the checkpoint', async () => {
    await stop(await fixture.run());
    const { server, epoch, file, position, gtids, saved_at } = JSON.parse(readFileSync(fixture.checkpoint, 'utf8'));
    const { host } = new URL(fixture.url);
    const answer = await statusJson();
    expect(answer).toMatchObject({
      ...{ state: 'stopped', pid: null, process: null },
      lag: { maxSeconds: 60, bytes: expect.any(Number), seconds: null },
      purge: { state: 'known', headroomSeconds: 2_592_000, retentionSeconds: 2_592_000 },
      stream: { server: { ...server, host }, epoch, delivered: { file, position, gtids } },
      checkpoint: { position: { file, position, gtids } },
      tables: [
        { schema: fixture.schema, table: 'a b', coverage: { complete: false, why: 'only changes since then' } },
        { schema: fixture.schema, table: 'orders', coverage: { complete: false } },
      ],
    });
    expect(Math.abs(Date.parse(String(answer.checkpoint.savedAt)) - Date.parse(saved_at))).toBeLessThan(60_000);
    expect((await status()).stdout).toContain(`cdc backfill '${fixture.schema}.\`a b\`' ${fixture.schema}.orders`);
  });

  test('and MySQL does not answer, it says why, and names the tables of the checkpoint', async () => {
    await stop(await fixture.run());
    const file = new CheckpointFile(fixture.checkpoint);
    const saved = await file.load('shop');
    const mark = {
      schema: 'gone',
      table: 'away',
      file: 'b.1',
      position: 4,
      since: '2026-01-01T00:00:00.000Z',
      why: 'DDL',
    };
    await file.save({ ...(saved as NonNullable<typeof saved>), incomplete: [mark, { ...mark, table: '*' }] });
    const config = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    writeFileSync(join(fixture.directory, 'cdc.yaml'), config.replace(fixture.url, 'mysql://root@127.0.0.1:1'));
    const answer = await statusJson();
    expect(answer.tables).toMatchObject([{ schema: 'gone', table: 'away', coverage: { complete: false, why: 'DDL' } }]);
    expect(answer.stream?.server.host).toBeNull();
    expect(answer.warnings).toMatchObject([{ message: expect.stringContaining('MySQL was not asked for its tables') }]);
  });

  test('and MySQL accepts a connection without a word, it answers all the same', async () => {
    const mute = createServer(() => {}).listen(0, '127.0.0.1');
    servers.push(mute);
    await until(() => mute.listening);
    const { port } = mute.address() as { port: number };
    const config = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    writeFileSync(join(fixture.directory, 'cdc.yaml'), config.replace(fixture.url, `mysql://root@127.0.0.1:${port}`));
    expect((await statusJson()).warnings).toMatchObject([
      { message: expect.stringContaining('MySQL does not answer within 3 s') },
    ]);
  });

  test('and a killed one has left its socket and its lock, they do not count', async () => {
    await stop(await fixture.run(), 'SIGKILL');
    expect(existsSync(socketPath())).toBe(true);
    expect(await statusJson()).toMatchObject({ state: 'stopped', pid: null });
  });

  test.each([
    ['damaged', (text: string) => text.slice(0, 100), /the checkpoint .* is damaged/],
    [
      'of another pipeline',
      (text: string) => text.replace('"name": "shop"', '"name": "other"'),
      /is damaged|belongs to/,
    ],
  ])('and its checkpoint is %s, it ends with exit code 2', async (_, change, message) => {
    await stop(await fixture.run());
    writeFileSync(fixture.checkpoint, change(readFileSync(fixture.checkpoint, 'utf8')));
    const { code, stdout, stderr } = await status('--json');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n +at /);
  });

  test('a wrong configuration and wrong usage end it with exit code 2', async () => {
    expect(await status('--wat')).toMatchObject({ code: 2, stderr: expect.stringContaining('--wat') });
    expect(await status('-c', 'none.yaml')).toMatchObject({ code: 2, stderr: expect.stringContaining('none.yaml') });
  });
});

describe('of a running daemon', () => {
  test('it is what the daemon answers, as text and as JSON', async () => {
    const daemon = await fixture.run();
    await fixture.delivered();
    const answer = await statusJson();
    expect(answer).toMatchObject({
      ...{ name: 'shop', pid: daemon.child.pid, state: 'streaming' },
      health: { status: 'ok' },
      deadLetters: { files: 0 },
    });
    const direct = await fetchStatus();
    expect(Object.keys(answer)).toEqual(Object.keys(direct));
    expect({ ...answer, ...MOVING }).toEqual({ ...direct, ...MOVING });
    const { code, stdout } = await status();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^shop: healthy, streaming, up /);
    expect(stdout).toMatch(/\nstream {7}changes: accepts; /);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    await stop(daemon);
    // The same tables, with the same coverage.
    const { tables } = await statusJson();
    expect(tables.map(({ schema, table, coverage }) => ({ schema, table, coverage }))).toEqual(
      answer.tables.map(({ schema, table, coverage }) => ({ schema, table, coverage })),
    );
  });

  test('a stuck lane, a stream that throttles, and lag are in it within 5 s', async () => {
    const daemon = await fixture.run();
    await fixture.delivered();
    fixture.firehose?.setFaults({ rules: [{ fault: 'all-fail' }] } as never);
    await fixture.query(`INSERT INTO ${fixture.schema}.orders VALUES (2, 'bob')`);
    const since = performance.now();
    let text = '';
    await until(async () => {
      text = (await status()).stdout.replace(/\s+/g, ' ');
      return text.includes('is stuck with');
    });
    expect(performance.now() - since).toBeLessThan(15_000);
    expect(text).toMatch(/lane \d+ is stuck with 1 event, \d+ attempts? in \d+ s: \S*ServiceUnavailable/);
    expect(text).toMatch(new RegExp(`oldest: ${fixture.schema}.orders, seq [0-9a-f]{36} `));
    expect(text).not.toContain('bob');
    fixture.firehose?.setFaults(undefined);
    await fixture.delivered();
    await stop(daemon);
  });
});

/** What changes between two answers. */
const MOVING = { at: '', lag: {}, process: {}, stream: {}, checkpoint: {}, delivery: {}, purge: {} };

const fetchStatus = (): Promise<DaemonStatus> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath: socketPath(), path: '/api/status' }, async (response) => {
      let text = '';
      for await (const piece of response) text += piece;
      resolve(JSON.parse(text));
    });
    call.on('error', reject);
    call.end();
  });

describe('--watch', () => {
  test('without a terminal prints a line each time, with rates, and survives a restart of the daemon', async () => {
    let daemon = await fixture.run();
    const watch = startCdc(fixture.directory, 'status', '--watch');
    await until(() => /healthy, streaming, .* events\/s/.test(watch.stdout()));
    await stop(daemon);
    await until(() => /DOWN, stopped/.test(watch.stdout()));
    daemon = await fixture.run();
    const before = watch.stdout().length;
    await until(() => /healthy, streaming, .* events\/s/.test(watch.stdout().slice(before)));
    watch.child.kill('SIGINT');
    const { code, stdout } = await watch.ended;
    expect(code).toBe(0);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .filter((line) => !/^\d{4}-\d\d-\d\dT\S+Z shop: /.test(line)),
    ).toEqual([]);
    await stop(daemon);
  });

  test('with --json prints an object each time, and ends with its reader', async () => {
    const watch = startCdc(fixture.directory, 'status', '--watch', '--json');
    await until(() => watch.stdout().split('\n').length > 2);
    const lines = watch.stdout().split('\n').slice(0, 2);
    expect(lines.map((line) => JSON.parse(line).state)).toEqual(['stopped', 'stopped']);
    watch.child.stdout?.destroy();
    expect(await watch.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test.runIf(hasTerminal)('on a terminal draws a page again, in colour, and Ctrl-C ends it with 0', async () => {
    const daemon = await fixture.run();
    const seen = await cdcOnTerminal(fixture.directory, ['status', '--watch'], {
      steps: [
        ['healthy', ''],
        ['events, ', ''],
        ['; now ', '\u0003'],
      ],
      rows: 20,
    });
    expect(seen).toContain('\u001b[32mhealthy\u001b[39m, streaming');
    expect(seen).toMatch(/EXIT 0$/);
    expect(seen.lastIndexOf('\u001b[?25h')).toBeGreaterThan(seen.lastIndexOf('\u001b[?25l'));
    await stop(daemon);
  });

  test.runIf(hasTerminal)('on a low terminal shows the beginning, and NO_COLOR has no colour', async () => {
    const seen = await cdcOnTerminal(fixture.directory, ['status', '--watch'], {
      steps: [['more lines', '\u0003']],
      rows: 8,
      env: { NO_COLOR: '1' },
    });
    expect(seen).toContain('shop: DOWN, stopped');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for colours
    expect(seen).not.toMatch(/\u001b\[\d*m/);
    expect(seen).toMatch(/EXIT 0$/);
  });
});

test.runIf(hasTerminal)('on a terminal the status and the log of cdc run are text in colour', async () => {
  expect(await cdcOnTerminal(fixture.directory, ['status'])).toContain('shop: \u001b[31mDOWN\u001b[39m, stopped\r\n');
  const log = await cdcOnTerminal(fixture.directory, ['run'], { steps: [['following the binlog', '\u0003']] });
  expect(log).toMatch(/\d\d:\d\d:\d\d .*INFO.*following the binlog/);
  // The last line is there: nothing of the log is lost at the end.
  expect(log).toMatch(/INFO.*stopped.*\r\nEXIT 0$/);
  const json = await cdcOnTerminal(fixture.directory, ['run'], {
    steps: [['following the binlog', '\u0003']],
    env: { CDC_LOG_FORMAT: 'json' },
  });
  expect(json).toMatch(/^\{"level":/);
  expect(await startCdcWith({ CDC_LOG_FORMAT: 'xml' }, fixture.directory, 'run').ended).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('CDC_LOG_FORMAT is xml, which is no format'),
  });
});

/** Something that listens on the daemon's socket. */
async function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  mkdirSync(join(fixture.directory, 'state'), { recursive: true });
  const server = createServer((socket) => {
    // The other end closes as soon as it has seen enough.
    socket.on('error', () => {});
    onConnection(socket);
  }).listen(socketPath());
  servers.push(server);
  await until(() => server.listening);
  return server;
}

describe('where a daemon', () => {
  test('holds the checkpoint and does not listen, it waits, then says so', async () => {
    release = await new CheckpointFile(fixture.checkpoint).lock();
    const { code, stdout } = await status();
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^shop: DOWN, starting \\(process ${process.pid}, `));
    expect(stdout).toContain(`a cdc (process ${process.pid}) holds the checkpoint, and does not`);
  });

  test('ends while it is asked, it answers from the checkpoint', async () => {
    const server = await listen((socket) => socket.once('data', () => server.close(() => {}) && socket.destroy()));
    expect(await statusJson()).toMatchObject({ state: 'stopped' });
  });

  test('never answers, it ends with exit code 1', async () => {
    const daemon = await fixture.run();
    daemon.child.kill('SIGSTOP');
    try {
      const { code, stdout, stderr } = await status();
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^error: the daemon does not answer within 5 s\n {2}why: .*\n {2}do: /);
    } finally {
      daemon.child.kill('SIGCONT');
    }
    await stop(daemon);
  });

  test('never answers, Ctrl-C ends it at once with 130', async () => {
    let isAsked = false;
    await listen((socket) => socket.once('data', () => (isAsked = true)));
    const asking = startCdc(fixture.directory, 'status');
    await until(() => isAsked);
    asking.child.kill('SIGINT');
    expect(await asking.ended).toMatchObject({ code: 130, stdout: '', stderr: '' });
  });

  test('is no cdc, it says so', async () => {
    await listen((socket) => socket.end('220 mail.example.com ESMTP\r\n'));
    const { code, stderr } = await status();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: /);
    expect(stderr).not.toMatch(/\n +at /);
  });

  test('of another pipeline has the socket, it says so with exit code 2', async () => {
    const body = JSON.stringify({ name: 'warehouse' });
    await listen((socket) =>
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)),
    );
    const { code, stderr } = await status();
    expect(code).toBe(2);
    expect(stderr).toContain('runs the pipeline "warehouse", not "shop"');
  });
});
