import { createReadStream, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { seededRandom } from '../../src/local/demo/random.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import type { CdcError } from '../../src/runtime/error.ts';
import { ChangeStream } from '../../src/source/change-stream.ts';
import { connect, readServerInfo } from '../../src/source/server/server-info.ts';
import { startPoint } from '../../src/source/start-point.ts';
import { IGNORE_CHANGES } from '../encoded-event.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { connectionOf } from './binlog-record.ts';
import { type Spelling, spell } from './statement-spelling.ts';
import { startTestServer } from './test-server.ts';

const IN = 'dml_in';
const OUT = 'dml_out';
const noMysql56 = process.platform !== 'linux' || process.arch !== 'x64';
const CSV = join(tmpdir(), `cdc-load-${process.pid}.csv`);

/** Statements of a session with binlog_format STATEMENT. `only` are the servers that accept them. */
const STATEMENTS: { sql: string[]; only?: string[] }[] = [
  { sql: [`UPDATE ${OUT}.z JOIN ${IN}.o ON o.id = z.id SET o.x = z.x + 100`] },
  { sql: [`USE ${OUT}`, `DELETE o FROM ${OUT}.z z JOIN ${IN}.o o ON o.id = z.id WHERE z.id = 2`] },
  { sql: [`SELECT ${IN}.f(700)`] },
  { sql: [`SET @a = ${IN}.f(701)`] },
  { sql: [`INSERT INTO ${OUT}.z SELECT ${IN}.f(702), 1`] },
  { sql: [`INSERT INTO ${OUT}.triggering VALUES (703)`] },
  { sql: [`INSERT INTO ${OUT}.v VALUES (704, 1)`] },
  { sql: [`CREATE TABLE ${IN}.copy_of_z AS SELECT * FROM ${OUT}.z`], only: ['mysql', 'mariadb'] },
  { sql: [`UPDATE /*+ hint */ ${IN}.o SET x = x + 1`] },
  { sql: [`SET sql_mode = 'ANSI_QUOTES'`, `UPDATE "${IN}"."o" SET x = x + 1`] },
  { sql: [`CALL ${IN}.p(705)`] },
  { sql: [`REPLACE INTO ${IN}.o VALUES (1, 50)`] },
  { sql: [`LOAD DATA LOCAL INFILE '${CSV}' INTO TABLE ${IN}.o`] },
  { sql: [`DELETE FROM ${IN}.o`] },
  // These write no captured table.
  { sql: [`LOAD DATA LOCAL INFILE '${CSV}' REPLACE INTO TABLE ${OUT}.z`] },
  { sql: [`INSERT INTO ${OUT}.z VALUES (800, 1)`] },
  { sql: [`UPDATE ${OUT}.z SET x = 3 WHERE id = 1`] },
  { sql: [`DELETE FROM ${OUT}.z WHERE id = 800`] },
  { sql: [`WITH c AS (SELECT 1 AS i) UPDATE ${OUT}.z, c SET z.x = 4`], only: ['mysql'] },
  { sql: [`REPLACE INTO ${OUT}.z SELECT id, COALESCE(x, 1) FROM ${IN}.o`] },
  { sql: [`CREATE TABLE ${OUT}.copy_of_o AS SELECT * FROM ${OUT}.z`], only: ['mysql', 'mariadb'] },
];

type Table = Exclude<Spelling, string | { text: string }>;

/** Statements of one table, in pieces. They change a row of it. */
const SPELLED: ((table: Table, id: number) => Spelling[])[] = [
  (table) => ['UPDATE', table, 'SET', 'x', '=', 'x', '+', '10'],
  (table, id) => ['INSERT', 'INTO', table, '(', 'id', ',', 'x', ')', 'VALUES', '(', String(id), ',', '1', ')'],
  (table, id) => ['REPLACE', table, 'SET', 'id', '=', String(id), ',', 'x', '=', '7'],
  (table) => ['DELETE', 'FROM', table, 'WHERE', 'id', '=', '2'],
  (table, id) => ['INSERT', 'IGNORE', 'INTO', table, 'SELECT', String(id), ',', 'LENGTH', '(', { text: "it's" }, ')'],
];

describe.each([
  ['mysql', false],
  ['mariadb', false],
  ['mysql-5.6', noMysql56],
] as const)('DML that is logged as a statement, on %s', (flavor, skipped) => {
  if (skipped) return test.skip(`${flavor} is not to be had for this machine`);
  /** A server of its own: its DML that is logged as statements rightly stops the streams of other tests. */
  let server: LocalServer;
  let url: string;
  let connection: Connection;
  beforeAll(async () => {
    writeFileSync(CSV, '900\t1\n');
    server = await startTestServer({ flavor, settings: ['--log-bin-trust-function-creators=1'] });
    url = server.url;
    connection = await connect(connectionOf(url));
    const setUp = [
      ...[IN, OUT].flatMap((schema) => [`DROP DATABASE IF EXISTS ${schema}`, `CREATE DATABASE ${schema}`]),
      `CREATE TABLE ${IN}.o (id INT PRIMARY KEY, x INT)`,
      `CREATE TABLE ${OUT}.z (id INT PRIMARY KEY, x INT)`,
      `CREATE TABLE ${OUT}.triggering (id INT PRIMARY KEY)`,
      `CREATE TRIGGER ${OUT}.t AFTER INSERT ON ${OUT}.triggering FOR EACH ROW INSERT INTO ${IN}.o VALUES (NEW.id, 0)`,
      `CREATE FUNCTION ${IN}.f(n INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO ${IN}.o VALUES (n, n); RETURN n; END`,
      `CREATE PROCEDURE ${IN}.p(n INT) INSERT INTO ${IN}.o VALUES (n, n)`,
      `CREATE VIEW ${OUT}.v AS SELECT * FROM ${IN}.o`,
      ...(flavor === 'mysql' ? ['SET GLOBAL local_infile = 1'] : []),
    ];
    for (const sql of setUp) await connection.query(sql);
  });
  afterAll(async () => {
    for (const schema of [IN, OUT]) await connection.query(`DROP DATABASE IF EXISTS ${schema}`);
    await connection.end();
    await server.stop();
  });

  const captured = async (): Promise<string> => {
    const [rows] = await connection.query(`SELECT * FROM ${IN}.o ORDER BY id`);
    const [tables] = await connection.query(`SHOW TABLES FROM ${IN}`);
    return JSON.stringify([rows, tables]);
  };

  async function run(statements: readonly string[]): Promise<void> {
    const session = await createConnection({
      uri: url,
      infileStreamFactory: () => createReadStream(CSV),
      flags: ['+LOCAL_FILES'],
    });
    try {
      await session.query("SET SESSION binlog_format = 'STATEMENT'");
      for (const sql of statements) await session.query(sql);
    } finally {
      await session.end();
    }
  }

  /** Follows from the start until a table of the captured schema, written last, arrives; or returns the error. */
  async function follow(before: Awaited<ReturnType<typeof readServerInfo>>): Promise<CdcError | undefined> {
    const config = parseConfig(`source: { url: "${url}" }\ntables: ["${IN}.*"]\nfirehose: { stream: s }`, {
      file: 'cdc.yaml',
      directory: tmpdir(),
      env: {},
    });
    const done = new AbortController();
    const stream = new ChangeStream({
      config,
      server: before,
      start: startPoint({ start: 'now' }, undefined, before),
      signal: done.signal,
    });
    try {
      await stream.follow({ ...IGNORE_CHANGES, append: () => done.abort() });
      return undefined;
    } catch (error) {
      return error as CdcError;
    }
  }

  /** Runs the statements and follows them. Returns whether they changed a captured table, as the server has it. */
  async function tryStatements(sql: readonly string[]): Promise<boolean> {
    await connection.query(`REPLACE INTO ${IN}.o VALUES (1, 1), (2, 2), (3, 3)`);
    await connection.query(`REPLACE INTO ${OUT}.z VALUES (1, 1), (2, 2)`);
    const [before, rows] = [await readServerInfo(connectionOf(url)), await captured()];
    await run(sql);
    const isChanged = (await captured()) !== rows;
    await connection.query(`INSERT INTO ${IN}.o VALUES (9999, 1)`);
    await connection.query(`DELETE FROM ${IN}.o WHERE id = 9999`);
    const error = await follow(before);
    const text = sql.at(-1);
    if (!isChanged) {
      expect(error, `${text} changed nothing, and must not stop the stream`).toBeUndefined();
      return false;
    }
    expect(error?.message, text).toMatch(/has an? [A-Z… ]+ statement instead of the rows that it changed/);
    const hint = expect.stringContaining('binlog_format');
    expect(error, text).toMatchObject({ exitCode: 1, kind: 'fatal', hint });
    const message = `${error?.message} ${error?.why} ${error?.hint}`;
    expect(message, 'no text of the statement').not.toMatch(/\b70\d\b|COALESCE/);
    return true;
  }

  test('a change of a captured table stops the stream, and no other statement does', async () => {
    const changed: boolean[] = [];
    for (const { sql, only } of STATEMENTS) {
      if (only === undefined || only.includes(flavor)) changed.push(await tryStatements(sql));
    }
    expect(changed.filter((isChanged) => isChanged).length).toBeGreaterThan(11);
    expect(changed.filter((isChanged) => !isChanged).length).toBeGreaterThan(4);
  }, 120_000);

  test('so it is in any spelling', async () => {
    const random = seededRandom(Number(process.env.CDC_STATEMENT_SEED ?? 1));
    for (const sqlMode of ['', 'ANSI_QUOTES', 'NO_BACKSLASH_ESCAPES']) {
      for (const [i, makePieces] of SPELLED.entries()) {
        const isIn = random.chance(0.5);
        const pieces = makePieces(isIn ? { schema: IN, name: 'o' } : { schema: OUT, name: 'z' }, 1000 + i);
        const defaultSchema = random.pick([IN, OUT]);
        const options = { ansiQuotes: sqlMode === 'ANSI_QUOTES', mariadb: flavor === 'mariadb', defaultSchema };
        const sql = spell(pieces, random, options);
        expect(await tryStatements([`SET sql_mode = '${sqlMode}'`, `USE ${defaultSchema}`, sql]), sql).toBe(isIn);
        await connection.query(`DELETE FROM ${IN}.o WHERE id >= 1000`);
        await connection.query(`DELETE FROM ${OUT}.z WHERE id >= 1000`);
      }
    }
  }, 120_000);

  test('DDL between statements does not make the daemon read the binlog again for each of them', async () => {
    const before = await readServerInfo(connectionOf(url));
    for (let i = 0; i < 12; i++) {
      await run([`UPDATE ${OUT}.z SET x = ${i} WHERE id = 1`]);
      await connection.query(`ALTER TABLE ${OUT}.triggering COMMENT 'version ${i}'`);
    }
    await connection.query(`REPLACE INTO ${IN}.o VALUES (9999, 1)`);
    const proxy = await TcpProxy.listen(Number(new URL(url).port));
    const direct = url;
    url = Object.assign(new URL(url), { port: String(proxy.port) }).href;
    try {
      expect(await follow(before)).toBeUndefined();
    } finally {
      url = direct;
      await proxy.close();
    }
    // The stream, and one look-up of two connections. MySQL names the databases in the event, so it needs none.
    expect(proxy.accepted).toBeLessThan(6);
  });

  test('an account that cannot see triggers proves nothing', async () => {
    if (flavor !== 'mariadb') return;
    await connection.query(`CREATE OR REPLACE USER dml_blind@'%' IDENTIFIED BY 'x'`);
    await connection.query(
      `GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT, BINLOG MONITOR ON *.* TO dml_blind@'%'`,
    );
    const before = await readServerInfo(connectionOf(url));
    await run([`INSERT INTO ${OUT}.z VALUES (850, 1)`]);
    const blind = new URL(url);
    blind.username = 'dml_blind';
    blind.password = 'x';
    const all = url;
    url = blind.href;
    try {
      expect((await follow(before))?.message).toContain('an INSERT statement instead of the rows');
    } finally {
      url = all;
      await connection.query('DROP USER dml_blind');
    }
  });
});
