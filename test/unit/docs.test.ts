import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Command, CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { CHECKPOINT_INTERVAL_MS } from '../../src/checkpoint/checkpointer.ts';
import { keyPaths } from '../../src/config/config-issue.ts';
import { parseConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { TRANSPORTS } from '../../src/config/transports.ts';
import { parseDuration, parseSize } from '../../src/config/units.ts';
import * as delivery from '../../src/delivery/limits.ts';
import { INCOMPLETE_TABLES_MAX, INCOMPLETE_TABLES_TOTAL_MAX } from '../../src/model/incomplete-tables.ts';
import { FirehoseSink } from '../../src/sinks/firehose/firehose-sink.ts';
import { defaultQuota } from '../../src/sinks/firehose/quota.ts';
import { HEARTBEAT_MS } from '../../src/source/change-stream.ts';
import * as source from '../../src/source/limits.ts';
import { PRINT_BUFFER_MAX_BYTES } from '../../src/source/transaction-printer.ts';
import { blocks, docs, inlineCode, pages, readPage, shellLines, shellWords } from '../docs-code.ts';
import { firehoseOf } from './config/config-from.ts';

const root = resolve(import.meta.dirname, '../..');
const read = readPage;

const LINE_LENGTH = 120;

/** The lines of prose that are too long. Tables, code and the targets of links cannot be wrapped. */
const longLines = (page: string): string[] =>
  page
    .replace(/^```[\s\S]*?^```$/gm, '')
    .split('\n')
    .filter((line) => !/^(\||#| {4})/.test(line))
    .filter((line) => line.replace(/\]\([^)\s]*\)/g, ']').length > LINE_LENGTH);

describe.each(pages)('%s', (name) => {
  const page = read(name);

  test('links to files and headings that are there', () => {
    const links = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] as string);
    const broken = links.filter((link) => {
      if (/^https?:/.test(link)) return false;
      const [path = '', heading] = link.split('#');
      const target = path === '' ? name : join(dirname(name), path);
      if (!existsSync(join(root, target))) return true;
      return heading !== undefined && !headings(read(target)).includes(heading);
    });
    expect(broken).toEqual([]);
  });

  test(`has lines of at most ${LINE_LENGTH} characters`, () => {
    expect(longLines(page)).toEqual([]);
  });

  test('shows commands and flags that cdc has, and scripts that npm can run', async () => {
    const commands = await allCommands();
    const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
    const code = [...blocks(page).map(({ text }) => text), ...inlineCode(page)];
    expect(code.flatMap((text) => unknownWords(text, commands, scripts))).toEqual([]);
  });

  test('shows command lines that each command takes', async () => {
    const typed = await Promise.all(shellLines(page).map((line) => refusalOf(line)));
    // Prose names a command or a flag without all that it needs.
    const named = await Promise.all(
      inlineCode(page).map((line) => (PLACEHOLDER.test(line) ? undefined : refusalOf(line))),
    );
    const refused = [...typed, ...named.filter((refusal) => !isIncomplete(refusal))];
    expect(refused.filter((refusal) => refusal !== undefined)).toEqual([]);
  });

  test('shows configurations that load', () => {
    const refused: string[] = [];
    for (const { language, text } of blocks(page)) {
      const document = parseDocument(text).toJS();
      if (!isConfiguration(document)) {
        if (language === 'yaml') refused.push(`no configuration: ${text}`);
        continue;
      }
      try {
        parseConfig(JSON.stringify({ ...neededBy(document), ...document }), {
          file: name,
          directory: tmpdir(),
          env: {
            CDC_MYSQL_PASSWORD: 'secret',
            CDC_HASH_SECRET: 'secret',
            CDC_ADMIN_TOKEN: 'secret',
            CDC_KAFKA_PASSWORD: 'secret',
          },
        });
      } catch (error) {
        // The certificates that a page names are not here.
        if (!/ca_file: cannot be read/.test((error as { why: string }).why)) refused.push(`${error}: ${text}`);
      }
    }
    expect(refused).toEqual([]);
  });
});

