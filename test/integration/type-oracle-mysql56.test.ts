import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { caseTables } from '../oracle/case-tables.ts';
import { charsetTables } from '../oracle/charset-tables.ts';
import { compareWithSelect } from '../oracle/oracle.ts';
import { RANDOM_ROWS, randomTable, SEED, SNAPSHOT_ROWS } from '../oracle/random-rows.ts';
import { compareSnapshot } from '../oracle/snapshot.ts';
import { specialTables } from '../oracle/special-tables.ts';
import { startTestServer } from './test-server.ts';

const server = 'MySQL 5.6';
const skipped = process.platform !== 'linux' || process.arch !== 'x64';
if (skipped)
  console.warn(`MySQL 5.6 is available only for Linux on x64: its type oracle is skipped on ${process.platform}`);

describe.skipIf(skipped)('MySQL 5.6, whose binlog does not describe its tables', () => {
  let old: LocalServer;
  beforeAll(async () => {
    old = await startTestServer({ flavor: 'mysql-5.6', report: (line) => process.stderr.write(`${line}\n`) });
  });
  afterAll(() => old.stop());

  test('every boundary value of every type equals the result of SELECT', async () => {
    const { differences } = await compareWithSelect(old.url, caseTables(server));
    expect(differences).toEqual([]);
  });

  test('every unusual table and column equals the result of SELECT', async () => {
    const { differences } = await compareWithSelect(old.url, specialTables(server));
    expect(differences).toEqual([]);
  });

  test('every code of every multi-byte character set equals the result of CONVERT(… USING utf8mb4)', async () => {
    const { differences } = await compareWithSelect(old.url, charsetTables(server));
    expect(differences).toEqual([]);
  });

  test(`100,000 random values equal the result of SELECT in every event, with all options (seed ${SEED})`, async () => {
    const table = randomTable(server, RANDOM_ROWS, SEED);
    const { differences, values } = await compareWithSelect(old.url, [table]);
    expect(differences).toEqual([]);
    expect(RANDOM_ROWS * (table.columns.length - 2)).toBeGreaterThanOrEqual(100_000);
    expect(values).toBeGreaterThanOrEqual(100_000 * 12);
  });

  test('a row of a SELECT becomes the bytes of the same row in the binlog: every type, format, option and rule', async () => {
    const tables = [...caseTables(server), ...specialTables(server), ...charsetTables(server)];
    const { differences, rows } = await compareSnapshot(old.url, [...tables, randomTable(server, SNAPSHOT_ROWS, SEED)]);
    expect(differences).toEqual([]);
    expect(rows).toBeGreaterThan(20_000);
  });
});
