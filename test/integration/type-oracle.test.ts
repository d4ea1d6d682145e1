import { expect, inject, test } from 'vitest';
import { caseTables } from '../oracle/case-tables.ts';
import { charsetTables } from '../oracle/charset-tables.ts';
import { compareWithSelect } from '../oracle/oracle.ts';
import { RANDOM_ROWS, randomTable, SEED } from '../oracle/random-rows.ts';
import { specialTables } from '../oracle/special-tables.ts';

const server = 'MySQL 9.7';

test('on MySQL 9.7 every type over its boundaries is what SELECT gives', async () => {
  const { differences } = await compareWithSelect(inject('mysqlUrl'), caseTables(server));
  expect(differences).toEqual([]);
});

test('on MySQL 9.7 every table and column that is out of the ordinary is what SELECT gives', async () => {
  const { differences } = await compareWithSelect(inject('mysqlUrl'), specialTables(server));
  expect(differences).toEqual([]);
});

test('on MySQL 9.7 every code of every multi-byte character set is what CONVERT(… USING utf8mb4) gives', async () => {
  const { differences } = await compareWithSelect(inject('mysqlUrl'), charsetTables(server));
  expect(differences).toEqual([]);
});

test(`on MySQL 9.7 100,000 random values are what SELECT gives, in every event and under all options (seed ${SEED})`, async () => {
  const table = randomTable(server, RANDOM_ROWS, SEED);
  const { differences, values } = await compareWithSelect(inject('mysqlUrl'), [table]);
  expect(differences).toEqual([]);
  expect(RANDOM_ROWS * (table.columns.length - 2)).toBeGreaterThanOrEqual(100_000);
  expect(values).toBeGreaterThanOrEqual(100_000 * 12);
});
