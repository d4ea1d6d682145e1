// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import { backfillConnection, sourceConnection } from '../../../src/config/source-connection.ts';
import { parseStart } from '../../../src/config/source-schema.ts';
import { CdcError } from '../../../src/runtime/error.ts';
import { connectionOptions } from '../../../src/secrets/connection-options.ts';
import { configFrom, firehoseOf, thrownBy } from './config-from.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

const LEAST = 'source:\n  url: mysql://cdc@127.0.0.1\nfirehose:\n  stream: s\n';

/** The errors of an invalid configuration, one line each. */
function errorLines(yaml: string, env: Record<string, string> = {}): string[] {
  const error = thrownBy(() => configFrom(yaml, env));
  expect(error).toBeInstanceOf(CdcError);
  expect(error).toMatchObject({ exitCode: 2 });
  return ((error as CdcError).why ?? '').split('\n').map((line) => line.trim());
}

describe('a valid configuration', () => {
  test('only a source URL and a stream are required, and everything else has its default', () => {
    expect(configFrom(LEAST)).toEqual({
      name: 'cdc',
      source: { url: 'mysql://cdc@127.0.0.1', server_id: 'auto', start: 'now' },
      tables: ['*.*'],
      columns: {},
      keys: {},
      format: 'debezium',
      truncate: 'event',
      flat_prefix: '_',
      routes: {},
      values: {
        bigint: 'number',
        decimal: 'string',
        json: 'string',
        binary: 'base64',
        temporal: 'iso',
        zero_dates: 'text',
        boolean: [],
      },
      firehose: {
        stream: 's',
        routes: {},
        aggregate: { max_events: 500, max_bytes: 524288 },
        compression: 'none',
        quota: {},
        linger: 100,
        timeout: 30_000,
      },
      checkpoint: { file: join(tmpdir(), 'state/cdc.json') },
      dead_letter: { directory: join(tmpdir(), 'state/dead-letter'), max_bytes: 1024 ** 3, events: [] },
      backfill: { parallel: 4, chunk_time: 500, max_lag: 60_000 },
      admin: { hosts: [], max_lag: 60_000, socket: join(tmpdir(), 'state/cdc.sock') },
    });
  });

  test('environment variables are replaced in any string, also for numbers, and $${ is a plain ${', () => {
    const yaml = [
      'name: ${A}-${B}',
      'source: { url: "mysql://${USER}@127.0.0.1", password: "$${A}", server_id: "${ID}" }',
      'firehose: { stream: s }',
    ].join('\n');
    const config = configFrom(yaml, { USER: 'me', A: 'x', B: '', ID: '17' });
    expect(config.name).toBe('x-');
    expect(config.source).toMatchObject({ url: 'mysql://me@127.0.0.1', password: '${A}', server_id: 17 });
  });

  test('the password is read from a file next to it, without the last line break, and again for each connection', async () => {
    writeFileSync(join(directory, 'password'), ' se cret\n\n');
    writeFileSync(join(directory, 'ca.pem'), readFileSync('test/integration/tls/certificate.pem'));
    const file = join(directory, 'cdc.yaml');
    writeFileSync(
      file,
      LEAST.replace('  url', '  password_file: password\n  ca_file: ca.pem\n  tls: verify-ca\n  url'),
    );
    const { source, checkpoint } = loadConfig(file, {});
    expect(source).toMatchObject({ password_file: join(directory, 'password'), ca_file: join(directory, 'ca.pem') });
    expect(source).not.toHaveProperty('password');
    const password = async () => (await connectionOptions(sourceConnection(source))).password;
    expect(await password()).toBe(' se cret\n');
    writeFileSync(join(directory, 'password'), 'rotated\r\n');
    expect(await password()).toBe('rotated');
    rmSync(join(directory, 'password'));
    await expect(password()).rejects.toMatchObject({
      kind: 'retry',
      message: `cannot read source.password_file ${join(directory, 'password')}`,
    });
    expect(checkpoint.file).toBe(join(directory, 'state/cdc.json'));
  });

  test.each([
    'now',
    'earliest',
    'start',
    'binlog.000012:1234',
    '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7',
    '3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5, 4e11fa47-71ca-11e1-9e33-c80aa9429562:tag:1-3',
    '0-1-1234',
    '0-1-1234,7-2-1',
  ])('%s is a start position', (start) => {
    expect(configFrom(LEAST.replace('  url', `  start: "${start}"\n  url`)).source.start).toBe(start);
  });

  test.each([
    ['17', 17],
    ['0x6b02e25f', 0x6b02e25f],
    ['"0xFFFFFFFF"', 0xffffffff],
  ])('%s is an epoch', (text, epoch) => {
    expect(configFrom(LEAST.replace('  url', `  epoch: ${text}\n  url`)).source.epoch).toBe(epoch);
  });

  test.each(['-1', '0x100000000', 'soon', '1.5'])('%s is no epoch', (text) => {
    expect(thrownBy(() => configFrom(LEAST.replace('  url', `  epoch: ${text}\n  url`)))).toMatchObject({
      why: 'line 2, source.epoch: must be a whole number of up to 32 bits, such as 0x6b02e25f',
    });
  });
});

