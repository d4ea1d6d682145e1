import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startLocalFirehose } from '../../../src/local/firehose/server.ts';
import { startWarehouse, type Warehouse } from '../../../src/local/warehouse/server.ts';
import { postgres } from '../../../src/warehouse/dialects/postgres.ts';
import { cdc, until } from '../pipeline-fixture.ts';
import { duckdbTarget, MergeFixture, query } from './merge-fixture.ts';

/** The scripts of `cdc sql`, run as they are printed, beside a pipeline that runs. */

const SCHEMA = `scripts_${process.pid}`;
const fixture = new MergeFixture(inject('mysqlUrl'), SCHEMA);
let warehouse: Warehouse;

const sql = async (...words: string[]): Promise<string> => {
  const printed = await cdc(fixture.directory, 'sql', ...words);
  expect(printed, printed.stderr).toMatchObject({ code: 0, stderr: '' });
  return printed.stdout;
};

async function source(columns = 'id, name, total'): Promise<unknown[][]> {
  const connection = await createConnection({ uri: fixture.url });
  const [rows] = await connection.query({
    sql: `SELECT ${columns} FROM ${SCHEMA}.item ORDER BY id`,
    rowsAsArray: true,
  });
  await connection.end();
  return (rows as unknown[][]).map((row) => row.map(String));
}

const changes = [
  `INSERT INTO ${SCHEMA}.item VALUES (1, 'a', 1.50), (2, 'b', 2.50), (3, 'it''s', NULL)`,
  `UPDATE ${SCHEMA}.item SET total = 9 WHERE id = 2`,
  `DELETE FROM ${SCHEMA}.item WHERE id = 1`,
  `SET SESSION binlog_row_image = MINIMAL`,
  `UPDATE ${SCHEMA}.item SET name = 'partial' WHERE id = 3`,
];

beforeAll(async () => {
  await fixture.createSchema(
    "CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL COMMENT 'the name', total DECIMAL(10,2))",
  );
  warehouse = await startWarehouse({
    directory: join(fixture.directory, 'wh'),
    listen: { host: '127.0.0.1', port: 0 },
  });
  const { jdbcUrl } = warehouse;
  const redshift = {
    jdbcUrl,
    user: 'postgres',
    password: 'password',
    table: 'cdc_state.landing',
    copyOptions: "JSON 'auto'",
  };
  fixture.firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake: fixture.lake,
    streams: [{ name: 'changes', bufferSeconds: 0.2, redshift }],
  });
  fixture.configure(fixture.firehose.endpoint, 'lake: lake/changes\n');
  await query(warehouse.url, `CREATE SCHEMA cdc_state; ${postgres.landing.define(DELIVERED)[0]}`);
  fixture.daemon = await fixture.run();
  await fixture.query(...changes);
  await fixture.delivered();
});
afterAll(async () => {
  await fixture.stop();
  await warehouse.close();
  await fixture.end();
});

const DELIVERED = { pipeline: 'shop', format: 'debezium', flatPrefix: '_', lake: '', tables: [] } as const;
/** Every object that is in the lake is also in the landing table. */
const copied = () => until(() => !readdirSync(`${fixture.lake}.spool`).some((name) => name.endsWith('.copy')));

