import type { BackfillRequest, BackfillStatus } from '../../backfill/control.ts';
import type { Config } from '../../config/schema.ts';
import { CdcError } from '../../runtime/error.ts';
import type { Log } from '../../runtime/log.ts';

/**
 * What daemon.ts provides where no daemon runs.
 * - runBackfill: runs the pipeline until every window of the request is closed and delivered. After an abort it leaves
 *   a checkpoint that continues.
 * - savedBackfill: the backfill as the checkpoint has it.
 */
export interface StandaloneBackfill {
  runBackfill(
    config: Config,
    log: Log,
    signal: AbortSignal,
    work: { request: BackfillRequest; onStatus: (status: BackfillStatus) => void },
  ): Promise<BackfillStatus>;
  savedBackfill(config: Config): Promise<BackfillStatus>;
}

/** The seam between the command and the pipeline. */
export async function standalone<Name extends keyof StandaloneBackfill>(name: Name): Promise<StandaloneBackfill[Name]> {
  const provided = (await import('../../daemon.ts')) as unknown as Partial<StandaloneBackfill>;
  const found = provided[name];
  if (found !== undefined) return found as StandaloneBackfill[Name];
  throw new CdcError('no daemon runs', { hint: 'start cdc run, then call cdc backfill again' });
}