describe('all errors are reported at once with their lines', () => {
  test('wrong keys, types and values, missing keys and missing variables are reported together', () => {
    const yaml = [
      'nmae: shop',
      'source:',
      '  ulr: mysql://cdc@127.0.0.1',
      '  password: ${NOT_SET}',
      '  tls: on',
      '  server_id: "${NO_ID}"',
      'tables: ["shop.*", "orders", 7]',
      'keys: { "shop.log": [] }',
      'format: debezum',
      'values: { bigint: text }',
      'firehose:',
      '  endpoint: localhost:4573',
      '  aggregate: { max_bytes: 1MiB, max_events: 0 }',
      '  linger: soon',
      '  streem: s',
      'checkpoint: state.json',
    ].join('\n');
    expect(errorLines(yaml)).toEqual([
      'line 1, nmae: unknown key, did you mean name?',
      'line 2, source.url: is missing',
      'line 3, source.ulr: unknown key, did you mean url?',
      'line 4, source.password: the environment variable NOT_SET is not set',
      'line 5, source.tls: must be one of verify-identity, verify-ca, required, disabled',
      'line 6, source.server_id: the environment variable NO_ID is not set',
      'line 7, tables[2]: must be text, not a number; put it in quotes',
      'line 8, keys."shop.log": must not be empty',
      'line 9, format: must be one of debezium, flat, maxwell',
      'line 10, values.bigint: must be one of number, string',
      'line 11, firehose.stream: is missing',
      'line 12, firehose.endpoint: must look like http://127.0.0.1:4573',
      'line 13, firehose.aggregate.max_events: must be a whole number from 1 to 100000',
      'line 13, firehose.aggregate.max_bytes: must be a size such as 512KiB, at most 1,024,000 bytes (1000KiB)',
      'line 14, firehose.linger: must be a duration such as 100ms, at most 60s',
      'line 15, firehose.streem: unknown key, did you mean stream?',
      'line 16, checkpoint: must be a map, not text',
    ]);
  });

  test('each invalid table pattern and each invalid key is reported separately', () => {
    expect(errorLines(`${LEAST}tables: ["*.*", orders, "a.b.c"]\nkeys: { "shop.*": [id], "shop.x": [a, a] }`)).toEqual([
      expect.stringMatching(/^line 5, tables\[1\]: "orders" is not a table pattern: it has no dot/),
      expect.stringMatching(/^line 5, tables\[2\]: "a.b.c" is not a table pattern/),
      expect.stringMatching(/^line 6, keys."shop.\*": "shop.\*" is not a table pattern: a single table is expected/),
      'line 6, keys."shop.x": names a column twice',
    ]);
    expect(errorLines(`${LEAST}tables: ["!a.b"]`)).toEqual([expect.stringContaining('captures nothing')]);
    const [empty] = errorLines(`${LEAST}tables: []`);
    expect(empty).toMatch(
      /tables: the list of tables is empty: it captures nothing \(.*remove the key to capture all\)/,
    );
  });

  test('a key under the wrong parent is reported with the right parent', () => {
    expect(errorLines(`${LEAST}password: x\n`)).toEqual([
      'line 5, password: unknown key, did you mean source.password?',
    ]);
  });

  test('no key of a transport is suggested that is not configured', () => {
    const base = 'source: { url: "mysql://cdc@127.0.0.1" }\n';
    const kafka = 'kafka: { brokers: ["127.0.0.1:9092"], aggregate: off, mechanism: plain }\n';
    expect(errorLines(base + kafka)).toEqual([
      'line 2, kafka.aggregate: unknown key',
      'line 2, kafka.mechanism: unknown key, did you mean kafka.sasl.mechanism?',
    ]);
    expect(errorLines(`${base}kinesis: { stream: s, max_events: 5, compression: gzip }`)).toEqual([
      'line 2, kinesis.max_events: unknown key, did you mean kinesis.aggregate.max_events?',
      'line 2, kinesis.compression: unknown key',
    ]);
    expect(errorLines(`${base}stream: s`)).toContain('line 2, stream: unknown key, did you mean firehose.stream?');
  });

  test('the address, the names and the token of the admin server', () => {
    const yaml = 'admin: { listen: "localhost", hosts: ["a:1"], token: "a b", max_lag: 0s, sockt: x }';
    expect(errorLines(`${LEAST}${yaml}`)).toEqual([
      'line 5, admin.listen: must look like 127.0.0.1:8686, or be a port of this machine, such as 8686',
      'line 5, admin.hosts[0]: must be a host name without a port, such as cdc.internal',
      'line 5, admin.token: must be of visible ASCII characters without spaces',
      'line 5, admin.max_lag: must be a duration such as 60s, from 1s to 24h',
      'line 5, admin.sockt: unknown key, did you mean socket?',
    ]);
    const both = `${LEAST}admin: { token: x, token_file: there-is-none }`;
    expect(errorLines(both)).toEqual([
      'line 5, admin.token_file: cannot be combined with admin.token',
      expect.stringMatching(/^line 5, admin.token_file: cannot be read/),
    ]);
  });

  test.each([
    ['8686', { host: '127.0.0.1', port: 8686 }],
    ['":8686"', { host: '127.0.0.1', port: 8686 }],
    ['"127.0.0.1:0"', { host: '127.0.0.1', port: 0 }],
    ['"[::1]:8686"', { host: '::1', port: 8686 }],
    ['"cdc.internal:8686"', { host: 'cdc.internal', port: 8686 }],
  ])('admin.listen can be %s', (listen, address) => {
    const { admin } = parseConfig(`${LEAST}admin: { listen: ${listen} }`, { file: 'f', directory: '/d', env: {} });
    expect(admin.address).toEqual(address);
  });

  test('a value that can be a map or off is checked as what it is', () => {
    const yaml = [
      '  aggregate: on',
      '  quota: { bytes: 5 bananas, request: 3, records: 0 }',
      '  routes: { "!shop.x": a, "shop": b, "shop.y": "a b" }',
      '  timeout: 1ms',
    ].join('\n');
    expect(errorLines(`${LEAST}${yaml}`)).toEqual([
      'line 5, firehose.aggregate: must be a map, or off',
      'line 6, firehose.quota.bytes: must be a size such as 5MiB, at least 1KiB',
      'line 6, firehose.quota.records: must be a whole number, at least 1',
      'line 6, firehose.quota.request: unknown key, did you mean requests?',
      expect.stringMatching(/^line 7, firehose.routes."shop.y": must be 1 to 64 letters/),
      expect.stringMatching(/^line 7, firehose.routes."!shop.x": a route needs a pattern of tables/),
      expect.stringMatching(/^line 7, firehose.routes.shop: "shop" is not a table pattern/),
      'line 8, firehose.timeout: must be a duration such as 30s, from 100ms to 300s',
    ]);
    const off = configFrom(`${LEAST}  aggregate: off\n  quota: off\n  routes: { "shop.*": other }`).firehose;
    expect(off).toMatchObject({ aggregate: 'off', quota: 'off', routes: { 'shop.*': 'other' } });
    expect(firehoseOf(configFrom(`${LEAST}  quota: { bytes: 20MiB }`)).quota).toEqual({ bytes: 20 * 1024 ** 2 });
    expect(errorLines(`${LEAST}  aggregate: off\n  compression: gzip`)).toEqual([
      expect.stringMatching(/^line 6, firehose.compression: gzip cannot be used with aggregate: off/),
    ]);
  });
});

