import { Command, Option } from 'commander';

export function runCommand(signal: AbortSignal): Command {
  return new Command('run')
    .description('Runs the daemon: follows the binlog and delivers every change.')
    .addOption(
      new Option('-c, --config <file>', 'the configuration file; repeated, each file is a pipeline of this process')
        .argParser(collect)
        .default(DEFAULT_FILES, 'cdc.yaml'),
    )
    .addHelpText(
      'after',
      `
Starts at the checkpoint. Without a checkpoint it starts at source.start.
If another process runs with the same checkpoint, this one stands by, and follows once that has ended.
SIGTERM and SIGINT deliver the events that were read, save the checkpoint and end the daemon with exit code 0.

Logs on standard error: text on a terminal, otherwise JSON lines. The environment variable CDC_LOG_FORMAT (json or
text) replaces that choice. CDC_LOG_LEVEL selects the lines:
  info   start and end of each connection to the binlog, and all warnings (default)
  warn   only warnings, such as restarts, retries, dead letters and findings of the preflight
The last line of a daemon that fails has level 60 (fatal), with its exit code. Only wrong usage and a wrong
configuration are printed as text.

Several configurations run in one process and one thread, each with a name, checkpoint and socket of its own:
- An error in any of the files, or a name, checkpoint, socket or port that two have, starts none (exit code 2).
- A pipeline that fails for good leaves the others running. Its fatal line is logged; then it starts again after 30
  seconds, a delay that doubles up to 10 minutes. Its file is read again before each start.
- If all have failed for good at the same time, the process ends with their exit code, 1 if these differ.
- Pipelines share the process: an exception that nothing catches, or a lack of memory, ends all of them.

Examples:
  cdc run -c cdc.yaml
  cdc run -c shop.yaml -c billing.yaml`,
    )
    .action(async ({ config: files }: { config: string[] }) => {
      const { loadFleet } = await import('../config/load-fleet.ts');
      const fleet = loadFleet(files);
      const { runFleet } = await import('../fleet.ts');
      if (signal.aborted) return;
      process.exitCode = await runFleet(fleet, signal);
    });
}

const DEFAULT_FILES: string[] = ['cdc.yaml'];

/** The default is not one of the files that are named. */
const collect = (file: string, files: string[]): string[] => (files === DEFAULT_FILES ? [file] : [...files, file]);