/** A call of cdc with a command. */
const CALL = /^(?:cdc|node \S*dist\/main\.js|npm run -s cdc --) (?=\w[\w-]*(?: |$))/;
/** What a reader replaces: `<file>`, `FILE`, `[TABLE...]`, an ellipsis, `a|b`. */
const PLACEHOLDER = /<\w|(?<!-)\b[A-Z]+\b|\[|…|\.\.\.|\w\|\w/;

/** Why a command does not take the words of a line; undefined if it does, or if the line calls none. Runs nothing. */
async function refusalOf(line: string): Promise<string | undefined> {
  if (!CALL.test(line)) return undefined;
  const [name = '', ...words] = shellWords(line.replace(CALL, ''));
  const command = (await allCommands()).get(name);
  if (command === undefined) return `${line}: no such command`;
  try {
    parseOnly(command).parse(words, { from: 'user' });
    return undefined;
  } catch (error) {
    const { code, message } = error as CommanderError;
    return code === 'commander.helpDisplayed' || code === 'commander.help' ? undefined : `${line}: ${message}`;
  }
}

const isIncomplete = (refusal: string | undefined): boolean =>
  /argument missing|required (?:argument|option)/.test(refusal ?? '');

/** The command, and those below it, without what they do. */
function parseOnly(command: Command): Command {
  for (const sub of command.commands) parseOnly(sub);
  if (command.commands.length === 0) command.action(() => {});
  return command.exitOverride().configureOutput({ writeOut() {}, writeErr() {} });
}

test('a command line with a wrong flag, a wrong argument or a wrong command is refused', async () => {
  expect(await refusalOf('cdc status --watch --json | jq .lag')).toBeUndefined();
  expect(await refusalOf('node dist/main.js backfill shop.orders --where \'a = "b c"\'')).toBeUndefined();
  expect(await refusalOf('cdc status --wtch')).toMatch(/unknown option '--wtch'/);
  expect(await refusalOf('cdc status shop.orders')).toMatch(/too many arguments/);
  expect(await refusalOf('cdc dead-letter show')).toMatch(/missing required argument/);
  expect(await refusalOf('cdc no-such')).toMatch(/no such command/);
});

test('messages and help of the source name command lines that each command takes', async () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.ts$/.test(file),
  );
  const commands = [...(await allCommands()).keys()].join('|');
  const refused: (string | undefined)[] = [];
  for (const file of files) {
    for (const [line] of read(`src/${file}`).matchAll(
      new RegExp(`\\bcdc (?:${commands})\\b(?: (?:[a-z-]+ )?--[a-z-]+)+`, 'g'),
    )) {
      const refusal = await refusalOf(line);
      // A message names a flag without its value.
      if (refusal !== undefined && !/argument missing|missing required/.test(refusal))
        refused.push(`${file}: ${refusal}`);
    }
  }
  expect(refused).toEqual([]);
});

/** What a configuration must have; the pages show parts of one too. */
const NEEDED = { source: { url: 'mysql://cdc@127.0.0.1:3306' }, firehose: { stream: 'shop-changes' } };

/** A page of another transport has no section for Firehose. */
const neededBy = (document: object): object =>
  TRANSPORTS.some((transport) => transport in document) ? { source: NEEDED.source } : NEEDED;

const isConfiguration = (document: unknown): document is object =>
  document !== null &&
  typeof document === 'object' &&
  !Array.isArray(document) &&
  Object.keys(document).length > 0 &&
  Object.keys(document).every((key) => key in configSchema.shape);

/** The anchors that GitHub makes of the headings. */
const headings = (page: string): string[] =>
  [...page.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );

async function allCommands(): Promise<Map<string, Command>> {
  const commands = new Map<string, Command>();
  for (const file of readdirSync(join(root, 'src/commands')).filter((name) => name.endsWith('.ts'))) {
    const module = await import(`../../src/commands/${file.replace(/\.ts$/, '')}.ts`);
    const make = Object.entries(module).find(([name]) => name.endsWith('Command'))?.[1];
    const command = (make as (signal: AbortSignal) => Command)(new AbortController().signal);
    commands.set(command.name(), command);
  }
  return commands;
}

