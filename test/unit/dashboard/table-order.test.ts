import { expect, test } from 'vitest';
import type { CapturedTableStatus } from '../../../src/admin/daemon-status.ts';
import { arrangeTables, type TableOrder } from '../../../src/dashboard/table-order.ts';

const table = (name: string, inserts: number, lastChangeAt: string | null = null): CapturedTableStatus => ({
  ...{ schema: 'shop', table: name, verified: null, bytes: inserts, lastChangeAt },
  coverage: { complete: inserts > 1, since: null, why: 'created' },
  events: { c: inserts, u: 0, d: 0, r: 0, t: 0 },
});

const TABLES = [
  table('b', 2, '2026-03-01T10:00:00.000Z'),
  table('a', 1),
  table('d', 2, '2026-03-01T11:00:00.000Z'),
  table('c', 0),
];

test.each<[TableOrder, string]>([
  [{ column: 'name', descending: false }, 'abcd'],
  [{ column: 'name', descending: true }, 'dcba'],
  [{ column: 'events', descending: true }, 'bdac'],
  [{ column: 'bytes', descending: false }, 'cabd'],
  [{ column: 'coverage', descending: false }, 'acbd'],
  [{ column: 'change', descending: true }, 'dbac'],
  [{ column: 'change', descending: false }, 'acbd'],
])('by %o the tables are %s', (order, names) => {
  expect(
    arrangeTables(TABLES, '', order)
      .map((one) => one.table)
      .join(''),
  ).toBe(names);
});

test('the filter looks in schema and name, without regard to case', () => {
  const order: TableOrder = { column: 'name', descending: false };
  expect(arrangeTables(TABLES, ' SHOP.A', order)).toEqual([TABLES[1]]);
  expect(arrangeTables(TABLES, 'p.*', order)).toEqual([]);
});
