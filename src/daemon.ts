import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config/schema.ts';
import { asCdcError } from './error.ts';
import type { Log } from './log.ts';
import { runPipeline } from './pipeline.ts';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** A pipeline that ran this long was healthy: the next failure waits as if it were the first. */
const HEALTHY_MS = 60_000;

/** Runs the pipeline until `signal` aborts; after a failure that may heal it starts again, for ever. */
export async function runDaemon(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    const startedAt = Date.now();
    try {
      await runPipeline(config, log, signal);
    } catch (cause) {
      const error = asCdcError(cause);
      if (error.kind !== 'retry') throw error;
      if (Date.now() - startedAt > HEALTHY_MS) attempt = 0;
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10));
      log.warn({ why: error.why, hint: error.hint, retryInMs: wait }, error.message);
      await sleep(wait, undefined, { signal }).catch(() => {});
    }
  }
}
