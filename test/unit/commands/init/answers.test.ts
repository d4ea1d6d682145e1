import { expect, test } from 'vitest';
import {
  assertFlags,
  defaultName,
  type InitFlags,
  problemWith,
  splitPassword,
  splitPatterns,
} from '../../../../src/commands/init/answers.ts';
import { transportsOf } from '../../../../src/commands/init/transports.ts';
import { accountSql } from '../../../../src/commands/init/try-source.ts';
import type { Transport } from '../../../../src/config/transports.ts';
import { readPage } from '../../../docs-code.ts';

const flags = (more: Partial<InitFlags>): InitFlags => ({ output: 'cdc.yaml', ...more });
const url = 'mysql://u@h';

test.each<[transport: Transport, given: Partial<InitFlags>, env: Record<string, string>, missing: string | undefined]>([
  ['firehose', {}, {}, '--url and --stream'],
  ['kinesis', { url }, {}, '--stream'],
  ['kafka', {}, {}, '--url and --brokers'],
  ['kafka', { url, brokers: ['b:9092'] }, {}, undefined],
  ['kafka', { url, brokers: ['b:9092'], kafkaSasl: 'msk-iam' }, {}, undefined],
  ['kafka', { url, kafkaSasl: 'plain' }, { CDC_KAFKA_PASSWORD: 'x' }, '--brokers and --kafka-username'],
  [
    'kafka',
    { url, brokers: ['b:9092'], kafkaSasl: 'plain', kafkaUsername: 'u' },
    {},
    'CDC_KAFKA_PASSWORD or --kafka-password-file',
  ],
  ['kafka', { url, brokers: ['b:9092'], kafkaPasswordFile: 'f' }, {}, '--kafka-sasl'],
])('without a terminal everything that is missing is named: %s %o', (transport, given, env, missing) => {
  const assert = () => assertFlags(flags(given), transport, false, env);
  if (missing === undefined) expect(assert).not.toThrow();
  else expect(assert).toThrow(new RegExp(`^cdc init needs ${missing}$`));
  expect(() => assertFlags(flags(given), transport, true, env)).not.toThrow();
});

test.each<[given: Partial<InitFlags>, example: string]>([
  [{}, ''],
  [{ kafkaSasl: 'msk-iam' }, ''],
  [
    { kafkaUsername: 'u' },
    ' --kafka-tls --kafka-sasl scram-sha-512 --kafka-username cdc --kafka-password-file kafka-password',
  ],
  [{ kafkaSasl: 'plain' }, ' --kafka-tls --kafka-sasl plain --kafka-username cdc --kafka-password-file kafka-password'],
])('the example has the flags that the given ones need: %o', (given, example) => {
  const { hint } = errorOf(() => assertFlags(flags(given), 'kafka', false, {}));
  const least = 'cdc init --url mysql://cdc@db.example.com:3306 --brokers kafka.example.com:9092 --create-topics 12';
  expect(hint).toBe(`${least}${example}`);
});

/** The error of an action, with all that it prints. */
function errorOf(action: () => void): { message: string; why: string; hint: string; exitCode: number } {
  try {
    action();
  } catch (error) {
    return error as ReturnType<typeof errorOf>;
  }
  return expect.unreachable();
}

test('every wrong flag is named at once, and none shows its value', () => {
  const wrong = { url: 'mysql://u:secret@h/db', stream: 'a b', tables: ['shop'], region: 'EU!' };
  const { message, why, exitCode } = errorOf(() => assertFlags(flags(wrong), 'firehose', true));
  expect(exitCode).toBe(2);
  expect(message).toMatch(/^4 flags/);
  expect(why).toMatch(/--url .*path[\s\S]*--stream must be/);
  expect(why).not.toContain('secret');
});

test.each<[transport: Transport, given: Partial<InitFlags>, why: RegExp]>([
  [
    'kafka',
    { brokers: ['b-1.example.com:9092', 'b-2.example.com'] },
    /^--brokers must look like b-1\.example\.com:9092 or \[::1\]:9092$/,
  ],
  ['kafka', { brokers: ['b:99999'] }, /^--brokers must look like/],
  ['kafka', { brokers: ['::1:9092'] }, /^--brokers must look like .* or \[::1\]:9092$/],
  ['kafka', { brokers: [] }, /^--brokers must not be empty$/],
  ['kafka', { createTopics: 'many' }, /^--create-topics must be a whole number from 1 to 10000$/],
  ['kafka', { kafkaSasl: 'msk-iam', kafkaUsername: 'u' }, /^--kafka-username has no effect with mechanism: msk-iam/],
  ['kinesis', { stream: 'arn:aws:kinesis:eu-west-1:1:stream/s' }, /^--stream must be .* not its ARN$/],
  ['kinesis', { endpoint: '127.0.0.1' }, /^--endpoint must look like/],
])('a wrong flag of %s is named: %o', (transport, given, why) => {
  expect(errorOf(() => assertFlags(flags(given), transport, true))).toMatchObject({
    exitCode: 2,
    why: expect.stringMatching(why),
  });
});

