import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { quoteIdentifier } from '../../src/model/identifier.ts';
import { History } from './follow.ts';
import { startTestServer } from './test-server.ts';

const noMysql56 = process.platform !== 'linux' || process.arch !== 'x64';

/** A name, and another spelling that the server takes for the same savepoint. */
const NAMES: readonly (readonly [name: string, same: string])[] = [
  ['step one', 'STEP ONE'],
  ['a.b', 'A.B'],
  ['semi;colon -- x', 'semi;colon -- x'],
  ['tick`s "q"', 'tick`s "q"'],
  ['größe', 'GROSSE'.replace('SS', 'ß')],
  ['été', 'ETE'],
  ['SAVEPOINT', 'savepoint'],
];

describe.each([
  ['mysql', false],
  ['mariadb', false],
  ['mysql-5.6', noMysql56],
] as const)('savepoints on %s', (flavor, skipped) => {
  if (skipped) return test.skip(`${flavor} is not to be had for this machine`);
  let own: LocalServer | undefined;
  let url: string;
  beforeAll(async () => {
    if (flavor === 'mysql-5.6') own = await startTestServer({ flavor });
    url = own?.url ?? inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
  });
  afterAll(() => own?.stop());

  test.each([
    ['', 'utf8mb4_general_ci'],
    ['ANSI_QUOTES', 'utf8mb4_general_ci'],
    ['ANSI_QUOTES', 'latin1_swedish_ci'],
  ])(
    'of any name, with sql_mode "%s" and a client of %s, leave exactly the rows that were committed',
    async (sqlMode, charset) => {
      const history = new History(url, 'savepoints');
      let client: Connection | undefined;
      await history.run(['CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50))']);
      client = await createConnection({ uri: url, charset });
      let id = 0;
      for (const [name, same] of NAMES) {
        for (const sql of [
          `SET sql_mode = '${sqlMode}'`,
          'USE savepoints',
          'BEGIN',
          `INSERT INTO t VALUES (${++id}, 'kept')`,
          `SAVEPOINT ${quoteIdentifier(name)}`,
          `INSERT INTO t VALUES (${++id}, 'undone')`,
          'SAVEPOINT inner_one',
          `INSERT INTO t VALUES (${++id}, 'undone')`,
          `ROLLBACK TO ${quoteIdentifier(same)}`,
          `INSERT INTO t VALUES (${++id}, 'kept')`,
          'COMMIT',
        ])
          await client.query(sql);
      }
      await client.query('INSERT INTO marker VALUES (2)');
      const [rows] = await client.query({ sql: 'SELECT id, name FROM t ORDER BY id', rowsAsArray: true });
      await client.end();
      const lines = (await history.lines('', 2)).map(({ event }) => event.after as { id: number; name: string });
      expect(lines.filter(({ name }) => name !== undefined).map(({ id: key, name }) => [key, name])).toEqual(rows);
      expect(rows).toHaveLength(2 * NAMES.length);
      await history.remove();
    },
  );
});
