import { setTimeout as sleep } from 'node:timers/promises';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Config } from '../config/schema.ts';
import { configPerHost, sourceConnection } from '../config/source-connection.ts';
import { parseSourceUrl } from '../config/url.ts';
import { abortable } from '../runtime/abort.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import { CATCH_UP_TIMEOUT_MS } from './limits.ts';
import { readServerInfo, type ServerInfo } from './server/server-info.ts';
import { isBehindCheckpoint, type StartPoint, type StartRequest, startPoint } from './start-point.ts';

/** A server that can continue from the checkpoint. */
export interface SelectedHost {
  /** The configuration with this host only: all connections of a run go to one server. */
  config: Config;
  server: ServerInfo;
  start: StartPoint;
  host: string;
  /** The hosts before it in source.url, and why they cannot continue. */
  rejected: readonly RejectedHost[];
}

interface RejectedHost {
  host: string;
  error: CdcError;
}

const POLL_INTERVAL_MS = 250;

/**
 * Selects the first host of `source.url` that answers and can continue from the checkpoint, or, without a checkpoint,
 * can begin where `request` says.
 * @throws CdcError if no host can; its kind is `retry` if at least one of them can recover
 */
export async function selectHost(
  config: Config,
  saved: Checkpoint | undefined,
  signal: AbortSignal,
  request: StartRequest = { start: config.source.start },
): Promise<SelectedHost> {
  const rejected: RejectedHost[] = [];
  for (const hostConfig of configPerHost(config)) {
    const address = parseSourceUrl(hostConfig.source.url);
    const host = `${address.host}:${address.port}`;
    try {
      const server = await waitUntilCaughtUp(hostConfig, saved, signal);
      const start = await verifiedStart(hostConfig, saved, server, request, signal);
      return { config: hostConfig, server, start, host, rejected };
    } catch (error) {
      signal.throwIfAborted();
      rejected.push({ host, error: asCdcError(error) });
    }
  }
  throw noUsableHost(rejected);
}

/** Where to begin, after the binlog of the server was compared with the checkpoint. */
async function verifiedStart(
  { source }: Config,
  saved: Checkpoint | undefined,
  server: ServerInfo,
  request: StartRequest,
  signal: AbortSignal,
): Promise<StartPoint> {
  // What GTIDs and positions rule out needs no look into the binlog.
  const withEpoch = { ...request, lowestEpoch: source.epoch ?? 0 };
  const start = startPoint(withEpoch, saved, server);
  if (saved === undefined) return start;
  // It needs zongji, which a first start and `cdc check` without a checkpoint do not.
  const { differenceFromCheckpoint } = await import('./compare-binlog.ts');
  const difference = await differenceFromCheckpoint(saved, server, sourceConnection(source), signal);
  return difference === undefined ? start : startPoint(withEpoch, saved, server, undefined, difference);
}

/** The server once it has executed what was delivered, or, after the timeout, as it is. */
async function waitUntilCaughtUp(
  config: Config,
  saved: Checkpoint | undefined,
  signal: AbortSignal,
): Promise<ServerInfo> {
  const deadline = Date.now() + CATCH_UP_TIMEOUT_MS;
  for (;;) {
    // A server that does not answer must not delay the end of the process.
    const server = await abortable(readServerInfo(sourceConnection(config.source)), signal);
    if (!isBehindCheckpoint(saved, server) || Date.now() > deadline) return server;
    await sleep(POLL_INTERVAL_MS, undefined, { signal });
  }
}

function noUsableHost(failures: readonly RejectedHost[]): CdcError {
  const [first] = failures;
  if (failures.length === 1 && first !== undefined) return first.error;
  const decisive = failures.find(({ error }) => error.kind === 'retry') ?? first;
  return new CdcError(`none of the ${failures.length} hosts in source.url can serve`, {
    kind: decisive?.error.kind ?? 'fatal',
    exitCode: decisive?.error.exitCode ?? 1,
    why: failures.map(({ host, error: { message, why } }) => `${host}: ${message}${why ? `: ${why}` : ''}`).join('; '),
    ...(decisive?.error.hint && { hint: decisive.error.hint }),
    cause: decisive?.error,
  });
}
