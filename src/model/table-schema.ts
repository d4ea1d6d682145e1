import type { Coordinates } from './coordinates.ts';
import type { Column } from './table.ts';

/** Columns that were proven for a table, and the stretch of the binlog for which they hold. */
export interface ResolvedTableSchema {
  schema: string;
  table: string;
  /** What the stream itself says of its columns: a table of another shape is another version. */
  shape: string;
  from: Coordinates;
  /** Where a statement changed the table; null while none has. */
  until: Coordinates | null;
  columns: Column[];
  primaryKey: number[];
}
