import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import { startWarehouse, type Warehouse } from '../../src/local/warehouse/server.ts';
import { cdc, Fixture, until } from './pipeline-fixture.ts';

const fixture = new Fixture(inject('mysqlUrl'), `warehouse_${process.pid}`);
let warehouse: Warehouse;
let client: pg.Client;

beforeAll(async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  warehouse = await startWarehouse({ directory: join(fixture.directory, 'warehouse'), listen });
  client = new pg.Client({ connectionString: warehouse.url });
  await client.connect();
}, 120_000);
afterAll(async () => {
  await client?.end();
  await fixture.remove();
  await warehouse?.close();
});

test('what MySQL commits is in the table that the stream is copied into, each value exact', async () => {
  await client.query(`CREATE TABLE landing (op text, before jsonb, after jsonb, key jsonb, seq text, source jsonb,
    ts_ms bigint, partial jsonb)`);
  await fixture.createSchema(
    'CREATE TABLE item (id BIGINT UNSIGNED PRIMARY KEY, price DECIMAL(38, 10), name TEXT CHARACTER SET utf8mb4)',
  );
  fixture.firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake: fixture.lake,
    streams: [
      {
        name: 'changes',
        bufferSeconds: 0.2,
        redshift: {
          jdbcUrl: warehouse.jdbcUrl,
          user: 'postgres',
          password: 'password',
          table: 'landing',
          copyOptions: "JSON 'auto'",
        },
      },
    ],
  });
  fixture.configure(fixture.firehose.endpoint);
  const check = await cdc(fixture.directory, 'check');
  expect(check.stdout + check.stderr).not.toMatch(/redshift|could not be described/i);
  const daemon = await fixture.run();
  await fixture.query(
    `INSERT INTO ${fixture.schema}.item VALUES (18446744073709551615, 1234567890123456789012345678.0123456789, 'Zoë 🦊')`,
    `UPDATE ${fixture.schema}.item SET name = NULL`,
    `DELETE FROM ${fixture.schema}.item`,
  );
  await fixture.delivered();
  const events = await fixture.landed();
  await until(async () => Number((await client.query('SELECT count(*) FROM landing')).rows[0].count) === events.length);
  const { rows } = await client.query(
    `SELECT op, after->>'id' AS id, after->>'price' AS price, after->>'name' AS name, seq FROM landing
     WHERE source->>'table' = 'item' ORDER BY seq`,
  );
  const seqs = events.filter((event) => (event.source as { table: string }).table === 'item').map(({ seq }) => seq);
  expect(rows).toEqual([
    {
      op: 'c',
      id: '18446744073709551615',
      price: '1234567890123456789012345678.0123456789',
      name: 'Zoë 🦊',
      seq: seqs[0],
    },
    { op: 'u', id: '18446744073709551615', price: '1234567890123456789012345678.0123456789', name: null, seq: seqs[1] },
    { op: 'd', id: null, price: null, name: null, seq: seqs[2] },
  ]);
  daemon.child.kill('SIGTERM');
  await daemon.ended;
});
