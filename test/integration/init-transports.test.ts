// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { kafkaAvailability } from '../kafka/artifacts.ts';
import { type KafkaServer, startKafka } from '../kafka/kafka-server.ts';
import { type LocalKinesis, startLocalKinesis } from '../kinesis/local-kinesis.ts';
import { type Ended, Fixture, startCdcWith, until } from './pipeline-fixture.ts';
import { cdcOnTerminal, hasTerminal } from './terminal.ts';
import { Authority } from './tls/authority.ts';

const PASSWORD = 'correct-horse';
const AWS_KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
const DOWN = '\x1b[B';
const downs = (n: number): string => `${DOWN.repeat(n)}\r`;

let fixture: Fixture;
beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), `init_transport_${process.pid}`);
  await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
});
afterEach(() => fixture.remove());

const file = (): string => join(fixture.directory, 'cdc.yaml');
const NO_PASSWORDS = { CDC_MYSQL_PASSWORD: undefined, CDC_KAFKA_PASSWORD: undefined };
const init = (words: readonly string[], env: Record<string, string> = {}): Promise<Ended> => {
  const source = ['--url', fixture.url, '--tables', `${fixture.schema}.*`, '--name', 'shop'];
  return startCdcWith({ ...NO_PASSWORDS, ...env }, fixture.directory, 'init', ...source, ...words).ended;
};

