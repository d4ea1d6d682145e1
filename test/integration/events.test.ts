import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import { seededRandom } from '../../src/local/demo/random.ts';
import type { ServerKind as Flavor, LocalServer } from '../../src/local/mysql/server.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import { ChangeStream } from '../../src/source/change-stream.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { startPoint } from '../../src/source/start-point.ts';
import { IGNORE_CHANGES } from '../encoded-event.ts';
import { History, type Line } from './follow.ts';
import { Fixture } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';

/** Servers of this file alone: their global settings change, and they are restarted and killed. */
const servers: Partial<Record<Flavor, LocalServer>> = {};

async function startOwnServer(flavor: 'mysql' | 'mariadb'): Promise<LocalServer> {
  const { CDC_MYSQL_URL, CDC_MARIADB_URL } = process.env;
  delete process.env.CDC_MYSQL_URL;
  delete process.env.CDC_MARIADB_URL;
  try {
    return await startTestServer({ flavor, settings: ['--max-allowed-packet=128M'] });
  } finally {
    Object.assign(process.env, {
      ...(CDC_MYSQL_URL !== undefined && { CDC_MYSQL_URL }),
      ...(CDC_MARIADB_URL !== undefined && { CDC_MARIADB_URL }),
    });
  }
}

const FLAVORS = ['mysql', 'mariadb'] as const;
beforeAll(async () => {
  for (const flavor of FLAVORS) servers[flavor] = await startOwnServer(flavor);
});
afterAll(() => Promise.all(Object.values(servers).map((server) => server.stop())));

const url = (flavor: Flavor): string => (servers[flavor] as LocalServer).url;
const history = (flavor: Flavor, schema = 'events'): History => new History(url(flavor), schema);

async function session(flavor: Flavor, schema: string): Promise<Connection> {
  const connection = await createConnection({ uri: url(flavor), multipleStatements: true });
  await connection.query(`CREATE DATABASE IF NOT EXISTS ${schema}; USE ${schema}`);
  return connection;
}

/** What happened, without where and when. */
const change = ({ event: { op, before, after, key } }: Line): unknown => ({ op, before, after, key });
const ops = (lines: Line[]): unknown[] =>
  lines.map(({ event }) => [event.op, (event.key as { id: unknown } | null)?.id]);
const seqs = (lines: Line[]): string[] => lines.map(({ event }) => event.seq as string);
const grows = (values: string[]): boolean => values.every((value, i) => i === 0 || value > (values[i - 1] as string));
const gtids = (lines: Line[]): string[] => lines.map(({ event }) => (event.source as { gtid: string }).gtid);

