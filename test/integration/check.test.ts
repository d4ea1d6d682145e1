import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createConnection as createPlainConnection } from 'mysql2';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { type LocalFirehose, startLocalFirehose } from '../../src/local/firehose/server.ts';
import type { ServerKind as Flavor, LocalServer } from '../../src/local/mysql/server.ts';
import type { Finding } from '../../src/model/finding.ts';
import { preflight } from '../../src/preflight/preflight.ts';
import { startTestServer } from './test-server.ts';

const FLAVORS: Flavor[] = ['mysql', 'mariadb'];
const directory = mkdtempSync(join(tmpdir(), 'cdc-check-'));
let firehose: LocalFirehose;

beforeAll(async () => {
  firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake: join(directory, 'lake'),
    streams: [{ name: 'there' }],
  });
});
afterAll(async () => {
  await firehose.close();
  rmSync(directory, { recursive: true });
});

interface Choice {
  url: string;
  source?: string;
  tables?: string;
  stream?: string;
  more?: string;
}

const yaml = ({ url, source = '', tables = 'shop_check.*', stream = 'there', more = '' }: Choice) => `
source: { url: "${url}"${source} }
tables: ["${tables}"]
firehose: { stream: ${stream}, endpoint: "${firehose.endpoint}" }
${more}`;

const check = (choice: Choice): Promise<Finding[]> =>
  preflight(parseConfig(yaml(choice), { file: 'cdc.yaml', directory, env: {} }), new AbortController().signal);

const whats = (problems: Finding[]) => problems.map(({ severity, what }) => `${severity} ${what}`);

const serverUrl = (flavor: Flavor) => inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');

/** The url of a server as seen by another user. */
function as(url: string, user: string): string {
  const { host } = new URL(url);
  return `mysql://${user}@${host}`;
}

async function withRoot<T>(url: string, act: (root: Connection) => Promise<T>): Promise<T> {
  const root = await createConnection({ uri: url, multipleStatements: true });
  try {
    return await act(root);
  } finally {
    await root.end();
  }
}

