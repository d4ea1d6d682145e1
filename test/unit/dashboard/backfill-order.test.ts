import { expect, test } from 'vitest';
import type { BackfillStatus, TableStatus } from '../../../src/backfill/control.ts';
import { lastCopies, shownCopies } from '../../../src/dashboard/backfill-order.ts';

const copy = (table: string, state: TableStatus['state'], request = 'r1'): TableStatus => ({
  ...{ schema: 'shop', table, state, request, rows: 0, estimatedRows: 0, fraction: 0 },
});
const status = (...tables: TableStatus[]): BackfillStatus => ({
  ...{ state: 'running', waitingFor: null, parallel: 1, rate: null, tables },
});
const names = (copies: TableStatus[]): string => copies.map(({ table, state }) => `${table} ${state}`).join(', ');

test('a table that was copied before is there once, with its last state', () => {
  const repeated = status(copy('a', 'cancelled'), copy('b', 'done'), copy('a', 'reading', 'r2'));
  expect(names(lastCopies(repeated))).toBe('a reading, b done');
});

test('what is read comes first, then what failed, then the queue in its order', () => {
  const mixed = status(
    copy('a', 'done'),
    copy('b', 'queued'),
    copy('c', 'failed'),
    copy('d', 'queued'),
    copy('e', 'reading'),
  );
  expect(names(lastCopies(mixed))).toBe('e reading, c failed, b queued, d queued, a done');
});

test('tables that are over do not fill the page, and failed ones are not hidden', () => {
  const many = ['a', 'b', 'c', 'd'].map((table) => copy(table, 'done'));
  const copies = lastCopies(status(...many, copy('e', 'reading'), copy('f', 'failed')));
  expect(names(shownCopies(copies, 50, 2))).toBe('e reading, f failed, a done, b done');
  expect(names(shownCopies(copies, 2, 2))).toBe('e reading, f failed');
});
