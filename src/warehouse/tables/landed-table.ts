/**
 * What a column is in a warehouse, whatever the dialect calls it. `digits` are those of the fraction of a second,
 * `bytes` the most that a value has in UTF-8. `words`: 0 and 1 can be `false` and `true` in the event. `isText`: the
 * event has the document as a string.
 */
export type ColumnKind =
  | { kind: 'integer'; bits: 8 | 16 | 32 | 64; unsigned: boolean; words: boolean }
  | { kind: 'decimal'; precision: number; scale: number }
  | { kind: 'float' }
  | { kind: 'double' }
  | { kind: 'date' }
  | { kind: 'datetime'; digits: number }
  | { kind: 'timestamp'; digits: number }
  | { kind: 'time'; digits: number }
  | { kind: 'text'; bytes: number }
  | { kind: 'binary'; bytes: number }
  | { kind: 'json'; isText: boolean };

/** A column of a table, as its events have it. */
export interface LandedColumn {
  name: string;
  kind: ColumnKind;
  /** The type in the source, such as `bigint unsigned`, and what a rule makes of it. */
  sourceType: string;
  /** Whether the warehouse can need NULL: also where it cannot hold a value of the source, such as a zero date. */
  isNullable: boolean;
  comment: string;
  /**
   * What rows have that were written before the column was there, in the form of a value of an event; undefined for
   * NULL and where it is not known.
   */
  fill: string | undefined;
  /** What a column that is not nullable has where there is no value, such as in the row of a deleted key. */
  zero: string | undefined;
}

/** A table whose events land in a warehouse. */
export interface LandedTable {
  schema: string;
  table: string;
  comment: string;
  columns: readonly LandedColumn[];
  /** The key columns in key order, as indexes. Never empty. */
  key: readonly number[];
}
