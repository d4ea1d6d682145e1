import { utimesSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { listObjects } from '../../../src/lake/objects.ts';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { startTestServer } from '../test-server.ts';
import { type LakeLine, type Report, VerifyFixture } from './verify-fixture.ts';

const foundIn = (report: Report): string[] =>
  report.tables
    .flatMap(({ table, differences }) =>
      differences.map(({ kind, key, columns }) => [table, kind, key, ...columns].join(' ')),
    )
    .sort();

/** The last line of a table's events that has the text. */
async function lastLine(bed: VerifyFixture, table: string, text: string): Promise<LakeLine> {
  const line = (await bed.lines(table, text)).at(-1);
  if (line === undefined) throw new Error(`no line of ${table} has ${text}`);
  return line;
}

async function spoil(bed: VerifyFixture, table: string, text: string, by: string): Promise<void> {
  const line = await lastLine(bed, table, text);
  bed.replace(line, line.text.replaceAll(text, by));
}

async function expectRepaired(bed: VerifyFixture, rows: number): Promise<void> {
  const { report, code, stderr } = await bed.verify('--repair');
  expect(
    report.tables.reduce((sum, { repaired }) => sum + repaired, 0),
    stderr,
  ).toBe(rows);
  expect([foundIn(report), code]).toEqual([[], 0]);
  expect((await bed.verify()).code).toBe(0);
}

describe('partial images of binlog_row_image=MINIMAL', () => {
  let server: LocalServer;
  let bed: VerifyFixture;
  beforeAll(async () => {
    server = await startTestServer({ flavor: 'mysql', settings: ['--binlog-row-image=MINIMAL'] });
    bed = new VerifyFixture(server.url, 'verify_minimal');
    await bed.createSchema(
      'CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b INT, c TEXT)',
      ...Array.from({ length: 10 }, (_, i) => `INSERT INTO t VALUES (${i}, 'old', ${i}, 'text ${i}')`),
    );
    await bed.start();
    await bed.copy('t');
    await bed.query(
      `USE ${bed.schema}`,
      "INSERT INTO t VALUES (20, 'new', 1, NULL), (21, 'new', 2, 'x'), (22, 'gone', 3, 'x')",
      "UPDATE t SET a = CONCAT('a', id) WHERE id < 30",
      'UPDATE t SET b = b + 100 WHERE id % 2 = 0',
      'UPDATE t SET c = NULL WHERE id = 4',
      'DELETE FROM t WHERE id IN (8, 22)',
      "INSERT INTO t (id, a) VALUES (8, 'again')",
      'UPDATE t SET b = 7 WHERE id = 8',
    );
    await bed.delivered();
  });
  afterAll(async () => {
    await bed?.remove();
    await server?.stop();
  });

  test('are merged column by column: the lake is equal', async () => {
    expect((await bed.lines('t', '"partial":true')).length).toBeGreaterThan(10);
    const { report, code, stderr } = await bed.verify('verify_minimal.t');
    expect([foundIn(report), report.damage, code], stderr).toEqual([[], [], 0]);
    // Of an insert, MINIMAL logs only the columns that the statement names.
    expect(report.tables).toMatchObject([{ rows: 12, lakeRows: 12, addedLater: ['c'] }]);
  });

  test('are merged also if --since leaves out the objects with the whole rows', async () => {
    const yesterday = Date.now() / 1000 - 86_400;
    for (const { path } of await listObjects(bed.lake, '')) utimesSync(path, yesterday, yesterday);
    await bed.query(`UPDATE ${bed.schema}.t SET b = b + 1 WHERE id IN (1, 20)`);
    await bed.delivered();
    const { report, code } = await bed.verify('verify_minimal.t', '--since', '1h');
    expect([foundIn(report), report.tables[0]?.rows, code]).toEqual([[], 2, 0]);
  });

  test('that are lost or changed are found in their columns, and repaired', async () => {
    await spoil(bed, 't', '"a":"a3"', '"a":"b3"');
    bed.replace(await lastLine(bed, 't', '"a":"a5"'), undefined);
    bed.replace(await lastLine(bed, 't', '"id":21,"a":"new","b":2'), undefined);
    const { report } = await bed.verify('verify_minimal.t');
    expect(foundIn(report)).toEqual(['t different {"id":21} b c', 't different {"id":3} a', 't different {"id":5} a']);
    await expectRepaired(bed, 3);
  });
});

describe.each(['mysql', 'mariadb'] as const)('on %s', (flavor) => {
  let bed: VerifyFixture;
  beforeAll(async () => {
    bed = new VerifyFixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), 'verify_forms');
    await bed.createSchema('CREATE TABLE marker (id INT PRIMARY KEY)');
    await bed.start(`values:
  { bigint: string, temporal: mysql, binary: hex, decimal: number, json: nested, boolean: [tinyint1] }
keys: { "verify_forms.log": [at, what] }
columns: { "*.people.email": { hash: sha256, secret: not-a-secret } }
`);
    await bed.query(
      `USE ${bed.schema}`,
      `CREATE TABLE typed (id BIGINT PRIMARY KEY, d DATETIME(3), bin VARBINARY(20), n DECIMAL(30,10), j JSON,
        flag TINYINT(1), day DATE, clock TIME(2))`,
      'CREATE TABLE days (day DATETIME(6), bin VARBINARY(9), v INT, PRIMARY KEY (day, bin))',
      'CREATE TABLE uni (a INT, u VARCHAR(30) NOT NULL UNIQUE, v INT)',
      'CREATE TABLE log (at DATETIME(3), what VARCHAR(20), v INT)',
      'CREATE TABLE people (email VARCHAR(60) PRIMARY KEY, v INT)',
      'CREATE TABLE grown (id INT PRIMARY KEY, v VARCHAR(9))',
      ...Array.from({ length: 12 }, (_, i) => [
        `INSERT INTO typed VALUES (${i} + 9007199254740990, '2024-01-02 03:04:05.678', UNHEX('00ff0${i % 10}'),
          ${i}.5 / 3, '{"a": [${i}, "ü"]}', ${i % 3}, '2024-02-29', '-12:34:56.78')`,
        `INSERT INTO days VALUES ('2024-01-01 00:00:00.000001' + INTERVAL ${i} HOUR, UNHEX('ff0${i % 10}'), ${i})`,
        `INSERT INTO uni VALUES (${i}, 'key ${i}', ${i})`,
        `INSERT INTO log VALUES ('2024-01-01 00:00:00.5' + INTERVAL ${i} SECOND, 'event ${i}', ${i})`,
        `INSERT INTO people VALUES ('user${i}@example.org', ${i})`,
        `INSERT INTO grown VALUES (${i}, 'v')`,
      ]).flat(),
      'UPDATE uni SET u = CONCAT(u, "!") WHERE v < 3',
      'UPDATE days SET day = day + INTERVAL 1 YEAR WHERE v < 3',
      "UPDATE people SET email = CONCAT('new.', email) WHERE v < 3",
      'DELETE FROM people WHERE v = 9',
      'DELETE FROM log WHERE v = 9',
      'UPDATE log SET v = 100 WHERE v = 1',
    );
    await bed.delivered();
  });
  afterAll(() => bed?.remove());

  test('every form of a value, and every kind of key, is equal', async () => {
    const { report, code, stderr } = await bed.verify();
    expect(code, stderr).toBe(0);
    expect([foundIn(report), report.damage, code], stderr).toEqual([[], [], 0]);
    expect(report.tables.map(({ table, rows, lakeRows }) => [table, rows, lakeRows])).toEqual(
      [
        ['days', 12],
        ['grown', 12],
        ['log', 11],
        ['marker', 1],
        ['people', 11],
        ['typed', 12],
        ['uni', 12],
      ].map(([table, rows]) => [table, rows, rows]),
    );
  });

  test('what is changed in the lake is found by its key, and repaired', async () => {
    await spoil(bed, 'typed', '"bin":"00ff03"', '"bin":"00ff04"');
    await spoil(bed, 'typed', '"flag":true,', '"flag":false,');
    await spoil(bed, 'days', '"day":"2024-01-01 05:00:00.000001"', '"day":"2024-01-01 05:00:00.000002"');
    bed.replace(await lastLine(bed, 'uni', '"u":"key 7"'), undefined);
    await spoil(bed, 'uni', '"v":8', '"v":9');
    bed.replace(await lastLine(bed, 'log', '"what":"event 5"'), undefined);
    const { report, code, stderr } = await bed.verify();
    expect(code, stderr).toBe(4);
    expect(foundIn(report)).toEqual(
      [
        'days extra {"day":"2024-01-01 05:00:00.000002","bin":"ff05"} ',
        'days missing {"day":"2024-01-01 05:00:00.000001","bin":"ff05"} ',
        'log missing {"at":"2024-01-01 00:00:05.500","what":"event 5"} ',
        expect.stringMatching(/^typed different \{"id":"\d+"\} bin$/),
        expect.stringMatching(/^typed different \{"id":"\d+"\} flag$/),
        'uni different {"u":"key 8"} v',
        'uni missing {"u":"key 7"} ',
      ].map((text) => (typeof text === 'string' ? text.trimEnd() : text)),
    );
    await expectRepaired(bed, 7);
  });

  test('rows of a hashed key are found, by the hash', async () => {
    const line = await lastLine(bed, 'people', '"v":5');
    const hash = /"key":\{"email":"([0-9a-f]{64})"\}/.exec(line.text)?.[1];
    bed.replace(line, line.text.replaceAll('"v":5', '"v":6'));
    const { report } = await bed.verify('verify_forms.people');
    expect(foundIn(report)).toEqual([`people different {"email":"${hash}"} v`]);
    await bed.query('SET sql_log_bin = 0', `DELETE FROM ${bed.schema}.people WHERE v = 6`);
    expect(foundIn((await bed.verify('verify_forms.people')).report)).toHaveLength(2);
  });

  test('columns that were added later are named, and no difference', async () => {
    await bed.query(
      `USE ${bed.schema}`,
      `ALTER TABLE grown ADD n INT DEFAULT 7, ADD z INT NOT NULL, ADD txt VARCHAR(9) NOT NULL,
        ADD d DATETIME(3) NOT NULL DEFAULT '2024-01-01 02:03:04', ADD flag TINYINT(1) DEFAULT 1,
        ADD amount DECIMAL(9,3) DEFAULT 1.5, ADD f FLOAT DEFAULT 0.1, ADD kind ENUM('A', 'b') NOT NULL,
        ADD bits BIT(5) DEFAULT b'101',
        ADD bin BINARY(3) DEFAULT 'ab', ADD odd VARCHAR(20) DEFAULT 'it''s a \\\\',
        ADD twice INT AS (id * 2) STORED, ADD opt INT`,
      'ALTER TABLE grown DROP COLUMN v',
      "INSERT INTO grown (id, n, z, txt) VALUES (100, 8, 9, 'new')",
      'UPDATE grown SET z = 5 WHERE id = 1',
    );
    await bed.delivered();
    const { report, code } = await bed.verify('verify_forms.grown');
    expect([foundIn(report), code]).toEqual([[], 0]);
    expect(report.tables[0]?.addedLater).toEqual(
      ['n', 'z', 'txt', 'd', 'flag', 'amount', 'f', 'kind', 'bits', 'bin', 'odd', 'twice', 'opt'].sort(),
    );
    await bed.query('SET sql_log_bin = 0', `UPDATE ${bed.schema}.grown SET n = 8, txt = '0' WHERE id = 2`);
    expect(foundIn((await bed.verify('verify_forms.grown')).report)).toEqual(['grown different {"id":2} n txt']);
  });
});
