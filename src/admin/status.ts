import type { BackfillControl, BackfillStatus } from '../backfill/control.ts';

/** What the admin server asks of a running pipeline. */
export interface StatusSource {
  backfill: BackfillControl;
  /** Every captured table that the pipeline knows, and whether its copy is complete. */
  tables(): CoveredTable[];
}

export interface CoveredTable {
  schema: string;
  table: string;
  coverage: TableCoverage;
}

/** Whether the events of a table are the whole of it. */
export interface TableCoverage {
  complete: boolean;
  /** ISO 8601: since when it is complete, or since when its changes are captured. */
  since: string | null;
  /** How it became complete, or what is missing. */
  why: string | null;
}

/** The answer of `GET /api/status`. */
export interface DaemonStatus {
  name: string;
  version: string;
  pid: number;
  /** ISO 8601 */
  startedAt: string;
  backfill: BackfillStatus;
  tables: CoveredTable[];
}
