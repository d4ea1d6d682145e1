// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configText, type NewConfig } from '../../../../src/commands/init/config-text.ts';
import { kafkaTransport } from '../../../../src/commands/init/kafka-transport.ts';
import { firehoseTransport, kinesisTransport } from '../../../../src/commands/init/stream-transports.ts';
import type { WrittenKey } from '../../../../src/commands/init/written-key.ts';
import { keyPaths } from '../../../../src/config/config-issue.ts';
import { parseConfig } from '../../../../src/config/load.ts';
import { configSchema } from '../../../../src/config/schema.ts';

const directory = tmpdir();
const env = { CDC_MYSQL_PASSWORD: 's3cret', CDC_KAFKA_PASSWORD: 's3cret too' };
const load = (text: string) => parseConfig(text, { file: 'cdc.yaml', directory, env });

const SHOP: NewConfig = {
  name: 'shop',
  url: 'mysql://cdc@127.0.0.1:3306',
  password: { from: 'environment' },
  tables: ['shop.*', '!shop.log'],
  transport: firehoseTransport.keys({ stream: 'shop-changes' }),
};
const SOURCE =
  'name: shop\nsource: { url: "mysql://cdc@127.0.0.1:3306", password: s3cret }\ntables: ["shop.*", "!shop.log"]';

test('the file loads as what was typed, and has the defaults for everything else', () => {
  expect(load(configText(SHOP))).toEqual(load(`${SOURCE}\nfirehose: { stream: shop-changes }`));
});

const BROKERS = ['b-1.example.com:9096', '[::1]:9092'];
test.each<[section: string, keys: readonly WrittenKey[]]>([
  [
    'kinesis: { stream: shop-changes, region: eu-west-1, endpoint: "http://127.0.0.1:4567" }',
    kinesisTransport.keys({ stream: 'shop-changes', region: 'eu-west-1', endpoint: 'http://127.0.0.1:4567' }),
  ],
  ['kafka: { brokers: ["kafka:9092"] }', kafkaTransport.keys({ brokers: ['kafka:9092'] })],
  [
    `kafka: { brokers: ${JSON.stringify(BROKERS)}, tls: true, create_topics: { partitions: 12 } }`,
    kafkaTransport.keys({ brokers: BROKERS, kafkaTls: true, createTopics: '12' }),
  ],
  [
    'kafka: { brokers: ["b:1"], tls: true, sasl: { mechanism: msk-iam } }',
    kafkaTransport.keys({ brokers: ['b:1'], kafkaSasl: 'msk-iam' }),
  ],
  [
    'kafka: { brokers: ["b:1"], sasl: { mechanism: plain, username: "$${u}", password: s3cret too } }',
    kafkaTransport.keys({ brokers: ['b:1'], kafkaSasl: 'plain', kafkaUsername: '${u}' }),
  ],
])('a section of another transport loads as what was typed: %s', (section, transport) => {
  const text = configText({ ...SHOP, transport });
  expect(load(text)).toEqual(load(`${SOURCE}\n${section}`));
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
  expect(text).not.toContain('s3cret');
});

test('a broker that is named twice is written once', () => {
  const transport = kafkaTransport.keys({ brokers: ['b:1', '[::1]:2', 'b:1'] });
  expect(parse(configText({ ...SHOP, transport })).kafka.brokers).toEqual(['b:1', '[::1]:2']);
});

test('files of Kafka are named, and its password is not asked of the environment then', () => {
  const transport = kafkaTransport.keys({
    ...{ brokers: ['b:1'], kafkaCaFile: '../ca ${x}.pem', kafkaSasl: 'scram-sha-512', kafkaUsername: 'cdc' },
    kafkaPasswordFile: 'secrets/kafka',
  });
  const { kafka } = parse(configText({ ...SHOP, transport }));
  expect(kafka).toEqual({
    brokers: ['b:1'],
    tls: { ca_file: '../ca $${x}.pem' },
    sasl: { mechanism: 'scram-sha-512', username: 'cdc', password_file: 'secrets/kafka' },
  });
});

/** Without the `#` of options. Only one of the two passwords can be there, and the files are not. */
const switchedOn = (text: string): string =>
  text.replace(/^( *)#(?=(?: {2})*[a-z_]+:)/gm, '$1').replace(/^ *(password_file|ca_file): .*$/gm, '');

test('every option that is switched off loads once its # is gone', () => {
  const text = configText({
    ...SHOP,
    url: 'mysql://cdc@db1',
    password: undefined,
    transport: firehoseTransport.keys({
      ...{ stream: 'shop-changes', region: 'eu-west-1', endpoint: 'http://127.0.0.1:4573' },
    }),
  });
  expect(load(switchedOn(text))).toMatchObject({
    source: { password: 's3cret', tls: 'verify-identity' },
    lake: 's3://bucket/prefix',
    admin: { address: { port: 8686 } },
  });
});

test.each<[name: string, keys: readonly WrittenKey[], loaded: object]>([
  ['kinesis', kinesisTransport.keys({ stream: 's' }), { kinesis: { endpoint: 'http://127.0.0.1:4567' } }],
  [
    'kafka',
    kafkaTransport.keys({ brokers: ['b:1'] }),
    {
      kafka: {
        ...{ tls: true, topic: '{name}.{db}.{table}', create_topics: { partitions: 12, replication_factor: 3 } },
        sasl: { mechanism: 'scram-sha-512', username: 'cdc', password: 's3cret too' },
      },
    },
  ],
  [
    'kafka with topics',
    kafkaTransport.keys({ brokers: ['b:1'], createTopics: '3', kafkaSasl: 'msk-iam' }),
    { kafka: { create_topics: { partitions: 3, replication_factor: 3 }, sasl: { region: 'eu-west-1' } } },
  ],
])('and so does every one of %s', (_, transport, loaded) => {
  const text = configText({ ...SHOP, url: 'mysql://cdc@db1', transport });
  expect(load(switchedOn(text))).toMatchObject(loaded);
});

test('each key has the description of the schema above it', () => {
  const text = configText(SHOP);
  expect(text).toContain('# The delivery stream that receives the events.\n  stream: shop-changes');
  expect(text).toMatch(/# The name of the pipeline: .*\nname: shop\n/);
  const all = keyPaths(configSchema);
  const shown = [...text.matchAll(/^( *)#?([a-z_]+):/gm)].map(([, , key]) => key);
  expect(shown.length).toBeGreaterThan(12);
  expect(text).not.toContain('see the example');
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
        const transport = firehoseTransport.keys({ stream, endpoint: 'http://h/#${x}' });
        const config = load(configText({ ...SHOP, name, transport, tables, url }));
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