/** `cdc run` and the like; the README calls the built program, or npm's script of that name. */
const COMMAND = /(?:^|[$;&|] *|`)(?:cdc|node \S*dist\/main\.js|npm run -s cdc --) (\w[\w-]*)([^;&|#]*)/g;

/** What a piece of code asks of `cdc` or `npm run` that is not there. */
function unknownWords(code: string, commands: ReadonlyMap<string, Command>, scripts: readonly string[]): string[] {
  const unknown: string[] = [];
  for (const line of code.replaceAll('\\\n', ' ').split('\n')) {
    for (const [, script, rest] of line.matchAll(/\bnpm run (?:-\w+ )*([\w:-]+)((?: -- [^#&`]*)?)/g)) {
      if (!scripts.includes(script as string)) unknown.push(`npm run ${script}`);
      else if (rest && commands.has(script as string)) {
        unknown.push(...unknownFlags(commands.get(script as string) as Command, rest));
      }
    }
    for (const [, word, rest] of line.matchAll(COMMAND)) {
      const command = commands.get(word as string);
      if (command === undefined) unknown.push(`cdc ${word}`);
      else unknown.push(...unknownFlags(command, rest as string));
    }
  }
  return unknown;
}

function unknownFlags(command: Command, rest: string): string[] {
  const given = rest.replace(/'[^']*'/g, '').match(/(?<=\s)--?[a-z][a-z-]*/g) ?? [];
  const options = [command, ...command.commands].flatMap((one) => one.options);
  const known = ['-h', '--help', ...options.flatMap(({ short, long }) => [short, long])];
  return given.filter((flag) => !known.includes(flag)).map((flag) => `cdc ${command.name()} ${flag}`);
}

test('the index links to every page', () => {
  // A folder with an index of its own is linked by that index.
  const unlinked = docs.filter((name) => {
    const own = join(dirname(name), 'README.md');
    if (name === own) return name !== 'README.md' && !links('README.md').includes(name);
    return !links(docs.includes(own) ? own : 'README.md').includes(name);
  });
  expect(unlinked).toEqual([]);
});

