import { createInterface } from 'node:readline/promises';
import type { Connection } from 'mysql2/promise';
import type { BackfillRequest } from '../../backfill/control.ts';
import { type BackfillEstimate, type EstimatedStream, estimateBackfill } from '../../backfill/request/estimate.ts';
import { type BackfillTable, resolveTables } from '../../backfill/request/resolve-tables.ts';
import { compileDestinations } from '../../config/destinations.ts';
import type { Config } from '../../config/schema.ts';
import { configPerHost, sourceConnection } from '../../config/source-connection.ts';
import { abortable, onAbort } from '../../runtime/abort.ts';
import { CdcError } from '../../runtime/error.ts';
import type { openTargets } from '../../sinks/open-targets.ts';
import { connectionError } from '../../source/server/connection-error.ts';
import { connect } from '../../source/server/server-info.ts';

/** More work than this is confirmed first. */
const CONFIRM_ABOVE_S = 3_600;
/** The list of many tables takes a server some time. */
const LIST_TIMEOUT_MS = 120_000;

export interface PreparedBackfill {
  tables: BackfillTable[];
  estimate: BackfillEstimate;
}

/**
 * What a request stands for and will be, from the source. Nothing is read yet.
 * @throws CdcError with exit code 2 that names every table that cannot be read
 */
export async function prepareBackfill(
  config: Config,
  request: BackfillRequest,
  signal: AbortSignal,
): Promise<PreparedBackfill> {
  const connection = await connectFirst(config, signal);
  const removeListener = onAbort(signal, () => connection.destroy());
  const prepare = async (): Promise<PreparedBackfill> => {
    const tables = await resolveTables(connection, config, request);
    // The client libraries, which an error before does not need.
    const { openTargets } = await import('../../sinks/open-targets.ts');
    const streams = await estimatedStreams(config, openTargets);
    return { tables, estimate: await estimateBackfill(connection, config, request, tables, streams) };
  };
  try {
    // mysql2 settles no query of a destroyed connection.
    return await abortable(prepare(), signal);
  } catch (error) {
    if (error instanceof CdcError || signal.aborted) throw error;
    throw connectionError(error, sourceConnection(configPerHost(config)[0]?.source ?? config.source));
  } finally {
    removeListener();
    connection.destroy();
  }
}

/** What the estimate needs to know of each destination. Nothing is sent. */
async function estimatedStreams(config: Config, open: typeof openTargets): Promise<EstimatedStream[]> {
  // The destinations are the same, however names are compared.
  const naming = { caseSensitive: true };
  const targets = await open(config, compileDestinations(config, naming).all, naming);
  for (const { sink } of targets) sink.close();
  return targets.map(({ aggregation, quota = NO_QUOTA, sink }) => ({
    ...{ aggregation, quota },
    compresses: sink.encodeRecord !== undefined,
    isBilled: sink.service === 'Firehose',
  }));
}

const NO_QUOTA = { records: Infinity, requests: Infinity, bytes: Infinity };

/** A connection to the first host of source.url that answers. */
async function connectFirst(config: Config, signal: AbortSignal): Promise<Connection> {
  let failure: unknown;
  for (const { source } of configPerHost(config)) {
    try {
      return await abortable(connect(sourceConnection(source), LIST_TIMEOUT_MS), signal);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}

/**
 * Asks on a terminal before more than an hour of work.
 * @throws CdcError if the answer is no, or, with exit code 2, if nobody can be asked
 */
export async function confirmBackfill({ seconds }: BackfillEstimate, signal: AbortSignal): Promise<void> {
  if (seconds <= CONFIRM_ABOVE_S) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CdcError('this backfill takes more than an hour and was not confirmed', {
      exitCode: 2,
      why: 'standard input or standard error is no terminal, so nobody can be asked',
      hint: 'add --yes to start it, or --dry-run to see the estimate alone',
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Readline takes Ctrl-C from the terminal, and no signal arrives.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = await terminal.question('This takes more than an hour. Start it? [y/N] ', { signal });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new CdcError('the backfill was not started', { hint: 'answer y, or use --yes' });
}
