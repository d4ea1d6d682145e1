import { expect, test } from 'vitest';
import { type IndexPart, indexPart, serverPrimaryKey } from '../../../src/model/row-key.ts';

const part = (index: string, column: string | null, unique = true): IndexPart => ({
  index,
  column,
  unique,
  isPrefix: false,
});

test('a table whose columns the server does not mark has no key', () => {
  expect(serverPrimaryKey([], [part('u', 'a')])).toEqual([]);
});

test('the marked columns are in the order of the first unique key that consists of them', () => {
  const parts = [
    part('n', 'b', false),
    part('n', 'a', false),
    part('z', 'b'),
    part('z', 'a'),
    part('y', 'a'),
    part('y', 'b'),
  ];
  expect(serverPrimaryKey(['a', 'b'], parts)).toEqual(['b', 'a']);
});

test('a unique key with an expression is not the one that the server takes', () => {
  const parts = [part('e', 'b'), part('e', null), part('u', 'b'), part('u', 'a')];
  expect(serverPrimaryKey(['a', 'b'], parts)).toEqual(['b', 'a']);
});

test('a column of SHOW KEYS is read by position, as text or as a number', () => {
  expect(indexPart(['t', '0', 'PRIMARY', '1', 'id'])).toEqual(part('PRIMARY', 'id'));
  expect(indexPart(['t', 1, 'f', 1, null])).toEqual(part('f', null, false));
});
