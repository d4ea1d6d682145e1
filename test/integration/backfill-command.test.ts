import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { type AdminServer, startAdminServer } from '../../src/admin/server.ts';
import type { BackfillControl, BackfillRequest, BackfillStatus, TableStatus } from '../../src/backfill/control.ts';
import { CdcError } from '../../src/runtime/error.ts';
import { createLog } from '../../src/runtime/log.ts';
import { daemonFacts, observation } from '../admin-fixture.ts';
import { cdc, type Ended, startCdc, until } from './pipeline-fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-backfill-'));
const socket = join(directory, 'state', 'shop.sock');

const NO_STREAM = {
  tables: async () => [],
  observe: () =>
    observation({
      server: { flavor: 'mysql' as const, identity: '', host: '' },
      ...{ epoch: 0, delivered: { file: '', position: 4, gtids: null } },
    }),
  verified: async () => {},
  repair: async () => ({ sent: 0, deleted: 0, left: 0 }),
};

/** A daemon without a pipeline: what it is asked is recorded, and its tables are what a test sets. */
class Daemon implements BackfillControl {
  asked: unknown[] = [];
  state: BackfillStatus['state'] = 'idle';
  waitingFor: string | null = null;
  tables: TableStatus[] = [];
  #server: AdminServer | undefined;
  isReady = true;

  async listen(name = 'shop'): Promise<void> {
    this.#server = await startAdminServer({
      ...{ socket, dashboard: directory, log: createLog('shop', 'fatal') },
      daemon: daemonFacts({
        name,
        pipeline: () => (this.isReady ? { ...NO_STREAM, backfill: this } : undefined),
        whyNoPipeline: () => new CdcError('MySQL is away'),
      }),
    });
  }
  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  status(): BackfillStatus {
    return { state: this.state, waitingFor: this.waitingFor, parallel: 4, rate: null, tables: this.tables };
  }
  async start(request: BackfillRequest) {
    this.asked.push(request);
    this.state = 'running';
    this.tables = ['orders', 'users'].map((table) => ({
      ...{ schema: 'bf_cmd', table, state: 'reading', request: 'r1', rows: 10, estimatedRows: 100, fraction: 0.1 },
    })) as TableStatus[];
    return { request: 'r1', tables: this.tables.map(({ schema, table }) => ({ schema, table })) };
  }
  end(...states: TableStatus['state'][]): void {
    this.tables = this.tables.map((table, i) => ({
      ...{ ...table, rows: 100, fraction: 1, state: states[i] ?? 'done' },
      ...(states[i] === 'failed' && { error: { message: 'the table was dropped', hint: 'create it again' } }),
    }));
    this.state = 'idle';
  }
  pause(): void {
    this.state = 'paused';
  }
  resume(): void {
    this.state = 'running';
  }
  cancel(tables?: string[]): void {
    this.asked.push({ cancel: tables });
    this.end('cancelled', 'cancelled');
  }
}

let daemon: Daemon;
const configure = (more = ''): void =>
  writeFileSync(
    join(directory, 'cdc.yaml'),
    `name: shop
source: { url: "${inject('mysqlUrl')}" }
tables: ["bf_cmd.*"]
firehose: { stream: s, endpoint: "http://127.0.0.1:1" }
checkpoint: { file: state/shop.json }
${more}`,
  );
const backfill = (...words: string[]): Promise<Ended> => cdc(directory, 'backfill', ...words);
const lines = (text: string): string[] => text.split('\n').filter(Boolean);

