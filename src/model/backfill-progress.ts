import type { KeyRange } from './key-range.ts';

/** What is left to read of a table. */
export interface TableProgress {
  schema: string;
  table: string;
  /** The requests that asked for it, with a space between them. */
  request: string;
  /** The condition of the rows to read. */
  where: string | null;
  /** The columns of the key that the ranges belong to; empty until the table was read. */
  key: string;
  /**
   * Whether the copy has begun: what the lake had of the table before does not count, because an event has emptied it
   * there, or because it was complete.
   */
  begun: boolean;
  /** Rows that are delivered, and about how many the table has. */
  rows: number;
  estimatedRows: number;
  ranges: readonly KeyRange[];
}

/** What a checkpoint keeps of the backfill. */
export interface BackfillProgress {
  paused: boolean;
  /** What the last request has set; null for the values of the configuration. */
  parallel: number | null;
  rate: number | null;
  maxLagMs: number | null;
  /** Ordinals of `seq` below this number can have been used. */
  ordinals: number;
  tables: readonly TableProgress[];
}

export const NO_BACKFILL: BackfillProgress = {
  ...{ paused: false, parallel: null, rate: null, maxLagMs: null },
  ...{ ordinals: 0, tables: [] },
};
