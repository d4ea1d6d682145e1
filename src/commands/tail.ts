import { once } from 'node:events';
import { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { SelectedHost } from '../source/select-host.ts';

export function tailCommand(signal: AbortSignal): Command {
  return new Command('tail')
    .description('Prints change events to standard output in commit order. Sends nothing and saves no checkpoint.')
    .argument('[tables...]', 'patterns that replace `tables` of the configuration')
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .option('--from <where>', 'now, earliest, checkpoint, a GTID set, or file:position', 'now')
    .addHelpText(
      'after',
      `
Examples:
  cdc tail                                  the changes from now on
  cdc tail shop.orders --from checkpoint    the changes that the daemon would deliver next
  cdc tail 'shop.*' --from earliest | jq .after`,
    )
    .action(async (tables: string[], { config: file, from }: { config: string; from: string }) => {
      const { loadConfig } = await import('../config/load.ts');
      const config = loadConfig(file);
      if (from !== 'checkpoint') await assertStart(from);
      if (tables.length > 0) config.tables = tables;
      await tail(config, from, signal);
    });
}

/** @throws CdcError with exit code 2 if the text is not a start position */
async function assertStart(from: string): Promise<void> {
  const { parseStart } = await import('../config/source-schema.ts');
  try {
    parseStart(from);
  } catch (error) {
    throw new CdcError(`--from ${from} is not a start position`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'write now, earliest, checkpoint, a GTID set, or file:position such as binlog.000012:4',
    });
  }
}

async function tail(loaded: Config, from: string, signal: AbortSignal): Promise<void> {
  const { ChangeStream } = await import('../source/change-stream.ts');
  const { TransactionPrinter } = await import('../source/transaction-printer.ts');
  const selected = await selectSource(loaded, from, signal);
  const { config, server, start } = selected;
  const closed = new AbortController();
  let failure: CdcError | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has closed the pipe, as in `cdc tail | head`.
    if (error.code !== 'EPIPE') failure = asCdcError(error);
    closed.abort();
  });
  process.stderr.write(`${await describeStart(selected, from)}\n`);
  const stream = new ChangeStream({
    config,
    server,
    start,
    signal: AbortSignal.any([signal, closed.signal]),
    onIncomplete: ({ schema, table, why }) =>
      process.stderr.write(`${why} can have changed rows of ${schema}.${table} without row events\n`),
  });
  await stream.follow(new TransactionPrinter(stream));
  if (failure) throw failure;
  if (process.stdout.writableLength > 0 && !process.stdout.destroyed) await once(process.stdout, 'drain');
}

/** Standard output is silent until a row changes. So this says that it works, where it reads, and what it waits for. */
async function describeStart({ config, server, start, host }: SelectedHost, from: string): Promise<string> {
  const { parseCoordinates } = await import('../model/coordinates.ts');
  const { coordinates } = start.delivered;
  // A GTID set has no coordinates before its first transaction.
  const isGtids = /^[\da-f]+-/i.test(from) && !parseCoordinates(from);
  const where = isGtids ? `the end of ${from}` : `${coordinates.file}:${coordinates.position}`;
  const product = server.flavor === 'mysql' ? 'MySQL' : 'MariaDB';
  return [
    `connected to ${product} ${server.version} on ${host}`,
    `the binlog is read from ${where}`,
    `changes of ${config.tables.join(', ')} follow; Ctrl-C ends`,
  ].join('; ');
}

async function selectSource(config: Config, from: string, signal: AbortSignal): Promise<SelectedHost> {
  const { selectHost } = await import('../source/select-host.ts');
  if (from !== 'checkpoint') {
    return selectHost(config, undefined, signal, { start: from, optionName: '--from' });
  }
  const { withCheckpointStore } = await import('../checkpoint/open-checkpoint-store.ts');
  const { saved, location } = await withCheckpointStore(config, async (store) => ({
    saved: (await store.read()).checkpoint,
    location: store.location,
  }));
  if (saved === undefined) {
    throw new CdcError(`there is no checkpoint ${location}`, {
      exitCode: 2,
      hint: 'cdc run writes it; use --from now or --from earliest until then',
    });
  }
  return selectHost(config, saved, signal);
}
