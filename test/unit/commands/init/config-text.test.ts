// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configText, type NewConfig } from '../../../../src/commands/init/config-text.ts';
import { keyPaths } from '../../../../src/config/config-issue.ts';
import { parseConfig } from '../../../../src/config/load.ts';
import { configSchema } from '../../../../src/config/schema.ts';

const directory = tmpdir();
const load = (text: string) =>
  parseConfig(text, { file: 'cdc.yaml', directory, env: { CDC_MYSQL_PASSWORD: 'secret' } });

const SHOP: NewConfig = {
  name: 'shop',
  url: 'mysql://cdc@127.0.0.1:3306',
  password: { from: 'environment' },
  tables: ['shop.*', '!shop.log'],
  stream: 'shop-changes',
};

test('the file loads as what was typed, and has the defaults for everything else', () => {
  const least =
    'name: shop\nsource: { url: "mysql://cdc@127.0.0.1:3306", password: secret }\ntables: ["shop.*", "!shop.log"]\nfirehose: { stream: shop-changes }';
  expect(load(configText(SHOP))).toEqual(load(least));
});

test('every option that is switched off loads once its # is gone', () => {
  const text = configText({
    ...SHOP,
    url: 'mysql://cdc@db1',
    password: undefined,
    region: 'eu-west-1',
    endpoint: 'http://127.0.0.1:4573',
  });
  const on = text
    .replace(/^( *)#(?=[a-z_]+:| {2}listen)/gm, '$1')
    // Only one of the two can be there, and the files are not.
    .replace(/^ *(password_file|ca_file): .*$/gm, '');
  expect(load(on)).toMatchObject({
    source: { password: 'secret', tls: 'verify-identity' },
    lake: 's3://bucket/prefix',
    admin: { address: { port: 8686 } },
  });
});

test('each key has the description of the schema above it', () => {
  const text = configText(SHOP);
  expect(text).toContain('# The delivery stream that receives the events.\n  stream: shop-changes');
  expect(text).toMatch(/# The name of the pipeline: .*\nname: shop\n/);
  const all = keyPaths(configSchema);
  const shown = [...text.matchAll(/^( *)#?([a-z_]+):/gm)].map(([, , key]) => key);
  expect(shown.length).toBeGreaterThan(12);
  expect(shown.filter((key) => !all.some((path) => path.split('.').at(-1) === key))).toEqual([]);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
});

describe('a secret', () => {
  test('is a reference to the environment, or the path of a file', () => {
    expect(parse(configText(SHOP)).source.password).toBe('${CDC_MYSQL_PASSWORD}');
    const text = configText({ ...SHOP, password: { from: 'file', file: '../secrets/pass word' } });
    expect(parse(text).source).toMatchObject({ password_file: '../secrets/pass word' });
    expect(parse(text).source.password).toBeUndefined();
  });
});

test('no typed text changes in the file, whatever YAML or the interpolation make of it', () => {
  const piece = fc.stringMatching(/^[ -~é😀]{0,12}$/u);
  const plain = fc.constantFrom(
    'no',
    'null',
    '123',
    '0x1',
    '1e3',
    'a.b',
    '-',
    '-a',
    '~',
    'true',
    '2026-01-02',
    '1_000',
  );
  const special = fc.constantFrom(
    '${HOME}',
    '$${x}',
    '$$${x}',
    '#',
    ': ',
    '*',
    '&a',
    '!x',
    '%',
    '"',
    "'",
    '{',
    ']',
    '@',
  );
  const identifier = fc
    .array(fc.oneof(piece, special), { minLength: 1, maxLength: 3 })
    .map((pieces) => pieces.join('').trim().replaceAll('`', ''))
    .filter((text) => text !== '');
  fc.assert(
    fc.property(
      plain,
      plain,
      fc.array(identifier, { minLength: 1, maxLength: 3 }),
      identifier,
      (name, stream, names, user) => {
        fc.pre(name !== '~' && stream !== '~');
        const tables = names.map((text) => `\`${text}\`.*`);
        const url = `mysql://${encodeURIComponent(user)}@db1:3306,db2`;
        const config = load(configText({ ...SHOP, name, stream, tables, url, endpoint: 'http://h/#${x}' }));
        expect(config).toMatchObject({
          name,
          tables,
          source: { url },
          firehose: { stream, endpoint: 'http://h/#${x}' },
        });
        expect(config.checkpoint.file).toBe(join(directory, 'state', `${name}.json`));
      },
    ),
    { numRuns: 300 },
  );
});