describe('a source that contradicts itself is rejected', () => {
  const source = (more: string, host = 'db.example') =>
    errorLines(`source:\n  url: mysql://cdc@${host}\n${more}\nfirehose: { stream: s }`);

  test('a source with two passwords is rejected', () => {
    writeFileSync(join(directory, 'p'), 'x');
    expect(source(`  password: a\n  password_file: ${join(directory, 'p')}`)).toEqual([
      'line 4, source.password_file: cannot be combined with source.password',
    ]);
  });

  test('a source with a certificate authority that no check uses is rejected', () => {
    writeFileSync(join(directory, 'ca'), readFileSync('test/integration/tls/certificate.pem'));
    expect(source(`  ca_file: ${join(directory, 'ca')}\n  tls: required`)[0]).toMatch(
      /ca_file: has no effect with tls: required/,
    );
    expect(source(`  ca_file: ${join(directory, 'ca')}`, 'localhost')[0]).toMatch(/no effect with tls: disabled/);
  });

  test('a source with an IP address and verify-identity is rejected', () => {
    expect(source('', '192.0.2.1')[0]).toMatch(
      /^line 1, source.tls: verify-identity needs a host name|^line 2, source.tls/,
    );
    expect(source('  tls: verify-identity', '[2001:db8::1]')[0]).toMatch(/^line 3, source.tls: verify-identity needs/);
  });

  test.each(['0', '4294967296', '1.5', 'other', '""'])('a source with server_id %s is rejected', (id) => {
    expect(source(`  server_id: ${id}`)).toEqual([
      'line 3, source.server_id: must be auto or a whole number from 1 to 4294967295',
    ]);
  });

  test('each file that cannot be read is reported', () => {
    expect(source('  password_file: /nonexistent/a\n  ca_file: /nonexistent/b')).toEqual([
      expect.stringMatching(/^line 3, source.password_file: cannot be read: ENOENT/),
      expect.stringMatching(/^line 4, source.ca_file: cannot be read: ENOENT/),
    ]);
  });

  test.each([
    'tomorrow',
    'binlog:4',
    'binlog.000001',
    '3e11fa47-71ca-11e1-9e33-c80aa9429562',
    '3e11fa47-71ca-11e1-9e33-c80aa9429562:5-1',
    '0-1',
    '0-1-1,0-2-2',
    '',
  ])('a source with start "%s" is rejected', (start) => {
    expect(source(`  start: "${start}"`)).toEqual([expect.stringMatching(/^line 3, source.start: ./)]);
  });
});

