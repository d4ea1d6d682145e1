import { randomUUID } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { History } from './follow.ts';
import { startTestServer } from './test-server.ts';

/** What is in the binlog before the start, and stops whoever reads it. */
const UNREADABLE: Record<'mysql' | 'mariadb', [name: string, statements: string[]][]> = {
  mysql: [
    ['a change logged as a statement', ["SET SESSION binlog_format = 'STATEMENT'", 'UPDATE t SET a = 2']],
    ['rows that lack their key', ["SET SESSION binlog_row_image = 'MINIMAL'", 'INSERT INTO d VALUES ()']],
    [
      'compressed rows that lack their key',
      [
        'SET SESSION binlog_transaction_compression = ON',
        "SET SESSION binlog_row_image = 'MINIMAL'",
        'BEGIN',
        'INSERT INTO d VALUES ()',
        `INSERT INTO t VALUES (9, REPEAT('x', 10000))`,
        'COMMIT',
      ],
    ],
  ],
  mariadb: [
    ['a change logged as a statement', ["SET SESSION binlog_format = 'STATEMENT'", 'UPDATE t SET a = 2']],
    // Only INFORMATION_SCHEMA says that the column is a UUID, and it no longer knows the table.
    ['rows of a table that has been dropped', [`INSERT INTO u VALUES ('${randomUUID()}')`, 'DROP TABLE u']],
    [
      'rows of a dropped table in XA transactions that ended',
      [
        "XA START 'a'",
        `INSERT INTO u VALUES ('${randomUUID()}')`,
        "XA END 'a'",
        "XA PREPARE 'a'",
        "XA COMMIT 'a'",
        "XA START 'b'",
        `INSERT INTO u VALUES ('${randomUUID()}')`,
        "XA END 'b'",
        "XA COMMIT 'b' ONE PHASE",
        'DROP TABLE u',
      ],
    ],
  ],
};

describe.each(['mysql', 'mariadb'] as const)('%s: a start by file and position', (flavor) => {
  // Of its own: DML that is logged as a statement can stop the streams of other tests.
  let server: LocalServer;
  beforeAll(async () => {
    server = await startTestServer({ flavor });
  });
  afterAll(() => server.stop());
  const history = (schema: string): History => new History(server.url, schema);
  const setUp = [
    'CREATE TABLE t (a INT PRIMARY KEY, b TEXT)',
    'CREATE TABLE d (id INT PRIMARY KEY DEFAULT 7)',
    ...(flavor === 'mariadb' ? ['CREATE TABLE u (id UUID PRIMARY KEY)'] : []),
  ];

  test.each(UNREADABLE[flavor])('passes over %s in the same file', async (name, statements) => {
    const kept = history(`behind_${flavor}_${UNREADABLE[flavor].findIndex(([other]) => other === name)}`);
    await kept.run(setUp, 'INSERT INTO t (a) VALUES (1)', ...statements);
    await expect(kept.lines('')).rejects.toThrow();
    const from = await kept.end();
    await kept.more(2, 'INSERT INTO t (a) VALUES (100)');
    const lines = await kept.lines('', 2, { from });
    expect(lines.map(({ event }) => event.after)).toEqual([{ a: 100, b: null }]);
  });

  test('emits the rows of an XA transaction that was prepared before it and commits behind it', async () => {
    const kept = history(`behind_xa_${flavor}`);
    const xid = `'behind_${flavor}'`;
    await kept.run(setUp);
    // A session with a prepared transaction can do nothing else, so it ends.
    const session = await createConnection(server.url);
    for (const sql of [`XA START ${xid}`, `INSERT INTO behind_xa_${flavor}.t (a) VALUES (1)`, `XA END ${xid}`])
      await session.query(sql);
    await session.query(`XA PREPARE ${xid}`);
    await session.end();
    const from = await kept.end();
    await kept.more(2, `XA COMMIT ${xid}`, 'INSERT INTO t (a) VALUES (2)');
    const lines = await kept.lines('', 2, { from });
    expect(lines.map(({ event }) => event.after)).toEqual([
      { a: 1, b: null },
      { a: 2, b: null },
    ]);
  });

  test('makes one writer for a table that the server opens again before each of 500 inserts', async () => {
    const kept = history(`table_ids_${flavor}`);
    const inserts = Array.from({ length: 500 }, (_, i) => ['FLUSH LOCAL TABLES t', `INSERT INTO t (a) VALUES (${i})`]);
    await kept.run(setUp, ...inserts.flat());
    let tables = 0;
    const lines = await kept.lines('', undefined, { onTable: () => tables++ });
    expect(lines).toHaveLength(500);
    expect(tables).toBe(2);
  });
});