describe('the script', () => {
  test('of DuckDB gives the table of the source, each time it is run', async () => {
    const target = await duckdbTarget(join(fixture.directory, 'scripted.duckdb'));
    const script = await sql('--dialect', 'duckdb', `${SCHEMA}.item`);
    for (let run = 0; run < 2; run++) {
      await target.rows(script);
      const found = await target.rows(`SELECT id, name, total FROM ${SCHEMA}.item ORDER BY id`);
      expect(found.map((row) => row.map(String))).toEqual(await source());
    }
    expect(
      await target.rows(`SELECT comment FROM duckdb_columns() WHERE table_name = 'item__cdc' AND comment IS NOT NULL`),
    ).toEqual([['the name']]);
    expect(await target.rows('SELECT count(*) FROM cdc_state.runs WHERE is_done')).toEqual([[2n]]);
  });

  test('of PostgreSQL merges what Firehose has copied, and removes it', async () => {
    await copied();
    const script = await sql('--dialect', 'postgres', `${SCHEMA}.item`);
    for (let run = 0; run < 2; run++) {
      await query(warehouse.url, script);
      const found = await query(warehouse.url, `SELECT id, name, total FROM ${SCHEMA}.item ORDER BY id`);
      expect(found.map((row) => row.map(String))).toEqual(await source());
    }
    const left = await query(warehouse.url, "SELECT DISTINCT source ->> 'table' FROM cdc_state.landing");
    expect(left).toEqual([['marker']]);
  });

  test('with --since has the columns of today', async () => {
    const before = await sql('--dialect', 'postgres', `${SCHEMA}.item`);
    writeFileSync(join(fixture.directory, 'before.sql'), before);
    await fixture.query(
      `ALTER TABLE ${SCHEMA}.item ADD COLUMN added INT NOT NULL DEFAULT 7, DROP COLUMN total`,
      `INSERT INTO ${SCHEMA}.item VALUES (5, 'e', 6)`,
    );
    await fixture.delivered();
    await copied();
    const next = await sql('--dialect', 'postgres', `${SCHEMA}.item`, '--since', 'before.sql');
    await query(warehouse.url, next);
    const found = await query(warehouse.url, `SELECT * FROM ${SCHEMA}.item ORDER BY id`);
    expect(found.map((row) => row.map(String))).toEqual(await source('*'));
  });

  test('that cannot be made says why, and prints nothing', async () => {
    mkdirSync(join(fixture.directory, 'folder'), { recursive: true });
    for (const [words, message] of [
      [['--dialect', 'oracle'], /oracle/],
      [['--dialect', 'duckdb', 'no.such'], /no\.such/],
      [['--dialect', 'duckdb', '--since', 'folder'], /cannot read folder/],
      [['--dialect', 'duckdb', '--since', 'cdc.yaml'], /cdc\.yaml is no output of cdc sql/],
      [[], /--dialect/],
    ] as const) {
      const refused = await cdc(fixture.directory, 'sql', ...words);
      expect(refused).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr).toMatch(message);
    }
  });
});

test('cdc merge --from landing merges what Firehose has copied; Redshift without a server and a lake are refused', async () => {
  await fixture.query(
    `CREATE TABLE ${SCHEMA}.other (id INT PRIMARY KEY)`,
    `INSERT INTO ${SCHEMA}.other VALUES (1), (2)`,
    `DELETE FROM ${SCHEMA}.other WHERE id = 1`,
  );
  await fixture.delivered();
  await copied();
  const into = ['--into', warehouse.url, '--from', 'landing'];
  const merged = await cdc(fixture.directory, 'merge', `${SCHEMA}.other`, ...into);
  expect(merged, merged.stderr).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/other +3 events merged/),
  });
  expect(await query(warehouse.url, `SELECT id FROM ${SCHEMA}.other`)).toEqual([[2]]);
  expect(await cdc(fixture.directory, 'merge', `${SCHEMA}.other`, ...into)).toMatchObject({
    stdout: expect.stringMatching(/other +0 events/),
  });
  const redshift = warehouse.url.replace('postgres:', 'redshift:');
  expect(await cdc(fixture.directory, 'merge', '--into', redshift, '--from', 'lake')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('only by COPY'),
  });
  // A PostgreSQL is no Redshift.
  expect(await cdc(fixture.directory, 'merge', '--into', redshift)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('enable_case_sensitive_identifier'),
  });
  expect(await cdc(fixture.directory, 'merge', '--into', 'duckdb:x.duckdb', '--from', 'landing')).toMatchObject({
    code: 2,
  });
});
