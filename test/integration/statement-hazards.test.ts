import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { History } from './follow.ts';
import { startTestServer } from './test-server.ts';

const noMysql56 = process.platform !== 'linux' || process.arch !== 'x64';

/** Statements whose text, flags or end mislead a reader. What the server did decides. */
describe.each([
  ['mysql', false],
  ['mariadb', false],
  ['mysql-5.6', noMysql56],
] as const)('on %s', (flavor, skipped) => {
  if (skipped) return test.skip(`${flavor} is not to be had for this machine`);
  /** A server of its own: its DML that is logged as statements rightly stops the streams of other tests. */
  let server: LocalServer;
  let url: string;
  let connection: Connection;
  let history: History;
  /** The marker at the end of what is read. */
  let marker = 1;
  beforeAll(async () => {
    server = await startTestServer({ flavor });
    url = server.url;
    connection = await createConnection(url);
    await connection.query('DROP DATABASE IF EXISTS hazard_out');
    await connection.query('CREATE DATABASE hazard_out');
  });
  afterAll(async () => {
    await connection.query('DROP DATABASE IF EXISTS hazard_out');
    await history.remove();
    await connection.end();
    await server.stop();
  });
  beforeEach(async () => {
    history = new History(url, 'hazard');
    await history.run([
      'CREATE TABLE a (id INT PRIMARY KEY)',
      'INSERT INTO a VALUES (1)',
      'CREATE TABLE parent (id INT PRIMARY KEY)',
      'CREATE TABLE child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES parent (id))',
    ]);
  });

  /** Runs the statements, whether they fail or not, and returns the tables of the TRUNCATE events. */
  async function emptiedBy(statements: readonly string[], charset = 'utf8mb4_general_ci'): Promise<string[]> {
    const client = await createConnection({ uri: url, charset });
    await client.query('USE hazard');
    for (const sql of statements) await client.query(sql).catch(() => {});
    await client.end();
    await connection.query('INSERT INTO hazard.marker VALUES (?)', [++marker]);
    const lines = await history.lines('', marker);
    return lines.filter(({ event }) => event.op === 't').map(({ event }) => (event.source as { table: string }).table);
  }

  test('TRUNCATE in a procedure that used a temporary table empties the table', async () => {
    const body = 'BEGIN CREATE TEMPORARY TABLE hazard_out.tmp (id INT); INSERT INTO hazard_out.tmp VALUES (1);';
    await connection.query('DROP PROCEDURE IF EXISTS hazard_out.reload');
    await connection.query(`CREATE PROCEDURE hazard_out.reload() ${body} TRUNCATE TABLE hazard.a; END`);
    expect(await emptiedBy(['CALL hazard_out.reload()'])).toEqual(['a']);
  });

  test('TRUNCATE and DROP of a temporary table leave the table of the same name alone', async () => {
    const statements = [
      "SET SESSION binlog_format = 'STATEMENT'",
      'CREATE TEMPORARY TABLE a (id INT)',
      'TRUNCATE TABLE a',
      'ALTER TABLE a ADD x INT',
      'DROP TABLE a',
    ];
    expect(await emptiedBy(statements)).toEqual([]);
    expect(await emptiedBy([...statements, 'TRUNCATE TABLE a'])).toEqual(['a']);
  });

  test('DML of temporary tables, logged as statements, does not stop the stream', async () => {
    const statements = ["SET SESSION binlog_format = 'STATEMENT'", 'CREATE TEMPORARY TABLE tmp (id INT)'];
    const dml = ['INSERT INTO tmp VALUES (1)', 'UPDATE tmp SET id = 2', 'DELETE FROM tmp'];
    const made = ['CREATE TEMPORARY TABLE tmp2 AS SELECT id FROM a', 'INSERT INTO tmp2 SELECT * FROM tmp'];
    expect(await emptiedBy([...statements, ...dml, ...made])).toEqual([]);
  });

  test('a space of latin1 that is none in UTF-8 separates words', async () => {
    expect(await emptiedBy(['TRUNCATE\u00a0TABLE\u00a0hazard.a'], 'latin1_swedish_ci')).toEqual(['a']);
  });

  test('a statement that ran with another sql_mode than it was read with is not passed over', async () => {
    const prepared = ["SET sql_mode = 'ANSI_QUOTES'", `PREPARE s FROM 'TRUNCATE TABLE "hazard"."a"'`];
    await expect(emptiedBy([...prepared, "SET sql_mode = ''", 'EXECUTE s'])).rejects.toMatchObject({
      message: expect.stringContaining('a TRUNCATE statement that cdc does not understand'),
    });
  });

  test('tables of a DROP that failed in part are not emptied without proof', async () => {
    expect(await emptiedBy(['SET foreign_key_checks = 1', 'DROP TABLE a, parent'])).not.toContain('parent');
  });

  test('DDL of other objects behind logged DML changes nothing; a dropped trigger or function does', async () => {
    await connection.query('CREATE TABLE IF NOT EXISTS hazard_out.z (id INT)');
    const statement = "SET SESSION binlog_format = 'STATEMENT'";
    // The default schema is captured, so that no event proves the statement harmless by itself.
    const dml = 'INSERT INTO hazard_out.z SELECT id FROM a';
    const harmless = [
      'CREATE VIEW hazard_out.v AS SELECT 1',
      'DROP VIEW hazard_out.v',
      'CREATE DATABASE hazard_other',
      'DROP DATABASE hazard_other',
      'CREATE FUNCTION hazard_out.other() RETURNS INT DETERMINISTIC RETURN 1',
      'DROP FUNCTION hazard_out.other',
    ];
    expect(await emptiedBy([statement, dml, ...harmless])).toEqual([]);
    const trigger = 'CREATE TRIGGER hazard_out.tr AFTER INSERT ON hazard_out.z FOR EACH ROW DELETE FROM hazard.a';
    await expect(emptiedBy([trigger, statement, dml, 'DROP TRIGGER hazard_out.tr'])).rejects.toMatchObject({
      message: expect.stringContaining('an INSERT statement instead of the rows'),
    });
  });

  test.runIf(flavor === 'mariadb')('a CREATE OR REPLACE that failed has dropped the table', async () => {
    const failing = 'CREATE OR REPLACE TABLE a (id INT PRIMARY KEY) SELECT 1 AS id UNION ALL SELECT 1';
    expect(await emptiedBy([failing])).toEqual(['a']);
  });

  test.runIf(flavor === 'mariadb')('a function of a package can write a captured table', async () => {
    await connection.query("SET sql_mode = 'ORACLE'");
    await connection.query(
      'CREATE OR REPLACE PACKAGE hazard_out.pk AS FUNCTION g(n INT) RETURN INT DETERMINISTIC MODIFIES SQL DATA; END',
    );
    await connection.query(`CREATE OR REPLACE PACKAGE BODY hazard_out.pk AS
      FUNCTION g(n INT) RETURN INT DETERMINISTIC MODIFIES SQL DATA AS BEGIN INSERT INTO hazard.a VALUES (n); RETURN n; END; END`);
    await connection.query("SET sql_mode = ''");
    await connection.query('CREATE TABLE IF NOT EXISTS hazard_out.z (id INT)');
    const statements = [
      "SET SESSION binlog_format = 'STATEMENT'",
      'INSERT INTO hazard_out.z VALUES (hazard_out.pk.g(7))',
    ];
    await expect(emptiedBy(statements)).rejects.toMatchObject({
      message: expect.stringContaining('an INSERT statement instead of the rows'),
    });
  });
});
