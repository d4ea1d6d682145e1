import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { caseTables } from '../oracle/case-tables.ts';
import { charsetTables } from '../oracle/charset-tables.ts';
import { captureLines, compareWithSelect } from '../oracle/oracle.ts';
import {
  MARIADB_COLUMNS,
  RANDOM_ROWS,
  randomTable,
  SEED,
  SNAPSHOT_ROWS,
  TEMPORAL_COLUMNS,
} from '../oracle/random-rows.ts';
import { compareSnapshot } from '../oracle/snapshot.ts';
import { specialTables } from '../oracle/special-tables.ts';
import { MARIADB_CASES, OLD_TEMPORAL_CASES } from '../oracle/type-cases.ts';
import { startTestServer } from './test-server.ts';

const server = 'MariaDB 10.11';

test('on MariaDB 10.11 every boundary value of every type equals the result of SELECT', async () => {
  const { differences } = await compareWithSelect(inject('mariadbUrl'), caseTables(server));
  expect(differences).toEqual([]);
});

test('on MariaDB 10.11 every unusual table and column equals the result of SELECT', async () => {
  const { differences } = await compareWithSelect(inject('mariadbUrl'), specialTables(server));
  expect(differences).toEqual([]);
});

test('on MariaDB 10.11 every code of every multi-byte character set equals the result of CONVERT(… USING utf8mb4)', async () => {
  const { differences } = await compareWithSelect(inject('mariadbUrl'), charsetTables(server));
  expect(differences).toEqual([]);
});

test(`on MariaDB 10.11 100,000 random values equal the result of SELECT in every event, with all options (seed ${SEED})`, async () => {
  const table = randomTable(server, RANDOM_ROWS, SEED);
  const { differences, values } = await compareWithSelect(inject('mariadbUrl'), [table]);
  expect(differences).toEqual([]);
  expect(RANDOM_ROWS * (table.columns.length - 2)).toBeGreaterThanOrEqual(100_000);
  expect(values).toBeGreaterThanOrEqual(100_000 * 12);
});

test('UUID, INET4 and INET6, which only INFORMATION_SCHEMA distinguishes from BINARY, are canonical text', async () => {
  const tables = [...caseTables(server, MARIADB_CASES), randomTable(server, 500, SEED, MARIADB_COLUMNS)];
  const { differences } = await compareWithSelect(inject('mariadbUrl'), tables);
  expect(differences).toEqual([]);
});

test('on MariaDB 10.11 a row of a SELECT becomes the bytes of the same row in the binlog: every type, format, option and rule', async () => {
  const tables = [...caseTables(server), ...specialTables(server), ...charsetTables(server)];
  const { differences, rows } = await compareSnapshot(inject('mariadbUrl'), [
    ...tables,
    randomTable(server, SNAPSHOT_ROWS, SEED),
  ]);
  expect(differences).toEqual([]);
  expect(rows).toBeGreaterThan(20_000);
});

test('a UUID, INET4 or INET6 of a SELECT becomes the bytes of the same row in the binlog', async () => {
  const tables = [...caseTables(server, MARIADB_CASES), randomTable(server, SNAPSHOT_ROWS, SEED, MARIADB_COLUMNS)];
  expect((await compareSnapshot(inject('mariadbUrl'), tables)).differences).toEqual([]);
});

describe('the temporal formats before MySQL 5.6', () => {
  let old: LocalServer;
  beforeAll(async () => {
    // Always a server of its own: the setting is global and decides how tables are stored.
    vi.stubEnv('CDC_MARIADB_URL', '');
    old = await startTestServer({ flavor: 'mariadb', settings: ['--mysql56-temporal-format=OFF'] });
    vi.unstubAllEnvs();
  });
  afterAll(() => old.stop());

  test('values with fractions, which only MariaDB stores in these formats, equal the result of SELECT', async () => {
    const tables = [...caseTables(server, OLD_TEMPORAL_CASES), randomTable(server, 500, SEED, TEMPORAL_COLUMNS)];
    const { differences } = await compareWithSelect(old.url, tables);
    expect(differences).toEqual([]);
  });

  test('a value of a SELECT becomes the bytes of the same row in the binlog', async () => {
    const tables = [...caseTables(server, OLD_TEMPORAL_CASES), randomTable(server, 100, SEED, TEMPORAL_COLUMNS)];
    expect((await compareSnapshot(old.url, tables)).differences).toEqual([]);
  });

  test.each(['TIME(3)', 'DATETIME(6)', 'TIMESTAMP(1) NULL'])(
    'a column %s is an error if nothing has its digits after an ALTER TABLE',
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
