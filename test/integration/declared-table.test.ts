import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readDeclaredTable } from '../../src/source/schema/declared-table.ts';
import { connect, type OracleTable } from '../oracle/oracle.ts';
import { compareSnapshot, readSnapshot, writtenRows } from '../oracle/snapshot.ts';
import { History } from './follow.ts';

const SCHEMA = 'declared';

/** A table with a key of a kind, and what is declared of it. `id` and `n` are in each. */
const KEYS: readonly { name: string; columns: string; key: string[]; index?: string; isPrefix?: boolean }[] = [
  { name: 'ordered', columns: 'PRIMARY KEY (n, id)', key: ['n', 'id'], index: 'PRIMARY' },
  { name: 'begun', columns: 't TEXT NOT NULL, PRIMARY KEY (t(3))', key: ['t'], index: 'PRIMARY', isPrefix: true },
  {
    name: 'unique_parts',
    columns:
      's VARCHAR(9) NOT NULL, u INT, UNIQUE x (s(3), id), UNIQUE y (u), UNIQUE w (id, s), UNIQUE z (n, s), KEY i (id)',
    key: ['id', 's'],
    index: 'w',
  },
  { name: 'unique_one', columns: 's VARCHAR(9) NOT NULL, UNIQUE x (s(3)), UNIQUE y (s)', key: ['s'], index: 'y' },
  { name: 'keyless', columns: 'u INT, UNIQUE y (u)', key: [] },
];

describe.each(['mysql', 'mariadb'] as const)('a declared table of %s', (flavor) => {
  let url = '';
  let connection: Connection;
  const query = (sql: string) => connection.query(sql);
  const declared = async (name: string) => {
    const table = await readDeclaredTable(connection, SCHEMA, name);
    if (table === undefined) throw new Error(`${name} does not exist`);
    return table;
  };

  beforeAll(async () => {
    url = inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
    connection = await connect(url);
    await query(`DROP DATABASE IF EXISTS ${SCHEMA}`);
    await query(`CREATE DATABASE ${SCHEMA}`);
    await query(`USE ${SCHEMA}`);
  });
  afterAll(async () => {
    await query(`DROP DATABASE ${SCHEMA}`);
    connection.destroy();
  });

  test.each(KEYS)('$name has the key of the server and its index', async ({ name, columns, key, index, isPrefix }) => {
    await query(`CREATE TABLE ${name} (id INT NOT NULL, n INT NOT NULL, ${columns})`);
    const table = await declared(name);
    expect(table.primaryKey.map((column) => table.columns[column]?.name)).toEqual(key);
    expect(table).toMatchObject({ kind: 'table', keyIndex: index, isPrefixKey: isPrefix ?? false });
  });

  test('has the key and the columns of the stream', async () => {
    const tables = KEYS.map(({ name, columns }): OracleTable => {
      const create = [`CREATE TABLE ${name} (id INT NOT NULL, n INT NOT NULL, ${columns})`];
      return { name, create, fill: [`INSERT INTO ${name} (id, n) VALUES (1, 2)`], mode: '', columns: [] };
    });
    expect((await compareSnapshot(url, tables)).differences).toEqual([]);
  });

  test('does not exist, or is a view, which has no rows of its own', async () => {
    await query('CREATE VIEW seen AS SELECT 1 AS one');
    expect(await readDeclaredTable(connection, SCHEMA, 'missing')).toBeUndefined();
    expect(await declared('seen')).toMatchObject({ kind: 'view', columns: [], select: [], primaryKey: [] });
    expect(await readDeclaredTable(connection, 'information_schema', 'TABLES')).toMatchObject({ kind: 'view' });
  });

  test('has another signature after its columns, their order or its key changed, and else the same', async () => {
    await query("CREATE TABLE changed (id INT PRIMARY KEY, a INT, b INT NOT NULL, e ENUM('x'))");
    const signature = async () => (await declared('changed')).signature;
    const first = await signature();
    await query("ALTER TABLE changed COMMENT 'other', ADD KEY (a)");
    expect(await signature()).toBe(first);
    const seen = new Set([first]);
    for (const [i, change] of [
      'MODIFY b INT NOT NULL AFTER id',
      'MODIFY b BIGINT NOT NULL AFTER id',
      'MODIFY b BIGINT UNSIGNED NOT NULL AFTER id',
      'CHANGE a c INT',
      "MODIFY e ENUM('x', 'y')",
      'ADD d INT',
      'DROP PRIMARY KEY, ADD PRIMARY KEY (b)',
      'DROP d',
    ].entries()) {
      await query(`ALTER TABLE changed ${change}`);
      seen.add(await signature());
      expect(seen.size, change).toBe(i + 2);
    }
  });

  test('of 4,000 columns is read', async () => {
    const count = flavor === 'mysql' ? 4000 : 2500;
    const columns = Array.from({ length: count }, (_, i) => `c${i} TINYINT`);
    await query(`CREATE TABLE wide (${columns.join(', ')}) ENGINE=MyISAM`);
    expect((await declared('wide')).select).toHaveLength(count);
  });

  test('has exact labels, which INFORMATION_SCHEMA does not show, and its rows have them', async () => {
    const create = `CREATE TABLE labelled (id INT PRIMARY KEY, e ENUM('?', '😀', '', 'ä') CHARACTER SET utf8mb4,
      b ENUM('?', 'ä', '😀', 'x') CHARACTER SET binary, s SET('?', '😀', 'x') CHARACTER SET utf16)`;
    const fill =
      "INSERT INTO labelled VALUES (1, '?', '?', '?'), (2, '😀', '😀', 'x,😀'), (3, 'no', 4, ''), (4, '', 2, 7)";
    const table = { name: 'labelled', create: [create], fill: [fill], mode: '', columns: [] };
    expect((await compareSnapshot(url, [table])).differences).toEqual([]);
    await query(create);
    expect((await declared('labelled')).columns.map(({ labels }) => labels)).toEqual([
      [],
      ['?', '😀', '', 'ä'],
      ['?', 'ä', '😀', 'x'],
      ['?', '😀', 'x'],
    ]);
  });
});

