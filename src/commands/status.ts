import { Command } from 'commander';

interface StatusFlags {
  config: string;
  json?: true;
  watch?: true;
  alive?: true;
}

const HELP = `
The daemon answers through its Unix socket. Where none runs, the checkpoint does, and MySQL is asked for its tables.
With --watch it is asked every 2 seconds until Ctrl-C; a daemon that is started again is found again.

--json prints what GET /api/status answers: one object, or with --watch one line each time. docs/OPERATIONS.md has
its fields. No value of a row is in it.

--alive is for health checks of containers: it prints nothing, and exits with 0 if the daemon answers within 5 seconds,
also while it waits for MySQL, and with 1 if not.

Exit code 0 if the status could be given, also if no daemon runs; 1 if the daemon does not answer, 2 if the
configuration or the checkpoint is wrong, or the daemon belongs to another account, 130 after Ctrl-C without --watch.

Examples:
  cdc status -c shop.yaml
  cdc status --watch
  cdc status --json | jq -e '.health.status == "ok"'`;

/** `cdc status`: health, lag, and what is stuck. */
export function statusCommand(signal: AbortSignal): Command {
  return new Command('status')
    .description(
      'Shows whether the daemon is healthy, how far behind it is, what is stuck, and which tables are complete.',
    )
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .option('--json', 'print JSON instead of text')
    .option('--alive', 'print nothing, and exit with 1 if no daemon answers')
    .option('--watch', 'show it again every 2 seconds, with rates, until Ctrl-C')
    .addHelpText('after', HELP)
    .action(async ({ config: file, json, watch, alive }: StatusFlags) => {
      const { loadConfig } = await import('../config/load.ts');
      const config = loadConfig(file);
      if (alive) {
        const { AdminClient } = await import('../admin/client.ts');
        const client = new AdminClient(config.admin.socket);
        await client.alive().finally(() => client.close());
        return;
      }
      const { PipelineStatusReader } = await import('./status/status-reader.ts');
      const reader = new PipelineStatusReader(config, signal);
      try {
        if (watch) {
          const { openDisplay, watchStatus } = await import('./status/watch-status.ts');
          await watchStatus(reader, await openDisplay(json === true), signal);
        } else {
          const { printStatus } = await import('./status/print-status.ts');
          await printStatus(await reader.read(), json === true);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
        process.exitCode = signal.reason === 'SIGTERM' ? 143 : 130;
      } finally {
        await reader.close();
      }
    });
}
