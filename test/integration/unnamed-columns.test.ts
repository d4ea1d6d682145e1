import { readFileSync } from 'node:fs';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { History } from './follow.ts';
import { type Cdc, Fixture, tableOf } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';

const TABLE = `CREATE TABLE item (id INT UNSIGNED PRIMARY KEY, name VARCHAR(40) CHARACTER SET latin1, kind ENUM('a','it''s'),
  flags SET('x','y'), price DECIMAL(10,2), big BIGINT UNSIGNED, at DATETIME(3), raw VARBINARY(10))`;

interface Item {
  seq: string;
  after: Record<string, unknown> | null;
}

/** Servers as they come out of the box: the stream has types, but no names, keys or labels. */
const noMysql56 = process.platform !== 'linux' || process.arch !== 'x64';

describe.each([
  ['mysql', ['--binlog-row-metadata=MINIMAL'], false],
  ['mariadb', ['--binlog-row-metadata=NO_LOG'], false],
  // No GTIDs either: followed by file and position.
  ['mysql-5.6', [], noMysql56],
] as const)('on %s without binlog_row_metadata=FULL', (flavor, settings, skipped) => {
  if (skipped) return test.skip(`${flavor} is not to be had for this machine`);
  let server: LocalServer;
  let fixture: Fixture;
  beforeAll(async () => {
    server = await startTestServer({ flavor, settings: [...settings] });
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    fixture = new Fixture(server.url, 'unnamed');
    await fixture.createSchema(TABLE);
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterEach(() => fixture.remove());

  const end = async (daemon: Cdc): Promise<void> => {
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
  };
  const items = async (): Promise<Item[]> => {
    return (await fixture.landed()).filter((event) => tableOf(event) === 'item') as unknown as Item[];
  };
  const write = (...statements: string[]): Promise<void> => fixture.query(`USE ${fixture.schema}`, ...statements);

  test('columns come from INFORMATION_SCHEMA, with names, signs, charsets and labels', async () => {
    const daemon = await fixture.run();
    await write(
      `INSERT INTO item VALUES (4000000000, 'Zoë', 'it''s', 'x,y', -1.50, 18446744073709551615, '2026-01-02 03:04:05.6', x'00ff')`,
    );
    await fixture.delivered();
    await end(daemon);
    const [event] = await items();
    expect(event?.after).toMatchObject({
      id: 4_000_000_000,
      name: 'Zoë',
      kind: "it's",
      flags: 'x,y',
      price: '-1.50',
      at: '2026-01-02T03:04:05.600',
      raw: 'AP8=',
    });
    expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 1 });
    expect(JSON.parse(readFileSync(fixture.checkpoint, 'utf8')).tables).toHaveLength(2);
  });

  test('a table without PRIMARY KEY has the key that the server takes for it, as with FULL metadata', async () => {
    await fixture.query(
      `USE ${fixture.schema}`,
      `CREATE TABLE badge (code VARCHAR(10) NOT NULL, n INT NOT NULL, m INT, UNIQUE by_m (m), UNIQUE by_n (n, code), UNIQUE by_code (code))`,
    );
    const daemon = await fixture.run();
    await write(`INSERT INTO badge VALUES ('a', 1, 2)`, 'UPDATE badge SET m = 3', 'UPDATE badge SET n = 2');
    await fixture.delivered();
    await end(daemon);
    const events = (await fixture.landed()).filter((event) => tableOf(event) === 'badge');
    expect(events.map(({ op, key }) => [op, JSON.stringify(key)])).toEqual([
      ['c', '{"n":1,"code":"a"}'],
      ['u', '{"n":1,"code":"a"}'],
      ['d', '{"n":1,"code":"a"}'],
      ['c', '{"n":2,"code":"a"}'],
    ]);
    expect(await fixture.compare('badge')).toMatchObject({ equal: true, lakeRows: 1 });
  });

  test('after ALTERs in the stream each event has the columns of its own time', async () => {
    const daemon = await fixture.run();
    await write(`INSERT INTO item (id, name) VALUES (1, 'one')`);
    await fixture.delivered();
    await write(
      `ALTER TABLE item CHANGE name label VARCHAR(40) CHARACTER SET latin1`,
      `INSERT INTO item (id, label) VALUES (2, 'two')`,
    );
    await fixture.delivered();
    await end(daemon);
    const [one, two] = await items();
    expect(one?.after).toMatchObject({ id: 1, name: 'one' });
    expect(two?.after).toMatchObject({ id: 2, label: 'two' });
    expect(two?.after).not.toHaveProperty('name');
  });

  test('a restart decodes what was written before an ALTER with the columns that the checkpoint remembers', async () => {
    const first = await fixture.run();
    await write(`INSERT INTO item (id, name) VALUES (1, 'one')`);
    await fixture.delivered();
    await end(first);
    // While nobody follows: more rows of the known shape, then another table under the same name.
    await write(
      `INSERT INTO item (id, name) VALUES (2, 'two')`,
      `ALTER TABLE item CHANGE name label VARCHAR(40) CHARACTER SET latin1`,
      `INSERT INTO item (id, label) VALUES (3, 'three')`,
    );
    const second = await fixture.run();
    await fixture.delivered();
    await end(second);
    expect((await items()).map(({ after }) => [after?.id, after?.name, after?.label])).toEqual([
      [1, 'one', undefined],
      [2, 'two', undefined],
      [3, undefined, 'three'],
    ]);
  });

  test('rows whose table was altered behind them, and of which nothing is remembered, stop it: no guess', async () => {
    const idle = await fixture.run();
    await end(idle);
    await write(
      `INSERT INTO item (id, name) VALUES (1, 'one')`,
      // Same types and count afterwards, other names: only the statement in between shows it.
      `ALTER TABLE item CHANGE name label VARCHAR(40) CHARACTER SET latin1`,
    );
    const before = JSON.parse(readFileSync(fixture.checkpoint, 'utf8'));
    const daemon = await fixture.run();
    const { code, stderr } = await daemon.ended;
    expect(code).toBe(4);
    expect(stderr).toMatch(/cannot determine the columns of unnamed\.item/);
    expect(stderr).toMatch(/ALTER TABLE … CHANGE COLUMN at \S+ can have changed it since/);
    expect(stderr).toMatch(/binlog_row_metadata=FULL/);
    const { gtids, position } = JSON.parse(readFileSync(fixture.checkpoint, 'utf8'));
    expect(gtids).toBe(before.gtids);
    if (gtids === null) expect(position).toBe(before.position);
    expect(await items()).toEqual([]);
  });

  test('statements that only contain the name of the table do not stop it', async () => {
    await end(await fixture.run());
    const view = `${fixture.schema}_item`;
    await write(
      'CREATE TABLE user (id INT PRIMARY KEY)',
      `INSERT INTO item (id, name) VALUES (1, 'one')`,
      'INSERT INTO user VALUES (1)',
      'CREATE TABLE item_old LIKE item',
      `CREATE VIEW ${view} AS SELECT * FROM item`,
      'CREATE INDEX by_name ON item (name)',
      `CREATE TABLE staging (id INT PRIMARY KEY) COMMENT 'fed by item, ALTER TABLE item'`,
      'INSERT INTO staging VALUES (1)',
      'TRUNCATE TABLE staging /* item */',
      `CREATE USER unnamed_user@'%' IDENTIFIED BY 'secret'`,
      `DROP USER unnamed_user@'%'`,
      'ALTER TABLE item COMMENT "of the shop"',
      `INSERT INTO item (id, name) VALUES (2, 'two')`,
    );
    const daemon = await fixture.run();
    await fixture.delivered();
    await end(daemon);
    expect((await items()).map(({ after }) => after?.name)).toEqual(['one', 'two']);
  });

  test('columns that a client of another character set swapped stop it: values never change their names', async () => {
    const name = 'größe';
    await write(`CREATE TABLE ${name} (a INT PRIMARY KEY, b INT NOT NULL)`);
    await end(await fixture.run());
    await write(`INSERT INTO ${name} VALUES (1, 2)`);
    const latin1 = await createConnection({ uri: server.url, charset: 'latin1_swedish_ci' });
    await latin1.query(`USE ${fixture.schema}`);
    await latin1.query(`ALTER TABLE ${name} CHANGE a b INT NOT NULL, CHANGE b a INT NOT NULL`);
    await latin1.end();
    await write(`INSERT INTO ${name} (b, a) VALUES (3, 4)`);
    const { code, stderr } = await (await fixture.run()).ended;
    expect(code).toBe(4);
    expect(stderr).toMatch(/cannot determine the columns of unnamed\.größe/);
    expect(stderr).toMatch(/ALTER TABLE … CHANGE COLUMN at/);
  });

  test('the look-ups of many tables read the binlog ahead of the stream once, all together', async () => {
    const kept = new History(server.url, 'many');
    const names = Array.from({ length: 6 }, (_, i) => `t${i}`);
    const filler = `INSERT INTO many_filler.f VALUES (REPEAT('x', 500000))`;
    await kept.run(
      [
        'CREATE DATABASE IF NOT EXISTS many_filler',
        'CREATE TABLE IF NOT EXISTS many_filler.f (t LONGTEXT)',
        ...names.map((name) => `CREATE TABLE ${name} (id INT PRIMARY KEY)`),
      ],
      ...names.map((name) => `INSERT INTO ${name} VALUES (1)`),
      ...Array.from({ length: 4 }, () => filler),
    );
    const sent = async (): Promise<number> => {
      const connection = await createConnection(server.url);
      const [[status]] = (await connection.query("SHOW GLOBAL STATUS LIKE 'Bytes_sent'")) as unknown as [
        [{ Value: string }],
      ];
      await connection.end();
      return Number(status.Value);
    };
    const before = await sent();
    expect(await kept.lines('')).toHaveLength(6);
    const received = (await sent()) - before;
    // The stream and one look ahead, not one for each table.
    expect(received).toBeGreaterThan(2_000_000);
    expect(received).toBeLessThan(3 * 2_000_000);
    await fixture.query('DROP DATABASE many_filler');
  });

  test('rows of a table that has been dropped since stop it, named', async () => {
    await end(await fixture.run());
    await write(`INSERT INTO item (id, name) VALUES (1, 'one')`, 'DROP TABLE item');
    const { code, stderr } = await (await fixture.run()).ended;
    expect(code).toBe(4);
    expect(stderr).toMatch(/cannot determine the columns of unnamed\.item/);
    expect(stderr).toMatch(/dropped or renamed/);
  });

  const rows = async (schema: string, setUp: string[], ...statements: string[]) => {
    const kept = new History(server.url, schema);
    await kept.run(setUp, ...statements);
    return (await kept.lines('')).map(({ event: { after, key } }) => ({ after, key }));
  };

  test('a label with a real "?" is not confused with a character beyond the BMP', async () => {
    // INFORMATION_SCHEMA and SHOW CREATE TABLE show both as "?". latin1 has no such character.
    const latin1 = "CREATE TABLE a (e ENUM('x', 'a?') CHARACTER SET latin1, s SET('?', 'it''s') CHARACTER SET utf8)";
    expect(await rows('labels', [latin1], "INSERT INTO a VALUES ('a?', '?,it''s')")).toEqual([
      { after: { e: 'a?', s: "?,it's" }, key: null },
    ]);
    const wide = `CREATE TABLE b (e ENUM('a?', 'x', '😀', '?\\\\') CHARACTER SET utf8mb4,
      s SET('?', 'x', '😀y') CHARACTER SET utf8mb4, w ENUM('?😀') CHARACTER SET utf16)`;
    const inserts = ["INSERT INTO b VALUES ('a?', '?,x,😀y', '?😀'), ('😀', 'x', 1), (4, '', NULL)"];
    const events = rows('wide_labels', [wide], ...inserts);
    if (flavor === 'mysql-5.6') {
      await expect(events).rejects.toMatchObject({ why: expect.stringContaining('the labels of e contain "?"') });
      return;
    }
    expect((await events).map(({ after }) => after)).toEqual([
      { e: 'a?', s: '?,x,😀y', w: '?😀' },
      { e: '😀', s: 'x', w: '?😀' },
      { e: '?\\', s: '', w: null },
    ]);
    // Each server shows the labels of `binary` in another way: as X'…', as four question marks, or not at all.
    const bytes = `CREATE TABLE c (e ENUM('?', 'ä', '😀', 'x') CHARACTER SET binary)`;
    const labels = await rows('byte_labels', [bytes], 'INSERT INTO c VALUES (1), (2), (3), (4)');
    expect(labels.map(({ after }) => after)).toEqual([{ e: '?' }, { e: 'ä' }, { e: '😀' }, { e: 'x' }]);
  });

  test.runIf(flavor === 'mysql')(
    'a generated primary key that INFORMATION_SCHEMA hides is a column and the key',
    async () => {
      await fixture.query('SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF');
      const generate = 'SET SESSION sql_generate_invisible_primary_key = ON';
      expect(
        await rows('gipk', [generate, 'CREATE TABLE a (t VARCHAR(5))', generate], "INSERT INTO a VALUES ('x')"),
      ).toEqual([{ after: { my_row_id: 1, t: 'x' }, key: { my_row_id: 1 } }]);
    },
  );
});