const TABLES = [
  'CREATE TABLE t (id INT PRIMARY KEY, v INT, s VARCHAR(300))',
  'CREATE TABLE u (id INT PRIMARY KEY, v INT, s VARCHAR(300))',
];
const numbers = (count: number): string =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT /*+ SET_VAR(cte_max_recursion_depth = 10000000) */`;

describe('compressed transactions of MySQL', () => {
  const statements = [
    `INSERT INTO t ${numbers(900)} i, i * 2, REPEAT('x', i % 300) FROM n`,
    `INSERT INTO u SELECT * FROM t WHERE id <= 400`,
    'UPDATE t STRAIGHT_JOIN u SET t.v = t.v + 1, u.v = u.v - 1 WHERE t.id = u.id AND t.id < 300',
    'UPDATE t SET id = id + 10000 WHERE id % 7 = 0',
    'BEGIN',
    'INSERT INTO u (id) VALUES (5000)',
    'SAVEPOINT s',
    'INSERT INTO u (id) VALUES (5001)',
    'ROLLBACK TO s',
    'DELETE FROM t WHERE id > 9000',
    'COMMIT',
  ];

  test('tell the same changes as uncompressed ones, with a seq that grows and is the same at every reading', async () => {
    const plain = history('mysql');
    await plain.run(TABLES, ...statements);
    const expected = (await plain.lines('')).map(change);
    const packed = history('mysql');
    await packed.run(TABLES, 'SET SESSION binlog_transaction_compression = ON', ...statements);
    const lines = await packed.lines('');
    expect(lines.map(change)).toEqual(expected);
    expect(lines.length).toBeGreaterThan(2000);
    expect(grows(seqs(lines))).toBe(true);
    expect(seqs(await packed.lines('tables: ["events.t", "events.marker"]'))).toEqual(
      seqs(lines.filter(({ event }) => (event.source as { table: string }).table === 't')),
    );
  });

  test('stop in the middle when the stream is paused, go on when it is resumed, and take little memory', async () => {
    const rows = 300_000;
    const connection = await session('mysql', 'big');
    await connection.query('DROP TABLE IF EXISTS t; CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(600))');
    const config = parseConfig(`source: { url: "${url('mysql')}" }\nfirehose: { stream: s }\ntables: ["big.*"]`, {
      file: 'cdc.yaml',
      directory: tmpdir(),
      env: {},
    });
    const server = await readServerInfo(sourceConnection(config.source));
    await connection.query('SET binlog_transaction_compression = ON');
    await connection.query(`INSERT INTO t ${numbers(rows)} i, REPEAT('x', 600) FROM n`);
    const [logs] = await connection.query('SHOW BINARY LOG STATUS');
    expect((logs as { Position: number }[])[0]?.Position).toBeLessThan(server.end.position + 10_000_000);
    connection.destroy();

    const done = new AbortController();
    let lines = 0;
    let paused = false;
    let pauses = 0;
    let mostAfterPause = 0;
    let afterPause = 0;
    let rss = 0;
    const before = process.memoryUsage().rss;
    const start = startPoint({ start: 'now' }, undefined, server);
    const stream = new ChangeStream({ config, server, start, signal: done.signal });
    await stream.follow({
      ...IGNORE_CHANGES,
      append() {
        lines++;
        if (paused) mostAfterPause = Math.max(mostAfterPause, ++afterPause);
        else if (lines % 20_000 === 0) {
          paused = true;
          afterPause = 0;
          pauses++;
          stream.pause();
          setTimeout(() => {
            rss = Math.max(rss, process.memoryUsage().rss - before);
            paused = false;
            stream.resume();
          }, 20);
        }
      },
      commit: () => lines > 0 && done.abort(),
    });
    expect(lines).toBe(rows);
    expect(pauses).toBeGreaterThan(10);
    // What is left of the event that is being read may still come, and no other one.
    expect(mostAfterPause).toBeLessThan(100);
    // 180 MB came out of the payload.
    expect(rss).toBeLessThan(120 * 1024 * 1024);
  });
});

describe.each(FLAVORS)('XA transactions of %s', (flavor) => {
  const kept = `xa_${flavor}`;
  const begin = (xid: string, ...statements: string[]): string[] => [`XA START ${xid}`, ...statements, `XA END ${xid}`];

  test('are emitted at XA COMMIT, in its place in the stream, and never after a rollback', async () => {
    const binary = "x'00ff2700',x'c3285c',77";
    const xa = history(flavor, kept);
    await xa.run(
      TABLES,
      ...begin("'one'", 'INSERT INTO t (id) VALUES (1)', 'UPDATE t SET v = 5'),
      "XA PREPARE 'one'",
      "XA COMMIT 'one'",
      ...begin(binary, 'INSERT INTO t (id) VALUES (2)'),
      `XA PREPARE ${binary}`,
      `XA ROLLBACK ${binary}`,
      ...begin("'phase'", 'INSERT INTO t (id) VALUES (3)'),
      "XA COMMIT 'phase' ONE PHASE",
      ...begin("'undone'", 'INSERT INTO t (id) VALUES (4)'),
      "XA ROLLBACK 'undone'",
      ...begin(
        binary,
        'INSERT INTO t (id) VALUES (5)',
        'SAVEPOINT s',
        'INSERT INTO t (id) VALUES (6)',
        'ROLLBACK TO s',
      ),
      `XA PREPARE ${binary}`,
      `XA COMMIT ${binary}`,
    );
    const lines = await xa.lines('');
    expect(ops(lines)).toEqual([
      ['c', 1],
      ['u', 1],
      ['c', 3],
      ['c', 5],
    ]);
    expect(grows(seqs(lines))).toBe(true);
    expect(new Set(seqs(lines)).size).toBe(4);
  });

  test('let others pass between XA PREPARE and XA COMMIT, and sort behind them', async () => {
    const xa = history(flavor, kept);
    await xa.run(TABLES, 'DO 0');
    const [first, second] = [await session(flavor, kept), await session(flavor, kept)];
    for (const sql of begin("'slow'", 'INSERT INTO t (id) VALUES (1), (2)')) await first.query(sql);
    await first.query("XA PREPARE 'slow'");
    await second.query('INSERT INTO t (id) VALUES (10)');
    await first.query("XA COMMIT 'slow'");
    await second.query('UPDATE t SET v = 1 WHERE id = 1');
    await second.query('UPDATE marker SET id = 2');
    first.destroy();
    second.destroy();
    const lines = (await xa.lines('', 2)).filter(({ event }) => (event.source as { table: string }).table === 't');
    expect(ops(lines)).toEqual([
      ['c', 10],
      ['c', 1],
      ['c', 2],
      ['u', 1],
    ]);
    expect(grows(seqs(lines))).toBe(true);
    expect(new Set(gtids(lines).slice(1, 3)).size).toBe(1);
  });

  test('that were prepared before the start are found in older binlogs', async () => {
    const older = await session(flavor, kept);
    await older.query(`DROP TABLE IF EXISTS t, u; ${TABLES.join(';')}`);
    for (const sql of begin("'older'", "INSERT INTO t VALUES (7, 7, 'seven'), (8, 8, 'eight')")) await older.query(sql);
    await older.query("XA PREPARE 'older'");
    // MariaDB lets another session end it once its own is gone.
    await older.end();
    const other = await session(flavor, 'other');
    await other.query('FLUSH BINARY LOGS; DROP TABLE IF EXISTS o; CREATE TABLE o (id INT PRIMARY KEY)');
    const xa = history(flavor, 'other');
    await xa.run([], "XA COMMIT 'older'");
    other.destroy();
    const lines = await xa.lines(`tables: ["other.*", "${kept}.*"]`);
    expect(lines.map(({ event }) => event.after)).toEqual([
      { id: 7, v: 7, s: 'seven' },
      { id: 8, v: 8, s: 'eight' },
    ]);
    expect(await xa.lines(`tables: ["other.*"]`)).toEqual([]);
  });

  test('outlive restarts of the daemon and of the server between XA PREPARE and XA COMMIT', async () => {
    const fixture = new Fixture(url(flavor), `xa_daemon_${flavor}`);
    await fixture.createSchema(...TABLES);
    fixture.configure((await fixture.startFirehose()).endpoint);
    const one = await session(flavor, fixture.schema);
    const two = await session(flavor, fixture.schema);
    const saved = () => JSON.parse(readFileSync(fixture.checkpoint, 'utf8')) as { gtids: string; position: number };
    try {
      let daemon = await fixture.run();
      const start = (await readServerInfo(sourceConnection({ url: url(flavor), server_id: 'auto', start: 'now' }))).end;
      for (const sql of begin("'kept'", 'INSERT INTO t (id, v) VALUES (1, 1)')) await one.query(sql);
      await one.query("XA PREPARE 'kept'");
      for (const sql of begin("'dropped'", 'INSERT INTO t (id, v) VALUES (2, 2)')) await two.query(sql);
      await two.query("XA PREPARE 'dropped'");
      one.destroy();
      two.destroy();
      await fixture.query(`INSERT INTO ${fixture.schema}.u (id) VALUES (1)`);
      await fixture.delivered();
      daemon.child.kill('SIGKILL');
      await daemon.ended;

      daemon = await fixture.run();
      await fixture.delivered();
      daemon.child.kill('SIGTERM');
      expect(await daemon.ended).toMatchObject({ code: 0 });
      if (flavor === 'mysql') expect(GtidSet.parse(saved().gtids).toString()).toMatch(/:1-\d+:\d/);
      else expect(saved().position).toBeLessThanOrEqual(start.position);
      expect(await ids(fixture, 't')).toEqual([]);

      await servers[flavor]?.kill();
      await servers[flavor]?.restart();
      daemon = await fixture.run();
      await fixture.query("XA COMMIT 'kept'", "XA ROLLBACK 'dropped'", `UPDATE ${fixture.schema}.t SET v = 9`);
      await fixture.delivered();
      daemon.child.kill('SIGTERM');
      expect(await daemon.ended).toMatchObject({ code: 0 });
      if (flavor === 'mysql') expect(saved().gtids).toMatch(/^[0-9a-f-]{36}:1-\d+$/);
      expect(await fixture.compare('t')).toMatchObject({ equal: true, conflicts: 0 });
      expect(await fixture.compare('u')).toMatchObject({ equal: true, conflicts: 0 });
      expect(new Set(await ids(fixture, 't'))).toEqual(new Set([1]));
    } finally {
      await fixture.remove();
    }
  });

  async function ids(fixture: Fixture, table: string): Promise<unknown[]> {
    const events = (await fixture.landed()) as unknown as { key: { id: number }; source: { table: string } }[];
    return events.filter(({ source }) => source.table === table).map(({ key }) => key.id);
  }
});

describe('partial JSON updates of MySQL', () => {
  const PARTIAL = 'SET SESSION binlog_row_value_options = PARTIAL_JSON';

  test('give exactly the text that SELECT gives, whatever changed', async () => {
    const { below, chance, pick } = seededRandom(7);
    const KEYS = ['a', 'bb', '"x y"', '"q\\"uote"', '"ümläut😀"', 'a1', 'zzz'];
    const VALUES = [
      '1',
      '-129',
      '70000',
      '18446744073709551615',
      '2.5e300',
      '1.10',
      "'text \\\\\"ü'",
      'true',
      'NULL',
      "CAST('[1,[2],{}]' AS JSON)",
      `CAST('{"k":{"l":[null,false,"m"]},"longer key":1}' AS JSON)`,
      "CAST('2026-01-02 03:04:05.678' AS DATETIME(3))",
      'CAST(12.3400 AS DECIMAL(10,4))',
      `REPEAT('long ', 20000)`,
    ];
    const path = (): string => {
      let text = '$';
      for (let depth = below(3); depth >= 0; depth--) {
        text += chance(0.7) ? `.${pick(KEYS)}` : pick(['[0]', '[1]', '[last]', '[last-1]', '[7]']);
      }
      return `'${text.replaceAll('\\', '\\\\')}'`;
    };
    const connection = await session('mysql', 'partial');
    const one = history('mysql', 'partial');
    const documents: (string | null)[] = [];
    const keep = async (): Promise<void> => {
      const [rows] = await connection.query('SELECT CAST(j AS CHAR) FROM t');
      documents.push((rows as Record<string, string>[])[0]?.['CAST(j AS CHAR)'] ?? null);
    };
    await one.run(['CREATE TABLE t (id INT PRIMARY KEY, i JSON, j JSON, n INT, k JSON)'], 'DO 0');
    await connection.query('USE partial');
    await connection.query(
      `INSERT INTO t VALUES (1, '[1]', '{"a":[1,2,3],"bb":{"a":1,"zzz":[[]]},"x y":"s"}', 0, NULL)`,
    );
    await keep();
    await connection.query(PARTIAL);
    const functions = ['JSON_SET', 'JSON_SET', 'JSON_REPLACE', 'JSON_REMOVE', 'JSON_SET'];
    for (let i = 1; i <= 1000; i++) {
      const name = pick(functions);
      const args = Array.from({ length: 1 + below(3) }, () =>
        name === 'JSON_REMOVE' ? path() : `${path()}, ${pick(VALUES)}`,
      );
      // Every now and then a small document again, so that all sizes of storage occur.
      const value = i % 40 === 0 ? `'{"a":[1,2,3,4],"bb":{"a1":{}},"zzz":1}'` : `${name}(j, ${args.join(', ')})`;
      await connection.query(`UPDATE t SET n = ${i}, j = ${value}`);
      await keep();
    }
    await connection.query('UPDATE marker SET id = 2');
    connection.destroy();
    const lines = (await one.lines('', 2)).filter(({ event }) => (event.source as { table: string }).table === 't');
    expect(lines.map(({ event }) => (event.after as { j: string }).j)).toEqual(documents);
    const nested = (await one.lines('values: { json: nested }', 2)).filter(
      ({ event }) => (event.source as { table: string }).table === 't',
    );
    expect(nested.map(({ text }) => /"after":\{"id":1,"i":\[1\],"j":(.*),"n":\d+,"k":null\}/.exec(text)?.[1])).toEqual(
      documents,
    );
  }, 120_000);

  test('keep a key change, other columns and column rules what they are', async () => {
    const one = history('mysql', 'partial');
    await one.run(
      ['CREATE TABLE t (id INT PRIMARY KEY, j JSON, secret JSON, s VARCHAR(10))'],
      `INSERT INTO t VALUES (1, '{"a":1}', '{"b":2}', 'x'), (2, NULL, '{"b":2}', 'x')`,
      PARTIAL,
      `UPDATE t SET id = id + 10, j = JSON_SET(j, '$.a', 5), secret = JSON_SET(secret, '$.b', 3), s = 'y' WHERE id = 1`,
      `UPDATE t SET j = '{"whole":true}', secret = JSON_SET(secret, '$.c', 3) WHERE id = 2`,
      'SET SESSION binlog_row_image = NOBLOB',
      `UPDATE t SET j = JSON_REMOVE(j, '$.whole') WHERE id = 2`,
    );
    const lines = await one.lines('columns: { partial.t.secret: drop }');
    expect(lines.slice(2).map(({ event }) => [event.op, event.before, event.after])).toEqual([
      ['d', { id: 1, j: '{"a": 1}', s: 'x' }, null],
      ['c', null, { id: 11, j: '{"a": 5}', s: 'y' }],
      ['u', { id: 2, j: null, s: 'x' }, { id: 2, j: '{"whole": true}', s: 'x' }],
      ['u', { id: 2, j: '{"whole": true}', s: 'x' }, { id: 2, j: '{}', s: 'x' }],
    ]);
  });

  test('without the document that they change stop the stream with the way out', async () => {
    const one = history('mysql', 'partial');
    await one.run(
      ['CREATE TABLE t (id INT PRIMARY KEY, j JSON)'],
      `INSERT INTO t VALUES (1, JSON_OBJECT('a', 1, 'b', REPEAT('x', 100)))`,
      PARTIAL,
      'SET SESSION binlog_row_image = MINIMAL',
      `UPDATE t SET j = JSON_SET(j, '$.a', 5)`,
    );
    await expect(one.lines('')).rejects.toMatchObject({
      message: expect.stringMatching(/^partial\.t: a partial JSON update lacks its base document \(at binlog/),
      why: expect.stringContaining('column "j"'),
      hint: expect.stringContaining("SET GLOBAL binlog_row_value_options=''"),
    });
  });
});

describe('what MariaDB writes and then takes back', () => {
  test('at a savepoint, with a table without transactions or a temporary one in the transaction', async () => {
    const phantoms = history('mariadb', 'phantoms');
    await phantoms.run(
      ['CREATE TABLE t (id INT PRIMARY KEY)', 'CREATE TABLE m (id INT PRIMARY KEY) ENGINE = MyISAM'],
      'BEGIN',
      'INSERT INTO t VALUES (1)',
      'SAVEPOINT `S p``x`',
      'INSERT INTO t VALUES (2)',
      'INSERT INTO m VALUES (2)',
      'ROLLBACK TO `s P``x`',
      'INSERT INTO t VALUES (3)',
      'COMMIT',
      'BEGIN',
      'INSERT INTO t VALUES (4)',
      'CREATE TEMPORARY TABLE temporary (id INT)',
      'ROLLBACK',
      'BEGIN',
      'SAVEPOINT a',
      'INSERT INTO t VALUES (5)',
      'SAVEPOINT b',
      'INSERT INTO t VALUES (6)',
      'DROP TEMPORARY TABLE temporary',
      'ROLLBACK TO b',
      'INSERT INTO t VALUES (7)',
      'ROLLBACK TO a',
      'INSERT INTO t VALUES (8)',
      'COMMIT',
    );
    for (const format of ['debezium', 'maxwell']) {
      const lines = await phantoms.lines(`format: ${format}`);
      const emitted = lines.map(({ event }) => event.after ?? event.data);
      // The row of the MyISAM table stays, in a transaction of its own.
      expect(emitted, format).toEqual([{ id: 2 }, { id: 1 }, { id: 3 }, { id: 8 }]);
    }
  });
});

describe('compressed events of MariaDB', () => {
  test('tell the same changes as uncompressed ones', async () => {
    const statements = [
      `INSERT INTO t ${numbers(500).replace(/\/\*.*\*\//, '')} i, i, REPEAT('x', i % 300) FROM n`,
      `UPDATE t SET s = REPEAT('y', 300) WHERE id < 100`,
      'UPDATE t SET id = id + 1000 WHERE id > 450',
      'DELETE FROM t WHERE id % 2 = 0',
      '/* a comment that is long enough to be compressed, as any statement is ...................... */ TRUNCATE TABLE u',
    ];
    const plain = history('mariadb');
    await plain.run(TABLES, ...statements);
    const expected = await plain.lines('');
    const root = await session('mariadb', 'events');
    await root.query('SET GLOBAL log_bin_compress = ON, log_bin_compress_min_len = 10');
    const packed = history('mariadb');
    await packed.run(TABLES, ...statements);
    await root.query('SET GLOBAL log_bin_compress = OFF');
    root.destroy();
    const lines = await packed.lines('');
    expect(lines.map(change)).toEqual(expected.map(change));
    expect(lines.at(-1)?.event.op).toBe('t');
    expect(grows(seqs(lines))).toBe(true);
  });
});