beforeAll(async () => {
  const root = await createConnection({ uri: inject('mysqlUrl'), multipleStatements: true });
  await root.query(`DROP SCHEMA IF EXISTS bf_cmd; CREATE SCHEMA bf_cmd; USE bf_cmd;
    CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(50)); CREATE TABLE users LIKE orders;
    INSERT INTO orders (customer) VALUES ('ada'), ('bob'), ('cy'), ('dee'), ('eve'), ('fay'), ('gil'), ('hal')`);
  root.destroy();
});
beforeEach(() => {
  daemon = new Daemon();
  configure();
});
afterEach(() => daemon.close());
afterAll(async () => {
  const root = await createConnection({ uri: inject('mysqlUrl') });
  await root.query('DROP SCHEMA bf_cmd');
  root.destroy();
  rmSync(directory, { recursive: true });
});

describe('cdc backfill with a running daemon', () => {
  test('hands the request over, shows the progress, and ends with 0 when every row is delivered', async () => {
    await daemon.listen();
    const command = startCdc(directory, 'backfill', 'bf_cmd.*', '--parallel', '2', '--rate', '50', '--max-lag', '5s');
    await until(() => command.stderr().includes('backfill: 10.0 % of 2 tables'));
    daemon.end();
    const { code, stdout, stderr } = await command.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: '2 of 2 tables complete, 200 rows delivered\n' });
    expect(daemon.asked).toEqual([{ tables: ['bf_cmd.*'], parallel: 2, rate: 50, maxLagMs: 5_000 }]);
    expect(stderr).toMatch(/^tables {4}2\nrows {6}about 8, /);
    expect(stderr).toContain('bf_cmd.orders: done, 100 rows\n');
  });

  test.each([
    ['failed', 'bf_cmd.orders: failed: the table was dropped\n  do:  create it again'],
    ['cancelled', 'bf_cmd.orders: cancelled, 100 rows'],
  ] as const)('ends with 1 if a table %s', async (state, line) => {
    await daemon.listen();
    const command = startCdc(directory, 'backfill');
    await until(() => command.stderr().includes('of 2 tables'));
    daemon.end(state);
    const { code, stdout, stderr } = await command.ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: `1 of 2 tables complete, 200 rows delivered, 1 ${state}\n` });
    expect(stderr).toContain(line);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s leaves the backfill running and says how to stop it', async (signal, code) => {
    await daemon.listen();
    const command = startCdc(directory, 'backfill');
    await until(() => command.stderr().includes('of 2 tables'));
    command.child.kill(signal);
    const ended = await command.ended;
    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain('the backfill continues in the daemon');
    expect(ended.stderr).toContain('cdc backfill --cancel stops it');
    expect(daemon.state).toBe('running');
  });

  test('waits for a daemon that goes away and returns, and for its pipeline', async () => {
    await daemon.listen();
    const command = startCdc(directory, 'backfill');
    await until(() => command.stderr().includes('of 2 tables'));
    await daemon.close();
    await until(() => /the daemon does not answer: .*waiting for it/.test(command.stderr()));
    daemon.isReady = false;
    await daemon.listen();
    await until(() => command.stderr().includes('MySQL is away; waiting for it'));
    daemon.isReady = true;
    await until(() => command.stderr().includes('the daemon answers again'));
    daemon.end();
    expect((await command.ended).code).toBe(0);
  });

  test('a daemon that has forgotten the tables is not waited for', async () => {
    await daemon.listen();
    const command = startCdc(directory, 'backfill');
    await until(() => command.stderr().includes('of 2 tables'));
    daemon.tables = [];
    daemon.state = 'idle';
    const { code, stderr } = await command.ended;
    expect(code).toBe(1);
    expect(stderr).toContain('does not know the backfill of bf_cmd.orders, bf_cmd.users any more');
  });

  test('--json prints the estimate, one object a second and the end, and nothing else', async () => {
    await daemon.listen();
    const command = startCdc(directory, 'backfill', '--json');
    await until(() => lines(command.stdout()).length >= 3);
    daemon.end('done', 'failed');
    const { code, stdout, stderr } = await command.ended;
    const objects = lines(stdout).map((line) => JSON.parse(line));
    expect(code).toBe(1);
    expect(objects[0]).toMatchObject({ estimate: { tables: 2, binlog: {}, warnings: [] } });
    expect(objects[1]).toMatchObject({ state: 'running', fraction: 0.1, tables: { total: 2, reading: 2 } });
    expect(objects.at(-1)).toMatchObject({ ok: false, rows: 200, tables: [{ state: 'done' }, { state: 'failed' }] });
    expect(stderr).toBe('');
  });

  test('status, pause, resume and cancel act on the daemon', async () => {
    await daemon.listen();
    await daemon.start({ tables: [] });
    daemon.waitingFor = 'the stream is 65 s behind';
    const status = (await backfill('--status')).stdout;
    expect(status).toMatch(/^the backfill is running .*\nreading waits: the stream is 65 s behind\n/);
    expect(status).toMatch(/bf_cmd.orders +reading +10.0 % +10 +of about 100\n/);
    expect((await backfill('--pause')).stdout).toContain('the backfill is paused');
    expect((await backfill('--resume')).stdout).toContain('the backfill is running');
    expect(JSON.parse((await backfill('--cancel', 'bf_cmd.orders', '--json')).stdout).state).toBe('idle');
    expect((await backfill('--cancel')).code).toBe(0);
    expect(daemon.asked.slice(1)).toEqual([{ cancel: ['bf_cmd.orders'] }, { cancel: undefined }]);
  });

  test('the daemon of another pipeline on the same socket is not asked', async () => {
    await daemon.listen('warehouse');
    const { code, stderr } = await backfill();
    expect(code).toBe(2);
    expect(stderr).toContain('runs the pipeline "warehouse", not "shop"');
    expect((await backfill('--cancel')).code).toBe(2);
    expect(daemon.asked).toEqual([]);
  });

  test('on a terminal it draws bars, follows a resize, and Ctrl-C shows the cursor again', async () => {
    if (spawnSync('python3', ['-c', 'import pty']).status !== 0) return;
    await daemon.listen();
    const { stdout } = await promisify(execFile)(
      'python3',
      ['-c', ON_A_TERMINAL, process.execPath, resolve('dist/main.js'), 'backfill'],
      { cwd: directory, env: { ...process.env, TERM: 'xterm-256color', LANG: 'C.UTF-8', NO_COLOR: '1' } },
    );
    const [wide = '', narrow = ''] = stdout.split('RESIZED');
    expect(wide).toContain(`0 of 2 tables    ███${'░'.repeat(27)} 10.0 %  20 rows`);
    expect(wide).toContain(`  bf_cmd.orders  ███${'░'.repeat(27)} 10.0 %  10 rows`);
    expect(narrow).toMatch(/ {2}bf_cmd.orders {2}██▏░{19} 10.0 %/);
    expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'));
    expect(narrow).toContain('cdc backfill --cancel stops it');
    expect(stdout).toContain('EXIT 130');
  });
});

