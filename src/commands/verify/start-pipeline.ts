import type { Config } from '../../config/schema.ts';
import { runDaemon } from '../../daemon.ts';
import { onAbort } from '../../runtime/abort.ts';
import { createLog } from '../../runtime/log.ts';
import { logLine } from '../backfill/printer.ts';

/**
 * Runs the pipeline in this process, as `cdc run` does, until `stop` is called. It takes calls on its socket.
 * @returns once it runs
 * @throws CdcError if it cannot run
 */
export async function startPipeline(
  config: Config,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<{ stop(): Promise<void> }> {
  const done = new AbortController();
  const removeListener = onAbort(signal, () => done.abort(signal.reason));
  const log = createLog(config.name, process.env.CDC_LOG_LEVEL || 'warn', { write: (line) => onLine(logLine(line)) });
  let ended: Promise<void> | undefined;
  await new Promise<void>((resolve, reject) => {
    ended = runDaemon(config, log, done.signal, { onRunning: () => resolve() });
    ended.then(() => reject(done.signal.reason), reject);
  });
  return {
    async stop() {
      removeListener();
      done.abort('done');
      await ended;
    },
  };
}