/** What a page of docs links to, as paths within docs. */
const links = (name: string): string[] =>
  [...read(`docs/${name}`).matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map((match) => join(dirname(name), match[1] as string));

test('docs/CONFIGURATION.md has every key of the schema', () => {
  const page = read('docs/CONFIGURATION.md');
  const missing = keyPaths(configSchema).filter((path) => {
    const [section = '', key] = path.split('.');
    const isSection = page.includes(`## \`${section}\``) && key === undefined;
    const inQuota = path.startsWith('firehose.quota.') && page.includes(`\`${path.split('.').at(-1)}\``);
    const inAggregate = path === 'firehose.aggregate';
    return !isSection && !inQuota && !inAggregate && !page.includes(`| \`${path}\` |`);
  });
  expect(missing).toEqual([]);
});

describe('limits', () => {
  const config = parseConfig(JSON.stringify(NEEDED), { file: 'cdc.yaml', directory: tmpdir(), env: {} });
  const { linger, timeout, aggregate } = firehoseOf(config);
  const record = aggregate === 'off' ? { max_events: 0, max_bytes: 0 } : aggregate;
  const { limits } = new FirehoseSink({ stream: 'any', region: 'eu-west-1', endpoint: undefined });
  const large = defaultQuota('eu-west-1');
  const other = defaultQuota('eu-central-1');

  // These are not exported yet, so they are read from the source text.
  const daemon = (name: string) => constant('src/daemon.ts', name);
  const budget = delivery.BUDGET_BYTES;

  /** A page, a sentence or row with the number in a group, and the number of the code. */
  const stated: [page: string, text: RegExp, inCode: number][] = [
    ['LIMITS.md', /^\| events that wait .*?\| (.+?) \|/m, budget],
    ['LIMITS.md', /^\| open transaction .*?\| (.+?) of event text \|/m, budget * delivery.OPEN_TRANSACTION_SHARE],
    ['LIMITS.md', /^\| transactions past .*?\| (.+?) of event text, or/m, delivery.BUDGETS_PAST_WATERMARK_MAX * budget],
    ['LIMITS.md', /^\| transactions past .*? or (.+?) transactions \|/m, delivery.TRANSACTIONS_PAST_WATERMARK_MAX],
    ['LIMITS.md', /^\| prepared XA transactions.*?\| (.+?) \|/m, source.XA_BUFFER_MAX_BYTES],
    ['LIMITS.md', /More than (\d+) incomplete tables of a schema/, INCOMPLETE_TABLES_MAX],
    ['LIMITS.md', /incomplete tables of a schema, or (.+?) in all/, INCOMPLETE_TABLES_TOTAL_MAX],
    ['LIMITS.md', /^\| table versions .*?\| (.+?), and/m, source.TABLE_VERSIONS_MAX],
    ['LIMITS.md', /^\| table versions .*?and (.+?) of table maps/m, source.TABLE_VERSIONS_MAX_BYTES],
    ['LIMITS.md', /^\| one event.*?\| (.+?) bytes/m, limits.maxRecordBytes],
    ['LIMITS.md', /^\| one request \| (.+?) records/m, limits.maxRecords],
    ['LIMITS.md', /^\| one request .*? and (.+?) bytes/m, limits.maxRequestBytes],
    ['LIMITS.md', /^\| requests in flight .*?\| (.+?) \|/m, delivery.REQUESTS_IN_FLIGHT],
    ['LIMITS.md', /^\| consecutive rejections .*?\| (.+?) dead letters \|/m, delivery.CONSECUTIVE_REJECTIONS_MAX],
    ['LIMITS.md', /^\| rejections before .*?\| (.+?) retries \|/m, delivery.ISOLATE_AFTER_ATTEMPTS],
    ['LIMITS.md', /^\| dead letters on disk \| (.+?) \(/m, config.dead_letter.max_bytes],
    ['LIMITS.md', /^\| checkpoint writes \| every (.+?) at most/m, CHECKPOINT_INTERVAL_MS],
    ['LIMITS.md', /^\| delay of an event .*?\| (.+?) \(/m, linger],
    ['LIMITS.md', /^\| delay between two attempts .*? up to (.+?), doubling/m, delivery.RETRY_BASE_MS],
    ['LIMITS.md', /^\| delay between two attempts .*? doubling to (.+?) \|/m, delivery.RETRY_CAP_MS],
    ['LIMITS.md', /^\| delay before a restart .*?\| (.+?), doubling/m, daemon('RESTART_DELAY_BASE_MS')],
    ['LIMITS.md', /^\| delay before a restart .*? doubling to (.+?) \|/m, daemon('RESTART_DELAY_MAX_MS')],
    ['LIMITS.md', /^\| delay before a restart .*? after (.+?) without a failure/m, daemon('BACKOFF_RESET_AFTER_MS')],
    ['LIMITS.md', /^\| time of a request .*?\| (.+?) \(/m, timeout],
    ['LIMITS.md', /^\| time to deliver .*?\| (.+?) \|/m, constant('src/pipeline.ts', 'DRAIN_TIMEOUT_MS')],
    ['LIMITS.md', /^\| silence .*?\| (.+?) \(/m, source.MISSED_HEARTBEATS_MAX * HEARTBEAT_MS],
    ['LIMITS.md', /^\| silence .*? heartbeats of (.+?)\)/m, HEARTBEAT_MS],
    ['LIMITS.md', /^\| silence .*?; (.+?) before/m, source.MISSED_HEARTBEATS_MAX_AT_START * HEARTBEAT_MS],
    ['LIMITS.md', /^\| time of a query .*?\| (.+?) \|/m, source.QUERY_TIMEOUT_MS],
    ['LIMITS.md', /^\| wait for a server .*?\| (.+?) \|/m, source.CATCH_UP_TIMEOUT_MS],
    ['LIMITS.md', /^\| transaction that `cdc tail` .*?\| (.+?) of event text/m, PRINT_BUFFER_MAX_BYTES],
    ['CONFIGURATION.md', /^\| `firehose.aggregate.max_events` \| (.+?) \|/m, record.max_events],
    ['CONFIGURATION.md', /^\| `firehose.aggregate.max_bytes` \| (.+?) \|/m, record.max_bytes],
    ['CONFIGURATION.md', /^\| `firehose.aggregate.max_bytes` .*? Firehose allows (.+?) \|/m, limits.maxRecordBytes],
    ['CONFIGURATION.md', /^\| `firehose.linger` \| (.+?) \|/m, linger],
    ['CONFIGURATION.md', /^\| `firehose.linger` .*? (\S+ MB) of waiting events/m, delivery.FLUSH_BYTES],
    ['CONFIGURATION.md', /^\| `firehose.timeout` \| (.+?) \|/m, timeout],
    ['CONFIGURATION.md', /^\| `dead_letter.max_bytes` \| (.+?) \|/m, config.dead_letter.max_bytes],
    ['CONFIGURATION.md', /AWS gives a stream (.+?), \S+ requests/, large.bytes],
    ['CONFIGURATION.md', /AWS gives a stream \S+ MiB, (\S+) requests/, large.requests],
    ['CONFIGURATION.md', /AWS gives a stream .*? requests and (\S+) records/, large.records],
    ['CONFIGURATION.md', /other regions it gives (.+?), \S+ requests/, other.bytes],
    ['CONFIGURATION.md', /other regions it gives \S+ MiB, (\S+) requests/, other.requests],
    ['CONFIGURATION.md', /other regions it gives .*? requests and (\S+) records/, other.records],
    ['ARCHITECTURE.md', /or when (\S+) bytes wait/, delivery.FLUSH_BYTES],
    ['ARCHITECTURE.md', /saves the position within (\S+ ms)/, CHECKPOINT_INTERVAL_MS],
    ['ARCHITECTURE.md', /starts the pipeline again: after (\S+ s),/, daemon('RESTART_DELAY_BASE_MS')],
    ['ARCHITECTURE.md', /twice as long each time, at most (\S+ s),/, daemon('RESTART_DELAY_MAX_MS')],
    ['ARCHITECTURE.md', /before backpressure starts \((\S+ MiB)\)/, budget],
    ['OPERATIONS.md', /Delivery has \[(.+?)\]/, constant('src/pipeline.ts', 'DRAIN_TIMEOUT_MS')],
    ['OPERATIONS.md', /cdc waits for up to (.+?), then tries/, source.CATCH_UP_TIMEOUT_MS],
    [
      'OPERATIONS.md',
      /at most every (.+?) for each stream/,
      constant('src/dead-letter/delivery-error-handler.ts', 'RETRY_LOG_INTERVAL_MS'),
    ],
    ['DEAD-LETTERS.md', /larger than a Firehose record can be \((.+?) bytes\)/, limits.maxRecordBytes],
    ['DEAD-LETTERS.md', /has rejected (.+?) events in a row/, delivery.CONSECUTIVE_REJECTIONS_MAX],
    ['DEAD-LETTERS.md', /rejects its first event after (.+?) retries/, delivery.ISOLATE_AFTER_ATTEMPTS],
    ['DEAD-LETTERS.md', /After (.+?) failures cdc isolates/, delivery.ISOLATE_AFTER_ATTEMPTS],
    [
      'DEAD-LETTERS.md',
      /counts in blocks of (.+?)\. /,
      constant('src/dead-letter/dead-letter-store.ts', 'BLOCK_BYTES'),
    ],
    [
      'DEAD-LETTERS.md',
      /cdc tries an event up to (.+?) times/,
      constant('src/dead-letter/redeliver.ts', 'ATTEMPTS_MAX'),
    ],
    ['AWS.md', /A record holds at most (.+?) bytes/, limits.maxRecordBytes],
    [
      'LOCAL-FIREHOSE.md',
      /only if more than (.+?) of requests/,
      constant('src/local/firehose/server.ts', 'MAX_BYTES_IN_FLIGHT'),
    ],
  ];

  test.each(stated)('docs/%s states %s as the code has it', (name, text, inCode) => {
    const page = read(`docs/${name}`).replace(/(?<![|\n])\n {0,2}(?=[^\s|#-])/g, ' ');
    expect(inCode).toBeGreaterThan(0);
    expect(amount(text.exec(page)?.[1] ?? `nothing like ${text}`)).toBe(inCode);
  });
});

const WORDS = new Map([
  ['six', 6],
  ['eight', 8],
]);

/** `64 MiB` in bytes, `0.5 s` in milliseconds, `400,000` and `six` as numbers. */
function amount(text: string): number | string {
  const plain = text.replaceAll(',', '').replace(/ seconds$/, ' s');
  return WORDS.get(plain) ?? parseSize(plain) ?? parseDuration(plain) ?? text;
}

/** The value of `const NAME = 64 * 1024 * 1024;` in a file of src. */
function constant(file: string, name: string): number {
  const product = new RegExp(`^(?:export )?const ${name} = ([\\d_ *]+);$`, 'm').exec(read(file))?.[1];
  if (product === undefined) throw new Error(`${file} has no number ${name}`);
  return product.split('*').reduce((value, factor) => value * Number(factor.replaceAll('_', '')), 1);
}

describe('docs/EVENTS.md', () => {
  const page = read('docs/EVENTS.md');

  test('shows events that are JSON, each with a seq of 36 hex digits', () => {
    const shown = blocks(page).filter(({ language }) => language === 'json');
    const lines = shown.flatMap(({ text }) => (text.startsWith('{\n') ? [text] : text.trim().split('\n')));
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) {
      const event = JSON.parse(line);
      expect(event.seq ?? event._seq).toMatch(/^[0-9a-f]{36}$/);
    }
  });

  test('shows a fold that gives the rows that are left', async () => {
    const sql = blocks(page).find(({ language }) => language === 'sql')?.text ?? '';
    const lake = mkdtempSync(join(tmpdir(), 'cdc-docs-'));
    const event = (seq: number, op: string, id: number | null, total = '1.00') =>
      JSON.stringify({
        op,
        after: op === 'c' || op === 'u' ? { id, customer: 'Ada', total } : null,
        key: id === null ? null : { id },
        seq: String(seq).padStart(32, '0'),
        source: { db: 'shop', table: 'orders' },
      });
    const lines = [
      event(9, 'u', 3, '3.00'),
      event(1, 'c', 1),
      event(2, 't', null),
      event(3, 'c', 2),
      event(8, 'c', 3),
      event(4, 'd', 2),
      event(9, 'u', 3, '3.00'),
    ];
    try {
      writeFileSync(join(lake, 'shop-changes-1-2026'), `${lines.join('\n')}\n`);
      const connection = await (await DuckDBInstance.create()).connect();
      const result = await connection.runAndReadAll(sql.replace("'lake/shop-changes/", `'${lake}/`));
      expect(result.getRowsJson()).toEqual([['3', 'Ada', '3.00', '9'.padStart(32, '0')]]);
    } finally {
      rmSync(lake, { recursive: true });
    }
  });
});

describe('docs/ARCHITECTURE.md', () => {
  const page = read('docs/ARCHITECTURE.md');

  test('names files that are there, and every room of src', () => {
    const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
    const missing: string[] = [];
    for (const [, room, , names] of page.matchAll(/^\| `([a-z/-]+\/)` \|(.*)\|(.*)\|$/gm)) {
      for (const [, name] of (names as string).matchAll(/`([\w.-]+\.ts)`/g)) {
        if (!files.includes(`${room}${name}`)) missing.push(`${room}${name}`);
      }
    }
    const rooms = readdirSync(join(root, 'src'), { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `\`${entry.name}/\`` : `\`${entry.name}\``,
    );
    expect([...missing, ...rooms.filter((room) => !page.includes(room))]).toEqual([]);
  });

  test('names every file of src', () => {
    const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
    const named = new Set([...page.matchAll(/`([\w.-]+\.ts)`/g)].map((match) => match[1]));
    expect(files.filter((file) => file.endsWith('.ts') && !named.has(file.split('/').pop()))).toEqual([]);
  });

  test('gives a reason for every package', () => {
    const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read('package.json'));
    const names = Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies });
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

test('docker/cdc.yaml is a configuration that loads', () => {
  const at = { file: 'cdc.yaml', directory: tmpdir(), env: { CDC_MYSQL_PASSWORD: 'cdc', CDC_ADMIN_TOKEN: 'token' } };
  expect(parseConfig(read('docker/cdc.yaml'), at)).toMatchObject({ checkpoint: { file: '/var/lib/cdc/shop.json' } });
});
