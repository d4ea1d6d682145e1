import { expect, inject, test } from 'vitest';
import { caseTables } from '../oracle/case-tables.ts';
import { charsetTables } from '../oracle/charset-tables.ts';
import { compareWithSelect } from '../oracle/oracle.ts';
import { RANDOM_ROWS, randomTable, SEED, SNAPSHOT_ROWS } from '../oracle/random-rows.ts';
import { compareSnapshot } from '../oracle/snapshot.ts';
import { specialTables } from '../oracle/special-tables.ts';

const server = 'MySQL 9.7';

test('on MySQL 9.7 every boundary value of every type equals the result of SELECT', async () => {
  const { differences } = await compareWithSelect(inject('mysqlUrl'), caseTables(server));
  expect(differences).toEqual([]);
});

test('on MySQL 9.7 every unusual table and column equals the result of SELECT', async () => {
  const { differences } = await compareWithSelect(inject('mysqlUrl'), specialTables(server));
  expect(differences).toEqual([]);
});

test('on MySQL 9.7 every code of every multi-byte character set equals the result of CONVERT(… USING utf8mb4)', async () => {
  const { differences } = await compareWithSelect(inject('mysqlUrl'), charsetTables(server));
  expect(differences).toEqual([]);
});

test(`on MySQL 9.7 100,000 random values equal the result of SELECT in every event, with all options (seed ${SEED})`, async () => {
  const table = randomTable(server, RANDOM_ROWS, SEED);
  const { differences, values } = await compareWithSelect(inject('mysqlUrl'), [table]);
  expect(differences).toEqual([]);
  expect(RANDOM_ROWS * (table.columns.length - 2)).toBeGreaterThanOrEqual(100_000);
  expect(values).toBeGreaterThanOrEqual(100_000 * 12);
});

test('on MySQL 9.7 a row of a SELECT becomes the bytes of the same row in the binlog: every type, format, option and rule', async () => {
  const tables = [...caseTables(server), ...specialTables(server), ...charsetTables(server)];
  const { differences, rows } = await compareSnapshot(inject('mysqlUrl'), [
    ...tables,
    randomTable(server, SNAPSHOT_ROWS, SEED),
  ]);
  expect(differences).toEqual([]);
  expect(rows).toBeGreaterThan(20_000);
});
