import type { RowDifference } from './compare/suspects.ts';

/** What verify found of one table. */
export interface TableResult {
  schema: string;
  table: string;
  /** Rows of the source that were compared, and rows that the lake has. */
  rows: number;
  lakeRows: number;
  /** The characters of these rows of the source, as JSON. */
  rowCharacters: number;
  /** Rows of the source that the lake lacks, and rows of the lake that the source lacks. */
  missing: number;
  extra: number;
  different: number;
  /** Keys of which events can still be on their way at the end of the time to wait. */
  undecided: number;
  /** Whether its events go to another stream, and the lake has none of them: it was not compared. */
  isElsewhere: boolean;
  /** Keys that were sent again, before the counts above. */
  repaired: number;
  /** Keys that differ and cannot be selected by what the lake has of them, such as hashed ones. */
  unrepairable: number;
  /** When the daemon heard what is to be repaired, ISO 8601; undefined if nothing was. */
  foundAt?: string;
  /** The first differences. */
  differences: RowDifference[];
  /** Columns that older rows of the lake lack because they were added later. */
  addedLater: string[];
}

export const emptyResult = (schema: string, table: string): TableResult => ({
  ...{
    schema,
    table,
    rows: 0,
    lakeRows: 0,
    rowCharacters: 0,
    missing: 0,
    extra: 0,
    different: 0,
    undecided: 0,
    repaired: 0,
    unrepairable: 0,
  },
  ...{ differences: [], addedLater: [], isElsewhere: false },
});

export const differenceCount = ({ missing, extra, different }: TableResult): number => missing + extra + different;