describe.each(FLAVORS)('on a sound %s', (flavor) => {
  const user = `check_${flavor}`;
  let url: string;
  beforeAll(async () => {
    url = serverUrl(flavor);
    await withRoot(url, (root) =>
      root.query(`
        DROP SCHEMA IF EXISTS shop_check; CREATE SCHEMA shop_check;
        CREATE TABLE shop_check.orders (id INT PRIMARY KEY, total INT);
        DROP USER IF EXISTS '${user}'@'%'; CREATE USER '${user}'@'%' IDENTIFIED BY 'secret';`),
    );
  });
  afterAll(() => withRoot(url, (root) => root.query(`DROP SCHEMA shop_check; DROP USER '${user}'@'%'`)));

  test('a replica that cannot be used for a backfill is a warning, and a path that no socket can have an error', async () => {
    const from = (replica: string, more = '') => check({ url, more: `backfill: { url: "${replica}" }\n${more}` });
    const about = (findings: Finding[]) => whats(findings).filter((what) => /backfill|socket/.test(what));
    expect(about(await from(url))).toEqual([]);
    expect(about(await from('mysql://cdc@127.0.0.1:1'))).toEqual([
      expect.stringMatching(/^warning backfill.url: .*127.0.0.1:1/),
    ]);
    expect(about(await from(as(url, `${user}:secret`)))).toEqual([
      'warning backfill.url: the account lacks SELECT on shop_check.*',
    ]);
    expect(about(await check({ url, more: `admin: { socket: ${'x'.repeat(110)} }` }))).toEqual([
      expect.stringMatching(/^error the path of the socket is too long/),
    ]);
  });

  test('there is nothing to say', async () => {
    expect(await check({ url })).toEqual([]);
  });

  test('a user without grants is given the exact GRANT lines, and they heal it', async () => {
    const choice = { url: as(url, `${user}:secret`) };
    const problems = await check(choice);
    const monitor = flavor === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR';
    expect(problems.map(({ fix }) => fix)).toEqual([
      `GRANT REPLICATION SLAVE, ${monitor} ON *.* TO '${user}'@'%';`,
      `GRANT SELECT ON \`shop_check\`.* TO '${user}'@'%';`,
    ]);
    expect(problems.every(({ severity }) => severity === 'error')).toBe(true);
    await withRoot(url, (root) => root.query(problems.map(({ fix }) => fix).join('\n')));
    expect(await check(choice)).toEqual([]);
    const everything = await check({ ...choice, tables: '*.*' });
    expect(everything).toEqual([
      expect.objectContaining({ severity: 'warning', fix: `GRANT SELECT ON *.* TO '${user}'@'%';` }),
    ]);
  });

  test('grants through a default role count, grants through a role that is not on do not', async () => {
    const role = `${user}_role`;
    const reader = `${user}_reader`;
    await withRoot(url, (root) =>
      root.query(`
        DROP USER IF EXISTS '${reader}'@'%'; DROP ROLE IF EXISTS ${role}; CREATE ROLE ${role};
        GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO ${role};
        CREATE USER '${reader}'@'%' IDENTIFIED BY 'secret'; GRANT ${role} TO '${reader}'@'%'`),
    );
    const choice = { url: as(url, `${reader}:secret`) };
    expect(await check(choice)).toHaveLength(2);
    await withRoot(url, (root) =>
      root.query(`SET DEFAULT ROLE ${role} ${flavor === 'mysql' ? 'TO' : 'FOR'} '${reader}'@'%'`),
    );
    expect(await check(choice)).toEqual([]);
    await withRoot(url, (root) => root.query(`DROP USER '${reader}'@'%'; DROP ROLE ${role}`));
  });

  test('tables, keys and columns that do not fit are named', async () => {
    const reader = `${user}_tables`;
    await withRoot(url, (root) =>
      root.query(`
        DROP SCHEMA IF EXISTS check_tables; CREATE SCHEMA check_tables;
        CREATE TABLE check_tables.parent (id INT PRIMARY KEY);
        CREATE TABLE check_tables.child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES check_tables.parent (id) ON DELETE SET NULL);
        CREATE TABLE check_tables.\`no.key\` (a INT, b INT, _op INT, UNIQUE (a));
        CREATE TABLE check_tables.has_unique_key (a INT NOT NULL, b INT, UNIQUE (a));
        CREATE TABLE check_tables.named (a INT, b INT);
        CREATE VIEW check_tables.v AS SELECT 1 AS one;
        DROP USER IF EXISTS '${reader}'@'%'; CREATE USER '${reader}'@'%' IDENTIFIED BY 'secret';
        GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${reader}'@'%';
        GRANT SELECT ON check_tables.* TO '${reader}'@'%'`),
    );
    const version = await withRoot(url, async (root) => {
      const [rows] = await root.query({ sql: 'SELECT VERSION()', rowsAsArray: true });
      return Number.parseFloat(String((rows as unknown as string[][])[0]));
    });
    const cascadesAreLogged = flavor === 'mysql' && version >= 9.6;
    const problems = await check({
      url: as(url, `${reader}:secret`),
      tables: 'check_tables.*", "check_tables.gone',
      more: 'format: flat\nkeys: { check_tables.named: [a, c], check_tables.nmaed: [a] }',
    });
    expect(whats(problems).sort()).toEqual(
      [
        'error columns have the names of fields of format flat: check_tables.no.key._op',
        'error keys of check_tables.named names c, which the table does not have',
        ...(cascadesAreLogged ? [] : ['warning changed by foreign keys: check_tables.child (ON DELETE SET NULL)']),
        'warning keys names check_tables.nmaed, which is not a captured table',
        'warning no key: check_tables.no.key',
        'warning the pattern "check_tables.gone" matches no table',
      ].sort(),
    );
    await withRoot(url, (root) => root.query(`DROP SCHEMA check_tables; DROP USER '${reader}'@'%'`));
  });

  test('a server_id that a replica uses, or the server itself, is named', async () => {
    const replica = createPlainConnection({ uri: url });
    const register = (replica as unknown as { _registerSlave(o: object, done: (e?: Error) => void): void })
      ._registerSlave;
    await new Promise<void>((done, fail) => register.call(replica, { serverId: 4242 }, (e) => (e ? fail(e) : done())));
    expect(whats(await check({ url, source: ', server_id: 4242' }))).toEqual([
      expect.stringMatching(/^error source.server_id 4242 is used by a replica on /),
    ]);
    expect(await check({ url, source: ', server_id: 4243' })).toEqual([]);
    replica.destroy();
    const own = await withRoot(url, async (root) => {
      const [rows] = await root.query({ sql: 'SELECT @@GLOBAL.server_id', rowsAsArray: true });
      return Number((rows as unknown as number[][])[0]);
    });
    expect(whats(await check({ url, source: `, server_id: ${own}` }))).toEqual([
      `error source.server_id ${own} is the server's own id`,
    ]);
  });

  test('a wrong password and a missing user have findings other than a missing server', async () => {
    expect(whats(await check({ url: as(url, `${user}:wrong`) }))).toEqual([
      expect.stringMatching(/^error the server at .* rejects user .* or its password$/),
    ]);
    const nobody = createServer();
    const port = await new Promise<number>((done) =>
      nobody.listen(0, '127.0.0.1', () => done((nobody.address() as { port: number }).port)),
    );
    await new Promise((done) => nobody.close(done));
    expect(whats(await check({ url: `mysql://root@127.0.0.1:${port}` }))).toEqual([
      `error the server at 127.0.0.1:${port} cannot be reached`,
    ]);
  });
});