describe('column rules', () => {
  const columns = (...lines: string[]) => `${LEAST}columns:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;

  test('columns can be dropped, hashed with a secret from the environment or a file, and masked', () => {
    writeFileSync(join(directory, 'secret'), 'of the file\n');
    const yaml = columns(
      'shop.users.password: drop',
      'shop.users.email: { hash: sha256, secret: "${SECRET}" }',
      `"*.*.\`phone.no\`": { hash: sha256, secret_file: ${join(directory, 'secret')} }`,
      'shop.*.iban: { mask: 4 }',
    );
    expect(configFrom(yaml, { SECRET: 's3' }).columns).toEqual({
      'shop.users.password': { kind: 'drop' },
      'shop.users.email': { kind: 'hash', secret: 's3' },
      '*.*.`phone.no`': { kind: 'hash', secret: 'of the file' },
      'shop.*.iban': { kind: 'mask', keep: 4 },
    });
  });

  test('a secret that is missing, empty, unset, unreadable or set twice is rejected', () => {
    writeFileSync(join(directory, 'empty'), '\n');
    const yaml = columns(
      'a.b.missing: { hash: sha256 }',
      'a.b.empty: { hash: sha256, secret: "${EMPTY}" }',
      'a.b.unset: { hash: sha256, secret: "${UNSET}" }',
      'a.b.unreadable: { hash: sha256, secret_file: /nonexistent }',
      `a.b.emptyfile: { hash: sha256, secret_file: ${join(directory, 'empty')} }`,
      `a.b.both: { hash: sha256, secret: x, secret_file: ${join(directory, 'empty')} }`,
    );
    expect(errorLines(yaml, { EMPTY: '' })).toEqual([
      'line 6, columns."a.b.missing".secret: is missing; set secret or secret_file',
      'line 7, columns."a.b.empty".secret: must not be empty',
      'line 8, columns."a.b.unset".secret: the environment variable UNSET is not set',
      expect.stringMatching(/^line 9, columns."a.b.unreadable".secret_file: cannot be read: ENOENT/),
      'line 10, columns."a.b.emptyfile".secret: must not be empty',
      'line 11, columns."a.b.both".secret_file: cannot be combined with secret',
      'line 11, columns."a.b.both".secret: must not be empty',
    ]);
  });

  test('an invalid rule or column is rejected without showing its content', () => {
    const yaml = columns(
      'a.b.c: encrypt',
      'a.b.d: { hash: md5, secret: hunter2 }',
      'a.b.e: { hash: sha256, secret: hunter2, mask: 4 }',
      'a.b.f: { mask: -1 }',
      'a.b.g: { mask: 1.5 }',
    );
    const found = errorLines(yaml);
    expect(found.map((line) => line.replace(/: .*/, ''))).toEqual([
      'line 6, columns."a.b.c"',
      'line 7, columns."a.b.d"',
      'line 8, columns."a.b.e"',
      expect.stringMatching(/^line 9, columns."a.b.f"/),
      expect.stringMatching(/^line 10, columns."a.b.g"/),
    ]);
    expect(found[0]).toContain('must be drop, { hash: sha256, secret: … } or { mask: 4 }');
    expect(found.join()).not.toContain('hunter2');
    const names = errorLines(columns('a.b: drop', 'a.b.c.d: drop', '"!a.b.h": drop'));
    expect(names).toEqual([
      expect.stringMatching(/^line 6, columns.*"a.b" is not a column pattern/),
      expect.stringMatching(/^line 7, columns.*"a.b.c.d" is not a column pattern/),
      expect.stringMatching(/^line 8, columns.*"!a.b.h" is not a column pattern/),
    ]);
  });
});

describe('backfill', () => {
  const backfill = (...lines: string[]) => `${LEAST}backfill:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
  const connection = (yaml: string) => backfillConnection(configFrom(yaml));

  test('a fresh start can backfill every captured table by itself, and cdc tail knows no such start', () => {
    expect(configFrom(LEAST.replace('  url', '  start: snapshot\n  url')).source.start).toBe('snapshot');
    expect(() => parseStart('snapshot')).toThrow(/not a start position/);
  });

  test('numbers and durations have bounds', () => {
    const yaml = backfill('parallel: 8', 'rate: "20000"', 'chunk_time: 1s', 'max_lag: 5m');
    const numbers = { parallel: 8, rate: 20_000, chunk_time: 1000, max_lag: 300_000 };
    expect(configFrom(yaml).backfill).toEqual(numbers);
    expect(errorLines(backfill('parallel: 65', 'rate: 0', 'chunk_time: 6s', 'max_lag: 999ms'))).toEqual([
      'line 6, backfill.parallel: must be a whole number from 1 to 64',
      'line 7, backfill.rate: must be a whole number of rows, at least 1',
      'line 8, backfill.chunk_time: must be a duration such as 500ms, from 10ms to 5s',
      'line 9, backfill.max_lag: must be a duration such as 60s, from 1s to 24h',
    ]);
    expect(errorLines(backfill('heartbeat_table: "shop.*"'))).toEqual([
      expect.stringMatching(/^line 6, backfill.heartbeat_table: "shop.\*" is not a table pattern: a single table/),
    ]);
  });

  test('rows are read from the source, or from the replica with what the source has and it does not name', () => {
    writeFileSync(join(directory, 'replica-password'), 'of the replica\n');
    const authority = readFileSync('test/integration/tls/certificate.pem');
    writeFileSync(join(directory, 'ca.pem'), authority);
    const source = (keys: string) =>
      `source: { url: "mysql://cdc:in-url@db.example", ${keys} }\nfirehose: { stream: s }\n`;
    const plain = source('tls: required');
    expect(connection(plain)).toMatchObject({ host: 'db.example', password: 'in-url' });
    expect(connection(`${plain}backfill: { url: "mysql://reader@replica:3307" }`)).toMatchObject({
      host: 'replica',
      port: 3307,
      user: 'reader',
      password: 'in-url',
      ssl: { rejectUnauthorized: false },
    });
    const withCa = source(`password: secret, tls: verify-ca, ca_file: ${join(directory, 'ca.pem')}`);
    expect(connection(`${withCa}backfill: { url: "mysql://reader@replica" }`)).toMatchObject({
      password: 'secret',
      ssl: { rejectUnauthorized: true, verifyIdentity: false, caFile: join(directory, 'ca.pem') },
    });
    const own = `backfill: { url: "mysql://reader@127.0.0.1", password_file: ${join(directory, 'replica-password')}, tls: disabled }`;
    expect(connection(`${withCa}${own}`)).toMatchObject({
      password: { file: join(directory, 'replica-password') },
    });
    expect(connection(`${withCa}${own}`)).not.toHaveProperty('ssl');
    expect(connection(`${plain}backfill: { url: "mysql://reader:other@replica" }`).password).toBe('other');
  });

  test('a replica that contradicts itself is rejected', () => {
    expect(errorLines(backfill('url: mysql://a@one,two', 'chunk_time: 1s'))).toEqual([
      expect.stringMatching(/^line 6, backfill.url: the source URL has no host/),
    ]);
    const both = backfill('url: mysql://a@h', 'password: x', `password_file: ${join(directory, 'replica-password')}`);
    expect(errorLines(both)).toEqual(['line 8, backfill.password_file: cannot be combined with backfill.password']);
    expect(errorLines(backfill('url: mysql://a@192.0.2.1'))).toEqual([
      expect.stringMatching(/^line 5, backfill.tls: verify-identity needs a host name in backfill.url/),
    ]);
    expect(errorLines(backfill('password_file: /nonexistent', 'url: mysql://a@h'))).toEqual([
      expect.stringMatching(/^line 6, backfill.password_file: cannot be read: ENOENT/),
    ]);
    expect(errorLines(backfill('password: x', 'tls: required'))).toEqual([
      'line 6, backfill.password: has no effect without backfill.url; the rows are read from the source',
      'line 7, backfill.tls: has no effect without backfill.url; the rows are read from the source',
    ]);
  });

  test('a password file of the replica that is gone is named by its own key, and the pipeline tries again', async () => {
    writeFileSync(join(directory, 'gone'), 'x');
    const config = configFrom(backfill('url: mysql://a@h', `password_file: ${join(directory, 'gone')}`));
    rmSync(join(directory, 'gone'));
    await expect(connectionOptions(backfillConnection(config))).rejects.toMatchObject({
      kind: 'retry',
      message: `cannot read backfill.password_file ${join(directory, 'gone')}`,
    });
  });
});