describe('a table of MariaDB with hidden columns', () => {
  test('has the history and the period of the stream, and no hash', async () => {
    const schema = 'declared_period';
    const history = new History(inject('mariadbUrl'), schema);
    await history.run(
      [
        'CREATE TABLE a (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING',
        'CREATE TABLE b (id UUID PRIMARY KEY, t TEXT NOT NULL, UNIQUE (t)) WITH SYSTEM VERSIONING',
        `CREATE TABLE c (id INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE,
          e TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING`,
        'CREATE TABLE d (id INT PRIMARY KEY, mail TEXT NOT NULL, UNIQUE (mail))',
      ],
      'INSERT INTO a VALUES (1, 10), (2, 20)',
      'UPDATE a SET v = 11 WHERE id = 1',
      'DELETE FROM a WHERE id = 2',
      "INSERT INTO b VALUES ('00112233-4455-6677-8899-aabbccddeeff', 'x')",
      'INSERT INTO c (id) VALUES (1), (2)',
      'DELETE FROM c WHERE id = 2',
      "INSERT INTO d VALUES (1, 'x')",
    );
    const lines = await history.lines('');
    const connection = await connect(inject('mariadbUrl'));
    try {
      for (const name of ['a', 'b', 'c', 'd']) {
        const folded = new Map<string, unknown>();
        for (const { event } of lines) {
          if ((event.source as { table: string }).table !== name) continue;
          if (event.op === 'd') folded.delete(JSON.stringify(event.key));
          else folded.set(JSON.stringify(event.key), event.after);
        }
        const rows = await writtenRows(inject('mariadbUrl'), await readSnapshot(connection, schema, name));
        expect(new Map(rows.map(({ key, after }) => [JSON.stringify(key), after])), name).toEqual(folded);
      }
      expect(await readDeclaredTable(connection, schema, 'd')).toMatchObject({
        columns: [{ name: 'id' }, { name: 'mail' }],
        primaryKey: [0],
      });
    } finally {
      connection.destroy();
      await history.remove();
    }
  });
});
