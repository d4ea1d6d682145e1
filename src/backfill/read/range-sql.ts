import type { Key, KeyRange } from '../../model/key-range.ts';
import type { Parameter } from './execute-command.ts';
import type { KeyColumn } from './key-column.ts';

export type Direction = 'forward' | 'backward';

/** A condition of SQL with the parameters in it. */
export interface Condition {
  sql: string;
  parameters: Parameter[];
}

export const ALL_KEYS: Condition = { sql: 'TRUE', parameters: [] };

/** Whether values become smaller in this direction of the index. */
const isDescending = (column: KeyColumn, direction: Direction): boolean =>
  column.descending === (direction === 'forward');

/**
 * The rows beyond a key: `a > ? OR (a = ? AND (b > ? OR (b = ? AND c > ?)))`. MySQL and MariaDB read this as a range of
 * the index, and a row constructor as a condition on every row.
 */
function beyond(columns: readonly KeyColumn[], key: Key, direction: Direction, inclusive: boolean): Condition {
  const [column, ...rest] = columns as [KeyColumn, ...KeyColumn[]];
  const value = Buffer.from(key[0] as string, 'base64');
  const parameter = column.toParameter(value);
  const strict = compare(column, value, parameter, direction, inclusive && rest.length === 0);
  if (rest.length === 0) return strict;
  const tie = beyond(rest, key.slice(1), direction, inclusive);
  return {
    sql: `(${strict.sql} OR (${column.expression} = ${column.parameter} AND ${tie.sql}))`,
    parameters: [...strict.parameters, parameter, ...tie.parameters],
  };
}

function compare(
  column: KeyColumn,
  value: Buffer,
  parameter: Parameter,
  direction: Direction,
  inclusive: boolean,
): Condition {
  const descending = isDescending(column, direction);
  if (column.members === 0) {
    const sql = `${column.expression} ${descending ? '<' : '>'}${inclusive ? '=' : ''} ${column.parameter}`;
    return { sql, parameters: [parameter] };
  }
  // The server does not take `>` of an ENUM for a range of its index, but a list of its numbers.
  const at = Number(value.readBigUInt64LE());
  const isBeyond = (number: number): boolean =>
    (descending ? number < at : number > at) || (inclusive && number === at);
  const numbers = Array.from({ length: column.members + 1 }, (_, number) => number).filter(isBeyond);
  const sql = numbers.length === 0 ? 'FALSE' : `${column.expression} IN (${numbers.join(', ')})`;
  return { sql, parameters: [] };
}

export function both(a: Condition, b: Condition): Condition {
  if (a === ALL_KEYS) return b;
  if (b === ALL_KEYS) return a;
  return { sql: `${a.sql} AND ${b.sql}`, parameters: [...a.parameters, ...b.parameters] };
}

export const rangeCondition = (columns: readonly KeyColumn[], { after, upTo }: KeyRange): Condition =>
  both(
    after === null ? ALL_KEYS : beyond(columns, after, 'forward', false),
    upTo === null ? ALL_KEYS : beyond(columns, upTo, 'backward', true),
  );

/** The order of the index, so that the server sorts nothing. */
export const orderBy = (columns: readonly KeyColumn[], direction: Direction): string =>
  columns.map((column) => `${column.expression}${isDescending(column, direction) ? ' DESC' : ''}`).join(', ');

/** The text of a condition of the operator, which can end with a comment. */
export const parenthesized = (where: string): string => `(\n${where}\n)`;
