import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { sourceConnection } from '../../src/config/source-connection.ts';
import { CdcError } from '../../src/runtime/error.ts';
import { fetchSecret } from '../../src/secrets/secrets-manager.ts';
import { connect } from '../../src/source/server/server-info.ts';
import { type Cdc, cdc, Fixture, startCdc, until } from './pipeline-fixture.ts';
import { SecretsManagerServer } from './secrets-manager-server.ts';

const PASSWORDS = ['MarkPassword91', 'MarkPassword92'] as const;

describe.each([
  ['MySQL', 'mysqlUrl', 'the server is changed first'],
  ['MariaDB', 'mariadbUrl', 'the secret is changed first'],
] as const)('source.password_secret on %s', (_, server, order) => {
  let aws: SecretsManagerServer;
  let fixture: Fixture;
  let daemon: Cdc | undefined;
  const put = (password: string): void => {
    aws.secrets.set('prod/cdc', JSON.stringify({ username: 'by_secret', password, engine: 'mysql', port: 3306 }));
  };

  beforeAll(async () => {
    aws = await SecretsManagerServer.listen();
    fixture = new Fixture(inject(server), 'by_secret');
    await fixture.startFirehose();
  });
  beforeEach(() => {
    aws.fault = undefined;
    aws.calls.length = 0;
    put(PASSWORDS[0]);
  });
  afterEach(async () => {
    daemon?.child.kill('SIGKILL');
    await daemon?.ended;
  });
  afterAll(async () => {
    await fixture.query('DROP USER IF EXISTS by_secret');
    await fixture.remove();
    await aws.close();
  });

  const configure = (secret = ''): void => {
    const { host } = new URL(fixture.url);
    writeFileSync(
      join(fixture.directory, 'cdc.yaml'),
      `name: shop
source:
  url: "mysql://by_secret@${host}"
  tls: disabled
  password_secret: { id: prod/cdc, endpoint: "${aws.endpoint}"${secret} }
tables: ["by_secret.*"]
firehose: { stream: changes, endpoint: "${fixture.firehose?.endpoint}", linger: 20ms }
checkpoint: { file: state/shop.json }
`,
    );
  };

  test(`a rotation under a running daemon needs no restart: ${order}`, async () => {
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
    await fixture.query(
      'DROP USER IF EXISTS by_secret',
      `CREATE USER by_secret IDENTIFIED BY '${PASSWORDS[0]}'`,
      'GRANT ALL ON *.* TO by_secret',
    );
    configure();
    daemon = await fixture.run();
    await fixture.delivered();
    // All connections of the preflight and of the start are one request.
    expect(aws.calls.length).toBeLessThanOrEqual(2);

    const change = [
      () => fixture.query(`ALTER USER by_secret IDENTIFIED BY '${PASSWORDS[1]}'`),
      async () => put(PASSWORDS[1]),
    ];
    if (order === 'the secret is changed first') {
      change.reverse();
      await change[0]?.();
      await change[1]?.();
      await endConnections(fixture.url, 'by_secret');
      await fixture.query('INSERT INTO by_secret.item VALUES (1)');
      await fixture.delivered();
      // The rejected password was asked for again at once, and nobody saw a rejection.
      expect(daemon.stderr()).not.toContain('rejects user');
    } else {
      await change[0]?.();
      await endConnections(fixture.url, 'by_secret');
      const stderr = daemon.stderr;
      await until(() => stderr().includes('cdc asks for it at each attempt'));
      const asked = aws.calls.length;
      await change[1]?.();
      await fixture.query('INSERT INTO by_secret.item VALUES (1)');
      await fixture.delivered();
      expect(aws.calls.length).toBeGreaterThan(asked);
    }
    expect(daemon.child.exitCode).toBeNull();
    expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 1 });

    // AWS is away, and the server is there: the last password is used.
    aws.fault = { type: 'InternalServiceError', status: 500 };
    await endConnections(fixture.url, 'by_secret');
    await fixture.query('INSERT INTO by_secret.item VALUES (2)');
    await fixture.delivered();
    expect(daemon.child.exitCode).toBeNull();
    for (const password of PASSWORDS) expect(daemon.stderr() + daemon.stdout()).not.toContain(password);

    // At the start nobody is rotating anything yet.
    aws.fault = undefined;
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    put('wrong');
    const { code, stderr } = await startCdc(fixture.directory, 'run').ended;
    expect([code, stderr]).toEqual([
      3,
      expect.stringContaining('the password in the secret prod/cdc (its key password'),
    ]);
  });

  test('cdc check says that the secret cannot be read, and how to allow it', async () => {
    configure();
    aws.fault = {
      type: 'AccessDeniedException',
      message:
        'User: arn:aws:sts::123456789012:assumed-role/cdc/i-1 is not authorized to perform: secretsmanager:GetSecretValue on resource: prod/cdc',
    };
    const denied = await cdc(fixture.directory, 'check');
    expect(denied.code).toBe(3);
    expect(denied.stdout + denied.stderr).toMatch(
      /do not allow secretsmanager:GetSecretValue for the secret prod\/cdc[\s\S]*"Action":"secretsmanager:GetSecretValue"/,
    );
    aws.fault = undefined;
    aws.secrets.delete('prod/cdc');
    const missing = await cdc(fixture.directory, 'check');
    expect([missing.code, missing.stdout + missing.stderr]).toEqual([
      3,
      expect.stringContaining('there is no secret prod/cdc'),
    ]);
    // A daemon does not wait for what does not come by itself.
    expect(await startCdc(fixture.directory, 'run').ended).toMatchObject({ code: 3 });
  });

  test('the user comes from the secret too, for a rotation that alternates between two users', async () => {
    await fixture.query(
      'DROP USER IF EXISTS by_secret, by_secret_clone',
      `CREATE USER by_secret IDENTIFIED BY '${PASSWORDS[0]}'`,
      `CREATE USER by_secret_clone IDENTIFIED BY '${PASSWORDS[1]}'`,
    );
    const { host } = new URL(fixture.url);
    const secret = { id: 'alternating', key: 'password', user_key: 'username', endpoint: aws.endpoint };
    const connection = sourceConnection({
      url: `mysql://by_secret@${host}`,
      tls: 'disabled',
      password_secret: secret,
    } as never);
    const who = async (): Promise<unknown> => {
      const client = await connect(connection);
      const [[[user] = []]] = (await client.query('SELECT USER()')) as unknown as [[string[]]];
      client.destroy();
      return user?.split('@')[0];
    };
    aws.secrets.set('alternating', JSON.stringify({ username: 'by_secret', password: PASSWORDS[0] }));
    expect(await who()).toBe('by_secret');
    aws.secrets.set('alternating', JSON.stringify({ username: 'by_secret_clone', password: PASSWORDS[1] }));
    await fixture.query("ALTER USER by_secret IDENTIFIED BY 'gone'");
    expect(await who()).toBe('by_secret_clone');
    await fixture.query('DROP USER by_secret_clone');
  });
});

