import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { backfillConnection, sourceConnection } from '../../../src/config/source-connection.ts';
import type { CdcError } from '../../../src/runtime/error.ts';
import { connectionOptions } from '../../../src/secrets/connection-options.ts';
import { configFrom, thrownBy } from './config-from.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-connection-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};

const yaml = (source: string, rest = ''): string => `source: { ${source} }\n${rest}firehose: { stream: s }\n`;
const DB = 'url: "mysql://cdc@db.example"';
const source = (keys: string) => sourceConnection(configFrom(yaml(`${DB}, ${keys}`)).source);
const issues = (text: string): string | undefined => (thrownBy(() => configFrom(text)) as CdcError).why;

const CERTIFICATE = readFileSync('test/integration/tls/certificate.pem', 'utf8');
const KEY = readFileSync('test/integration/tls/key.pem', 'utf8');
const pem = { cert: file('cert.pem', CERTIFICATE), key: file('key.pem', KEY) };
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

describe('where a password comes from', () => {
  test('a secret of AWS, by name or ARN', () => {
    expect(source('password_secret: { id: prod/cdc }').password).toEqual({
      secret: { id: 'prod/cdc', key: 'password' },
    });
    const keys =
      'password_secret: { id: x, key: pw, user_key: user, region: eu-west-1, endpoint: "http://127.0.0.1:1" }';
    expect(source(keys).password).toEqual({
      secret: { id: 'x', key: 'pw', user_key: 'user', region: 'eu-west-1', endpoint: 'http://127.0.0.1:1' },
    });
  });

  test('IAM authentication, which is true or says more', () => {
    expect(source('iam_auth: true').password).toEqual({ iam: {} });
    expect(source('iam_auth: { region: eu-west-1, host: "db.x.eu-west-1.rds.amazonaws.com:3307" }').password).toEqual({
      iam: { region: 'eu-west-1', host: 'db.x.eu-west-1.rds.amazonaws.com:3307' },
    });
    expect(issues(yaml(`${DB}, iam_auth: false`))).toBe('line 1, source.iam_auth: must be a map, or true');
  });

  test.each([
    ['password: a, iam_auth: true', 'source.iam_auth: cannot be combined with source.password'],
    ['password: a, password_secret: { id: x }', 'source.password_secret: cannot be combined with source.password'],
    ['password_secret: { id: x }, iam_auth: true', 'source.iam_auth: cannot be combined with source.password_secret'],
    [`password_file: ${pem.key}, iam_auth: true`, 'source.iam_auth: cannot be combined with source.password_file'],
    [
      'iam_auth: true, tls: disabled',
      'source.iam_auth: needs TLS; set source.tls to verify-identity, verify-ca or required',
    ],
  ])('%s is rejected', (keys, message) => {
    expect(issues(yaml(`${DB}, ${keys}`))).toBe(`line 1, ${message}`);
  });

  test('a password in the URL is another way to a password', () => {
    for (const [keys, key] of [
      ['iam_auth: true', 'iam_auth'],
      ['password_secret: { id: x }', 'password_secret'],
    ]) {
      const why = issues(yaml(`url: "mysql://cdc:hunter2@db.example", ${keys}`));
      expect(why).toBe(`line 1, source.${key}: cannot be combined with the password in source.url`);
    }
  });

  test('a token never leaves in clear text: a loopback host, whose TLS is off by default, needs tls', () => {
    const tunnel = 'url: "mysql://cdc@127.0.0.1", iam_auth: { host: db.eu-west-1.rds.amazonaws.com }';
    expect(issues(yaml(tunnel))).toMatch(
      /^line 1, source.iam_auth: needs TLS, which is disabled for a loopback host; set/,
    );
    expect(sourceConnection(configFrom(yaml(`${tunnel}, tls: verify-ca`)).source).ssl).toBeDefined();
    const replica = yaml(`${DB}, iam_auth: true`, 'backfill: { url: "mysql://cdc@127.0.0.1" }\n');
    expect(issues(replica)).toMatch(/backfill.iam_auth: needs TLS/);
    // And if a configuration could be built otherwise.
    const { ssl: _, ...clear } = source('iam_auth: true');
    return expect(connectionOptions(clear)).rejects.toMatchObject({ message: 'source.iam_auth needs TLS' });
  });

  test('a token is for one host', () => {
    const keys = 'url: "mysql://cdc@a.example,b.example", iam_auth: { host: c.example }';
    expect(issues(yaml(keys))).toMatch(/source.iam_auth: host cannot be set with several hosts in source.url/);
  });

  test('a replica has the way of the source, with a token for its own host, or one of its own', () => {
    const replica = (keys: string, own = '') =>
      backfillConnection(configFrom(yaml(`${DB}, ${keys}`, `backfill: { url: "mysql://r@replica"${own} }\n`))).password;
    expect(replica('iam_auth: { region: eu-west-1, host: x.example }')).toEqual({ iam: { region: 'eu-west-1' } });
    expect(replica('password_secret: { id: x }')).toEqual({ secret: { id: 'x', key: 'password' } });
    expect(replica('iam_auth: true', ', password: own')).toBe('own');
    expect(replica('password: a', ', iam_auth: true')).toEqual({ iam: {} });
  });
});

