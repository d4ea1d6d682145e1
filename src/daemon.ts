import { setTimeout as sleep } from 'node:timers/promises';
import { CheckpointFile } from './checkpoint/checkpoint-file.ts';
import type { Config } from './config/schema.ts';
import { runPipeline } from './pipeline.ts';
import { preflight } from './preflight/preflight.ts';
import { asCdcError, CdcError } from './runtime/error.ts';
import type { Log } from './runtime/log.ts';

const RESTART_DELAY_BASE_MS = 500;
const RESTART_DELAY_MAX_MS = 30_000;
/** A pipeline that ran this long was healthy: the next failure waits as if it were the first. */
const BACKOFF_RESET_AFTER_MS = 60_000;

/** What `cdc check` would call an error stops the daemon before it begins, unless it may pass by itself. */
async function assertPreflight(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const problems = await preflight(config, signal);
  for (const { what, why, fix } of problems.filter(({ severity, transient }) => severity === 'warning' || transient)) {
    log.warn({ why, hint: fix }, what);
  }
  const errors = problems.filter(({ severity, transient }) => severity === 'error' && !transient);
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw new CdcError(first.what, { exitCode: 3, why: first.why, hint: first.fix });
  throw new CdcError(`${errors.length} things stand in the way`, {
    exitCode: 3,
    why: errors.map(({ what, why }) => `${what}: ${why}`).join('\n        '),
    hint: 'cdc check lists them with the statement or setting that fixes each',
  });
}

/** Runs the pipeline until `signal` aborts; after a failure that may heal it starts again, for ever. */
export async function runDaemon(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  try {
    await assertPreflight(config, log, signal);
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  const unlock = await new CheckpointFile(config.checkpoint.file).lock();
  try {
    await runWithRestarts(config, log, signal);
  } finally {
    await unlock();
  }
}

async function runWithRestarts(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    const startedAt = Date.now();
    try {
      await runPipeline(config, log, signal);
    } catch (cause) {
      // The end was asked for before anything was read.
      if (cause === signal.reason) return;
      const error = asCdcError(cause);
      if (error.kind !== 'retry') throw error;
      if (Date.now() - startedAt > BACKOFF_RESET_AFTER_MS) attempt = 0;
      const wait = Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_BASE_MS * 2 ** Math.min(attempt, 10));
      log.warn({ why: error.why, hint: error.hint, retryInMs: wait }, error.message);
      await sleep(wait, undefined, { signal }).catch(() => {});
    }
  }
}