/** Runs a command on a pseudo terminal of 24 lines, makes it narrower after the first bars, then types Ctrl-C. */
const ON_A_TERMINAL = `
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
size = lambda columns: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
size(100)
seen, step, since = b'', 0, time.time()
while True:
    ready, _, _ = select.select([fd], [], [], 1)
    if ready:
        try: data = os.read(fd, 65536)
        except OSError: break
        if not data: break
        seen += data
    if step == 0 and b'  bf_cmd.users ' in seen:
        size(60); seen += b'RESIZED'; step = 1; since = time.time()
    elif step == 1 and time.time() > since + 1:
        os.write(fd, b'\\x03'); step = 2
    elif time.time() > since + 60:
        os.kill(pid, 9); break
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen + b'EXIT %d' % os.waitstatus_to_exitcode(status))
`;

describe('cdc backfill that does not start', () => {
  test('what is wrong with the request is named before anything is asked of the daemon, with exit code 2', async () => {
    await daemon.listen();
    const refused = async (...words: string[]) => {
      const { code, stderr } = await backfill(...words);
      expect(code).toBe(2);
      return stderr;
    };
    expect(await refused('bf_cmd.order', 'other.x')).toMatch(/no table bf_cmd.order .*did you mean bf_cmd.orders\?/);
    expect(await refused('bf_cmd.orders', '--where', 'idd > 5')).toContain('--where is not a condition on this table');
    expect(await refused('--where', 'id > 5')).toContain('a condition needs exactly one table');
    expect(await refused('orders')).toContain('"orders" is not a table pattern');
    expect(await refused('--parallel', '65')).toContain('it must be a whole number from 1 to 64');
    expect(await refused('--max-lag', '5')).toContain('it must be a duration such as 60s');
    expect(await refused('--status', '--rate', '5')).toContain("'--status' cannot be used with option '--rate <n>'");
    expect(await refused('--pause', '--resume')).toContain('cannot be used with');
    expect(await refused('--pause', 'bf_cmd.orders')).toContain('--pause takes no tables');
    expect(await refused('--cancel', 'bf_cmd.*')).toContain('a single table is expected');
    expect(daemon.asked).toEqual([]);
  });

  test('--dry-run prints the estimate alone, as text or as JSON, and starts nothing', async () => {
    await daemon.listen();
    const text = await backfill('--dry-run', '--rate', '1');
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(/^tables {4}2\nrows .*\nevents .*\ntime {6}about 8 s at the rate that is set/);
    expect(text.stdout).toMatch(/\nbinlog .*\nFirehose {2}bills about .* at \$0.029 a GB \(us-east-1\)\n/);
    const json = await backfill('bf_cmd.orders', '--dry-run', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ estimate: { tables: 1, seconds: 1, limit: 'reading' } });
    expect(daemon.asked).toEqual([]);
  });

  test('more than an hour of work without a terminal needs --yes', async () => {
    await daemon.listen();
    const root = await createConnection({ uri: inject('mysqlUrl'), multipleStatements: true });
    await root.query(
      'CREATE TABLE bf_cmd.many (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO bf_cmd.many VALUES (1)',
    );
    for (let rows = 1; rows < 4096; rows *= 2)
      await root.query(`INSERT INTO bf_cmd.many SELECT id + ${rows} FROM bf_cmd.many`);
    await root.query('ANALYZE TABLE bf_cmd.many');
    const { code, stdout, stderr } = await backfill('bf_cmd.many', '--rate', '1');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /time {6}about 1 h .*\n(?:.*\n)*.*takes more than an hour and was not confirmed\n.*\n.*add --yes/,
    );
    expect(daemon.asked).toEqual([]);
    const command = startCdc(directory, 'backfill', 'bf_cmd.many', '--rate', '1', '--yes');
    await until(() => daemon.asked.length > 0);
    daemon.end();
    expect((await command.ended).code).toBe(0);
    await root.query('DROP TABLE bf_cmd.many');
    root.destroy();
  });

  test('without a daemon, there is nothing to pause, resume or cancel', async () => {
    expect(existsSync(socket)).toBe(false);
    for (const action of ['--pause', '--resume', '--cancel']) {
      const { code, stderr } = await backfill(action);
      expect(code).toBe(1);
      expect(stderr).toContain('no daemon runs');
      expect(stderr).toContain(socket);
    }
  });

  test('a path that is too long for a socket is named with its key', async () => {
    configure(`admin: { socket: ${'x'.repeat(120)} }`);
    const { code, stderr } = await backfill('--status');
    expect(code).toBe(2);
    expect(stderr).toMatch(/too long.*\n.*bytes.*\n.*admin\.socket/);
  });

  test('a source that cannot be reached is an error like any other', async () => {
    writeFileSync(join(directory, 'cdc.yaml'), 'source: { url: "mysql://cdc@127.0.0.1:1" }\nfirehose: { stream: s }\n');
    const { code, stderr } = await backfill('--dry-run');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*127.0.0.1:1/);
  });
});
