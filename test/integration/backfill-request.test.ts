import { tmpdir } from 'node:os';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type EstimatedStream, estimateBackfill } from '../../src/backfill/request/estimate.ts';
import { resolveTables } from '../../src/backfill/request/resolve-tables.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { asCdcError } from '../../src/runtime/error.ts';
import { connect } from '../../src/source/server/server-info.ts';
import { startTestServer } from './test-server.ts';

const STREAM: EstimatedStream = {
  aggregation: { maxEvents: 500, maxBytes: 512 * 1024 },
  quota: { records: Infinity, requests: Infinity, bytes: Infinity },
  compresses: false,
  isBilled: true,
};

const configured = (tables: string, more = '') =>
  parseConfig(`source: { url: "mysql://cdc@127.0.0.1" }\ntables: ${tables}\nfirehose: { stream: s${more} }`, {
    file: 'cdc.yaml',
    directory: tmpdir(),
    env: {},
  });

describe.each(['mysql', 'mariadb', 'mysql-5.6'] as const)('a request of a backfill on %s', (flavor) => {
  // The anonymous account of an old server hides one of any host.
  const account = flavor === 'mysql-5.6' ? "'bf_some'@'localhost'" : "'bf_some'@'%'";
  let own: LocalServer | undefined;
  let root: Connection;
  /** Connections with all privileges, and of an account that can read two tables. */
  let all: Connection;
  let some: Connection;

  beforeAll(async () => {
    if (flavor === 'mysql-5.6') own = await startTestServer({ flavor });
    const uri = own?.url ?? inject(flavor === 'mariadb' ? 'mariadbUrl' : 'mysqlUrl');
    const { hostname: host, port } = new URL(uri);
    root = await createConnection({ uri, multipleStatements: true });
    await root.query(`
      DROP SCHEMA IF EXISTS bf_shop; CREATE SCHEMA bf_shop; DROP SCHEMA IF EXISTS bf_other; CREATE SCHEMA bf_other;
      USE bf_shop;
      CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR(50), total DECIMAL(10,2), at DATETIME);
      CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(50));
      CREATE TABLE audit_log (id INT PRIMARY KEY);
      CREATE VIEW paid AS SELECT * FROM orders;
      CREATE TABLE bf_other.notes (id INT PRIMARY KEY);
      INSERT INTO orders VALUES (0, REPEAT('x', 30), 1, NOW());
      `);
    for (let rows = 1; rows < 4096; rows *= 2) {
      await root.query(`INSERT INTO orders SELECT id + ${rows}, customer, total, at FROM orders`);
    }
    await root.query('ANALYZE TABLE orders');
    await root.query(`DROP USER ${account}`).catch(() => {});
    await root.query(`CREATE USER ${account} IDENTIFIED BY 'pw'; GRANT SELECT ON bf_shop.users TO ${account};
      GRANT SELECT (id) ON bf_shop.orders TO ${account}; GRANT INSERT ON bf_shop.audit_log TO ${account}`);
    const at = { host, port: Number(port) };
    all = await connect({ ...at, user: 'root' });
    some = await connect({ ...at, user: 'bf_some', password: 'pw' });
  });
  afterAll(async () => {
    all?.destroy();
    some?.destroy();
    await root?.query(`DROP SCHEMA bf_shop; DROP SCHEMA bf_other; DROP USER ${account}`);
    root?.destroy();
    await own?.stop();
  });

  const resolve = (tables: string[], where?: string, connection = all, captured = '["bf_shop.*", "!*.audit_log"]') =>
    resolveTables(connection, configured(captured), { tables, ...(where !== undefined && { where }) });
  const names = async (...tables: string[]) => (await resolve(tables)).map(({ schema, table }) => `${schema}.${table}`);
  const refused = (request: Promise<unknown>) =>
    request.then(
      () => expect.fail('it was not refused'),
      (error) => {
        expect(error).toMatchObject({ exitCode: 2 });
        const { message, why, hint } = asCdcError(error);
        return [message, why, hint].filter(Boolean).join(' | ');
      },
    );

  test('no name stands for every captured table, and names and patterns are matched as in tables', async () => {
    expect(await names()).toEqual(['bf_shop.orders', 'bf_shop.users']);
    expect(await names('bf_shop.users')).toEqual(['bf_shop.users']);
    expect(await names('bf_*.*', '!bf_shop.users')).toEqual(['bf_shop.orders']);
    expect(await names('`bf_shop`.orders', 'bf_shop.orders')).toEqual(['bf_shop.orders']);
  });

  test('what cannot be read is named all at once, each with its reason', async () => {
    expect(
      await refused(resolve(['bf_shop.order', 'bf_shop.paid', 'bf_other.notes', 'nowhere.*', 'bf_shop.users'])),
    ).toBe(
      [
        'this backfill cannot start',
        [
          'there is no table bf_shop.order that this account can see (did you mean bf_shop.orders?)',
          'bf_shop.paid is a view (name the tables that it reads)',
          'bf_other.notes is outside tables of the configuration (add "bf_other.notes" to tables and restart cdc run, so that its changes are captured too)',
          'nowhere.* matches no table (correct the name, or grant SELECT on it)',
        ].join('\n       '),
        'correct each of them; nothing was read yet',
      ].join(' | '),
    );
    expect(await refused(resolve(['bf_shop.audit_log']))).toMatch(/outside tables/);
    expect(await refused(resolve([], undefined, all, '["bf_nowhere.*"]'))).toMatch(/no captured table exists/);
    expect(await refused(resolve(['orders']))).toMatch(/not a table pattern/);
  });

  test('a table without SELECT on all of its columns is refused', async () => {
    expect(await resolve(['bf_shop.users'], undefined, some)).toEqual([{ schema: 'bf_shop', table: 'users' }]);
    expect(await refused(resolve([], undefined, some, '["bf_shop.*"]'))).toMatch(
      /no SELECT on bf_shop.audit_log .*\n.*no SELECT on bf_shop.orders/,
    );
  });

  test('a condition is checked by the server before anything is read, and must be one condition of one table', async () => {
    const where = (text: string, ...tables: string[]) =>
      refused(resolve(tables.length ? tables : ['bf_shop.orders'], text));
    expect(await resolve(['bf_shop.orders'], "id > 5 AND customer <> 'a)' OR (total < 3) -- why\n")).toHaveLength(1);
    expect(await where('id > 5', 'bf_shop.*')).toMatch(/exactly one table.*2 tables/);
    expect(await where('idd > 5')).toMatch(/not a condition.*idd/);
    expect(await where('id >')).toMatch(/not a condition/);
    expect(await where('')).toMatch(/it is empty/);
    expect(await where('id = 1) OR (id = 2')).toMatch(/closes a parenthesis/);
    expect(await where('id = 1) FOR UPDATE -- ')).toMatch(/closes a parenthesis/);
    expect(await where('(id = 1')).toMatch(/not closed/);
    expect(await where("customer = 'x")).toMatch(/quote is not closed/);
    expect(await where('id = 1 -- comment')).toMatch(/not a condition/);
    expect(await where('id > ?')).toMatch(/placeholder/);
    expect(await where('id = 1; DROP TABLE users')).toMatch(/not a condition/);
  });

  test('the estimate is near the truth and needs no row', async () => {
    const config = configured('["bf_shop.*"]');
    const tables = await resolve(['bf_shop.orders']);
    const whole = await estimateBackfill(all, config, {}, tables, [STREAM]);
    expect(whole).toMatchObject({ tables: 1, limit: 'reading', warnings: [], usdPerGb: 0.029 });
    expect(whole.rows).toBeGreaterThan(3_000);
    expect(whole.rows).toBeLessThan(5_500);
    // An event of such a row has about 520 bytes.
    expect(whole.eventBytes / whole.rows).toBeGreaterThan(400);
    expect(whole.eventBytes / whole.rows).toBeLessThan(700);
    expect(whole.binlog.bytes).toBeGreaterThan(0);
    expect(whole.largest).toMatchObject([{ schema: 'bf_shop', table: 'orders' }]);
    const half = await estimateBackfill(all, config, { where: 'id < 2048', rate: 100 }, tables, [STREAM]);
    expect(half.rows).toBeGreaterThan(1_000);
    expect(half.rows).toBeLessThan(3_200);
    expect(half).toMatchObject({ limit: 'rate', seconds: Math.ceil(half.rows / 100) });
  });

  test('the estimate knows how long the binlog is kept', async () => {
    const variable = flavor === 'mysql' ? 'binlog_expire_logs_seconds' : 'expire_logs_days';
    const [[before]] = (await root.query(`SELECT @@global.${variable} AS days`)) as unknown as [[{ days: number }]];
    await root.query(`SET GLOBAL ${variable} = ${flavor === 'mysql' ? 86_400 : 1}`);
    const tables = await resolve(['bf_shop.orders']);
    const slow = await estimateBackfill(all, configured('["bf_shop.*"]'), { rate: 0.01 }, tables, [STREAM]);
    await root.query(`SET GLOBAL ${variable} = ${before.days}`);
    expect(slow.binlog.retentionSeconds).toBe(86_400);
    expect(slow.warnings).toMatchObject([{ message: expect.stringMatching(/purges its binlog after 24.0 hours/) }]);
  });

  test('the cost of a request does not grow with the number of tables', async () => {
    let statements = 0;
    const counting = new Proxy(all, {
      get(target, name) {
        if (name === 'query' || name === 'prepare') statements++;
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const tables = await resolveTables(counting, configured('["bf_shop.*"]'), { tables: [] });
    const forThree = statements;
    await estimateBackfill(counting, configured('["bf_shop.*"]'), {}, tables, [STREAM]);
    expect(tables).toHaveLength(3);
    expect(forThree).toBe(3); // the server's settings, the list, one probe of the schema
    expect(statements - forThree).toBe(6);
  });
});
