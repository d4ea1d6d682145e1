import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { cdc } from '../pipeline-fixture.ts';
import { duckdbTarget, MergeFixture, postgresTarget, query, type Target } from './merge-fixture.ts';

/** Tables that the source changes between two merges, and targets that somebody else uses too. */

const SCHEMA = `changed_${process.pid}`;
const fixture = new MergeFixture(inject('mysqlUrl'), SCHEMA);
let postgres: Target;
let duckdb: Target;

beforeAll(async () => {
  await fixture.createSchema();
  await fixture.begin();
  duckdb = await duckdbTarget(join(fixture.directory, 'changed.duckdb'));
  postgres = await postgresTarget(fixture.directory);
});
afterAll(async () => {
  await postgres.close();
  await fixture.end();
});

const both = () => [duckdb, postgres];
const merge = (target: Pick<Target, 'into'>, ...words: string[]) =>
  cdc(fixture.directory, 'merge', '--into', target.into, ...words);

/** Runs the statements in the schema, waits until they have landed, and merges everything into both targets. */
async function step(...statements: string[]): Promise<void> {
  await fixture.query(`USE ${SCHEMA}`, "SET SESSION sql_mode = '', time_zone = '+00:00'", ...statements);
  await fixture.delivered();
  for (const target of both()) {
    const merged = await merge(target);
    expect(merged, merged.stderr).toMatchObject({ code: 0, stderr: '' });
  }
}

async function expectRows(table: string, rows: unknown[][], columns = '*'): Promise<void> {
  for (const target of both()) {
    const found = await target.rows(`SELECT ${columns} FROM ${SCHEMA}.${table} ORDER BY id`);
    expect(
      found.map((row) => row.map((value) => (value === null ? null : String(value)))),
      target.name,
    ).toEqual(rows);
  }
}

/** Type and value before, type after, and what the view has then. */
const CHANGES: [before: string, literal: string, after: string, expected: string | null][] = [
  ['INT NOT NULL', '7', 'BIGINT NOT NULL', '7'],
  ['INT', '7', 'DECIMAL(20,2)', '7.00'],
  ['DECIMAL(5,2)', '1.50', 'DECIMAL(20,4)', '1.5000'],
  ['VARCHAR(10) NOT NULL', "'x'", 'TEXT NOT NULL', 'x'],
  // What cannot be kept is NULL until the table is copied again, in a NOT NULL column too.
  ['DECIMAL(10,2) NOT NULL', '1.50', 'INT NOT NULL', null],
  ['FLOAT', '1.1', 'DOUBLE', null],
  ['VARBINARY(10)', "'abc'", 'VARCHAR(10)', null],
  ['VARCHAR(10) NOT NULL', "'a\\\\x41'", 'VARBINARY(10) NOT NULL', null],
  ['DATETIME', "'2026-01-02 03:04:05'", 'TIMESTAMP NULL', null],
];

test('a column of another type keeps what keeps its meaning, and takes new values', async () => {
  const columns = CHANGES.map(([type], i) => `c${i} ${type}`).join(', ');
  await step(
    `CREATE TABLE retyped (id INT PRIMARY KEY, ${columns})`,
    `INSERT INTO retyped VALUES (1, ${CHANGES.map(([, literal]) => literal).join(', ')})`,
  );
  await step(`ALTER TABLE retyped ${CHANGES.map(([, , type], i) => `MODIFY c${i} ${type}`).join(', ')}`);
  const names = CHANGES.map((_, i) => `c${i}`).join(', ');
  await expectRows('retyped', [['1', ...CHANGES.map(([, , , expected]) => expected)]], `id, ${names}`);
  await step(`INSERT INTO retyped (id, ${names}) SELECT 0, ${names} FROM retyped`);
  for (const target of both()) {
    const [first] = await target.rows(`SELECT ${names} FROM ${SCHEMA}.retyped ORDER BY id`);
    expect(first).not.toContain(null);
  }
});

test('a column that is dropped and added again has no value of before, also of partial rows', async () => {
  await step('CREATE TABLE again (id INT PRIMARY KEY, a INT, b INT)', 'INSERT INTO again VALUES (1, 1, 1)');
  await step("SET SESSION binlog_row_image = 'MINIMAL'", 'UPDATE again SET a = 5 WHERE id = 1');
  await expectRows('again', [['1', '5', '1']], 'id, a, b');
  await step('ALTER TABLE again DROP COLUMN a');
  await step(
    'ALTER TABLE again ADD COLUMN a INT',
    "SET SESSION binlog_row_image = 'MINIMAL'",
    'UPDATE again SET b = 2 WHERE id = 1',
  );
  await expectRows('again', [['1', null, '2']], 'id, a, b');
});

