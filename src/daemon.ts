import { setTimeout as sleep } from 'node:timers/promises';
import { startAdminServer } from './admin/server.ts';
import type { TableStatus } from './backfill/control.ts';
import { CheckpointFile } from './checkpoint/checkpoint-file.ts';
import type { Config } from './config/schema.ts';
import { type RunningPipeline, runPipeline } from './pipeline.ts';
import { preflight } from './preflight/preflight.ts';
import { exponentialBackoff } from './runtime/backoff.ts';
import { asCdcError, CdcError } from './runtime/error.ts';
import type { Log } from './runtime/log.ts';
import { isPasswordRejected } from './source/server/connection-error.ts';

const RESTART_DELAY_BASE_MS = 500;
const RESTART_DELAY_MAX_MS = 30_000;
/** If a pipeline runs this long before it fails, the delay starts again at the base. */
const BACKOFF_RESET_AFTER_MS = 60_000;

/** @throws CdcError with exit code 3 if the preflight finds an error that cannot clear by itself */
async function assertPreflight(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const findings = await preflight(config, signal);
  for (const { what, why, fix } of findings.filter(({ severity, transient }) => severity === 'warning' || transient)) {
    log.warn({ why, hint: fix }, what);
  }
  const errors = findings.filter(({ severity, transient }) => severity === 'error' && !transient);
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw new CdcError(first.what, { exitCode: 3, why: first.why, hint: first.fix });
  throw new CdcError(`preflight found ${errors.length} errors`, {
    exitCode: 3,
    why: errors.map(({ what, why }) => `${what}: ${why}`).join('\n        '),
    hint: 'cdc check lists each with the statement or setting that fixes it',
  });
}

/**
 * Runs the pipeline until `signal` aborts. It starts the pipeline again after each error of kind `retry`. Meanwhile
 * `cdc backfill` reaches it through its socket.
 * @param onRunning called with each pipeline that has started
 */
export async function runDaemon(
  config: Config,
  log: Log,
  signal: AbortSignal,
  onRunning?: (pipeline: RunningPipeline) => void,
): Promise<void> {
  try {
    await assertPreflight(config, log, signal);
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  const unlock = await new CheckpointFile(config.checkpoint.file).lock();
  let running: RunningPipeline | undefined;
  let lastError: CdcError | undefined;
  try {
    const admin = await startAdminServer({
      socket: config.admin.socket,
      name: config.name,
      source: () => running,
      whyUnavailable: () => lastError?.message,
      log,
    });
    try {
      await runWithRestarts(config, log, signal, {
        onRunning(pipeline) {
          running = pipeline;
          onRunning?.(pipeline);
        },
        onEnded(error) {
          running = undefined;
          lastError = error;
        },
      });
    } finally {
      await admin.close();
    }
  } finally {
    await unlock();
  }
}

/**
 * A password that the preflight could use is being rotated if the server rejects it later: the server knows the new one
 * before its file has it, or the other way round. The file is read again for each connection.
 */
function retriedWithPasswordFile(error: CdcError, { source }: Config): CdcError {
  const file = source.password_file;
  if (file === undefined || error.kind === 'retry' || !isPasswordRejected(error)) return error;
  return new CdcError(error.message, {
    kind: 'retry',
    ...(error.why && { why: error.why }),
    hint: `write the new password into ${file}, or set that one on the server; cdc reads the file for each attempt`,
    cause: error,
  });
}

interface RestartHooks {
  onRunning(pipeline: RunningPipeline): void;
  onEnded(error: CdcError | undefined): void;
}

async function runWithRestarts(
  config: Config,
  log: Log,
  signal: AbortSignal,
  { onRunning, onEnded }: RestartHooks,
): Promise<void> {
  const finished: TableStatus[] = [];
  for (let attempt = 0; !signal.aborted; attempt++) {
    const startedAt = Date.now();
    try {
      await runPipeline(config, log, signal, { finished, onRunning }).finally(() => onEnded(undefined));
    } catch (cause) {
      // The signal aborted before the pipeline had read anything.
      if (cause === signal.reason) return;
      const error = retriedWithPasswordFile(asCdcError(cause), config);
      if (error.kind !== 'retry') throw error;
      onEnded(error);
      if (Date.now() - startedAt > BACKOFF_RESET_AFTER_MS) attempt = 0;
      const retryInMs = exponentialBackoff(attempt, { baseMs: RESTART_DELAY_BASE_MS, maxMs: RESTART_DELAY_MAX_MS });
      log.warn({ why: error.why, hint: error.hint, retryInMs }, error.message);
      await sleep(retryInMs, undefined, { signal }).catch(() => {});
    }
  }
}