describe.each(FLAVORS)('the stream of %s', (flavor) => {
  test('may change its checksum from file to file', async () => {
    const mixed = history(flavor);
    await mixed.run(
      TABLES,
      'INSERT INTO t (id) VALUES (1)',
      'SET GLOBAL binlog_checksum = NONE',
      'INSERT INTO t (id) VALUES (2)',
      'FLUSH BINARY LOGS',
      'INSERT INTO t (id) VALUES (3)',
      'SET GLOBAL binlog_checksum = CRC32',
      'INSERT INTO t (id) VALUES (4)',
    );
    const lines = await mixed.lines('');
    expect(ops(lines)).toEqual([1, 2, 3, 4].map((id) => ['c', id]));
    expect(grows(seqs(lines))).toBe(true);
  });

  test('holds a row of 40 MB in an event of several packets', async () => {
    const large = history(flavor);
    await large.run(
      ['CREATE TABLE l (id INT PRIMARY KEY, b LONGBLOB)'],
      "INSERT INTO l VALUES (1, REPEAT('0123456789abcdef', 2621440))",
      'INSERT INTO l VALUES (2, NULL)',
    );
    const lines = await large.lines('');
    expect(ops(lines)).toEqual([
      ['c', 1],
      ['c', 2],
    ]);
    const bytes = Buffer.from((lines[0] as Line & { event: { after: { b: string } } }).event.after.b, 'base64');
    expect(bytes.equals(Buffer.alloc(16 * 2621440, '0123456789abcdef'))).toBe(true);
  });

  test('maps several tables in one statement, changes them between events, and gives their numbers to others after a restart', async () => {
    const many = history(flavor);
    const other = flavor === 'mysql' ? 'events.c AS SELECT 1 AS id, 2 AS v' : 'events.c AS SELECT 1 id, 2 v';
    await many.run(
      TABLES,
      "INSERT INTO t VALUES (1, 1, 'a')",
      "INSERT INTO u VALUES (1, 1, 'a')",
      'UPDATE t STRAIGHT_JOIN u SET t.v = 2, u.v = 3 WHERE t.id = u.id',
      'ALTER TABLE t ADD COLUMN w INT DEFAULT 9 FIRST',
      'UPDATE t SET v = 4',
      'ALTER TABLE t DROP COLUMN s',
      'DELETE FROM t',
      `CREATE TABLE ${other}`,
    );
    await servers[flavor]?.restart();
    const after = await session(flavor, 'events');
    // After the restart, table ids count from the start: these tables take the ids of others.
    await after.query("INSERT INTO u VALUES (2, 2, 'b'); INSERT INTO c VALUES (5, 6); INSERT INTO t VALUES (1, 2, 3)");
    await after.query('UPDATE marker SET id = 2');
    after.destroy();
    const lines = (await many.lines('', 2)).filter(
      ({ event }) => (event.source as { table: string }).table !== 'marker',
    );
    expect(lines.map(({ event }) => [(event.source as { table: string }).table, event.op, event.after])).toEqual([
      ['t', 'c', { id: 1, v: 1, s: 'a' }],
      ['u', 'c', { id: 1, v: 1, s: 'a' }],
      ['t', 'u', { id: 1, v: 2, s: 'a' }],
      ['u', 'u', { id: 1, v: 3, s: 'a' }],
      ['t', 'u', { w: 9, id: 1, v: 4, s: 'a' }],
      ['t', 'd', null],
      ['c', 'c', { id: 1, v: 2 }],
      ['u', 'c', { id: 2, v: 2, s: 'b' }],
      ['c', 'c', { id: 5, v: 6 }],
      ['t', 'c', { w: 1, id: 2, v: 3 }],
    ]);
  });

  test('with statements in place of rows stops for a captured table and passes for others', async () => {
    const root = await session(flavor, 'elsewhere');
    await root.query('DROP TABLE IF EXISTS e; CREATE TABLE e (id INT PRIMARY KEY)');
    root.destroy();
    const format = 'SET SESSION binlog_format = STATEMENT';
    const others = history(flavor);
    await others.run(
      TABLES,
      format,
      'INSERT INTO elsewhere.e VALUES (1)',
      'REPLACE INTO elsewhere.e VALUES (1)',
      'DELETE FROM elsewhere.e',
      'SET SESSION binlog_format = ROW',
      'INSERT INTO t (id) VALUES (1)',
    );
    expect(ops(await others.lines(''))).toEqual([['c', 1]]);
    const captured = history(flavor);
    await captured.run(
      TABLES,
      'INSERT INTO t (id) VALUES (1)',
      format,
      'UPDATE t SET v = 1',
      'SET SESSION binlog_format = ROW',
    );
    await expect(captured.lines('')).rejects.toThrow(
      /an? UPDATE statement instead of the rows .* \(at binlog\.\d+:\d+/,
    );
  });
});

test('tagged GTIDs of MySQL name their tag, and a daemon resumes behind them', async () => {
  const fixture = new Fixture(url('mysql'), 'tagged');
  await fixture.createSchema(...TABLES);
  fixture.configure((await fixture.startFirehose()).endpoint);
  try {
    let daemon = await fixture.run();
    await fixture.query(
      `USE ${fixture.schema}`,
      "SET gtid_next = 'AUTOMATIC:blue'",
      'INSERT INTO t (id) VALUES (1)',
      'INSERT INTO t (id) VALUES (2)',
    );
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    daemon = await fixture.run();
    await fixture.query(`USE ${fixture.schema}`, "SET gtid_next = 'AUTOMATIC:blue'", 'INSERT INTO t (id) VALUES (3)');
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    const events = (await fixture.landed()) as unknown as { source: { gtid: string; table: string } }[];
    const emitted = events.filter(({ source }) => source.table === 't').map(({ source }) => source.gtid);
    expect(emitted).toEqual([1, 2, 3].map((i) => expect.stringMatching(new RegExp(`^[0-9a-f-]{36}:blue:${i}$`))));
    const { gtids: set } = JSON.parse(readFileSync(fixture.checkpoint, 'utf8')) as { gtids: string };
    expect(set).toMatch(/:blue:1-3/);
  } finally {
    await fixture.remove();
  }
});
