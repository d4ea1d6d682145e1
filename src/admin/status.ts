import type { BackfillControl, RepairRequest, RepairResult } from '../backfill/control.ts';
import type { TableCoverage } from '../model/coverage.ts';
import type { DeliveryStatus } from '../model/delivery-status.ts';
import type { PurgeStatus } from '../model/purge.ts';
import type { StreamStatus } from '../model/stream-status.ts';
import type { ReportedTable, VerifiedRows } from '../model/verified-tables.ts';
import type { CdcError } from '../runtime/error.ts';

/** What the admin server asks of a running pipeline. */
export interface StatusSource {
  backfill: BackfillControl;
  /** Every captured table that the pipeline knows, and whether its copy is complete. */
  tables(): Promise<CoveredTable[]>;
  /** How far it is and how it is, without waiting for anything. */
  observe(): PipelineObservation;
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

export interface PipelineObservation {
  stream: StreamStatus;
  /** Why the pipeline ends; undefined while it does not, or if it was asked to. */
  failure: CdcError | undefined;
  /** See LagStatus. */
  lag: { seconds: number | null; bytes: number | null };
  /** How long the server has not answered, in seconds; 0 if it has just done so. */
  silentSeconds: number;
  purge: PurgeStatus;
  /** When the checkpoint was saved last, in milliseconds since 1970. */
  checkpointSavedAt: number | undefined;
  delivery: DeliveryStatus;
}
