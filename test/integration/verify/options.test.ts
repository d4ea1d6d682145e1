import { utimesSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { listObjects } from '../../../src/lake/objects.ts';
import { rowsOf } from '../backfill/backfill-fixture.ts';
import { type LakeLine, type Report, VerifyFixture } from './verify-fixture.ts';

const ROWS = 1_000;
let bed: VerifyFixture;
/** What undoes the faults that a test has planted. */
const undo: (() => void | Promise<void>)[] = [];
beforeAll(async () => {
  bed = new VerifyFixture(inject('mysqlUrl'), 'verify_options');
  await bed.createSchema(
    'CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40))',
    'CREATE TABLE b (id INT PRIMARY KEY, v VARCHAR(40))',
    ...rowsOf('a', ROWS),
    ...rowsOf('b', 10),
  );
  await bed.start();
  await bed.copy('a', 'b');
  await bed.delivered();
});
afterAll(() => bed?.remove());
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const lastLine = async (table: string, id: number): Promise<LakeLine> =>
  (await bed.lines(table, `"id":${id},`)).at(-1) as LakeLine;

/** Changes the values of these rows in the lake. */
async function spoil(table: string, ...ids: number[]): Promise<void> {
  for (const id of ids) {
    const line = await lastLine(table, id);
    const text = line.text.replaceAll('"v":"', '"v":"z');
    bed.replace(line, text);
    undo.push(() => bed.replace({ ...line, text }, line.text));
  }
}

/** Changes the source without an event. */
async function unlogged(sql: string, back: string): Promise<void> {
  const run = (statement: string) => bed.query('SET SESSION sql_log_bin = 0', `USE ${bed.schema}`, statement);
  await run(sql);
  undo.push(() => run(back));
}

const keysOf = (report: Report): string[] =>
  report.tables.flatMap(({ table, differences }) => differences.map(({ kind, key }) => `${table} ${kind} ${key}`));

describe('the text', () => {
  const text = async (...words: string[]) => {
    const { stdout, code, stderr } = await bed.verifyCommand(...words);
    return { lines: stdout.replace(/, \d+ s:/, ', T s:').split('\n'), code, stderr };
  };

  test('of an equal lake has a line for each table, and the verdict', async () => {
    const { lines, code, stderr } = await text('verify_options.a', 'verify_options.b');
    expect(lines).toEqual([
      'verify_options.a: 1,000 rows, equal',
      'verify_options.b: 10 rows, equal',
      expect.stringMatching(/^1,010 rows against 1,01\d events in \d+ objects?, T s: the lake equals the source$/),
      '',
    ]);
    expect([code, stderr]).toEqual([0, '']);
  });

  test('lists the first rows that differ, and counts the others', async () => {
    await spoil('b', 1, 2, 3);
    const { lines, code } = await text('verify_options.b', '--list', '2');
    expect(lines[0]).toMatch(/^verify_options\.b \{"id":[123]\}: differs in v$/);
    expect(lines[1]).toMatch(/^verify_options\.b \{"id":[123]\}: differs in v$/);
    expect(lines.slice(2, 4)).toEqual([
      'verify_options.b: 1 more row not listed (--list)',
      'verify_options.b: 10 rows, 3 rows of other values',
    ]);
    expect([lines[4]?.endsWith(': the lake differs'), code]).toEqual([true, 4]);
  });

  test('with --list 0 only counts', async () => {
    await spoil('b', 1, 2, 3);
    expect((await text('verify_options.b', '--list', '0')).lines[0]).toBe(
      'verify_options.b: 10 rows, 3 rows of other values',
    );
  });
});

describe('--sample', () => {
  test('compares the same share of the keys every time, on both sides', async () => {
    await spoil('a', ...Array.from({ length: 40 }, (_, i) => 101 + i * 20));
    await unlogged('DELETE FROM a WHERE id <= 100', rowsOf('a', 100)[0] as string);
    const sample = (share: string) => bed.verify('verify_options.a', '--sample', share, '--list', '1000');
    const [first, again, all] = [await sample('30%'), await sample('30%'), await sample('100%')];
    const found = keysOf(first.report);
    expect(keysOf(again.report)).toEqual(found);
    expect(keysOf(all.report)).toHaveLength(140);
    expect(keysOf(all.report)).toEqual(expect.arrayContaining(found));
    const [table] = first.report.tables;
    expect(again.report.tables).toEqual(first.report.tables);
    expect(table?.rows).toBeGreaterThan(900 * 0.2);
    expect(table?.rows).toBeLessThan(900 * 0.4);
    expect(table?.extra).toBeGreaterThan(100 * 0.1);
    expect(table?.extra).toBeLessThan(100 * 0.6);
    expect((table?.lakeRows ?? 0) - (table?.extra ?? 0)).toBe(table?.rows);
    expect(first.code).toBe(4);
  });
});

describe('--where', () => {
  test('compares only the rows that match', async () => {
    await spoil('a', 5, 500);
    const { report, code } = await bed.verify('verify_options.a', '--where', 'id <= 10');
    expect([report.tables[0]?.rows, keysOf(report), code]).toEqual([10, ['a different {"id":5}'], 4]);
  });

  test('does not look for rows that only the lake has', async () => {
    await unlogged('DELETE FROM a WHERE id = 7', `INSERT INTO a VALUES (7, REPEAT('x', 20))`);
    expect((await bed.verify('verify_options.a', '--where', 'id <= 10')).code).toBe(0);
    expect(keysOf((await bed.verify('verify_options.a')).report)).toEqual(['a extra {"id":7}']);
  });

  test('finds a row that the lake lacks', async () => {
    await unlogged(`INSERT INTO a VALUES (7000, 'new')`, 'DELETE FROM a WHERE id = 7000');
    expect(keysOf((await bed.verify('verify_options.a', '--where', "v = 'new'")).report)).toEqual([
      'a missing {"id":7000}',
    ]);
  });
});

describe('--since', () => {
  const age = async (): Promise<void> => {
    const yesterday = Date.now() / 1000 - 86_400;
    for (const { path } of await listObjects(bed.lake, '')) utimesSync(path, yesterday, yesterday);
  };

  /** Changes rows, and waits until that is in the lake. */
  async function change(...statements: string[]): Promise<void> {
    await bed.query(`USE ${bed.schema}`, ...statements);
    await bed.delivered();
  }

  test('looks only at keys with events in recent objects', async () => {
    await spoil('a', 20);
    await age();
    await change("UPDATE a SET v = 'recent' WHERE id IN (30, 40)");
    await spoil('a', 30);
    const recent = await bed.verify('verify_options.a', '--since', '1h');
    expect(keysOf(recent.report)).toEqual(['a different {"id":30}']);
    expect([recent.report.tables[0]?.rows, recent.code]).toEqual([2, 4]);
    const all = await bed.verify('verify_options.a');
    expect(keysOf(all.report).sort()).toEqual(['a different {"id":20}', 'a different {"id":30}']);
  });

  test('finds rows that are missing and rows that only the lake has among these', async () => {
    await age();
    await change("INSERT INTO a VALUES (2001, 'one'), (2002, 'two')", 'DELETE FROM a WHERE id = 50');
    undo.push(() => change('DELETE FROM a WHERE id > 2000'));
    await unlogged('DELETE FROM a WHERE id = 2001', "INSERT INTO a VALUES (2001, 'one')");
    await unlogged("INSERT INTO a VALUES (50, 'again')", 'DELETE FROM a WHERE id = 50');
    const { report } = await bed.verify('verify_options.a', '--since', '1h');
    expect(keysOf(report).sort()).toEqual(['a extra {"id":2001}', 'a missing {"id":50}']);
    expect(report.tables[0]?.rows).toBe(2);
  });

  test('of a time without objects compares nothing', async () => {
    await spoil('a', 20);
    await age();
    const { report, code } = await bed.verify('verify_options.a', '--since', '1h');
    expect([report.tables[0]?.rows, report.objects, code]).toEqual([0, 0, 0]);
  });
});