describe('what AWS answers', () => {
  let aws: SecretsManagerServer;
  beforeAll(async () => {
    aws = await SecretsManagerServer.listen();
  });
  afterAll(() => aws.close());
  beforeEach(() => {
    aws.fault = undefined;
    aws.calls.length = 0;
  });
  const fetch = (more: object = {}) =>
    fetchSecret({ id: 'x', key: 'password', endpoint: aws.endpoint, ...more }, 'source');

  test.each([
    ['a JSON object', '{"username":"a","password":"MarkPassword93"}', {}, { password: 'MarkPassword93' }],
    ['another key of it', '{"pw":"MarkPassword93"}', { key: 'pw' }, { password: 'MarkPassword93' }],
    ['a plain text', 'MarkPassword93', {}, { password: 'MarkPassword93' }],
    ['a plain text with a line end', 'MarkPassword93\n', {}, { password: 'MarkPassword93' }],
    ['a text that only begins as JSON does', '{MarkPassword93', {}, { password: '{MarkPassword93' }],
    ['digits, which are JSON too', '123456', {}, { password: '123456' }],
    ['bytes', Buffer.from('MarkPassword93'), {}, { password: 'MarkPassword93' }],
  ])('%s is a password', async (_, text, more, expected) => {
    aws.secrets.set('x', text);
    expect(await fetch(more)).toEqual(expected);
  });

  test('the region is that of the key, or of the ARN', async () => {
    const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/cdc-AbCdEf';
    aws.secrets.set(arn, 'x');
    await fetch({ id: arn });
    await fetch({ id: arn, region: 'eu-west-3' });
    expect(aws.calls.map(({ region }) => region)).toEqual(['eu-central-1', 'eu-west-3']);
  });

  test.each([
    [
      'an object without the key',
      '{"username":"a","pass":"MarkPassword93"}',
      'it has no text under password; its keys: username, pass',
    ],
    [
      'an object with another type',
      '{"password":["MarkPassword93"]}',
      'it has no text under password; its keys: password',
    ],
    ['nothing', '', 'it is empty'],
    ['an inherited name', '{"a":"MarkPassword93"}', 'it has no text under toString; its keys: a', { key: 'toString' }],
  ])('%s is no password, and the error has no value of it', async (_, text, why, more: object = {}) => {
    aws.secrets.set('x', text);
    const error = await fetch(more).catch((thrown) => thrown);
    expect(error).toMatchObject({ message: 'the secret x is no password', why, exitCode: 3, kind: 'fatal' });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('MarkPassword93');
  });

  test.each([
    ['ThrottlingException', 400, 'retry', 'AWS Secrets Manager throttles the requests'],
    ['InternalServiceError', 500, 'retry', /cannot be reached$/],
    ['ServiceUnavailable', 503, 'retry', /cannot be reached$/],
    ['ExpiredTokenException', 400, 'retry', 'the AWS credentials have expired'],
    ['AccessDeniedException', 400, 'fatal', /do not allow secretsmanager:GetSecretValue for the secret x/],
    ['ResourceNotFoundException', 400, 'fatal', 'there is no secret x'],
    ['InvalidRequestException', 400, 'fatal', 'the secret x cannot be read'],
    ['DecryptionFailure', 400, 'fatal', 'the secret x cannot be decrypted'],
    ['ValidationException', 400, 'fatal', 'x is not the name of a secret'],
    ['UnrecognizedClientException', 400, 'fatal', 'AWS rejects the credentials'],
  ])('%s (HTTP %i) is of kind %s', async (type, status, kind, message) => {
    aws.fault = { type, status };
    const error = await fetch().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(CdcError);
    expect(error).toMatchObject({ kind, message: expect.stringMatching(message), hint: expect.any(String) });
    if (kind === 'fatal') expect(error.exitCode).toBe(3);
  });

  test('a denied KMS key is named, and not the secret', async () => {
    aws.fault = { type: 'AccessDeniedException', message: 'Access to KMS is not allowed' };
    await expect(fetch()).rejects.toMatchObject({
      message: expect.stringContaining('kms:Decrypt'),
      hint: expect.stringContaining('kms:Decrypt'),
    });
  });

  test('a connection that is cut, and one that nobody accepts, are tried again', async () => {
    aws.fault = 'cut';
    await expect(fetch()).rejects.toMatchObject({ kind: 'retry' });
    await expect(fetch({ endpoint: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      kind: 'retry',
      hint: expect.stringContaining('source.password_secret.endpoint'),
    });
  });
});

async function endConnections(url: string, user: string): Promise<void> {
  const connection = await createConnection({ uri: url, rowsAsArray: true });
  try {
    const [rows] = await connection.query(`SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '${user}'`);
    for (const [id] of rows as unknown as [number][]) await connection.query(`KILL ${id}`).catch(() => {});
  } finally {
    connection.destroy();
  }
}
