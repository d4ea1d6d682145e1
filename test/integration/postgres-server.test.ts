import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { postgresUnavailable, startPostgres } from './postgres-server.ts';

const unavailable = await postgresUnavailable();

describe.skipIf(unavailable !== undefined)(
  `a PostgreSQL server of the tests${unavailable ? `: ${unavailable}` : ''}`,
  () => {
    test('answers on its own port, in UTF-8, and is gone after stop', async () => {
      const server = await startPostgres(['max_connections=20']);
      const client = new pg.Client({ connectionString: server.url });
      try {
        await client.connect();
        const { rows } = await client.query("SELECT 'ü' AS text, current_setting('max_connections') AS setting");
        expect(rows).toEqual([{ text: 'ü', setting: '20' }]);
        expect(server.version).toMatch(/^\d+\.\d+$/);
      } finally {
        await client.end();
        await server.stop();
      }
      const late = new pg.Client({ connectionString: server.url });
      await expect(late.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    });
  },
);
