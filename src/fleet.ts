import { RecentWarnings } from './admin/recent-warnings.ts';
import { type LoadedConfig, reloadConfig } from './config/load-fleet.ts';
import { runDaemon } from './daemon.ts';
import { sleepUnlessAborted } from './runtime/abort.ts';
import { type BackoffBounds, exponentialBackoff } from './runtime/backoff.ts';
import type { CdcError, ExitCode } from './runtime/error.ts';
import { type Log, logLastError, openLog } from './runtime/log.ts';

/** The delay before a pipeline that failed for good is started again beside the others. */
const RESTART_DELAY: BackoffBounds = { baseMs: 30_000, maxMs: 600_000 };

export interface FleetOptions {
  /** Runs one pipeline until `signal` aborts. Rejects with the error that needs an operator. */
  run?: typeof runDaemon;
  restart?: BackoffBounds;
}

/**
 * Runs the pipelines of one process until `signal` aborts, one of them or many. A pipeline that fails for good leaves
 * the others as they are. Its configuration is read again before each restart, so that an operator can mend it without
 * a pause of the others. If no pipeline is left that works, all end: a supervisor sees that, and none would work on.
 * @returns the exit code: that of the failures, 1 if they differ; 0 if `signal` ended all in order
 */
export async function runFleet(
  members: readonly LoadedConfig[],
  signal: AbortSignal,
  { run = runDaemon, restart = RESTART_DELAY }: FleetOptions = {},
): Promise<0 | ExitCode> {
  const current = [...members];
  /** The pipelines that do not run, and why. */
  const failures = new Map<number, CdcError>();
  const allFailed = new AbortController();
  const stop = AbortSignal.any([signal, allFailed.signal]);

  async function supervise(i: number): Promise<void> {
    const warnings = new RecentWarnings();
    // Node warns of a signal that has more than ten listeners.
    const own = AbortSignal.any([stop]);
    for (let attempt = 0; !stop.aborted; attempt++) {
      let { file, config } = current[i] as LoadedConfig;
      let log = await openLog(config.name, (warning) => warnings.add(warning));
      const startedAt = performance.now();
      try {
        if (failures.has(i)) {
          config = reloadConfig(file, current.toSpliced(i, 1));
          log = await openLog(config.name, (warning) => warnings.add(warning));
          current[i] = { file, config };
        }
        failures.delete(i);
        await run(config, log, own, { warnings, standBy: true });
        return;
      } catch (error) {
        failures.set(i, logLastError(log, error));
      }
      if (failures.size === members.length) allFailed.abort();
      if (stop.aborted) return;
      if (performance.now() - startedAt > restart.maxMs) attempt = 0;
      await waitForRestart(log, exponentialBackoff(attempt, restart), own);
    }
  }

  const endedBySignal = new Set<number>();
  signal.addEventListener('abort', () => {
    // They had failed before, and an operator who ends the process knows.
    for (const i of failures.keys()) endedBySignal.add(i);
  });
  await Promise.all(members.map((_, i) => supervise(i)));
  const codes = [...failures].filter(([i]) => !endedBySignal.has(i)).map(([, { exitCode }]) => exitCode);
  const [first = 0] = codes;
  return codes.every((code) => code === first) ? first : 1;
}

async function waitForRestart(log: Log, retryInMs: number, stop: AbortSignal): Promise<void> {
  log.warn({ retryInMs }, 'this pipeline has stopped and starts again; the others of this process continue');
  await sleepUnlessAborted(retryInMs, stop).catch(() => {});
}
