import { expect, test } from 'vitest';
import {
  INCOMPLETE_TABLES_MAX,
  INCOMPLETE_TABLES_TOTAL_MAX,
  type IncompleteTable,
  IncompleteTables,
} from '../../../src/model/incomplete-tables.ts';

const mark = (schema: string, table: string, position = 4, why = 'RENAME TABLE'): IncompleteTable => ({
  ...{ schema, table, file: 'binlog.000001', position, why },
  since: `2026-01-01T00:00:${String(position % 60).padStart(2, '0')}.000Z`,
});

test('a table has one mark: the time of the first statement, and the kind and place of the last', () => {
  const tables = new IncompleteTables();
  tables.add(mark('s', 'a', 5));
  tables.add(mark('s', 'a', 9, 'ALTER TABLE … DROP PARTITION'));
  expect(tables.list).toEqual([
    { ...mark('s', 'a', 9, 'ALTER TABLE … DROP PARTITION'), since: mark('s', 'a', 5).since },
  ]);
});

test('a table that was emptied needs no other copy, and the marks of others stay', () => {
  const tables = new IncompleteTables([mark('s', 'a'), mark('s', 'b'), mark('r', 'a')]);
  tables.remove('s', 'a');
  tables.remove('s', 'never');
  expect(tables.list).toEqual([mark('s', 'b'), mark('r', 'a')]);
});

test('the mark of a whole schema replaces those of its tables, and keeps its own reason', () => {
  const tables = new IncompleteTables([mark('s', 'a', 5), mark('r', 'a')]);
  tables.add(mark('s', '*', 9, 'DROP DATABASE'));
  tables.add(mark('s', 'b', 11));
  expect(tables.list).toEqual([
    mark('r', 'a'),
    { ...mark('s', '*', 9, 'DROP DATABASE'), since: mark('s', 'a', 5).since },
  ]);
});

test('too many tables of a schema count as all of it', () => {
  const tables = new IncompleteTables();
  for (let i = 0; i <= INCOMPLETE_TABLES_MAX; i++) tables.add(mark('s', `t${i}`));
  expect(tables.list.map(({ table }) => table)).toEqual(['*']);
});

test('the list is bounded over all schemas, and quickly made', () => {
  const tables = new IncompleteTables();
  const schemas = INCOMPLETE_TABLES_TOTAL_MAX / 4;
  for (let i = 0; i < 40; i++) for (let s = 0; s < schemas; s++) tables.add(mark(`s${s}`, `t${i}`));
  expect(tables.list.length).toBeLessThanOrEqual(INCOMPLETE_TABLES_TOTAL_MAX + 1);
  expect(new Set(tables.list.map(({ schema }) => schema)).size).toBe(schemas);
});
