import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { type LocalServer, startLocalServer } from '../../src/local/mysql/server.ts';
import { caseTables } from '../oracle/case-tables.ts';
import { charsetTables } from '../oracle/charset-tables.ts';
import { captureLines, compareWithSelect } from '../oracle/oracle.ts';
import { MARIADB_COLUMNS, RANDOM_ROWS, randomTable, SEED, TEMPORAL_COLUMNS } from '../oracle/random-rows.ts';
import { specialTables } from '../oracle/special-tables.ts';
import { MARIADB_CASES, OLD_TEMPORAL_CASES } from '../oracle/type-cases.ts';

const server = 'MariaDB 10.11';

test('on MariaDB 10.11 every type over its boundaries is what SELECT gives', async () => {
  const { differences } = await compareWithSelect(inject('mariadbUrl'), caseTables(server));
  expect(differences).toEqual([]);
});

test('on MariaDB 10.11 every table and column that is out of the ordinary is what SELECT gives', async () => {
  const { differences } = await compareWithSelect(inject('mariadbUrl'), specialTables(server));
  expect(differences).toEqual([]);
});

test('on MariaDB 10.11 every code of every multi-byte character set is what CONVERT(… USING utf8mb4) gives', async () => {
  const { differences } = await compareWithSelect(inject('mariadbUrl'), charsetTables(server));
  expect(differences).toEqual([]);
});

test(`on MariaDB 10.11 100,000 random values are what SELECT gives, in every event and under all options (seed ${SEED})`, async () => {
  const table = randomTable(server, RANDOM_ROWS, SEED);
  const { differences, values } = await compareWithSelect(inject('mariadbUrl'), [table]);
  expect(differences).toEqual([]);
  expect(RANDOM_ROWS * (table.columns.length - 2)).toBeGreaterThanOrEqual(100_000);
  expect(values).toBeGreaterThanOrEqual(100_000 * 12);
});

test('UUID, INET4 and INET6 are their canonical text which only INFORMATION_SCHEMA tells from BINARY', async () => {
  const tables = [...caseTables(server, MARIADB_CASES), randomTable(server, 500, SEED, MARIADB_COLUMNS)];
  const { differences } = await compareWithSelect(inject('mariadbUrl'), tables);
  expect(differences).toEqual([]);
});

describe('the temporal formats before MySQL 5.6', () => {
  let old: LocalServer;
  beforeAll(async () => {
    // A server of its own, whatever the environment names: the setting is global, and decides how tables are stored.
    vi.stubEnv('CDC_MARIADB_URL', '');
    old = await startLocalServer({ flavor: 'mariadb', settings: ['--mysql56-temporal-format=OFF'] });
    vi.unstubAllEnvs();
  });
  afterAll(() => old.stop());

  test('with the fractions that only MariaDB gave them are what SELECT gives', async () => {
    const tables = [...caseTables(server, OLD_TEMPORAL_CASES), randomTable(server, 500, SEED, TEMPORAL_COLUMNS)];
    const { differences } = await compareWithSelect(old.url, tables);
    expect(differences).toEqual([]);
  });

  test.each(['TIME(3)', 'DATETIME(6)', 'TIMESTAMP(1) NULL'])(
    'are refused, not guessed, where an ALTER TABLE has left nobody who knows the digits: %s',
    async (type) => {
      const captured = captureLines(old.url, [
        `CREATE TABLE hidden (id INT PRIMARY KEY, v ${type})`,
        'INSERT INTO hidden VALUES (1, NULL)',
        'ALTER TABLE hidden ADD COLUMN w INT, MODIFY v TIME(2)',
        'ALTER TABLE hidden DROP COLUMN w',
      ]);
      await expect(captured).rejects.toThrow(/cannot determine the columns/);
    },
  );
});
