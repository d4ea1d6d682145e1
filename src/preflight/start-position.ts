import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { withCheckpointStore } from '../checkpoint/open-checkpoint-store.ts';
import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/source-connection.ts';
import { Coverage } from '../model/coverage.ts';
import { error, type Finding } from '../model/finding.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import type { VerifiedTable } from '../model/verified-tables.ts';
import { asCdcError } from '../runtime/error.ts';
import { CapturedTables } from '../source/captured-tables.ts';
import { type SelectedHost, selectHost } from '../source/select-host.ts';
import { checkCoverage, checkDifferences, checkMarks } from './check-coverage.ts';

export interface StartCheck {
  findings: Finding[];
  /** The results of `cdc verify` in the checkpoint. */
  verified: readonly VerifiedTable[];
}

/**
 * Whether `cdc run` could begin: the checkpoint can be read and belongs to this pipeline, and a server can continue.
 * A warning for the tables that are not complete, and for those in which `cdc verify` has found differences.
 */
export async function checkStart(config: Config, signal: AbortSignal): Promise<StartCheck> {
  let saved: Checkpoint | undefined;
  try {
    saved = (await withCheckpointStore(config, (store) => store.read())).checkpoint;
    return await checkTablesOf(await selectHost(config, saved, signal), saved);
  } catch (cause) {
    const { message, why = '', hint = '', exitCode } = asCdcError(cause);
    const verified = saved?.coverage?.verified ?? [];
    const known = [...checkMarks(saved?.incomplete ?? []), ...checkDifferences(verified)];
    // The other checks report every other problem of the server in more detail.
    const findings = exitCode === 2 || exitCode === 4 ? [error(message, why, hint), ...known] : known;
    return { findings, verified };
  }
}

async function checkTablesOf({ config, server }: SelectedHost, saved: Checkpoint | undefined): Promise<StartCheck> {
  const isCaptured = compileTableFilter(config.tables, server);
  const tables = await new CapturedTables(() => sourceConnection(config.source), isCaptured).list();
  const coverage = new Coverage({
    ...(saved?.coverage ?? { followedSince: null, complete: [] }),
    incomplete: saved?.incomplete ?? [],
  });
  coverage.follow(config.tables, isCaptured);
  const willCopy = saved === undefined && config.source.start === 'snapshot';
  return { findings: willCopy ? [] : checkCoverage(tables, coverage, saved), verified: coverage.verified };
}
