import { expect, test } from 'vitest';
import { ACTIVE_TABLES_MAX, countLine, countRows, TablesActivity } from '../../../src/model/table-activity.ts';
import { encodedEvent } from '../../encoded-event.ts';

test('an update that changes the key counts as the d and the c that it becomes', () => {
  const activity = new TablesActivity().of('shop', 'orders');
  countRows(activity, 'u', 5, 7);
  countRows(activity, 'c', 3, 3);
  countRows(activity, 'd', 1, 1);
  expect(activity.events).toEqual({ c: 5, u: 3, d: 3, r: 0, t: 0 });
});

test('names of tables without end take bounded memory, and their events still count', () => {
  const tables = new TablesActivity();
  for (let i = 0; i < ACTIVE_TABLES_MAX + 10; i++) countLine(tables.of('shop', `t${i}`), encodedEvent('line\n', '{}'));
  expect(tables.total).toBe(ACTIVE_TABLES_MAX + 10);
  expect(tables.find('shop', `t${ACTIVE_TABLES_MAX}`)).toBeUndefined();
  expect(tables.find('shop', 't1')).toMatchObject({ lines: 1, bytes: 5 });
  expect(tables.of('shop', 'one-more')).toMatchObject({ schema: '', lines: 10 });
});
