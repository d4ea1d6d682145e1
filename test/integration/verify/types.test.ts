import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import { seededRandom } from '../../../src/local/demo/random.ts';
import { caseTables } from '../../oracle/case-tables.ts';
import { charsetTables } from '../../oracle/charset-tables.ts';
import { run, VALUE_SETS } from '../../oracle/oracle.ts';
import { randomTable } from '../../oracle/random-rows.ts';
import { specialTables } from '../../oracle/special-tables.ts';
import { KEY_CASES } from '../backfill/key-types.ts';
import { createKeyTable } from '../backfill/snapshot-fixture.ts';
import { until } from '../pipeline-fixture.ts';
import { VerifyFixture } from './verify-fixture.ts';

const SCHEMA = 'verify_types';
const KEY_ROWS = 60;
const VALUES = {
  debezium: VALUE_SETS[0],
  flat: VALUE_SETS[1],
  maxwell: { bigint: 'string', binary: 'hex', zero_dates: 'null', boolean: ['tinyint1', 'bit1'] },
};

describe.each([
  { flavor: 'mysql', formats: ['debezium', 'maxwell'] },
  { flavor: 'mariadb', formats: ['flat'] },
] as const)('values and keys of every type, on $flavor', ({ flavor, formats }) => {
  const url = inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
  const first = new VerifyFixture(url, SCHEMA);
  beforeAll(async () => {
    await first.createSchema();
    const server = flavor === 'mysql' ? 'MySQL 9.7' : 'MariaDB 10.11';
    const tables = [
      ...caseTables(server),
      ...specialTables(server),
      ...charsetTables(server),
      randomTable(server, 200, 1),
    ];
    const connection = await createConnection({ uri: url, database: SCHEMA, charset: 'utf8mb4' });
    await connection.query("SET time_zone = '+00:00', foreign_key_checks = 0");
    for (const { create, fill, mode } of tables) {
      await run(connection, create);
      await connection.query('SET sql_mode = ?', [mode ?? 'STRICT_ALL_TABLES']);
      await run(connection, fill);
    }
    connection.destroy();
    for (const keyCase of KEY_CASES.filter(({ on }) => on === undefined || on.includes(flavor))) {
      await createKeyTable(url, `${SCHEMA}.\`key ${keyCase.name}\``, keyCase, KEY_ROWS, seededRandom(3));
    }
  }, 300_000);
  afterAll(() => first.remove());

  test.each(formats)(
    'are equal in format %s, with other options each',
    async (format) => {
      const bed = new VerifyFixture(url, SCHEMA);
      try {
        await bed.start(`format: ${format}\n${stringify({ values: VALUES[format] })}`);
        const started = await bed.command(`${SCHEMA}.*`, '--yes').ended;
        expect(started, started.stderr).toMatchObject({ code: 0 });
        await until(() => bed.hasSpooledNothing());
        const { code, report, stderr } = await bed.verify('!*.json_source');
        const wrong = report?.tables.filter(({ missing, extra, different }) => missing + extra + different > 0);
        expect(wrong, stderr).toEqual([]);
        expect([report.damage, code], stderr).toEqual([[], 0]);
        expect(report.tables.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThan(5_000);
      } finally {
        await bed.stopDaemon();
        await bed.firehose?.close();
      }
    },
    300_000,
  );
});
