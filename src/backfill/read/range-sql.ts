import { quoteIdentifier } from '../../model/identifier.ts';
import type { Key, KeyRange } from '../../model/key-range.ts';
import type { Parameter } from './execute-command.ts';
import type { KeyColumn } from './key-column.ts';

export type Direction = 'forward' | 'backward';

/** Whether values become smaller in this direction of the index. */
const isDescending = (column: KeyColumn, direction: Direction): boolean =>
  column.descending === (direction === 'forward');

/**
 * The rows beyond a key: `a > ? OR (a = ? AND (b > ? OR (b = ? AND c > ?)))`. MySQL and MariaDB read this as a range of
 * the index, and a row constructor as a condition on every row.
 */
function beyond(key: readonly KeyColumn[], direction: Direction, inclusive: boolean): string {
  let text = '';
  for (const column of [...key].reverse()) {
    const name = quoteIdentifier(column.name);
    const operator = isDescending(column, direction) ? '<' : '>';
    if (text === '') text = `${name} ${operator}${inclusive ? '=' : ''} ${column.parameter}`;
    else text = `${name} ${operator} ${column.parameter} OR (${name} = ${column.parameter} AND (${text}))`;
  }
  return `(${text})`;
}

/** The parameters of `beyond`: each column twice, the last one once. */
export function keyParameters(columns: readonly KeyColumn[], key: Key): Parameter[] {
  return columns.flatMap((column, i) => {
    const parameter = column.toParameter(Buffer.from(key[i] as string, 'base64'));
    return i + 1 < columns.length ? [parameter, parameter] : [parameter];
  });
}

export const rangeParameters = (columns: readonly KeyColumn[], { after, upTo }: KeyRange): Parameter[] => [
  ...(after === null ? [] : keyParameters(columns, after)),
  ...(upTo === null ? [] : keyParameters(columns, upTo)),
];

/** The condition of a range; its parameters are `rangeParameters`. */
export function rangeCondition(columns: readonly KeyColumn[], after: boolean, upTo: boolean): string {
  const bounds = [
    ...(after ? [beyond(columns, 'forward', false)] : []),
    ...(upTo ? [beyond(columns, 'backward', true)] : []),
  ];
  return bounds.length === 0 ? 'TRUE' : bounds.join(' AND ');
}

/** The order of the index, so that the server sorts nothing. */
export const orderBy = (columns: readonly KeyColumn[], direction: Direction): string =>
  columns
    .map((column) => `${quoteIdentifier(column.name)}${isDescending(column, direction) ? ' DESC' : ''}`)
    .join(', ');

/** The text of a condition of the operator, which can end with a comment. */
export const parenthesized = (where: string): string => `(\n${where}\n)`;