describe('client certificates', () => {
  test('certificate and key are read for each connection', async () => {
    const connection = source(`cert_file: ${pem.cert}, key_file: ${pem.key}`);
    expect(connection.ssl).toMatchObject({ certFile: pem.cert, keyFile: pem.key });
    expect((await connectionOptions(connection)).ssl).toMatchObject({ cert: CERTIFICATE, key: KEY });
    // A renewal replaces one file after the other.
    file('key.pem', otherKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    await expect(connectionOptions(connection)).rejects.toMatchObject({
      kind: 'retry',
      message: `source.key_file ${pem.key} is not usable`,
      why: 'the key is not that of the certificate',
    });
    file('key.pem', KEY);
    expect((await connectionOptions(connection)).ssl).toMatchObject({ key: KEY });
  });

  test.each([
    [`cert_file: ${pem.cert}`, 'source.cert_file: needs key_file'],
    [`key_file: ${pem.key}`, 'source.key_file: needs cert_file'],
    [
      `cert_file: ${pem.cert}, key_file: ${pem.key}, tls: disabled`,
      'source.cert_file: has no effect with tls: disabled; set source.tls to verify-identity, verify-ca or required',
    ],
    [
      `cert_file: ${pem.key}, key_file: ${pem.key}`,
      `source.cert_file: ${pem.key} is not usable: it holds a private key, and no certificate`,
    ],
    [
      `cert_file: ${pem.cert}, key_file: ${pem.cert}`,
      `source.key_file: ${pem.cert} is not usable: it holds a certificate, and no private key`,
    ],
    [
      `ca_file: ${file('text', 'hello')}`,
      `source.ca_file: ${join(directory, 'text')} is not usable: it holds no PEM certificate (-----BEGIN CERTIFICATE-----)`,
    ],
    [
      `ca_file: ${pem.cert}, tls: required`,
      'source.ca_file: has no effect with tls: required; set source.tls to verify-identity or verify-ca',
    ],
  ])('%s is rejected', (keys, message) => {
    expect(issues(yaml(`${DB}, ${keys}`))).toBe(`line 1, ${message}`);
  });

  test.each(['pkcs8', 'sec1'] as const)(
    'a key with a passphrase (%s) is refused with the way to store it without one',
    (type) => {
      const encrypted = otherKey.export({
        type,
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase: 'hunter2',
      } as never) as unknown;
      const key = file('encrypted.pem', encrypted as string);
      const why = issues(yaml(`${DB}, cert_file: ${pem.cert}, key_file: ${key}`));
      expect(why).toMatch(
        /source.key_file: .* is not usable: the key has a passphrase, which cdc cannot ask for; store it/,
      );
    },
  );

  test('a replica has both of the source, or both of its own', () => {
    const own = file('own.pem', CERTIFICATE);
    const replica = (keys: string) =>
      backfillConnection(
        configFrom(
          yaml(`${DB}, cert_file: ${pem.cert}, key_file: ${pem.key}`, `backfill: { url: "mysql://r@h"${keys} }\n`),
        ),
      ).ssl;
    expect(replica('')).toMatchObject({ certFile: pem.cert, keyFile: pem.key });
    expect(replica(`, cert_file: ${own}, key_file: ${pem.key}`)).toMatchObject({ certFile: own, keyFile: pem.key });
  });
});
