import type { BackfillControl, BackfillStatus, RepairRequest, RepairResult } from '../backfill/control.ts';
import type { TableCoverage } from '../model/coverage.ts';

/** What the admin server asks of a running pipeline. */
export interface StatusSource {
  backfill: BackfillControl;
  /** Every captured table that the pipeline knows, and whether its copy is complete. */
  tables(): Promise<CoveredTable[]>;
  /** Sends rows again whose keys differ in the lake. Resolves once they are delivered. */
  repair(request: RepairRequest): Promise<RepairResult>;
}

export interface CoveredTable {
  schema: string;
  table: string;
  coverage: TableCoverage;
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
