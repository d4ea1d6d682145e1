import { expect, test } from 'vitest';
import { DIALECTS } from '../../../src/warehouse/dialects/dialects.ts';
import { assignNames, tableId } from '../../../src/warehouse/names.ts';
import { shapeOf } from '../../../src/warehouse/statements/alter-table.ts';
import type { LandedTable } from '../../../src/warehouse/tables/landed-table.ts';
import { landedColumn } from './landed.ts';

const table = (schema: string, name: string, ...columns: string[]): LandedTable => ({
  ...{ schema, table: name, comment: '', key: [0] },
  columns: columns.map((column) => landedColumn(column, 'int', { isNullable: false })),
});
const namesOf = (dialect: keyof typeof DIALECTS, ...tables: LandedTable[]) => [
  ...assignNames(tables, DIALECTS[dialect]).values(),
];

test('a source table keeps its name, and what cdc adds gets out of its way', () => {
  const [orders, other] = namesOf('duckdb', table('shop', 'orders', 'id'), table('shop', 'orders__cdc', 'id'));
  expect(orders).toMatchObject({ schema: 'shop', view: 'orders', state: 'orders__cdc_2', columns: ['id'] });
  expect(other).toMatchObject({ view: 'orders__cdc', state: 'orders__cdc__cdc' });
});

test('tables and columns that differ by case only get different names', () => {
  const names = namesOf('duckdb', table('shop', 'Orders', 'id'), table('shop', 'orders', 'id'));
  expect(names.map(({ view }) => view)).toEqual(['Orders', 'orders_2']);
});

test('columns of cdc get out of the way of those of the source, also of a later one', () => {
  const before = table('shop', 't', 'id');
  const [first] = namesOf('postgres', before);
  expect(first).toMatchObject({ seq: '_cdc_seq', columns: ['id'] });
  const known = new Map([[tableId(before), shapeOf(before, first!, DIALECTS.postgres, 'shop')]]);
  const after = table('shop', 't', 'id', '_cdc_seq');
  const [next] = [...assignNames([after], DIALECTS.postgres, known).values()];
  expect(next).toMatchObject({
    seq: '_cdc_seq',
    columns: ['id', '_cdc_seq_2'],
    viewColumns: ['id', '_cdc_seq'],
  });
  expect(namesOf('postgres', after)[0]).toMatchObject({ seq: '_cdc_seq_2', columns: ['id', '_cdc_seq'] });
});

test('a table keeps its names when another one with that name appears', () => {
  const lower = table('shop', 'orders', 'id');
  const [first] = namesOf('duckdb', lower);
  const known = new Map([[tableId(lower), shapeOf(lower, first!, DIALECTS.duckdb, 'shop')]]);
  const names = assignNames([table('shop', 'Orders', 'id'), lower], DIALECTS.duckdb, known);
  expect([...names.values()].map(({ view }) => view)).toEqual(['Orders_2', 'orders']);
});

test.each(Object.keys(DIALECTS) as (keyof typeof DIALECTS)[])(
  'names of %s are legal, and differ where the sources do',
  (name) => {
    const long = 'ü'.repeat(64);
    const columns = ['a.b', 'a_b', 'a b', '1', '', '"`\'\\', long, `${long.slice(1)}x`, 'select'].filter(Boolean);
    const [names] = namesOf(name, table('s.1', 'T/x', ...columns));
    const dialect = DIALECTS[name];
    const all = [names!.schema, names!.view, names!.state, names!.cells, ...names!.columns];
    for (const one of all) expect(dialect.legalName(one)).toBe(one);
    expect(new Set(names!.columns.map((one) => one.toLowerCase())).size).toBe(columns.length);
    if (name === 'postgres') for (const one of all) expect(Buffer.byteLength(one)).toBeLessThanOrEqual(63);
    if (name === 'athena') for (const one of all) expect(one).toMatch(/^[a-z_][a-z0-9_]*$/);
  },
);

test('the schema of cdc is not that of a source', () => {
  expect(namesOf('duckdb', table('CDC_state', 'landing', 'id'))[0]!.schema).toBe('CDC_state_');
});
