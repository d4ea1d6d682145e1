import { setTimeout as sleep } from 'node:timers/promises';
import type { Checkpoint } from '../checkpoint/checkpoint-file.ts';
import type { Config } from '../config/schema.ts';
import { configPerHost, sourceConnection } from '../config/source-connection.ts';
import { parseSourceUrl } from '../config/url.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import { readServerInfo, type ServerInfo } from './server/server-info.ts';
import { isBehindCheckpoint, type StartPoint, type StartRequest, startPoint } from './start-point.ts';

/** A server that can go on from the checkpoint. */
export interface SelectedHost {
  /** Names this host alone: all connections of a run go to one server. */
  config: Config;
  server: ServerInfo;
  start: StartPoint;
  host: string;
  /** The hosts before it, and why they cannot. */
  rejected: readonly RejectedHost[];
}

interface RejectedHost {
  host: string;
  error: CdcError;
}

/**
 * How long a server may take to have executed what it has itself sent. A transaction is in its binlog, and so with us,
 * before it counts as executed; and a replica that takes over may be a moment behind.
 */
const CATCH_UP_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 250;

/**
 * The first host of `source.url` that answers and can go on from the checkpoint; without one, where `request` says.
 * @throws CdcError when none can: to be tried again, if that may help with any of them
 */
export async function selectHost(
  config: Config,
  saved: Checkpoint | undefined,
  signal: AbortSignal,
  request: StartRequest = { start: config.source.start },
): Promise<SelectedHost> {
  const rejected: RejectedHost[] = [];
  for (const one of configPerHost(config)) {
    const address = parseSourceUrl(one.source.url);
    const host = `${address.host}:${address.port}`;
    try {
      const server = await waitUntilCaughtUp(one, saved, signal);
      return { config: one, server, start: startPoint(request, saved, server), host, rejected };
    } catch (error) {
      signal.throwIfAborted();
      rejected.push({ host, error: asCdcError(error) });
    }
  }
  throw noUsableHost(rejected);
}

async function waitUntilCaughtUp(
  config: Config,
  saved: Checkpoint | undefined,
  signal: AbortSignal,
): Promise<ServerInfo> {
  const deadline = Date.now() + CATCH_UP_TIMEOUT_MS;
  for (;;) {
    const server = await abortable(readServerInfo(sourceConnection(config.source)), signal);
    if (!isBehindCheckpoint(saved, server) || Date.now() > deadline) return server;
    await sleep(POLL_INTERVAL_MS, undefined, { signal });
  }
}

/** A server that does not answer must not keep the process from ending. */
async function abortable<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    if (abort) signal.removeEventListener('abort', abort);
  }
}

function noUsableHost(failures: readonly RejectedHost[]): CdcError {
  const [first] = failures;
  if (failures.length === 1 && first !== undefined) return first.error;
  const decisive = failures.find(({ error }) => error.kind === 'retry') ?? first;
  return new CdcError(`none of the ${failures.length} hosts of source.url can go on`, {
    kind: decisive?.error.kind ?? 'fatal',
    exitCode: decisive?.error.exitCode ?? 1,
    why: failures.map(({ host, error: { message, why } }) => `${host}: ${message}${why ? `: ${why}` : ''}`).join('; '),
    ...(decisive?.error.hint && { hint: decisive.error.hint }),
    cause: decisive?.error,
  });
}
