import { once } from 'node:events';
import { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { BinlogClient } from '../source/binlog/binlog-client.ts';
import type { SelectedHost } from '../source/select-host.ts';

/** Lines of a transaction are held back until its commit, up to this many bytes. */
const HOLD_BYTES = 16 * 1024 * 1024;

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
  const { ByteWriter } = await import('../codec/bytes/byte-writer.ts');
  const { followChanges } = await import('../source/change-stream.ts');
  const { config, server, start } = await sourceOf(given, from, signal);
  const closed = new AbortController();
  let broken: CdcError | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads has seen enough: `cdc tail | head`.
    if (error.code !== 'EPIPE') broken = asCdcError(error);
    closed.abort();
  });

  const buffered = new ByteWriter();
  let stream: BinlogClient | undefined;
  const flush = (): void => {
    if (buffered.at === 0) return;
    const lines = Buffer.from(buffered.bytes.subarray(0, buffered.at));
    buffered.at = 0;
    if (process.stdout.write(lines)) return;
    stream?.pause();
    process.stdout.once('drain', () => stream?.resume());
  };
  /** How much was held at each savepoint of the open transaction, and whether a part of it is printed already. */
  const savepoints = new Map<string, number>();
  let printed = false;
  stream = followChanges(
    config,
    server,
    start,
    {
      event(_stream, _keyHash, bytes, lineFrom, lineTo) {
        buffered.copy(bytes.subarray(lineFrom, lineTo));
        if (buffered.at <= HOLD_BYTES) return;
        flush();
        printed = true;
        savepoints.clear();
      },
      savepoint: (name) => savepoints.set(name, buffered.at),
      rollbackTo(name) {
        const at = savepoints.get(name);
        if (at === undefined) throw printedInPart();
        buffered.at = at;
      },
      commit() {
        flush();
        printed = false;
        savepoints.clear();
      },
      rollback() {
        if (printed) throw printedInPart();
        buffered.at = 0;
      },
      prepared() {},
      idle() {},
    },
    AbortSignal.any([signal, closed.signal]),
  );
  await stream.follow();
  if (broken) throw broken;
  if (process.stdout.writableLength > 0 && !process.stdout.destroyed) await once(process.stdout, 'drain');
}

const printedInPart = (): CdcError =>
  new CdcError('a transaction that was printed in part has been rolled back in the binlog', {
    why: `it was larger than the ${HOLD_BYTES} bytes that are held back until the commit is seen`,
  });

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
