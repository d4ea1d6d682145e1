// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { complete } from '../../../../src/commands/complete/candidates.ts';
import { savedNames } from '../../../../src/commands/complete/saved-names.ts';
import { SHELLS, splitLine } from '../../../../src/commands/complete/scripts.ts';
import { TRANSPORTS } from '../../../../src/config/transports.ts';
import { DIALECTS } from '../../../../src/warehouse/dialects/dialects.ts';

const program = new Command('cdc').version('1');
beforeAll(async () => {
  for (const file of readdirSync('src/commands').filter((name) => name.endsWith('.ts'))) {
    const module = await import(`../../../../src/commands/${file.replace(/\.ts$/, '')}.ts`);
    const make = Object.entries(module).find(([name]) => name.endsWith('Command'))?.[1];
    program.addCommand((make as (signal: AbortSignal) => Command)(new AbortController().signal));
  }
});

const TABLES = ['shop.orders', 'shop.users', '`my.shop`.t', 'shop.two\nlines'];
const asked: (string | undefined)[] = [];
async function offered(line: string): Promise<string[]> {
  const { candidates, files } = await complete(program, splitLine(line).slice(1), async (config) => {
    asked.push(config);
    return TABLES;
  });
  return files ? [':files'] : candidates.map(({ value }) => value);
}

test('every command, every command below one, and every flag that the help shows is offered', async () => {
  const visible = (command: Command): Command[] => [...command.createHelp().visibleCommands(command)];
  const named = visible(program).filter((command) => command.name() !== 'help');
  expect(await offered('cdc ')).toEqual(named.map((command) => command.name()));
  expect(named.length).toBeGreaterThan(11);
  for (const command of named) {
    const below = visible(command).filter((one) => one.name() !== 'help');
    if (below.length > 0) expect(await offered(`cdc ${command.name()} `)).toEqual(below.map((one) => one.name()));
    for (const one of [...below, ...(below.length === 0 ? [command] : [])]) {
      const path = one === command ? command.name() : `${command.name()} ${one.name()}`;
      const flags = one
        .createHelp()
        .visibleOptions(one)
        .map(({ long }) => long);
      expect(await offered(`cdc ${path} -`), path).toEqual(flags);
    }
  }
});

test.each<[line: string, offered: string[]]>([
  ['cdc sta', ['status']],
  ['cdc --v', ['--version']],
  ['cdc sql --dialect ', Object.keys(DIALECTS)],
  ['cdc sql --dialect du', ['duckdb']],
  ['cdc sql --dialect=du', ['--dialect=duckdb']],
  ['cdc sql --dialect duckdb shop.u', ['shop.users']],
  ['cdc merge --from ', ['lake', 'landing']],
  ['cdc init --tls ', ['verify-identity', 'verify-ca', 'required', 'disabled']],
  ['cdc init --transport ', [...TRANSPORTS]],
  ['cdc init --kafka-sasl scram', ['scram-sha-256', 'scram-sha-512']],
  ['cdc init --kafka-ca-file ', [':files']],
  ['cdc init --brokers a:1 b:2 --create', ['--create-topics']],
  ['cdc complete ', [...SHELLS]],
  ['cdc run -c ', [':files']],
  ['cdc run -c a.yaml -c ', [':files']],
  ['cdc run --config=', [':files']],
  ['cdc firehose --lake ', [':files']],
  ['cdc sql --since ', [':files']],
  ['cdc backfill shop.', ['shop.orders', 'shop.users']],
  ['cdc backfill shop.orders shop.u', ['shop.users']],
  ['cdc backfill --rate ', []],
  ['cdc backfill --rate 5 shop.o', ['shop.orders']],
  ['cdc verify --repair shop.o', ['shop.orders']],
  ['cdc tail "shop.o', ['shop.orders']],
  ["cdc tail 'shop.o", ['shop.orders']],
  ['cdc tail \\`my', ['`my.shop`.t']],
  ['cdc tail -- shop.o', ['shop.orders']],
  ['cdc tail -- --fr', []],
  ['cdc init --tables a b --str', ['--stream']],
  ['cdc init --tables -', ['--output', '--url']],
  ['cdc dead-letter show ', []],
  ['cdc dead-letter no ', []],
  ['cdc nothing ', []],
  ['cdc check extra', []],
])('%s', async (line, expected) => {
  const found = await offered(line);
  if (line.endsWith(' -')) expect(found.slice(0, 2)).toEqual(expected);
  else expect(found).toEqual(expected);
});

test('the tables are those of the configuration that the line names', async () => {
  for (const [line, config] of [
    ['cdc tail ', undefined],
    ['cdc tail -c shop.yaml ', 'shop.yaml'],
    ['cdc tail --config=shop.yaml ', 'shop.yaml'],
    ["cdc tail -c 'my shop.yaml' shop.", 'my shop.yaml'],
  ] as const) {
    asked.length = 0;
    await offered(line);
    expect(asked, line).toEqual([config]);
  }
});

describe('a line of bash', () => {
  test.each([
    ['cdc ', ['cdc', '']],
    ['cdc  a', ['cdc', 'a']],
    ['cdc "a b" \'c "d\' e\\ f', ['cdc', 'a b', 'c "d', 'e f']],
    ['cdc "a\\"b', ['cdc', 'a"b']],
    ["cdc a'b c'd ''", ['cdc', 'ab cd', '']],
    ['cdc $(touch x) `y`', ['cdc', '$(touch', 'x)', '`y`']],
  ])('%s', (line, words) => expect(splitLine(line)).toEqual(words));
});

test('the names come from the checkpoint that the configuration names, also if its variables are not set', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-complete-'));
  const file = join(directory, 'cdc.yaml');
  mkdirSync(join(directory, 'state'));
  writeFileSync(file, 'name: shop\nsource: { url: "mysql://u@h", password: "${NOT_SET}" }\n');
  const tables = {
    coverage: { complete: [{ schema: 'shop', table: 'b' }], verified: [{ schema: 'shop', table: 'a' }] },
    incomplete: [
      { schema: 'my.shop', table: 't' },
      { schema: 'x', table: '*' },
    ],
  };
  writeFileSync(join(directory, 'state', 'shop.json'), JSON.stringify(tables));
  expect(await savedNames(file)).toEqual(['`my.shop`.t', 'shop.a', 'shop.b']);
  writeFileSync(file, 'name: other\n');
  await expect(savedNames(file)).rejects.toThrow();
  rmSync(directory, { recursive: true });
});