/** `cdc run` with the file that was written. */
async function assertDelivers(isStored: () => boolean | Promise<boolean>): Promise<void> {
  const daemon = await fixture.run();
  await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (4711)`);
  await until(isStored);
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ code: 0 });
}

describe('Kinesis', () => {
  let kinesis: LocalKinesis;
  beforeEach(async () => {
    kinesis = await startLocalKinesis();
    await kinesis.createStream('changes', 1);
  });
  afterEach(() => kinesis.close());

  const isStored = (): boolean => kinesis.stored.some(({ partitionKey }) => partitionKey.endsWith('.item{"id":4711}'));

  test('flags make a file that delivers', async () => {
    const ended = await init(['--transport', 'kinesis', '--stream', 'changes', '--endpoint', kinesis.endpoint]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/: cdc run can start\nnext: cdc run\n$/);
    expect(parse(readFileSync(file(), 'utf8')).kinesis).toEqual({ stream: 'changes', endpoint: kinesis.endpoint });
    await assertDelivers(isStored);
  });

  test('a stream that is not there: the file is written, and the check names the stream', async () => {
    const ended = await init(['--transport', 'kinesis', '--stream', 'other', '--endpoint', kinesis.endpoint]);
    expect(ended.code).toBe(3);
    expect(ended.stdout).toContain('there is no stream other');
    expect(existsSync(file())).toBe(true);
  });

  test.skipIf(!hasTerminal)('answers make a file that delivers', async () => {
    const steps: [string, string][] = [
      ['Where the events are sent', `${DOWN}\r`],
      ['Its password', '\r'],
      ['Where the stream is', `${DOWN}\r`],
      ['Its address', `${'\x7f'.repeat(40)}${kinesis.endpoint}\r`],
      ['The stream', `${'\x7f'.repeat(60)}changes\r`],
    ];
    const words = ['init', '--url', fixture.url, '--tables', `${fixture.schema}.*`, '--name', 'shop'];
    const env = { CDC_MYSQL_PASSWORD: '' };
    expect(await cdcOnTerminal(fixture.directory, words, { steps, columns: 140, env })).toMatch(/EXIT 0$/);
    await assertDelivers(isStored);
  });
});

/** A file that holds no certificate. */
const NO_CERTIFICATE = import.meta.filename;

describe('what cannot be used is refused with exit code 2, and nothing is written', () => {
  test.each<[words: string[], message: RegExp]>([
    [['--brokers', 'kafka.example.com'], /--brokers must look like b-1\.example\.com:9092/],
    [['--brokers', ','], /--brokers must not be empty/],
    [['--transport', 'kafka'], /^error: cdc init needs --brokers\n/],
    [['--stream', 's', '--brokers', 'b:9092'], /--stream, --brokers cannot .*\n {2}why: --stream is for firehose and/],
    [['--transport', 'kinesis', '--brokers', 'b:9092'], /--brokers cannot be used with --transport kinesis/],
    [['--transport', 'pulsar'], /Allowed choices are firehose, kinesis, kafka/],
    [['--brokers', 'b:9092', '--kafka-sasl', 'plain', '--kafka-username', 'u'], /CDC_KAFKA_PASSWORD or --kafka-pass/],
    [['--brokers', 'b:9092', '--kafka-ca-file', 'no-such-file'], /cannot read --kafka-ca-file no-such-file/],
    [
      ['--brokers', 'b:9092', '--kafka-ca-file', NO_CERTIFICATE],
      /cannot use --kafka-ca-file .*\n {2}why: it holds no PEM cert/,
    ],
    [['--brokers', 'b:9092', '--ca-file', NO_CERTIFICATE], /cannot use --ca-file .*\n {2}why: it holds no PEM cert/],
  ])('%j', async (words, message) => {
    const ended = await init(words);
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
    expect(existsSync(file())).toBe(false);
  });
});

test('a broker that is not there: the file is written, and the check says what is wrong', async () => {
  const ended = await init(['--brokers', '127.0.0.1:1', '--create-topics', '1']);
  expect(ended.code).toBe(3);
  expect(ended.stdout).toMatch(/error: .*Kafka.*\n {2}why: .*ECONNREFUSED.*\n {2}do: {2}/);
  expect(ended.stdout).not.toContain('creates no topics');
  expect(parse(readFileSync(file(), 'utf8')).kafka.brokers).toEqual(['127.0.0.1:1']);
});

test('an IPv6 address has brackets wherever it is printed, and without --create-topics it says what that means', async () => {
  const { stdout } = await init(['--brokers', '[::1]:1']);
  expect(stdout).toContain('Connection to [::1]:1 failed');
  expect(stdout).not.toMatch(/(?<!\[)::1/);
  expect(stdout).toMatch(/cdc creates no topics: the daemon stops .* --create-topics <partitions>\n/);
});

describe.skipIf(!hasTerminal)('what is asked about Kafka depends on the flags and the answers', () => {
  const NO_PASSWORD: [string, string] = ['Its password', '\r'];
  const NOTHING: [string, string] = ['What the brokers need', '\r'];
  const NO_TOPICS: [string, string] = ['Partitions', '\x7f\x7f\r'];
  const account = { username: 'cdc', password: '${CDC_KAFKA_PASSWORD}' };

  test.each<[name: string, flags: string[], steps: [string, string][], section: object]>([
    ['nothing', [], [NO_TOPICS, NOTHING], {}],
    ['topics by a flag', ['--create-topics', '3'], [NOTHING], { create_topics: { partitions: 3 } }],
    ['TLS by a flag', ['--create-topics', '3', '--kafka-tls'], [], { create_topics: { partitions: 3 }, tls: true }],
    ['TLS', [], [NO_TOPICS, ['What the brokers need', downs(1)], ['PEM file', '\r']], { tls: true }],
    [
      'a password without TLS',
      [],
      [NO_TOPICS, ['What the brokers need', downs(4)], ['Do they use', 'n'], ['The user name', 'cdc\r']],
      { sasl: { mechanism: 'plain', ...account } },
    ],
    ['IAM', [], [NO_TOPICS, ['What the brokers need', downs(5)]], { tls: true, sasl: { mechanism: 'msk-iam' } }],
    [
      'a user by a flag',
      ['--kafka-username', 'cdc'],
      [NO_TOPICS, ['The mechanism', downs(1)]],
      { sasl: { mechanism: 'scram-sha-256', ...account } },
    ],
  ])('%s', async (_, flags, steps, section) => {
    const words = ['init', '--url', fixture.url, '--tables', '*.*', '--name', 'shop', '--brokers', '127.0.0.1:1'];
    const env = { CDC_MYSQL_PASSWORD: '', CDC_KAFKA_PASSWORD: PASSWORD, AWS_REGION: 'eu-west-1', ...AWS_KEYS };
    const output = await cdcOnTerminal(fixture.directory, [...words, ...flags], {
      ...{ steps: [NO_PASSWORD, ...steps], columns: 140, env },
    });
    expect(output).toMatch(/EXIT 3$/);
    expect(parse(readFileSync(file(), 'utf8')).kafka).toEqual({ brokers: ['127.0.0.1:1'], ...section });
  });

  test('Ctrl-C at a question about Kafka writes nothing', async () => {
    const words = ['init', '--brokers', '127.0.0.1:1', '--url', fixture.url, '--tables', '*.*', '--name', 'shop'];
    const steps: [string, string][] = [NO_PASSWORD, ['Partitions', '\x03']];
    const options = { steps, env: { CDC_MYSQL_PASSWORD: '' } };
    expect(await cdcOnTerminal(fixture.directory, words, options)).toMatch(/EXIT 130$/);
    expect(existsSync(file())).toBe(false);
  });
});

const reason = await kafkaAvailability();
describe.skipIf(reason !== undefined)(`Kafka${reason ? ` (cannot run: ${reason})` : ''}`, () => {
  let kafka: KafkaServer;
  let authority: Authority;
  beforeAll(async () => {
    authority = new Authority();
    const { cert, key } = authority.issue({ name: 'localhost' });
    kafka = await startKafka({
      sasl: { mechanisms: ['SCRAM-SHA-512'], users: { cdc: PASSWORD } },
      tls: { key: readFileSync(key, 'utf8'), certificate: readFileSync(cert, 'utf8') },
      advertisedHost: 'localhost',
    });
  });
  afterAll(async () => {
    await kafka?.close();
    authority?.remove();
  });

  const isStored = async (): Promise<boolean> =>
    (await kafka.readNew(`shop.${fixture.schema}.item`, new Map())).some(({ key }) => String(key) === '{"id":4711}');
  const flags = (): string[] => [
    ...['--brokers', kafka.bootstrap.join(), '--create-topics', '3', '--kafka-ca-file', authority.file],
    ...['--kafka-sasl', 'scram-sha-512', '--kafka-username', 'cdc'],
  ];

  test('flags make a file that delivers, and that names the password of the environment', async () => {
    const ended = await init(flags(), { CDC_KAFKA_PASSWORD: PASSWORD });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/: cdc run can start\nnext: cdc run\n$/);
    const text = readFileSync(file(), 'utf8');
    for (const output of [text, ended.stdout]) expect(output).not.toContain(PASSWORD);
    expect(ended.stdout).toContain('the environment variable CDC_KAFKA_PASSWORD');
    expect(parse(text).kafka).toEqual({
      brokers: kafka.bootstrap,
      tls: { ca_file: authority.file },
      sasl: { mechanism: 'scram-sha-512', username: 'cdc', password: '${CDC_KAFKA_PASSWORD}' },
      create_topics: { partitions: 3 },
    });
    expect(statSync(file()).mode & 0o133).toBe(0);
    fixture.env = { CDC_KAFKA_PASSWORD: PASSWORD };
    await assertDelivers(isStored);
  });

  test('a password file is named as the folder of the configuration has it, and a wrong one is found', async () => {
    writeFileSync(join(fixture.directory, 'password'), 'battery-staple', { mode: 0o600 });
    const words = [...flags(), '--kafka-password-file', 'password'];
    mkdirSync(join(fixture.directory, 'etc'));
    const wrong = await init([...words, '--output', 'etc/cdc.yaml']);
    expect(wrong.code).toBe(3);
    expect(wrong.stdout).toContain('check kafka.sasl');
    expect(readFileSync(join(fixture.directory, 'etc', 'cdc.yaml'), 'utf8')).toContain('password_file: ../password\n');
    writeFileSync(join(fixture.directory, 'password'), PASSWORD);
    expect(await init(words)).toMatchObject({ code: 0 });
    expect(readFileSync(file(), 'utf8')).toContain('password_file: password\n');
    await assertDelivers(isStored);
  });

  test.skipIf(!hasTerminal)('answers make a file that delivers', async () => {
    const steps: [string, string][] = [
      ['Where the events are sent', downs(2)],
      ['The URL of', `${fixture.url}\r`],
      ['Its password', '\r'],
      ['The tables to capture', `${'\x7f'.repeat(60)}${fixture.schema}.*\r`],
      ['The name of the pipeline', `${'\x7f'.repeat(60)}shop\r`],
      ['The brokers', 'localhost\r'],
      ['must look like', `${'\x7f'.repeat(20)}localhost:1, ${kafka.bootstrap[0]}\r`],
      ['Partitions', '\r'],
      ['What the brokers need', `${DOWN}${DOWN}\r`],
      ['Do they use TLS', '\r'],
      ['PEM file', 'no-such-file\r'],
      ['cannot be read', `${'\x7f'.repeat(20)}${authority.file}\r`],
      ['The user name for Kafka', 'cdc\r'],
      ['The password for Kafka', '\r'],
      ['must not be empty', `${PASSWORD}\r`],
    ];
    const env = { CDC_MYSQL_PASSWORD: '', CDC_KAFKA_PASSWORD: '' };
    const output = await cdcOnTerminal(fixture.directory, ['init'], { steps, columns: 140, env });
    expect(output).toMatch(/EXIT 0$/);
    // Such as that of Node about too many listeners.
    expect(output).not.toContain('Warning');
    expect(output).not.toContain(PASSWORD);
    expect(readFileSync(file(), 'utf8')).not.toContain(PASSWORD);
    fixture.env = { CDC_KAFKA_PASSWORD: PASSWORD };
    await assertDelivers(isStored);
  });
});
