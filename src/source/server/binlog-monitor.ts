import type { Connection } from 'mysql2/promise';
import type { Coordinates } from '../../model/coordinates.ts';
import type { BinlogObservation } from '../../model/lag.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import { abortable, sleepUnlessAborted } from '../../runtime/abort.ts';
import { MONITOR_INTERVAL_MS, MONITOR_TIMEOUT_MS } from '../limits.ts';
import { readRetention } from './binlog-retention.ts';
import { queryOn } from './query.ts';
import { connect, currentBinlogPosition, identityQuery, listBinlogs, type ServerInfo } from './server-info.ts';

export interface BinlogMonitorOptions {
  /** Made for each connection, because a password can be rotated. */
  connection: () => SourceConnection;
  server: Pick<ServerInfo, 'flavor' | 'identity'>;
  /** Whether it matters which files the server has: not while the file that it writes is the one that is delivered. */
  needsFiles: (end: Coordinates) => boolean;
  onObservation: (observation: BinlogObservation) => void;
  /** There is no observation. `answered` says whether the server did answer: it denies access, for example. */
  onFailure: (error: unknown, answered: boolean) => void;
  signal: AbortSignal;
}

/**
 * Asks the server where its binlog ends, how long it keeps it and what time it is, on a connection of its own. It costs
 * the server five small queries every two seconds. An error only means that there is no answer: the stream decides
 * what to do about the server.
 */
export async function monitorBinlog(options: BinlogMonitorOptions): Promise<void> {
  const { connection: connectionOptions, signal } = options;
  let connection: Connection | undefined;
  const ask = async (): Promise<void> => {
    if (connection === undefined) {
      const opened = await connect({ ...connectionOptions(), connectTimeout: MONITOR_TIMEOUT_MS }, MONITOR_TIMEOUT_MS);
      if (signal.aborted) return opened.destroy();
      connection = opened;
    }
    const observation = await observe(connection, options);
    if (observation !== undefined && !signal.aborted) options.onObservation(observation);
  };
  while (!signal.aborted) {
    try {
      // mysql2 settles no query of a connection that is destroyed: the end of the pipeline would wait for it.
      await abortable(ask(), signal);
    } catch (error) {
      connection?.destroy();
      connection = undefined;
      if (!signal.aborted) options.onFailure(error, isAnswer(error));
    }
    await sleepUnlessAborted(MONITOR_INTERVAL_MS, signal).catch(() => {});
  }
  connection?.destroy();
}

/** Whether the error is one that a server has sent: those of the network have no number of MySQL. */
function isAnswer(error: unknown): boolean {
  const { errno, cause } = error as { errno?: unknown; cause?: unknown };
  if (typeof errno === 'number' && errno >= 1_000) return true;
  return cause !== undefined && isAnswer(cause);
}

/** Undefined if another server answers than the one that is followed: a proxy can do that. */
async function observe(
  connection: Connection,
  { server, needsFiles }: BinlogMonitorOptions,
): Promise<BinlogObservation | undefined> {
  const query = queryOn(connection, MONITOR_TIMEOUT_MS);
  const [[identity] = []] = await query(identityQuery[server.flavor]);
  if (identity !== server.identity) return undefined;
  const askedAt = Date.now();
  const [[time] = []] = await query('SELECT UNIX_TIMESTAMP(NOW(6))');
  const answeredAt = Date.now();
  const { retentionSeconds } = await readRetention(query);
  const end = await currentBinlogPosition(connection);
  const at = Date.now();
  const clockAheadMs = Number(time) * 1000 - (askedAt + answeredAt) / 2;
  return {
    at,
    clockAheadMs,
    end,
    // Asked after the end, so that no size is older than it.
    files: needsFiles(end) ? await listBinlogs(connection) : undefined,
    retentionSeconds,
  };
}