describe.each<[Flavor, string[], string[]]>([
  [
    'mysql',
    [
      '--binlog-format=MIXED',
      '--binlog-row-image=MINIMAL',
      '--binlog-row-metadata=MINIMAL',
      '--binlog-row-value-options=PARTIAL_JSON',
      '--binlog-transaction-compression=ON',
      '--binlog-expire-logs-seconds=3600',
      '--gtid-mode=OFF',
      '--server-id=0',
      '--enforce-gtid-consistency=OFF',
    ],
    [
      'error binlog_format is MIXED',
      'warning binlog_row_metadata is MINIMAL',
      'error binlog_row_value_options is PARTIAL_JSON and binlog_row_image is MINIMAL',
      'error server_id is 0',
      'warning binlog_row_image is MINIMAL',
      'warning binlogs are purged after 1.0 hours (binlog_expire_logs_seconds)',
      'warning gtid_mode is OFF',
    ],
  ],
  [
    'mariadb',
    [
      '--binlog-format=STATEMENT',
      '--binlog-row-image=NOBLOB',
      '--binlog-row-metadata=NO_LOG',
      '--log-bin-compress=ON',
      '--binlog-expire-logs-seconds=43200',
      '--skip-ssl',
    ],
    [
      'error binlog_format is STATEMENT',
      'warning binlog_row_metadata is NO_LOG',
      'warning binlog_row_image is NOBLOB',
      'warning binlogs are purged after 12.0 hours (binlog_expire_logs_seconds)',
    ],
  ],
])('on a %s with everything wrong', (flavor, settings, expected) => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startOwnServer(flavor, [...settings, '--binlog-ignore-db=left_out']);
    await withRoot(server.url, (root) =>
      root.query('CREATE SCHEMA left_out; CREATE TABLE left_out.t (id INT PRIMARY KEY)'),
    );
  });
  afterAll(() => server?.stop());

  test('every problem is named at once, and each statement that is proposed corrects it', async () => {
    const choice = { url: server.url, tables: 'left_out.*' };
    const problems = await check(choice);
    const beyondStatements = 'error the server leaves left_out out of its binlog';
    expect(whats(problems).sort()).toEqual([...expected, beyondStatements].sort());
    const statements = problems.map(({ fix }) => fix).filter((fix) => fix.startsWith('SET '));
    expect(statements).toHaveLength(problems.length - 1);
    await withRoot(server.url, (root) => root.query(statements.join('\n')));
    expect(whats(await check(choice))).toEqual([beyondStatements]);
  });

  if (flavor === 'mariadb') {
    test('a server without TLS is a finding of its own', async () => {
      expect(whats(await check({ url: server.url, source: ', tls: required' }))).toEqual([
        expect.stringMatching(/^error the server at .* has no TLS$/),
      ]);
    });
  }

  if (flavor === 'mysql') {
    test('each kind of TLS failure has its own finding, and the right authority ends it', async () => {
      const only = async (source: string, host = '127.0.0.1') =>
        whats(await check({ url: `mysql://root@${host}:${server.port}`, source, tables: 'left_out.*' })).filter(
          (what) => !what.includes('left_out'),
        );
      const ca = `, ca_file: "${join(server.directory, 'data/ca.pem')}"`;
      expect(await only(', tls: required')).toEqual([]);
      expect(await only(', tls: verify-ca')).toEqual([expect.stringMatching(/certificate of .* is not trusted$/)]);
      expect(await only(`, tls: verify-ca${ca}`)).toEqual([]);
      expect(await only(`, tls: verify-identity${ca}`, 'localhost')).toEqual([
        expect.stringMatching(/certificate of localhost:\d+ is for another host name$/),
      ]);
      await withRoot(server.url, (root) => root.query('SET GLOBAL require_secure_transport = ON'));
      expect(await only('')).toEqual([expect.stringMatching(/accepts only TLS connections$/)]);
      expect(await only(', tls: required')).toEqual([]);
    });
  }

  if (flavor === 'mysql') {
    test('the finding of a server without a binary log says how to turn it on', async () => {
      const bare = await startOwnServer('mysql', ['--skip-log-bin']);
      try {
        const problems = await check({ url: bare.url, tables: '*.*' });
        expect(whats(problems)).toEqual(['error log_bin is OFF', 'warning the pattern "*.*" matches no table']);
      } finally {
        await bare.stop();
      }
    });
  }
});

