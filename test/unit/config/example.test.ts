import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { keyPaths } from '../../../src/config/config-issue.ts';
import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import { configSchema } from '../../../src/config/schema.ts';

const file = resolve(import.meta.dirname, '../../../config/cdc.example.yaml');
const env = { CDC_MYSQL_PASSWORD: 'secret' };

describe('config/cdc.example.yaml', () => {
  test('the example loads with the environment variables that it names', () => {
    expect(loadConfig(file, env)).toMatchObject({
      firehose: { stream: 'shop-changes' },
      source: { password: 'secret' },
    });
  });

  test('the example has the defaults: a file with only the required keys gives the same configuration', () => {
    const least = 'source: { url: "mysql://cdc@127.0.0.1:3306", password: secret }\nfirehose: { stream: shop-changes }';
    expect(loadConfig(file, env)).toEqual(parseConfig(least, { file: 'least.yaml', directory: dirname(file), env }));
  });

  test('the column rules in the example load', () => {
    const text = readFileSync(file, 'utf8');
    const shown = /^# {3}columns:\n(?:#.*\n)*?(?=# hash is)/m.exec(text)?.[0].replace(/^# {3}/gm, '') ?? '';
    const rest = text.replace(/^columns: .*$/m, '');
    const at = { file: 'with-columns.yaml', directory: dirname(file), env: { ...env, CDC_HASH_SECRET: 'x' } };
    expect(Object.values(parseConfig(`${rest}\n${shown}`, at).columns)).toMatchObject([
      { kind: 'drop' },
      { kind: 'hash', secret: 'x' },
      { kind: 'mask' },
    ]);
  });

  test('the example has every key of the schema, enabled or disabled, and no other', () => {
    const everyKeyOn = parse(readFileSync(file, 'utf8').replace(/^( *)#(?=[a-z_]+:)/gm, '$1'));
    expect(paths(everyKeyOn).sort()).toEqual(keyPaths(configSchema).sort());
  });
});

function paths(value: unknown, parent = ''): string[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [`${parent}${key}`, ...paths(inner, `${parent}${key}.`)]);
}
