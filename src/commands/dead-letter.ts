import { Command, Option } from 'commander';
import type { Config } from '../config/schema.ts';
import type { StoredDeadLetter } from '../dead-letter/dead-letter.ts';
import { formatDeadLetters, formatResult, formatUnreadable, letterDetails } from '../dead-letter/dead-letter-report.ts';
import type { DeadLetterStore } from '../dead-letter/dead-letter-store.ts';
import type { RedeliveryResult } from '../dead-letter/redeliver.ts';
import { compileRoutes } from '../model/routes.ts';
import { parseTableName } from '../model/table-filter.ts';
import { CdcError } from '../runtime/error.ts';
import type { Sink } from '../sinks/sink.ts';

interface DeadLetterFlags {
  config: string;
  json?: true;
  event?: true;
  all?: true;
}

/** How many of several letters an error message names. */
const NAMED = 5;

export function deadLetterCommand(signal: AbortSignal): Command {
  return new Command('dead-letter')
    .description(
      'Events that were set aside because Firehose cannot take them: list them, look at one, send them again.',
    )
    .addHelpText(
      'after',
      `
An ID is the seq of the event, or its beginning or end where that is enough to tell it.

Example:
  cdc dead-letter list
  cdc dead-letter show 0000001f --event | jq .after
  cdc dead-letter retry --all`,
    )
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(retryCommand(signal));
}

const subcommand = (name: string): Command =>
  new Command(name).option('-c, --config <file>', 'the configuration', 'cdc.yaml');

const listCommand = (): Command =>
  subcommand('list')
    .description('Lists the dead letters of the pipeline, the oldest event first.')
    .option('--json', 'print {"directory", "letters": [...], "strange": [{"file", "why"}]}')
    .addHelpText('after', '\nExample:\n  cdc dead-letter list -c shop.yaml')
    .action(async ({ config, json }: DeadLetterFlags) => {
      const { folder } = await open(config);
      const { letters, strange } = await folder.list();
      if (json) return print(`${JSON.stringify({ directory: folder.directory, letters, strange }, null, 2)}\n`);
      process.stderr.write(formatUnreadable(strange));
      await print(formatDeadLetters(letters, folder.directory));
    });

const showCommand = (): Command =>
  subcommand('show')
    .description('Shows all of one dead letter, or the line of its event alone.')
    .argument('<id>', 'the seq of the event, or its beginning or end')
    .addOption(new Option('--json', 'print it as JSON; key and event are the texts that they are').conflicts('event'))
    .option('--event', 'print the line of the event and nothing else, byte for byte')
    .addHelpText(
      'after',
      '\nExample:\n  cdc dead-letter show 6b02e25e0000000200000006970000000020 --event > event.json',
    )
    .action(async (id: string, { config, json, event }: DeadLetterFlags) => {
      const { folder } = await open(config);
      const letter = await folder.read(idNamed(id, await folder.ids(), folder.directory));
      const file = folder.pathOf(letter.seq);
      if (event) return print(letter.event);
      if (!json) return print(letterDetails(letter, file));
      await print(`${JSON.stringify({ ...letter, file, event: letter.event.toString() }, null, 2)}\n`);
    });

const retryCommand = (signal: AbortSignal): Command =>
  subcommand('retry')
    .description('Sends dead letters to the stream of their table, each alone; what is accepted is removed.')
    .argument('[id...]', 'the seqs of their events, or the beginning or end of each')
    .option('--all', 'every dead letter of the pipeline')
    .addHelpText(
      'after',
      `
The daemon may run meanwhile. A later event of the same key has a higher seq, so it does no harm that this one comes late.
Exit code 0 when all were sent, 1 when some remain.

Example:
  cdc dead-letter retry 6b02e25e0000000200000006970000000020
  cdc dead-letter retry --all`,
    )
    .action(async (texts: string[], { config: file, all }: DeadLetterFlags) => {
      if (Boolean(all) === texts.length > 0) {
        throw new CdcError(all ? 'both ids and --all are given' : 'no dead letter is named', {
          exitCode: 2,
          hint: 'name some by their ids (cdc dead-letter list), or all of them with --all',
        });
      }
      const { config, folder } = await open(file);
      const ids = await folder.ids();
      await retry(config, folder, all ? ids : texts.map((text) => idNamed(text, ids, folder.directory)), signal);
    });

