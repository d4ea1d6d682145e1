import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { RowChunk } from '../../../src/backfill/read/row-chunk.ts';
import type { SnapshotConnection } from '../../../src/backfill/read/snapshot-connection.ts';
import type { TableReader } from '../../../src/backfill/read/table-reader.ts';
import { type Key, WHOLE_TABLE } from '../../../src/model/key-range.ts';
import { ColumnType as T } from '../../../src/model/table.ts';
import { firstColumn, openSnapshot, processedNow, query } from './snapshot-fixture.ts';

const SCHEMA = 'backfill_read';

describe.each(['mysql', 'mariadb'] as const)('a snapshot connection to %s', (kind) => {
  let url: string;
  let connection: SnapshotConnection;
  beforeAll(async () => {
    url = inject(kind === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
    await query(
      url,
      `DROP DATABASE IF EXISTS ${SCHEMA}`,
      `CREATE DATABASE ${SCHEMA}`,
      `CREATE TABLE ${SCHEMA}.wide (id INT PRIMARY KEY, body LONGBLOB)`,
      `CREATE TABLE ${SCHEMA}.keyless (id INT NOT NULL, body LONGBLOB)`,
      `CREATE TABLE ${SCHEMA}.digits (id INT PRIMARY KEY)`,
      `INSERT INTO ${SCHEMA}.digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)`,
      `INSERT INTO ${SCHEMA}.wide SELECT a.id * 10 + b.id, REPEAT('x', 1000) FROM ${SCHEMA}.digits a, ${SCHEMA}.digits b`,
      `INSERT INTO ${SCHEMA}.keyless SELECT * FROM ${SCHEMA}.wide`,
    );
    connection = await openSnapshot(url);
  });
  afterAll(() => connection?.close());

  async function use(name: string, where?: string, on = connection): Promise<TableReader> {
    const table = await on.describe(SCHEMA, name);
    if (table === undefined) throw new Error(`no table ${name}`);
    return on.use(table, where === undefined ? {} : { where });
  }
  const ids = (chunk: RowChunk): number[] => firstColumn(chunk, 2);
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

  test('a chunk ends at its limit of rows, and the last one says so', async () => {
    const reader = await use('wide');
    const processed = await processedNow(url);
    const first = await reader.read(WHOLE_TABLE, processed, { rows: 60, bytes: 1e9 });
    expect(ids(first)).toEqual(range(0, 60));
    expect(first.isLast).toBe(false);
    const last = await reader.read({ after: first.lastKey!, upTo: null }, processed, { rows: 60, bytes: 1e9 });
    expect(ids(last)).toEqual(range(60, 100));
    expect(last.isLast).toBe(true);
  });

  test('a chunk that outgrows its bytes keeps the rows before, and the next chunk continues there', async () => {
    const reader = await use('wide');
    const processed = await processedNow(url);
    const found: number[] = [];
    let after: RowChunk['lastKey'] | null = null;
    for (let chunks = 0; ; chunks++) {
      const chunk: RowChunk = await reader.read({ after, upTo: null }, processed, { rows: 100, bytes: 10_000 });
      found.push(...ids(chunk));
      if (chunk.isLast) break;
      expect(chunk.count).toBeGreaterThan(0);
      after = chunk.lastKey!;
      expect(chunks).toBeLessThan(100);
    }
    expect(found).toEqual(range(0, 100));
  });

  test('a chunk uses the buffer of an earlier one once that is released, and not before', async () => {
    const reader = await use('wide');
    const processed = await processedNow(url);
    const read = (after: Key | null) => reader.read({ after, upTo: null }, processed, { rows: 30, bytes: 1e9 });
    const first = await read(null);
    const second = await read(first.lastKey!);
    expect(ids(first)).toEqual(range(0, 30));
    reader.release(second);
    const third = await read(second.lastKey!);
    expect(third.bytes.buffer).toBe(second.bytes.buffer);
    expect(ids(third)).toEqual(range(60, 90));
    expect(ids(first)).toEqual(range(0, 30));
  });

  test('a row of more than 16 MiB is one row, whose payload has no packet headers', async () => {
    const size = 15_000_000;
    await query(
      url,
      `CREATE TABLE ${SCHEMA}.huge (id INT PRIMARY KEY, a LONGBLOB, b LONGBLOB, c LONGBLOB)`,
      `INSERT INTO ${SCHEMA}.huge VALUES (1, 'a', 'b', 'c'), (4, 'a', 'b', 'c')`,
      ...[2, 3].map(
        (id) =>
          `INSERT INTO ${SCHEMA}.huge VALUES (${id}, REPEAT('abcde', ${size / 5}), REPEAT('f', ${size}), REPEAT('gh', ${size / 2}))`,
      ),
    );
    const reader = await use('huge');
    const processed = await processedNow(url);
    const found: number[] = [];
    let after: RowChunk['lastKey'] | null = null;
    for (;;) {
      const chunk: RowChunk = await reader.read({ after, upTo: null }, processed, { rows: 100, bytes: 1_000_000 });
      const numbers = firstColumn(chunk, 4);
      found.push(...numbers);
      if (numbers[0] === 2) {
        expect(chunk.count).toBe(1);
        const values = ['abcde', 'f', 'gh'].flatMap((text) => [
          Buffer.from([0xfd, size & 0xff, (size >> 8) & 0xff, size >> 16]),
          Buffer.alloc(size, text),
        ]);
        expect(chunk.bytes.subarray(4).equals(Buffer.concat([Buffer.from([0, 0, 2, 0, 0, 0]), ...values]))).toBe(true);
      }
      if (chunk.isLast) break;
      after = chunk.lastKey!;
    }
    expect(found).toEqual([1, 2, 3, 4]);
  });

  test('a table without a key is read in one view, whatever is written meanwhile', async () => {
    const reader = await use('keyless');
    expect(reader.key).toEqual([]);
    await query(url, `INSERT INTO ${SCHEMA}.keyless SELECT 1000 + a.id, REPEAT('y', 1000000) FROM ${SCHEMA}.digits a`);
    const found: number[] = [];
    let pieces = 0;
    await reader.readAll(await processedNow(url), async (piece) => {
      expect(reader.columns.map(({ type }) => type)).toEqual([T.LONG, T.BLOB]);
      found.push(...ids(piece));
      pieces++;
      await query(
        url,
        `INSERT INTO ${SCHEMA}.keyless VALUES (${-pieces}, 'later')`,
        `DELETE FROM ${SCHEMA}.keyless WHERE id = 1009`,
      );
    });
    expect(pieces).toBeGreaterThan(1);
    expect(found.toSorted((a, b) => a - b)).toEqual([...range(0, 100), ...range(1000, 1010)]);
  });

  test('a condition selects rows, and each chunk looks at a bounded number of rows', async () => {
    const reader = await use('wide', 'id % 10 = 3 OR id = 99 -- a comment');
    const processed = await processedNow(url);
    const first = await reader.read(WHOLE_TABLE, processed, { rows: 50, bytes: 1e9 });
    expect(ids(first)).toEqual([3, 13, 23, 33, 43]);
    expect(first.isLast).toBe(false);
    const second = await reader.read({ after: first.lastKey!, upTo: null }, processed, { rows: 50, bytes: 1e9 });
    expect(ids(second)).toEqual([53, 63, 73, 83, 93, 99]);
    const rare = await use('wide', 'id = 99');
    const empty = await rare.read(WHOLE_TABLE, processed, { rows: 50, bytes: 1e9 });
    expect(empty).toMatchObject({ count: 0, isLast: false, lastKey: first.lastKey });
  });

  test('a view is refused by name', async () => {
    await query(url, `CREATE VIEW ${SCHEMA}.looks AS SELECT * FROM ${SCHEMA}.wide`);
    await expect(use('looks')).rejects.toMatchObject({ exitCode: 2, message: `${SCHEMA}.looks is a view` });
  });

  test('a split halves the values of a key with gaps, and fractions add up', async () => {
    await query(
      url,
      `CREATE TABLE ${SCHEMA}.gaps (id BIGINT UNSIGNED PRIMARY KEY)`,
      `INSERT INTO ${SCHEMA}.gaps SELECT id FROM ${SCHEMA}.wide`,
      `INSERT INTO ${SCHEMA}.gaps SELECT 18446744073709551000 + id FROM ${SCHEMA}.wide`,
      `INSERT INTO ${SCHEMA}.gaps VALUES (5000)`,
    );
    const reader = await use('gaps');
    const number = (key: Key): bigint => Buffer.from(key[0] as string, 'base64').readBigUInt64LE();
    const middle = (await reader.split(WHOLE_TABLE, 10))!;
    expect(number(middle)).toBe(18446744073709551000n);
    // Above the middle of the lower half there is only 5000: the split moves down to where the rows are.
    const lower = (await reader.split({ after: null, upTo: middle }, 10))!;
    expect(number(lower)).toBeLessThanOrEqual(5000n);
    expect(number(lower)).toBeGreaterThan(9n);
    expect(await reader.split({ after: null, upTo: lower }, 1000)).toBeUndefined();
    const shares = [
      { after: null, upTo: lower },
      { after: lower, upTo: middle },
      { after: middle, upTo: null },
    ].map((range) => reader.fraction(range, WHOLE_TABLE) as number);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
  });

  test.each([
    ['1) OR (1'],
    ['id = 1 ORDER BY id'],
    ['id = 1 LIMIT 1'],
    ['id = 1 UNION SELECT 1'],
    ['id = 1; DROP TABLE wide'],
    ['SELECT 1'],
    ['id ='],
    ['id = ?'],
    ['nothing = 1'],
    ['COUNT(*) > 1'],
    ['id = 1) -- '],
    ['id = 1 /*'],
    [''],
    ['id = 1 INTO OUTFILE "x"'],
    ['id = 1 FOR UPDATE'],
  ])('refuses the condition %j', async (where) => {
    const error = await use('wide', where).catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: 'CdcError',
      exitCode: 2,
      message: `--where is not a condition for ${SCHEMA}.wide`,
    });
    expect(error.hint).toBeDefined();
  });
});