test('the socket of the daemon is beside the checkpoint file, or where the configuration says', () => {
  const socket = (yaml: string) => configFrom(`${LEAST}${yaml}`).admin.socket;
  expect(socket('checkpoint: { file: /var/lib/cdc/shop.json }')).toBe('/var/lib/cdc/shop.sock');
  expect(socket('checkpoint: { file: position }')).toBe(join(tmpdir(), 'position.sock'));
  expect(socket('admin: { socket: run/cdc.sock }')).toBe(join(tmpdir(), 'run/cdc.sock'));
});

describe('dead letters', () => {
  const seq = '6b02e25e0000000200000006970000000020';

  test('dead letters are stored next to the checkpoint file, or where the configuration says', () => {
    const letters = (yaml: string) => configFrom(`${LEAST}${yaml}`).dead_letter.directory;
    expect(letters('checkpoint: { file: /var/lib/cdc/shop.json }')).toBe('/var/lib/cdc/dead-letter');
    expect(letters('dead_letter: { directory: letters }')).toBe(join(tmpdir(), 'letters'));
    expect(letters('dead_letter: { directory: /srv/letters }')).toBe('/srv/letters');
  });

  test('dead letters have a limit in bytes, and events that the operator lists', () => {
    const yaml = `dead_letter: { max_bytes: 10MiB, events: ["${seq}"] }`;
    expect(configFrom(`${LEAST}${yaml}`).dead_letter).toMatchObject({ max_bytes: 10 * 1024 ** 2, events: [seq] });
  });

  test('an invalid size and an invalid seq of an event are rejected', () => {
    const events = [seq.slice(1), seq.toUpperCase(), `${seq}0`, seq.replace('2', 'g')].map((text) => `"${text}"`);
    expect(errorLines(`${LEAST}dead_letter: { max_bytes: much, directory: "", events: [${events}, 12] }`)).toEqual([
      'line 5, dead_letter.directory: must not be empty',
      'line 5, dead_letter.max_bytes: must be a size such as 1GiB, at least 1 byte',
      ...[0, 1, 2, 3].map(
        (i) => `line 5, dead_letter.events[${i}]: must be the seq of an event: 36 hex digits, lower case`,
      ),
      'line 5, dead_letter.events[4]: must be text, not a number; put it in quotes',
    ]);
    expect(errorLines(`${LEAST}dead_letter: { max_bytes: 0 }`)).toHaveLength(1);
  });
});

