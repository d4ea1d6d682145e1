import { Command } from 'commander';

export function runCommand(signal: AbortSignal): Command {
  return new Command('run')
    .description('Follow the binlog and deliver every change; the daemon.')
    .option('-c, --config <file>', 'the configuration', 'cdc.yaml')
    .addHelpText(
      'after',
      `
Starts at the checkpoint, or where source.start says. Logs JSON lines on standard error (CDC_LOG_LEVEL=debug for more).
SIGTERM and SIGINT deliver what was read, save the checkpoint and end with 0.

Example:
  cdc run -c cdc.yaml`,
    )
    .action(async ({ config: file }: { config: string }) => {
      const { loadConfig } = await import('../config/load.ts');
      const config = loadConfig(file);
      const { createLog } = await import('../runtime/log.ts');
      const { runDaemon } = await import('../daemon.ts');
      if (signal.aborted) return;
      await runDaemon(config, createLog(config.name), signal);
    });
}
