import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { IncompleteTable } from '../../src/model/incomplete-tables.ts';
import { type Cdc, cdc, Fixture } from './pipeline-fixture.ts';

describe.each(['mysql', 'mariadb'] as const)('statements that change rows without row events, on %s', (flavor) => {
  let fixture: Fixture;
  let daemon: Cdc;
  beforeEach(async () => {
    fixture = new Fixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), 'incomplete');
    const partitions =
      'PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))';
    await fixture.createSchema(
      `CREATE TABLE parts (id INT PRIMARY KEY, v INT) ${partitions}`,
      'CREATE TABLE plain (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE other (id INT PRIMARY KEY, v INT)',
    );
    fixture.configure((await fixture.startFirehose()).endpoint);
    daemon = await fixture.run();
    for (const table of ['parts', 'plain', 'other']) await write(`INSERT INTO ${table} VALUES (1, 1), (11, 2)`);
  });
  afterEach(() => fixture.remove());

  const write = (...statements: string[]): Promise<void> => fixture.query(`USE ${fixture.schema}`, ...statements);
  async function end(): Promise<string> {
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    const { code, stderr } = await daemon.ended;
    expect(code, stderr).toBe(0);
    return stderr;
  }
  const marks = (): Pick<IncompleteTable, 'table' | 'why'>[] =>
    (JSON.parse(readFileSync(fixture.checkpoint, 'utf8')).incomplete as IncompleteTable[]).map(({ table, why }) => ({
      table,
      why,
    }));

  test('a warning names table and statement, and the checkpoint keeps that the table needs another copy', async () => {
    await write(
      'ALTER TABLE parts TRUNCATE PARTITION p0',
      'RENAME TABLE plain TO plain_old, other TO plain',
      'ALTER TABLE parts ADD INDEX (v), ADD COLUMN w INT DEFAULT 5',
      'CREATE TABLE like_parts LIKE parts',
      'CREATE TABLE of_parts AS SELECT 1 AS a',
    );
    const log = await end();
    expect(log).toContain(
      `ALTER TABLE … TRUNCATE PARTITION can have changed rows of ${fixture.schema}.parts without row events`,
    );
    expect(marks()).toEqual([
      { table: 'parts', why: 'ALTER TABLE … TRUNCATE PARTITION' },
      { table: 'plain', why: 'RENAME TABLE' },
      { table: 'plain_old', why: 'RENAME TABLE' },
      { table: 'other', why: 'RENAME TABLE' },
    ]);
    const check = await cdc(fixture.directory, 'check');
    expect(check.stdout + check.stderr).toContain(`${fixture.schema}.parts is incomplete since`);

    daemon = await fixture.run();
    await write('INSERT INTO parts (id, v) VALUES (12, 3)', 'TRUNCATE TABLE parts', 'DROP TABLE plain_old');
    await end();
    expect(marks().map(({ table }) => table)).toEqual(['plain', 'other']);
    expect(await fixture.compare('parts')).toMatchObject({ equal: true, lakeRows: 0 });
  });

  test('DROP TABLE and its CREATE leave a copy that equals the table', async () => {
    await write(
      'DROP TABLE plain, other',
      'CREATE TABLE plain (id INT PRIMARY KEY, v INT)',
      'INSERT INTO plain VALUES (1, 7), (5, 5)',
      'CREATE TABLE IF NOT EXISTS plain (id INT)',
    );
    await end();
    expect(marks()).toEqual([]);
    expect(await fixture.compare('plain')).toMatchObject({ equal: true, lakeRows: 2 });
    const events = await fixture.landed();
    const seqs = events.map((event) => (event as unknown as { seq: string }).seq);
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(events.filter((event) => (event as unknown as { op: string }).op === 't')).toHaveLength(2);
  });

  test('DROP DATABASE marks every table of the schema', async () => {
    await write('CREATE TABLE last (id INT PRIMARY KEY)');
    await fixture.query(`DROP DATABASE ${fixture.schema}`, `CREATE DATABASE ${fixture.schema}`);
    await write('CREATE TABLE plain (id INT PRIMARY KEY)', 'INSERT INTO plain VALUES (1)');
    await end();
    expect(marks()).toEqual([{ table: '*', why: 'DROP DATABASE' }]);
  });
});