async function retry(config: Config, folder: DeadLetterStore, ids: string[], signal: AbortSignal): Promise<void> {
  const { FirehoseSink } = await import('../sinks/firehose/firehose-sink.ts');
  const { redeliver } = await import('../dead-letter/redeliver.ts');
  const { region, endpoint, timeout: timeoutMs, compression } = config.firehose;
  const sinks = new Map<string, Sink>();
  const route = (letter: StoredDeadLetter): { stream: string; sink: Sink } => {
    const stream = streamOf(config, letter);
    const gzip = compression === 'gzip';
    const sink = sinks.get(stream) ?? new FirehoseSink({ stream, region, endpoint, timeoutMs, gzip });
    sinks.set(stream, sink);
    return { stream, sink };
  };
  let remaining = 0;
  const onResult = (id: string, fate: RedeliveryResult): void => {
    if (!fate.sent) remaining++;
    process.stdout.write(formatResult(id, fate));
  };
  const chosen = [...new Set(ids)];
  try {
    await redeliver(folder, chosen, { route, onResult, signal });
  } finally {
    for (const sink of sinks.values()) sink.close();
  }
  await print(`${chosen.length - remaining} sent, ${remaining} remain in ${folder.directory}\n`);
  if (remaining > 0) process.exitCode = 1;
}

/**
 * The stream where the events of the letter's table go now. How the server compares names is not known here: where that
 * decides, it is the stream that the letter was meant for.
 */
function streamOf({ firehose }: Config, letter: StoredDeadLetter): string {
  const { schema, table } = parseTableName(letter.table);
  const [exact = firehose.stream, folded] = [true, false].map((caseSensitive) => {
    const { streams, streamOf: indexOf } = compileRoutes(firehose.routes, firehose.stream, { caseSensitive });
    return streams[indexOf(schema, table)];
  });
  return folded === letter.stream ? folded : exact;
}

/** The configuration in a file, and the dead letters of its pipeline. */
async function open(file: string): Promise<{ config: Config; folder: DeadLetterStore }> {
  const { loadConfig } = await import('../config/load.ts');
  const { DeadLetterStore } = await import('../dead-letter/dead-letter-store.ts');
  const config = loadConfig(file);
  const { directory, max_bytes } = config.dead_letter;
  return { config, folder: new DeadLetterStore(directory, config.name, max_bytes) };
}

/**
 * The id that a text names in full, by its beginning or by its end.
 * @throws CdcError with exit code 2 when there is none, or more than one
 */
function idNamed(text: string, ids: readonly string[], directory: string): string {
  if (text === '') {
    throw new CdcError('the id of a dead letter is empty', {
      exitCode: 2,
      why: 'every id begins so',
      hint: 'cdc dead-letter list shows the ids; --all retries all of them',
    });
  }
  const part = text.toLowerCase();
  const [found, ...more] = ids.filter((id) => id.startsWith(part) || id.endsWith(part));
  if (found === undefined) {
    throw new CdcError(`there is no dead letter ${text}`, {
      exitCode: 2,
      why: `none of the ${ids.length} in ${directory} has an id that begins or ends so`,
      hint: 'cdc dead-letter list shows what is there',
    });
  }
  if (more.length > 0) {
    const named = [found, ...more].slice(0, NAMED);
    throw new CdcError(`${text} names ${more.length + 1} dead letters`, {
      exitCode: 2,
      why: `${named.join(', ')}${more.length + 1 > NAMED ? ', …' : ''}`,
      hint: 'give more digits of the one that is meant',
    });
  }
  return found;
}

/** Resolves once all of it is written: the process ends behind that. Whoever reads may have seen enough. */
const print = (output: string | Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' ? resolve() : reject(error),
    );
    process.stdout.write(output, () => resolve());
  });