test('only the first YAML error is reported, with the quotes that a variable needs', () => {
  const slip = 'source:\n  url: "mysql://u@h"\n   password: x\nfirehose:\n  stream: s\n x: y\n';
  expect(errorLines(slip)).toHaveLength(1);
  const unquoted = 'columns: { s.t.c: { hash: sha256, secret: $' + '{X} } }';
  expect(errorLines(`${LEAST}${unquoted}`)).toEqual([
    expect.stringMatching(/^line 5, .*; inside { } and \[ \] an environment variable needs quotes$/),
  ]);
});

test('an invalid region is rejected', () => {
  const region = (text: string) =>
    errorLines(`source: { url: "mysql://u@h" }\nfirehose: { stream: s, region: ${text} }`);
  expect(
    firehoseOf(configFrom('source: { url: "mysql://u@h" }\nfirehose: { stream: s, region: us-gov-west-1 }')).region,
  ).toBe('us-gov-west-1');
  expect(region('eu west')).toEqual(['line 2, firehose.region: must look like eu-west-1']);
  expect(region('""')).toEqual(['line 2, firehose.region: must look like eu-west-1']);
});

test('format maxwell is rejected with a form of values that it does not have', () => {
  expect(configFrom(`${LEAST}format: maxwell\nvalues: { bigint: string }`).format).toBe('maxwell');
  expect(errorLines(`${LEAST}format: maxwell\nvalues: { temporal: epoch_micros }`)).toEqual([
    expect.stringMatching(/^line 6, values.temporal: epoch_micros cannot be used with format: maxwell/),
  ]);
});

