import type { BackfillControl, BackfillStatus, RepairRequest, RepairResult } from '../backfill/control.ts';
import type { TableCoverage } from '../model/coverage.ts';
import type { StreamStatus } from '../model/stream-status.ts';
import type { ReportedTable, VerifiedRows } from '../model/verified-tables.ts';

/** What the admin server asks of a running pipeline. */
export interface StatusSource {
  backfill: BackfillControl;
  /** Every captured table that the pipeline knows, and whether its copy is complete. */
  tables(): Promise<CoveredTable[]>;
  stream(): StreamStatus;
  /**
   * Records what `cdc verify` has found. Resolves once the checkpoint is durable.
   * @throws CdcError with exit code 2 that names each table that is not captured; nothing is recorded then
   */
  verified(results: readonly ReportedTable[]): Promise<void>;
  /** Sends rows again whose keys differ in the lake. Resolves once they are delivered. */
  repair(request: RepairRequest): Promise<RepairResult>;
}

export interface CoveredTable {
  schema: string;
  table: string;
  coverage: TableCoverage;
  /** The last result of `cdc verify`; null if there is none of the rows as they are. */
  verified: VerifiedRows | null;
}

/** The answer of `GET /api/status`. */
export interface DaemonStatus {
  name: string;
  version: string;
  pid: number;
  /** ISO 8601 */
  startedAt: string;
  stream: StreamStatus;
  backfill: BackfillStatus;
  tables: CoveredTable[];
}