test.each<[given: Partial<InitFlags>, transports: Transport[]]>([
  [{}, ['firehose', 'kinesis', 'kafka']],
  [{ stream: 's' }, ['firehose', 'kinesis']],
  [{ endpoint: 'e', transport: 'kinesis' }, ['kinesis']],
  [{ brokers: ['b:9092'] }, ['kafka']],
  [{ kafkaTls: true }, ['kafka']],
  [{ createTopics: '1', transport: 'kafka' }, ['kafka']],
])('the flags %o leave the transports %j', (given, transports) => {
  expect(transportsOf(flags(given))).toEqual(transports);
});

test.each<[given: Partial<InitFlags>, message: string, why: string]>([
  [
    { stream: 's', brokers: ['b:9092'] },
    '--stream, --brokers cannot be used together',
    '--stream is for firehose and kinesis\n       --brokers is for kafka',
  ],
  [
    { transport: 'kafka', region: 'eu-west-1', brokers: ['b:9092'] },
    '--region cannot be used with --transport kafka',
    '--region is for firehose and kinesis',
  ],
  [
    { transport: 'firehose', kafkaCaFile: 'f', stream: 's' },
    '--kafka-ca-file cannot be used with --transport firehose',
    '--kafka-ca-file is for kafka',
  ],
])('flags of two transports are refused: %o', (given, message, why) => {
  expect(errorOf(() => transportsOf(flags(given)))).toMatchObject({ message, why, exitCode: 2 });
});

test.each([
  ['mysql://cdc:s%3Acret@db1:3306,db2/', 'mysql://cdc@db1:3306,db2/', 's:cret'],
  ['mysql://cdc@db1', 'mysql://cdc@db1', undefined],
  ['mysql://c%3Ad:x@[::1]:3306', 'mysql://c%3Ad@[::1]:3306', 'x'],
  ['mysql://cdc:@db1', 'mysql://cdc@db1', undefined],
])('the password leaves the URL %s', (typed, url, password) => {
  expect(splitPassword(typed, undefined)).toEqual({ url, password });
});

test('a password in the URL that is not the one of the environment is refused, because the file would have the other', () => {
  expect(() => splitPassword('mysql://cdc:a@h', 'b')).toThrow(/is not the one in CDC_MYSQL_PASSWORD/);
  expect(splitPassword('mysql://cdc:a@h', 'a').password).toBe('a');
  expect(splitPassword('mysql://cdc@h', 'b').password).toBe('b');
});

test('patterns are split at commas, but not within backticks', () => {
  expect(splitPatterns('shop.*, !shop.log,`a,b`.c ,')).toEqual(['shop.*', '!shop.log', '`a,b`.c']);
  expect(problemWith('tables', splitPatterns(''))).toMatch(/empty/);
});

test('the name is that of the only database', () => {
  expect(defaultName(['shop.*', '!shop.log'])).toBe('shop');
  expect(defaultName(['shop.*', 'blog.*'])).toBe('cdc');
  expect(defaultName(['*.*'])).toBe('cdc');
});

test('docs/INSTALL.md has the statements that init prints and that the check asks for', () => {
  const page = readPage('docs/INSTALL.md');
  const url = 'mysql://cdc@db.example.com:3306';
  const known = { versionText: '', host: '', account: "'cdc'@'%'", databases: [] };
  const mysql = accountSql(url, ['shop.*'], { ...known, flavor: 'mysql', version: [8, 4, 0] }).split('\n');
  const [, create = '', ...grants] = mysql;
  expect(page).toContain([create.replace('-- ', ''), ...grants].join('\n').replaceAll('`', ''));
  const [, , onMariadb = ''] = accountSql(url, ['shop.*'], { ...known, flavor: 'mariadb', version: [10, 11, 0] }).split(
    '\n',
  );
  expect(page).toContain(`\`${onMariadb}\``);
});

test('a server that was not reached gets the statements of both products, for the account of the URL', () => {
  const sql = accountSql("mysql://o'neil@h", ['shop.*', '!shop.log', 'shop.x*', 'blog.a'], undefined);
  expect(sql.split('\n').slice(1)).toEqual([
    "CREATE USER 'o''neil'@'%' IDENTIFIED BY 'choose-one';",
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'o''neil'@'%';",
    "-- on MariaDB instead: GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'o''neil'@'%';",
    "GRANT SELECT ON `shop`.* TO 'o''neil'@'%';",
    "GRANT SELECT ON `blog`.`a` TO 'o''neil'@'%';",
  ]);
});
