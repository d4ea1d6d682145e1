import { once } from 'node:events';
import { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { SelectedHost } from '../source/select-host.ts';

export function tailCommand(signal: AbortSignal): Command {
  return new Command('tail')
    .description('Print change events to standard output in commit order; sends nothing, keeps no checkpoint.')
    .argument('[tables...]', 'patterns as in `tables`, instead of those of the configuration')
    .option('-c, --config <file>', 'the configuration', 'cdc.yaml')
    .option('--from <where>', 'now, start, checkpoint, a GTID set, or file:position', 'now')
    .addHelpText(
      'after',
      `
Examples:
  cdc tail                                  what happens from now on
  cdc tail shop.orders --from checkpoint    what the daemon would deliver next
  cdc tail 'shop.*' --from start | jq .after`,
    )
    .action(async (tables: string[], { config: file, from }: { config: string; from: string }) => {
      const { loadConfig } = await import('../config/load.ts');
      const config = loadConfig(file);
      if (from !== 'start' && from !== 'checkpoint') await assertStart(from);
      if (tables.length > 0) config.tables = tables;
      await tail(config, from, signal);
    });
}

/** @throws CdcError with exit code 2 when the text is no place to begin */
async function assertStart(from: string): Promise<void> {
  const { parseStart } = await import('../config/schema.ts');
  try {
    parseStart(from);
  } catch (error) {
    throw new CdcError(`--from ${from} is not a place to begin`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'write now, start, checkpoint, a GTID set, or file:position such as binlog.000012:4',
    });
  }
}

async function tail(given: Config, from: string, signal: AbortSignal): Promise<void> {
  const { ChangeStream } = await import('../source/change-stream.ts');
  const { TransactionPrinter } = await import('../source/transaction-printer.ts');
  const { config, server, start } = await sourceOf(given, from, signal);
  const closed = new AbortController();
  let failure: CdcError | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has closed the pipe, as in `cdc tail | head`.
    if (error.code !== 'EPIPE') failure = asCdcError(error);
    closed.abort();
  });
  const stream = new ChangeStream({ config, server, start, signal: AbortSignal.any([signal, closed.signal]) });
  await stream.follow(new TransactionPrinter(stream));
  if (failure) throw failure;
  if (process.stdout.writableLength > 0 && !process.stdout.destroyed) await once(process.stdout, 'drain');
}

async function sourceOf(config: Config, from: string, signal: AbortSignal): Promise<SelectedHost> {
  const { selectHost } = await import('../source/select-host.ts');
  if (from !== 'checkpoint') {
    return selectHost(config, undefined, signal, { start: from === 'start' ? 'earliest' : from, optionName: '--from' });
  }
  const { CheckpointFile } = await import('../checkpoint/checkpoint-file.ts');
  const saved = await new CheckpointFile(config.checkpoint.file).load(config.name);
  if (saved === undefined) {
    throw new CdcError(`there is no checkpoint at ${config.checkpoint.file}`, {
      exitCode: 2,
      hint: 'cdc run writes it; use --from now or --from start until then',
    });
  }
  return selectHost(config, saved, signal);
}
