import { Command, Option } from 'commander';
import { compileDestinations } from '../config/destinations.ts';
import type { Config } from '../config/schema.ts';
import type { StoredDeadLetter } from '../dead-letter/dead-letter.ts';
import {
  formatDeadLetter,
  formatDeadLetters,
  formatResult,
  formatUnreadable,
} from '../dead-letter/dead-letter-report.ts';
import type { DeadLetterStore } from '../dead-letter/dead-letter-store.ts';
import type { RedeliveryOptions, RedeliveryResult } from '../dead-letter/redeliver.ts';
import { parseTableName } from '../model/table-filter.ts';
import { CdcError } from '../runtime/error.ts';
import type { SinkTarget } from '../sinks/sink.ts';

interface DeadLetterFlags {
  config: string;
  json?: true;
  event?: true;
  all?: true;
  outOfOrder?: true;
}

/** Ids that an error message shows at most. */
const SHOWN_IDS_MAX = 5;

export function deadLetterCommand(signal: AbortSignal): Command {
  return new Command('dead-letter')
    .description('Lists, shows and retries dead letters: events that the sink could not accept.')
    .addHelpText(
      'after',
      `
An id is the seq of the event. Its beginning or end is enough if only one id matches.

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
  new Command(name).option('-c, --config <file>', 'the configuration file', 'cdc.yaml');

const listCommand = (): Command =>
  subcommand('list')
    .description('Lists the dead letters of the pipeline, the oldest event first.')
    .option(
      '--json',
      'print {"directory", "letters": [...], "strange": [{"file", "why"}]}; strange files are unreadable',
    )
    .addHelpText('after', '\nExample:\n  cdc dead-letter list -c shop.yaml')
    .action(async ({ config: file, json }: DeadLetterFlags) => {
      const { store } = await openStore(file);
      const { directory } = store;
      const { letters, unreadable } = await store.list();
      // The key `strange` keeps its name: scripts read it.
      if (json) return print(`${JSON.stringify({ directory, letters, strange: unreadable }, null, 2)}\n`);
      process.stderr.write(formatUnreadable(unreadable));
      await print(formatDeadLetters(letters, directory));
    });

const showCommand = (): Command =>
  subcommand('show')
    .description('Shows one dead letter, or only its event.')
    .argument('<id>', 'the seq of the event, or its beginning or end')
    .addOption(new Option('--json', 'print it as JSON, with key and event as strings').conflicts('event'))
    .option('--event', 'print only the event, byte for byte')
    .addHelpText(
      'after',
      '\nExample:\n  cdc dead-letter show 6b02e25e0000000200000006970000000020 --event > event.json',
    )
    .action(async (text: string, { config, json, event }: DeadLetterFlags) => {
      const { store } = await openStore(config);
      const letter = await store.read(findId(text, await store.ids(), store.directory));
      const file = store.pathOf(letter.seq);
      if (event) return print(letter.event);
      if (!json) return print(formatDeadLetter(letter, file));
      const { jsonWithEvent } = await import('../dead-letter/dead-letter.ts');
      const { event: line, ...fields } = letter;
      for (const piece of jsonWithEvent({ ...fields, file }, line)) await print(piece);
    });

const retryCommand = (signal: AbortSignal): Command =>
  subcommand('retry')
    .description('Sends each dead letter in a request of its own to the stream of its table. Removes it when accepted.')
    .argument('[id...]', 'the seqs of the events, or the beginning or end of each')
    .option('--all', 'retry every dead letter of the pipeline')
    .option('--out-of-order', 'send them to Kinesis or Kafka too, where they come behind later events of their keys')
    .addHelpText(
      'after',
      `
The daemon can run at the same time. A later event of the same key has a higher seq, so late delivery is harmless in a
lake. Kinesis and Kafka keep the order of arrival: a reader that does not order by seq would take the old event for the
newest, so there it needs --out-of-order.
Exit code 0 if all were sent, 1 if some remain.

Example:
  cdc dead-letter retry 6b02e25e0000000200000006970000000020
  cdc dead-letter retry --all`,
    )
    .action(async (texts: string[], { config: file, all, outOfOrder }: DeadLetterFlags) => {
      if (Boolean(all) === texts.length > 0) {
        throw new CdcError(all ? 'ids and --all cannot be combined' : 'no id of a dead letter was given', {
          exitCode: 2,
          hint: 'give ids (cdc dead-letter list shows them), or --all for every dead letter',
        });
      }
      const { config, store } = await openStore(file);
      const ids = await store.ids();
      const chosen = all ? ids : texts.map((text) => findId(text, ids, store.directory));
      await retry(config, store, chosen, { allowsOutOfOrder: outOfOrder ?? false, signal });
    });

async function retry(
  config: Config,
  store: DeadLetterStore,
  ids: string[],
  options: Pick<RedeliveryOptions, 'allowsOutOfOrder' | 'signal'>,
): Promise<void> {
  const { openTargets } = await import('../sinks/open-targets.ts');
  const { redeliver } = await import('../dead-letter/redeliver.ts');
  const { parseEvent } = await import('../codec/formats/parse-event.ts');
  const naming = { caseSensitive: true };
  const targets = await openTargets(config, compileDestinations(config, naming).all, naming);
  const route: RedeliveryOptions['route'] = (letter) => {
    const { name: stream, sink } = targets[targetOf(config, letter)] as SinkTarget;
    return { stream, sink };
  };
  const describe: RedeliveryOptions['describe'] = ({ table: qualified, event }) => {
    const { schema, table: name } = parseTableName(qualified);
    const { op } = parseEvent(event, config.format, [], config.flat_prefix);
    return { op, table: { schema, name, columns: [], key: [] } };
  };
  let remaining = 0;
  const onResult = (id: string, result: RedeliveryResult): void => {
    if (!result.sent) remaining++;
    process.stdout.write(formatResult(id, result));
  };
  const uniqueIds = [...new Set(ids)];
  try {
    await redeliver(store, uniqueIds, { ...options, route, describe, onResult });
  } finally {
    for (const { sink } of targets) sink.close();
  }
  await print(`${uniqueIds.length - remaining} sent, ${remaining} remain in ${store.directory}\n`);
  if (remaining > 0) process.exitCode = 1;
}

/**
 * The number of the destination that events of the dead letter's table go to now. The command does not know whether the
 * server compares names with case. If that makes a difference, the stream in the dead letter decides.
 */
function targetOf(config: Config, letter: StoredDeadLetter): number {
  const { schema, table } = parseTableName(letter.table);
  const [exact = 0, folded = 0] = [true, false].map((caseSensitive) =>
    compileDestinations(config, { caseSensitive }).indexOf(schema, table),
  );
  const { all } = compileDestinations(config, { caseSensitive: false });
  return all[folded]?.name === letter.stream ? folded : exact;
}

/** Loads the configuration and opens the dead letters of its pipeline. */
async function openStore(file: string): Promise<{ config: Config; store: DeadLetterStore }> {
  const { loadConfig } = await import('../config/load.ts');
  const { DeadLetterStore } = await import('../dead-letter/dead-letter-store.ts');
  const config = loadConfig(file);
  const { directory, max_bytes } = config.dead_letter;
  return { config, store: new DeadLetterStore(directory, config.name, max_bytes) };
}

/**
 * The id that starts or ends with the text.
 * @throws CdcError with exit code 2 if no id matches, or more than one
 */
function findId(text: string, ids: readonly string[], directory: string): string {
  if (text === '') {
    throw new CdcError('the id of a dead letter is empty', {
      exitCode: 2,
      why: 'an empty id would match every dead letter',
      hint: 'cdc dead-letter list shows the ids; --all retries all of them',
    });
  }
  const part = text.toLowerCase();
  const [match, ...others] = ids.filter((id) => id.startsWith(part) || id.endsWith(part));
  if (match === undefined) {
    throw new CdcError(`there is no dead letter ${text}`, {
      exitCode: 2,
      why: `none of the ${ids.length} ids in ${directory} starts or ends with it`,
      hint: 'cdc dead-letter list shows the ids',
    });
  }
  if (others.length > 0) {
    const count = others.length + 1;
    const shown = [match, ...others].slice(0, SHOWN_IDS_MAX).join(', ');
    throw new CdcError(`${text} matches ${count} dead letters`, {
      exitCode: 2,
      why: `${shown}${count > SHOWN_IDS_MAX ? ', …' : ''}`,
      hint: 'give more digits of the id',
    });
  }
  return match;
}

/** Resolves when the output is written, because the process ends after that. A reader can close the pipe earlier. */
const print = (output: string | Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' ? resolve() : reject(error),
    );
    process.stdout.write(output, () => resolve());
  });
