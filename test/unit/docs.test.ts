import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { readCreateDeliveryStream } from '../../src/local/firehose/create-request.ts';
import { validateStream } from '../../src/local/firehose/stream-options.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
);
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

interface Block {
  /** The word behind the fence; empty for an indented block. */
  language: string;
  text: string;
}

/** The code of a page: what stands between fences, and what is indented by four spaces behind a blank line. */
function blocks(page: string): Block[] {
  const fenced = /^```(\w*)\n([\s\S]*?)^```$/gm;
  const found = [...page.matchAll(fenced)].map((match): Block => ({ language: match[1] ?? '', text: match[2] ?? '' }));
  const indented = page.replace(fenced, '').matchAll(/(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+/g);
  return [...found, ...[...indented].map(([text]) => ({ language: '', text: text.replace(/^ {4}/gm, '') }))];
}

const inlineCode = (page: string): string[] =>
  [...page.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);

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

  test('shows commands and flags that cdc has, and scripts that npm can run', async () => {
    const commands = await allCommands();
    const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
    const code = [...blocks(page).map(({ text }) => text), ...inlineCode(page)];
    expect(code.flatMap((text) => unknownWords(text, commands, scripts))).toEqual([]);
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
        parseConfig(JSON.stringify({ ...NEEDED, ...document }), {
          file: name,
          directory: tmpdir(),
          env: { CDC_MYSQL_PASSWORD: 'secret', CDC_HASH_SECRET: 'secret' },
        });
      } catch (error) {
        // The certificates that a page names are not here.
        if (!/ca_file: cannot be read/.test((error as { why: string }).why)) refused.push(`${error}: ${text}`);
      }
    }
    expect(refused).toEqual([]);
  });
});

/** What a configuration must have; the pages show parts of one too. */
const NEEDED = { source: { url: 'mysql://cdc@127.0.0.1:3306' }, firehose: { stream: 'shop-changes' } };

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
  for (const file of readdirSync(join(root, 'src/commands'))) {
    const module = await import(`../../src/commands/${file.replace(/\.ts$/, '')}.ts`);
    const make = Object.entries(module).find(([name]) => name.endsWith('Command'))?.[1];
    const command = (make as (signal: AbortSignal) => Command)(new AbortController().signal);
    commands.set(command.name(), command);
  }
  return commands;
}

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
    for (const [, word, rest] of line.matchAll(/(?:^|[$;&|] *|`)cdc (\w[\w-]*)([^;&|#]*)/g)) {
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
    for (const [, room, , names] of page.matchAll(/^\| `([a-z-]+\/)` \|(.*)\|(.*)\|$/gm)) {
      for (const [, name] of (names as string).matchAll(/`([\w-]+\.ts)`/g)) {
        if (!files.includes(`${room}${name}`)) missing.push(`${room}${name}`);
      }
    }
    const rooms = readdirSync(join(root, 'src'), { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `\`${entry.name}/\`` : `\`${entry.name}\``,
    );
    expect([...missing, ...rooms.filter((room) => !page.includes(room))]).toEqual([]);
  });

  test('gives a reason for every package', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json'));
    const names = Object.keys({ ...dependencies, ...devDependencies });
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

test('docs/aws-stream.yaml describes a stream that Firehose creates', () => {
  const template = parseDocument(read('docs/aws-stream.yaml'), { logLevel: 'silent' });
  expect(template.errors).toEqual([]);
  const { Properties } = template.toJS().Resources.Stream;
  const settings = validateStream(readCreateDeliveryStream({ ...Properties, DeliveryStreamName: 'shop-changes' }));
  expect(settings.query?.map(({ name }) => name)).toEqual(['db', 'table']);
});

test('docker/cdc.yaml is a configuration that loads', () => {
  const at = { file: 'cdc.yaml', directory: tmpdir(), env: { CDC_MYSQL_PASSWORD: 'cdc' } };
  expect(parseConfig(read('docker/cdc.yaml'), at)).toMatchObject({ checkpoint: { file: '/var/lib/cdc/shop.json' } });
});
