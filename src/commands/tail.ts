import { once } from 'node:events';
import { Command } from 'commander';
import { CheckpointFile } from '../checkpoint/checkpoint-file.ts';
import { ByteWriter } from '../codec/bytes/byte-writer.ts';
import { loadConfig } from '../config/load.ts';
import { type Config, parseStart } from '../config/schema.ts';
import type { EncodedEvent } from '../model/encoded-event.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import { type ChangeHandler, ChangeStream } from '../source/change-stream.ts';
import { type SelectedHost, selectHost } from '../source/select-host.ts';

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
      const config = loadConfig(file);
      if (from !== 'start' && from !== 'checkpoint') assertStart(from);
      if (tables.length > 0) config.tables = tables;
      await tail(config, from, signal);
    });
}

/** @throws CdcError with exit code 2 when the text is no place to begin */
function assertStart(from: string): void {
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

/** Prints the events of each transaction when it commits, or earlier if they outgrow `HOLD_BYTES`. */
class TransactionPrinter implements ChangeHandler {
  readonly #stream: ChangeStream;
  readonly #buffered = new ByteWriter();
  /** Bytes that were buffered at each savepoint of the open transaction. */
  readonly #savepoints = new Map<string, number>();
  /** Whether a part of the open transaction is printed. */
  #printed = false;

  constructor(stream: ChangeStream) {
    this.#stream = stream;
  }

  append(_target: number, { bytes, from, to }: EncodedEvent): void {
    this.#buffered.copy(bytes.subarray(from, to));
    if (this.#buffered.at <= HOLD_BYTES) return;
    this.#flush();
    this.#printed = true;
    this.#savepoints.clear();
  }

  savepoint(name: string): void {
    this.#savepoints.set(name, this.#buffered.at);
  }

  rollbackTo(name: string): void {
    const at = this.#savepoints.get(name);
    if (at === undefined) throw printedInPart();
    this.#buffered.at = at;
  }

  commit(): void {
    this.#flush();
    this.#printed = false;
    this.#savepoints.clear();
  }

  rollback(): void {
    if (this.#printed) throw printedInPart();
    this.#buffered.at = 0;
  }

  gtidsBeforeStart(): void {}
  skipped(): void {}
  xaPrepared(): void {}
  heartbeat(): void {}

  #flush(): void {
    const buffered = this.#buffered;
    if (buffered.at === 0) return;
    const lines = Buffer.from(buffered.bytes.subarray(0, buffered.at));
    buffered.at = 0;
    if (process.stdout.write(lines)) return;
    this.#stream.pause();
    process.stdout.once('drain', () => this.#stream.resume());
  }
}

const printedInPart = (): CdcError =>
  new CdcError('a transaction that was printed in part has been rolled back in the binlog', {
    why: `it was larger than the ${HOLD_BYTES} bytes that are held back until the commit is seen`,
  });

async function sourceOf(config: Config, from: string, signal: AbortSignal): Promise<SelectedHost> {
  if (from !== 'checkpoint') {
    return selectHost(config, undefined, signal, { start: from === 'start' ? 'earliest' : from, optionName: '--from' });
  }
  const saved = await new CheckpointFile(config.checkpoint.file).load(config.name);
  if (saved === undefined) {
    throw new CdcError(`there is no checkpoint at ${config.checkpoint.file}`, {
      exitCode: 2,
      hint: 'cdc run writes it; use --from now or --from start until then',
    });
  }
  return selectHost(config, saved, signal);
}
