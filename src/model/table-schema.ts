import type { Coordinates } from './coordinates.ts';
import type { Column } from './table.ts';

/** The verified columns of a table, and the range of the binlog for which they are valid. */
export interface ResolvedTableSchema {
  schema: string;
  table: string;
  /** The signature of the columns in the table map. Another signature is another version of the table. */
  shape: string;
  from: Coordinates;
  /** The coordinates of the statement that changed the table; null if there is none. */
  until: Coordinates | null;
  columns: Column[];
  primaryKey: number[];
}
