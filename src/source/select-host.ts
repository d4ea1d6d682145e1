import { setTimeout as sleep } from 'node:timers/promises';
import type { Checkpoint } from '../checkpoint/checkpoint-file.ts';
import type { Config } from '../config/schema.ts';
import { forEachHost, sourceConnection } from '../config/source-connection.ts';
import { parseSourceUrl } from '../config/url.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import { readServerFacts, type ServerFacts } from './server/server-info.ts';
import { isBehindCheckpoint, type StartPoint, type StartRequest, startPoint } from './start-point.ts';

/** A server that can go on from the checkpoint. */
export interface Source {
  /** Names this host alone: all connections of a run go to one server. */
  config: Config;
  server: ServerFacts;
  start: StartPoint;
  host: string;
  /** The hosts before it, and why they cannot. */
  passed: readonly Unfit[];
}

interface Unfit {
  host: string;
  error: CdcError;
}

/**
 * How long a server may take to have executed what it has itself sent. A transaction is in its binlog, and so with us,
 * before it counts as executed; and a replica that takes over may be a moment behind.
 */
const CATCH_UP_MS = 10_000;
const ASK_AGAIN_MS = 250;

/**
 * The first host of `source.url` that answers and can go on from the checkpoint; without one, where `request` says.
 * @throws CdcError when none can: to be tried again, if that may help with any of them
 */
export async function chooseSource(
  config: Config,
  saved: Checkpoint | undefined,
  signal: AbortSignal,
  request: StartRequest = { start: config.source.start },
): Promise<Source> {
  const passed: Unfit[] = [];
  for (const one of forEachHost(config)) {
    const address = parseSourceUrl(one.source.url);
    const host = `${address.host}:${address.port}`;
    try {
      const server = await caughtUp(one, saved, signal);
      return { config: one, server, start: startPoint(request, saved, server), host, passed };
    } catch (error) {
      signal.throwIfAborted();
      passed.push({ host, error: asCdcError(error) });
    }
  }
  throw ofAll(passed);
}

async function caughtUp(config: Config, saved: Checkpoint | undefined, signal: AbortSignal): Promise<ServerFacts> {
  const deadline = Date.now() + CATCH_UP_MS;
  for (;;) {
    const server = await unlessAborted(readServerFacts(sourceConnection(config.source)), signal);
    if (!isBehindCheckpoint(saved, server) || Date.now() > deadline) return server;
    await sleep(ASK_AGAIN_MS, undefined, { signal });
  }
}

/** A server that does not answer must not keep the process from ending. */
async function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
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

function ofAll(failures: readonly Unfit[]): CdcError {
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