describe('a file that is no configuration is rejected', () => {
  test.each([
    ['', 'the file is empty'],
    ['# only a comment\n', 'the file is empty'],
    ['- source\n', 'line 1, the file must be a map of keys'],
    ['just text', 'line 1, the file must be a map of keys'],
    ['name: a\nname: b\n', 'line 2, Map keys must be unique'],
    [`${LEAST}  stream: t\n`, 'line 5, Map keys must be unique'],
    ['name: [a\n', 'line'],
    ['name: a\n---\nname: b\n', 'line 2'],
    ['tables:\n  - !shop.audit_log\n', 'line 2, Unresolved tag: !shop.audit_log; a pattern with ! needs quotes'],
    [`${LEAST}tables:\n  - *.*\n  - *.log\n`, 'line 6, *.* would be a YAML alias'],
    [`${LEAST}tables: &x [*x]\n`, 'line 5, *x would be'],
  ])('the file %j is rejected', (yaml, what) => {
    expect(errorLines(yaml)[0]).toContain(what);
  });

  test('a missing file is reported with a hint how to begin', () => {
    expect(thrownBy(() => loadConfig(join(directory, 'missing.yaml'), {}))).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('missing.yaml'),
      hint: expect.stringContaining('cdc.example.yaml'),
    });
    expect(thrownBy(() => loadConfig(directory, {}))).toMatchObject({ exitCode: 2 });
  });
});

test('no message repeats a secret', () => {
  const yaml = 'source: { url: "mysql://cdc:hunter2@h/x", password: [hunter2], password_file: hunter2.txt }';
  expect(errorLines(`${yaml}\nfirehose: { stream: s }`).join().replaceAll('hunter2.txt', '')).not.toContain('hunter2');
});

test('zero_dates: null is accepted with and without quotes', () => {
  for (const text of ['null', '"null"']) {
    const config = parseConfig(
      `source: { url: "mysql://u@localhost" }\nfirehose: { stream: s }\nvalues: { zero_dates: ${text} }`,
      { file: 'cdc.yaml', directory: '/', env: {} },
    );
    expect(config.values.zero_dates).toBe('null');
  }
});
