import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgres } from '../../../src/warehouse/dialects/postgres.ts';
import { type PostgresServer, postgresUnavailable, startPostgres } from '../postgres-server.ts';

const noPostgres = await postgresUnavailable();

/** Before PostgreSQL 16 patterns decide for most texts, and they have to decide as an attempt does. */
describe.skipIf(noPostgres !== undefined)('is_valid of PostgreSQL', () => {
  let server: PostgresServer;
  let client: pg.Client;
  beforeAll(async () => {
    server = await startPostgres();
    client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query('CREATE SCHEMA cdc_state');
    for (const sql of postgres.helpers ?? []) await client.query(sql);
  }, 120_000);
  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });

  const numbers = [
    '',
    '0',
    '-0',
    '-',
    '1.',
    '.5',
    '007',
    '9',
    '-9',
    '99',
    '100',
    '1e3',
    '1e999',
    'NaN',
    'false',
    '1 2',
  ];
  const long = [3, 4, 5, 9, 10, 18, 19, 20, 38, 39, 310].flatMap((digits) => [
    '9'.repeat(digits),
    `-1${'0'.repeat(digits)}`,
  ]);
  const fractions = [
    '9.99',
    '9.995',
    '99.99',
    '99.995',
    '999.9',
    '0.000000000000000000001',
    `1.${'9'.repeat(40)}`,
    '9.9\n',
  ];
  const days = ['2026-02-28', '2024-02-29', '2026-02-29', '2026-04-31', '2026-12-31', '2026-00-01', '0000-00-00'];
  const dates = [...days, '1899-12-31', '9999-12-31', '2026-13-01', '2026-1-1', '2026-01-011'];
  const clocks = ['00:00:00', '23:59:59.999999', '24:00:00', '24:00:01', '12:60:00', '12:00:60', '1:2:3', '12:00:00.'];
  const times = days.flatMap((day) => clocks.flatMap((clock) => [`${day}T${clock}`, `${day} ${clock}+00`]));
  const texts = [...numbers, ...long, ...fractions, ...dates, ...times];

  test.each([
    ...['smallint', 'integer', 'bigint', 'real', 'double precision', 'date', 'timestamp', 'timestamptz', 'interval'],
    ...['numeric(4, 2)', 'numeric(20, 0)', 'numeric(2, 2)', 'numeric(65, 30)', 'json'],
  ])('decides for %s as a cast does', async (type) => {
    const wrong: string[] = [];
    for (const text of texts) {
      const { rows } = await client.query('SELECT cdc_state.is_valid($1, $2) AS valid', [text, type]);
      const isCast = await client.query(`SELECT $1::text::${type}`, [text]).then(
        () => true,
        () => false,
      );
      if (rows[0].valid !== isCast) wrong.push(text);
    }
    expect(wrong).toEqual([]);
  });

  test('leaves NULL open', async () => {
    expect((await client.query(`SELECT cdc_state.is_valid(NULL, 'date') AS valid`)).rows).toEqual([{ valid: null }]);
  });
});
