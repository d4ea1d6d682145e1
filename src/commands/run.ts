import { Command } from 'commander';

export function runCommand(signal: AbortSignal): Command {
  return new Command('run')
    .description('Runs the daemon: follows the binlog and delivers every change.')
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .addHelpText(
      'after',
      `
Starts at the checkpoint. Without a checkpoint it starts at source.start.
SIGTERM and SIGINT deliver the events that were read, save the checkpoint and end the daemon with exit code 0.

Logs JSON lines on standard error. The environment variable CDC_LOG_LEVEL selects them:
  info   start and end of each connection to the binlog, and all warnings (default)
  warn   only warnings, such as restarts, retries, dead letters and findings of the preflight
The last line of a daemon that fails has level 60 (fatal), with its exit code. Only wrong usage and a wrong
configuration are printed as text.

Example:
  cdc run -c cdc.yaml`,
    )
    .action(async ({ config: file }: { config: string }) => {
      const { loadConfig } = await import('../config/load.ts');
      const config = loadConfig(file);
      const { createLog, logLastError } = await import('../runtime/log.ts');
      const { runDaemon } = await import('../daemon.ts');
      if (signal.aborted) return;
      const log = createLog(config.name);
      try {
        await runDaemon(config, log, signal);
      } catch (error) {
        process.exitCode = logLastError(log, error).exitCode;
      }
    });
}