test('a comment of a new column is kept, and a view of somebody else is named', async () => {
  await step('CREATE TABLE viewed (id INT PRIMARY KEY)', 'INSERT INTO viewed VALUES (1)');
  await query(postgres.into, `CREATE VIEW public.mine AS SELECT id FROM ${SCHEMA}.viewed`);
  // A column at the end leaves the view where it is.
  await step("ALTER TABLE viewed ADD COLUMN c INT COMMENT 'it''s new'");
  const comment = `SELECT col_description('${SCHEMA}.viewed__cdc'::regclass, 4)`;
  expect([
    (await query(postgres.into, comment))[0],
    (
      await duckdb.rows(`SELECT comment FROM duckdb_columns() WHERE table_name = 'viewed__cdc' AND column_name = 'c'`)
    )[0],
  ]).toEqual([["it's new"], ["it's new"]]);
  await fixture.query(`ALTER TABLE ${SCHEMA}.viewed DROP COLUMN c`);
  const refused = await merge(postgres, `${SCHEMA}.viewed`);
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/viewed is not merged: .*cannot be changed/),
  });
  expect(refused.stderr).toContain('drop them, run cdc merge, and create them again');
  await query(postgres.into, 'DROP VIEW public.mine');
  expect(await merge(postgres, `${SCHEMA}.viewed`)).toMatchObject({ code: 0 });
});

test('a table whose key has changed stops no other one, and says what to run', async () => {
  await step(
    'CREATE TABLE k1 (a INT PRIMARY KEY, id INT NOT NULL)',
    'CREATE TABLE k2 (id INT PRIMARY KEY)',
    'INSERT INTO k1 VALUES (1, 2)',
  );
  await fixture.query(
    `ALTER TABLE ${SCHEMA}.k1 DROP PRIMARY KEY, ADD PRIMARY KEY (id)`,
    `INSERT INTO ${SCHEMA}.k2 VALUES (9)`,
    `UPDATE ${SCHEMA}.k1 SET a = 3`,
  );
  await fixture.delivered();
  for (const target of both()) {
    const merged = await merge(target);
    expect(merged).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/k1 is not merged: the key of .*k1 has changed/),
    });
    expect(await target.rows(`SELECT id FROM ${SCHEMA}.k2`)).toEqual([[9]]);
    const [, statements = ''] = /run there: (.*); then run cdc backfill/.exec(merged.stderr) ?? [];
    for (const sql of statements.split('; ')) await target.rows(sql);
    expect(await merge(target)).toMatchObject({ code: 0 });
    expect(await target.rows(`SELECT id, a FROM ${SCHEMA}.k1`)).toEqual([[2, 3]]);
  }
});

describe('objects that were merged', () => {
  test('are read once for each table, whatever the runs ask for, and tables the configuration names later are merged', async () => {
    await step(
      'CREATE TABLE p1 (id INT PRIMARY KEY)',
      'CREATE TABLE p2 (id INT PRIMARY KEY)',
      'INSERT INTO p1 VALUES (1)',
      'INSERT INTO p2 VALUES (2)',
    );
    const target = await duckdbTarget(join(fixture.directory, 'alternating.duckdb'));
    const text = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    writeFileSync(join(fixture.directory, 'narrow.yaml'), text.replace(/^tables:.*$/m, `tables: ["${SCHEMA}.p1"]`));
    const objects = async (...words: string[]) => /(\d+) objects? in/.exec((await merge(target, ...words)).stdout)?.[1];
    expect(await objects('-c', 'narrow.yaml')).not.toBe('0');
    expect(await objects(`${SCHEMA}.p2`)).not.toBe('0');
    for (const table of ['p1', 'p2', 'p1']) expect(await objects(`${SCHEMA}.${table}`)).toBe('0');
    expect(await target.rows(`SELECT id FROM ${SCHEMA}.p2`)).toEqual([[2]]);
  });

  test('of two pipelines do not meet in one target; a table of both is refused', async () => {
    const target = await duckdbTarget(join(fixture.directory, 'shared.duckdb'));
    expect(await merge(target, `${SCHEMA}.p1`)).toMatchObject({ code: 0 });
    const text = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    writeFileSync(join(fixture.directory, 'other.yaml'), text.replace('name: shop', 'name: other'));
    const other = await merge(target, `${SCHEMA}.p1`, `${SCHEMA}.p2`, '-c', 'other.yaml');
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('p1 of another pipeline') });
    // It has pruned nothing of the first one.
    expect((await merge(target, `${SCHEMA}.p1`)).stdout).toContain('0 objects');
  });
});

test('cdc merge continues with what a script of cdc sql has made, and a script reads old objects for a new table', async () => {
  await step(
    'CREATE TABLE s1 (id INT PRIMARY KEY)',
    'CREATE TABLE s2 (id INT PRIMARY KEY)',
    'INSERT INTO s1 VALUES (1)',
    'INSERT INTO s2 VALUES (2)',
  );
  const target = await duckdbTarget(join(fixture.directory, 'adopted.duckdb'));
  const script = async (...tables: string[]) =>
    (await cdc(fixture.directory, 'sql', '--dialect', 'duckdb', ...tables)).stdout;
  await target.rows(await script(`${SCHEMA}.s1`));
  // Its last complete run was long after the objects were written.
  await target.rows('UPDATE cdc_state.runs SET started = started + INTERVAL 9 DAY');
  await target.rows(await script(`${SCHEMA}.s1`, `${SCHEMA}.s2`));
  expect(await target.rows(`SELECT id FROM ${SCHEMA}.s2`)).toEqual([[2]]);
  expect(await merge(target, `${SCHEMA}.s1`, `${SCHEMA}.s2`)).toMatchObject({ code: 0, stderr: '' });
});