describe('the stream', () => {
  test('that does not exist differs from one that cannot be reached', async () => {
    expect(whats(await check({ url: inject('mysqlUrl'), tables: 'mysql.user', stream: 'missing' }))).toEqual([
      'error there is no stream missing',
    ]);
    const closed = `firehose: { stream: s, endpoint: "http://127.0.0.1:1" }`;
    const text = yaml({ url: inject('mysqlUrl'), tables: 'mysql.user' }).replace(/firehose: .*/, closed);
    const problems = await preflight(
      parseConfig(text, { file: 'f', directory, env: {} }),
      new AbortController().signal,
    );
    expect(whats(problems)).toEqual(['error http://127.0.0.1:1 cannot be reached']);
  });
});

test('an interrupt ends the check although the server never answers', async () => {
  const silent = createServer();
  const port = await new Promise<number>((done) =>
    silent.listen(0, '127.0.0.1', () => done((silent.address() as { port: number }).port)),
  );
  const config = parseConfig(yaml({ url: `mysql://root@127.0.0.1:${port}` }), { file: 'f', directory, env: {} });
  await expect(preflight(config, AbortSignal.timeout(100))).rejects.toThrow('the check was interrupted');
  silent.close();
});

describe('the command cdc check', () => {
  const cdc = (choice: Choice, ...args: string[]) => {
    const file = join(directory, 'cdc.yaml');
    writeFileSync(file, yaml(choice));
    const main = resolve(import.meta.dirname, '../../dist/main.js');
    return new Promise<{ status: number | null; stdout: string; stderr: string }>((done) => {
      const child = execFile(process.execPath, [main, 'check', '-c', file, ...args], (_, stdout, stderr) =>
        done({ status: child.exitCode, stdout, stderr }),
      );
    });
  };
  let url: string;
  beforeAll(() => {
    url = inject('mysqlUrl');
  });

  test('exits with 0 and a single line where there is nothing to say', async () => {
    const { status, stdout } = await cdc({ url, source: ', start: snapshot', tables: 'mysql.user' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '0 errors, 0 warnings: cdc run can start\n' });
  });

  test('exits with 0 on warnings and 3 on errors, errors first, each with why and what to do', async () => {
    expect(await cdc({ url, tables: 'shop_check_none.*' })).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('0 errors, 1 warning: cdc run can start\n'),
    });
    const { status, stdout } = await cdc({ url, tables: 'shop_check_none.*', stream: 'missing' });
    expect(status).toBe(3);
    expect(stdout).toMatch(
      /^error: there is no stream missing\n {2}why: .+\n {2}do: {2}.+\n\nwarning: .+\n {2}why: .+\n {2}do: {2}.+\n\n1 error, 1 warning: cdc run would not work\n$/,
    );
  });

  test('names a table that is not complete, with its backfill on one line', async () => {
    const { status, stdout } = await cdc({ url, tables: 'mysql.user' });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^warning: mysql\.user is not complete\n {2}why: .+\n {2}do: {2}cdc backfill mysql\.user\n/);
  });

  test('prints what a script reads with --json', async () => {
    const { status, stdout } = await cdc(
      { url, source: ', start: snapshot', tables: 'mysql.user', stream: 'missing' },
      '--json',
    );
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      problems: [
        { severity: 'error', what: 'there is no stream missing', why: expect.any(String), fix: expect.any(String) },
      ],
      verified: [],
    });
  });

  test('marks in --json a problem that can pass by itself', async () => {
    const { stdout } = await cdc({ url: 'mysql://root@127.0.0.1:1', tables: 'mysql.user' }, '--json');
    const { problems } = JSON.parse(stdout) as { problems: unknown[] };
    expect(problems).toContainEqual(expect.objectContaining({ severity: 'error', passing: true }));
  });

  test('exits with 2 and says on standard error what is wrong with the configuration', async () => {
    const { status, stdout, stderr } = await cdc({ url, more: 'formta: flat' });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('formta: unknown key, did you mean format?');
  });
});

/** A server that this test may spoil, even where the environment names shared ones. */
async function startOwnServer(flavor: Flavor, settings: string[]): Promise<LocalServer> {
  const { CDC_MYSQL_URL, CDC_MARIADB_URL } = process.env;
  delete process.env.CDC_MYSQL_URL;
  delete process.env.CDC_MARIADB_URL;
  try {
    return await startTestServer({ flavor, settings });
  } finally {
    Object.assign(process.env, {
      ...(CDC_MYSQL_URL && { CDC_MYSQL_URL }),
      ...(CDC_MARIADB_URL && { CDC_MARIADB_URL }),
    });
  }
}
