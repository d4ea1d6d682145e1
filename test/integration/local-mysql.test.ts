import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { startLocalServer } from '../../src/local/mysql/server.ts';
import { CdcError } from '../../src/runtime/error.ts';

// The servers of this file have a temporary directory to themselves, so that what they leave behind can be seen.
let temporary: string;
beforeAll(() => {
  temporary = mkdtempSync(join(tmpdir(), 'cdc-test-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => {
  rmSync(temporary, { recursive: true, force: true });
});

async function ask(url: string, ...statements: string[]): Promise<unknown> {
  const connection = await createConnection(url);
  try {
    let answer: unknown;
    for (const statement of statements) [answer] = await connection.query(statement);
    return answer;
  } finally {
    connection.destroy();
  }
}

/** Also of programs that only make a data directory, and of those whose parent forgot them. */
function processesIn(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(directory));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe.each(['mysql', 'mariadb'] as const)('a local %s server', (flavor) => {
  const variable = flavor === 'mysql' ? 'CDC_MYSQL_URL' : 'CDC_MARIADB_URL';

  /** One of our own, whatever the environment of this test run names. */
  const start: typeof startLocalServer = (options) => {
    vi.stubEnv(variable, '');
    vi.stubEnv('TMPDIR', temporary);
    return startLocalServer(options);
  };

  test('is ready for cdc to follow, listens on the loopback interface alone, and leaves nothing behind', async () => {
    const server = await start({ flavor, settings: ['--sync-binlog=7'] });
    try {
      expect(await ask(server.url, 'SELECT VERSION() AS version')).toEqual([{ version: server.version }]);
      expect(server.version.includes('MariaDB')).toBe(flavor === 'mariadb');
      const expected = {
        server_id: server.port,
        log_bin: 1,
        binlog_format: 'ROW',
        binlog_row_image: 'FULL',
        binlog_row_metadata: 'FULL',
        bind_address: '127.0.0.1',
        tmpdir: join(server.directory, 'tmp'),
        sync_binlog: 7,
        ...(flavor === 'mysql' ? { gtid_mode: 'ON', enforce_gtid_consistency: 'ON' } : {}),
      };
      const names = Object.keys(expected);
      const query = `SELECT ${names.map((name) => `@@GLOBAL.${name} AS ${name}`).join(', ')}`;
      expect(await ask(server.url, query)).toEqual([expected]);
      expect(processesIn(server.directory)).toEqual([`${server.pid}`]);
    } finally {
      await server.stop();
    }
    await server.stop();
    expect(processesIn(temporary)).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
    await expect(server.restart()).rejects.toThrow('server was stopped');
  });

  test('keeps port and committed data over a restart and over a kill', async () => {
    const server = await start({ flavor });
    try {
      await ask(server.url, 'CREATE DATABASE kept', 'CREATE TABLE kept.t (id INT PRIMARY KEY)');
      await ask(server.url, 'INSERT INTO kept.t VALUES (1)');
      const first = server.pid;
      await server.restart();
      expect(server.pid).not.toBe(first);
      expect(processesIn(server.directory)).toEqual([`${server.pid}`]);
      await ask(server.url, 'INSERT INTO kept.t VALUES (2)');
      await server.kill();
      expect(processesIn(server.directory)).toEqual([]);
      await expect(ask(server.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
      await server.restart();
      expect(server.url).toBe(`mysql://root@127.0.0.1:${server.port}`);
      expect(await ask(server.url, 'SELECT id FROM kept.t ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
    } finally {
      await server.stop();
    }
  });

  test('that does not start says so with the end of its error log, and leaves nothing behind', async () => {
    const error = await start({ flavor, settings: ['--no-such-setting=7'] }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(CdcError);
    expect(error.message).toMatch(/^the local (MySQL|MariaDB) server exited with \d+ before it was ready$/);
    expect(error.why).toContain('no-such-setting=7');
    expect(error.hint).toBeTruthy();
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('in a named directory keeps its data for the next start, and lets no second server in', async () => {
    const directory = join(temporary, 'named', 'deeper');
    const first = await start({ flavor, directory });
    try {
      await ask(first.url, 'CREATE DATABASE kept');
      await expect(start({ flavor, directory })).rejects.toThrow(`another server already runs in ${directory}`);
    } finally {
      await first.stop();
    }
    const second = await start({ flavor, directory });
    try {
      expect(await ask(second.url, "SHOW DATABASES LIKE 'kept'")).toHaveLength(1);
    } finally {
      await second.stop();
    }
    expect(existsSync(join(directory, 'data'))).toBe(true);
    rmSync(join(temporary, 'named'), { recursive: true });
  });

  test.each([100, 500, 2000])('whose start is interrupted after %d ms is gone', async (after) => {
    const started = await start({ flavor, signal: AbortSignal.timeout(after) }).catch((error) => error);
    // A quick machine may have been faster.
    if (started instanceof Error) expect(started.message).toMatch(/ server was interrupted$/);
    else await started.stop();
    expect(processesIn(temporary)).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('given by its url is used, never stopped, and not ours to restart or kill', async () => {
    const url = inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
    vi.stubEnv(variable, url);
    const server = await startLocalServer({ flavor });
    expect(server).toMatchObject({ flavor, url, port: Number(new URL(url).port), directory: '', pid: 0 });
    await expect(server.restart()).rejects.toThrow('cdc does not restart or kill the external server');
    await expect(server.kill()).rejects.toThrow('cdc does not restart or kill the external server');
    await server.stop();
    expect(await ask(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

test('a local server dies with the process that started it, even by SIGKILL', async () => {
  const module = pathToFileURL(resolve('dist/local/mysql/server.js')).href;
  const code = `const { startLocalServer } = await import('${module}');
    const { pid, directory } = await startLocalServer({ flavor: 'mariadb' });
    console.log(JSON.stringify({ pid, directory }));
    setInterval(() => {}, 1000);`;
  const env = { ...process.env, CDC_MARIADB_URL: '', TMPDIR: temporary };
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', code], { env });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const { pid, directory } = JSON.parse(line.toString()) as { pid: number; directory: string };
  expect(processesIn(directory)).toEqual([`${pid}`]);
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(processesIn(directory)).toEqual([]), { timeout: 60_000 });
  rmSync(directory, { recursive: true });
});

test.each([
  ['of the other flavor', () => inject('mariadbUrl'), /in CDC_MYSQL_URL is MariaDB/],
  ['where no server listens', () => 'mysql://root@127.0.0.1:1', /in CDC_MYSQL_URL cannot be used/],
  ['without a meaning', () => '127.0.0.1:3306', /^CDC_MYSQL_URL is not a mysql:\/\/ url$/],
])('a url %s is an error that names its variable', async (_, url, message) => {
  vi.stubEnv('CDC_MYSQL_URL', url());
  await expect(startLocalServer({ flavor: 'mysql' })).rejects.toThrow(message);
});
