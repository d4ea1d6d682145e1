import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { rowsOf } from '../backfill/backfill-fixture.ts';
import { until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { type LakeLine, VerifyFixture } from './verify-fixture.ts';

const ROWS = 3_000;

describe.each([
  ['mysql', 'debezium'],
  ['mariadb', 'flat'],
  ['mysql', 'maxwell'],
] as const)('cdc verify, on %s in format %s', (flavor, format) => {
  let bed: VerifyFixture;
  let server: LocalServer;
  beforeAll(async () => {
    // Statements of other tests would stop a daemon that follows a shared server.
    server = await startTestServer({ flavor });
    bed = new VerifyFixture(server.url, `verify_${format}`);
    await bed.createSchema(
      'CREATE TABLE old (id INT PRIMARY KEY, v VARCHAR(40))',
      ...rowsOf('old', ROWS),
      "UPDATE old SET v = CONCAT('row ', id)",
    );
    await bed.start(
      `format: ${format}\ncolumns: { "*.people.email": { hash: sha256, secret: not-a-secret }, "*.people.phone": { mask: 3 } }`,
    );
    await bed.query(
      `USE ${bed.schema}`,
      `CREATE TABLE typed (id BIGINT UNSIGNED PRIMARY KEY, d DECIMAL(20,4), f FLOAT, b VARBINARY(20), j JSON, t DATETIME(3),
        ts TIMESTAMP(6) NULL, e ENUM('a', 'ü'), s SET('x', 'y'), g POINT, bits BIT(10), txt TEXT CHARACTER SET latin1)`,
      'CREATE TABLE pairs (a VARCHAR(20), b DATE, v INT, PRIMARY KEY (b, a))',
      'CREATE TABLE uni (a INT, u VARCHAR(30) CHARACTER SET utf8mb4 NOT NULL UNIQUE, v INT)',
      'CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(60), phone VARCHAR(20))',
      'CREATE TABLE emptied (id INT PRIMARY KEY)',
      ...Array.from({ length: 60 }, (_, i) => [
        `INSERT INTO typed VALUES (${i}, ${i}.5, ${i} / 7, UNHEX(HEX(${i})), '{"a": ${i}, "b": [1.5, "ü"]}',
          '2024-01-02 03:04:05.678', '2024-06-07 08:09:10.123456', IF(${i % 2}, 'a', 'ü'), 'x,y', POINT(${i}, 1.5), ${i}, 'öl "${i}"')`,
        `INSERT INTO pairs VALUES ('k ${i}', '2024-01-01' + INTERVAL ${i % 7} DAY, ${i})`,
        `INSERT INTO uni VALUES (${i}, 'Ünique "${i}"', ${i})`,
        `INSERT INTO people VALUES (${i}, 'user${i}@example.org', '+49 30 1234${i}')`,
        `INSERT INTO emptied VALUES (${i})`,
      ]).flat(),
      'UPDATE typed SET d = -d, txt = NULL WHERE id % 3 = 0',
      'DELETE FROM typed WHERE id % 10 = 9',
      "UPDATE pairs SET a = CONCAT('moved ', a) WHERE v % 5 = 0",
      'UPDATE uni SET v = v + 1',
      'TRUNCATE TABLE emptied',
      'INSERT INTO emptied VALUES (3), (1000)',
    );
    await bed.copy('old');
    await until(async () => (await bed.lines('emptied', '1000')).length > 0);
  });
  afterAll(async () => {
    await bed?.remove();
    await server?.stop();
  });

  const counts = (report: { tables: { table: string; missing: number; extra: number; different: number }[] }) =>
    Object.fromEntries(
      report.tables.map(({ table, missing, extra, different }) => [table, [missing, extra, different]]),
    );
  const none = {
    emptied: [0, 0, 0],
    old: [0, 0, 0],
    pairs: [0, 0, 0],
    people: [0, 0, 0],
    typed: [0, 0, 0],
    uni: [0, 0, 0],
  };

  test('says that a sound copy is equal', async () => {
    const { code, report, stderr } = await bed.verify();
    expect(report, stderr).toMatchObject({ ok: true, damage: [] });
    expect(counts(report)).toEqual(none);
    expect(report.tables.map(({ rows, lakeRows }) => [rows, lakeRows])).toEqual(
      [2, ROWS, 60, 60, 54, 60].map((rows) => [rows, rows]),
    );
    expect(code).toBe(0);
  });

  test('finds what was changed in the lake, names key and column, and repairs it', async () => {
    const lines = async (table: string, text: string): Promise<LakeLine> => {
      const found = await bed.lines(table, text);
      if (found.length === 0) throw new Error(`no line of ${table} has ${text}`);
      return found.at(-1) as LakeLine;
    };
    const flip = async (table: string, text: string, by: string): Promise<void> => {
      const line = await lines(table, text);
      bed.replace(line, line.text.replace(text, by));
    };
    // A flipped byte of a value, rows that are missing, a stale row, a row that is gone, and the older one of a key.
    await flip('old', '"row 77"', '"row 7x"');
    bed.replace(await lines('old', '"row 1234"'), undefined);
    bed.replace(await lines('typed', '"öl \\"5\\""'), undefined);
    const stale = (await bed.lines('uni', '"Ünique \\"7\\"')).at(-1) as LakeLine;
    bed.replace(stale, undefined);
    for (const line of (await bed.lines('typed'))
      .filter(({ text }) => / *"(op|_op|type)":"(d|delete)"/.test(text))
      .slice(0, 1)) {
      bed.replace(line, undefined);
    }
    await flip('people', await hashOf(bed), 'f'.repeat(64));
    const { code, report, stdout, stderr } = await bed.verify();
    expect(report.damage, stderr).toEqual([]);
    expect(counts(report)).toEqual({
      ...none,
      old: [1, 0, 1],
      people: [0, 0, 1],
      typed: [1, 1, 0],
      uni: [0, 0, 1],
    });
    expect(code).toBe(4);
    const found = report.tables.flatMap(({ table, differences }) =>
      differences.map(({ kind, key, columns }) => `${table} ${kind} ${key} ${columns}`),
    );
    expect(found.sort()).toEqual([
      'old different {"id":77} v',
      'old missing {"id":1234} ',
      'people different {"id":4} email',
      expect.stringMatching(/^typed extra \{"id":\d9?\} $/),
      'typed missing {"id":5} ',
      'uni different {"u":"Ünique \\"7\\""} v',
    ]);
    // Of rows that differ, only keys are shown.
    expect(stdout).not.toContain('row 7x');

    const repaired = await bed.verify('--repair');
    expect(repaired.report, `${repaired.stderr}\n${bed.daemon?.stderr()}`).toBeDefined();
    expect(
      repaired.report.tables.map(({ repaired: rows }) => rows),
      repaired.stderr,
    ).toEqual([0, 2, 0, 1, 2, 1]);
    expect([counts(repaired.report), repaired.code]).toEqual([none, 0]);
    const after = await bed.verify();
    expect(after.report, `${after.stderr}\n${bed.daemon?.stderr()}`).toBeDefined();
    expect([counts(after.report), after.code]).toEqual([none, 0]);
  });
});

/** The hashed address of person 4, as the lake has it. */
async function hashOf(bed: VerifyFixture): Promise<string> {
  const line = (await bed.lines('people', '"id":4,')).at(-1)?.text ?? '';
  return /"email":"([0-9a-f]{64})"/.exec(line)?.[1] ?? 'none';
}
