import { describe, expect, test } from 'vitest';
import { connectionError } from '../../../../src/source/server/connection-error.ts';

const SOURCE = { host: 'db.example', port: 3307, user: 'cdc', password: 'hunter2' };
const errorFor = (code: string, message: string, more: object = {}) =>
  connectionError(Object.assign(new Error(message), { code, ...more }), SOURCE);

test.each([
  ['ENOTFOUND', 'getaddrinfo ENOTFOUND'],
  ['EAI_AGAIN', 'getaddrinfo EAI_AGAIN'],
  ['ECONNREFUSED', ''],
  ['ECONNRESET', 'read ECONNRESET'],
  ['EHOSTUNREACH', 'connect EHOSTUNREACH'],
  ['ETIMEDOUT', 'connect ETIMEDOUT'],
  ['PROTOCOL_CONNECTION_LOST', 'Connection lost: The server closed the connection.'],
  ['ER_CON_COUNT_ERROR', 'Too many connections'],
  ['ER_TOO_MANY_USER_CONNECTIONS', 'User cdc already has more than max_user_connections'],
  ['ER_SERVER_SHUTDOWN', 'Server shutdown in progress'],
  ['ER_QUERY_INTERRUPTED', 'Query execution was interrupted'],
  ['HANDSHAKE_SSL_ERROR', 'Client network socket disconnected before secure TLS connection was established'],
])('%s (%s) can clear by itself and is retried', (code, message) => {
  expect(errorFor(code, message)).toMatchObject({ kind: 'retry', hint: expect.any(String), why: message || code });
});

test.each([
  ['ER_ACCESS_DENIED_ERROR', 'Access denied for user', 3],
  ['ER_ACCOUNT_HAS_BEEN_LOCKED', 'Account is locked', 3],
  ['ER_SPECIFIC_ACCESS_DENIED_ERROR', 'you need REPLICATION SLAVE', 3],
  ['HANDSHAKE_NO_SSL_SUPPORT', 'Server does not support secure connection', 3],
  ['HANDSHAKE_SSL_ERROR', 'self-signed certificate in certificate chain', 3],
  ['HANDSHAKE_SSL_ERROR', 'certificate has expired', 3],
  ['ER_PARSE_ERROR', 'You have an error in your SQL syntax', 1],
  ['', 'Cannot read properties of undefined', 1],
])('%s (%s) needs an operator and is fatal', (code, message, exitCode) => {
  const error = errorFor(code, message);
  expect(error).toMatchObject({ kind: 'fatal', exitCode, hint: expect.any(String) });
  expect(JSON.stringify([error.message, error.why, error.hint])).not.toContain('hunter2');
});

test.each([
  ['ER_CON_COUNT_ERROR', 'Too many connections', /raise max_connections/],
  [
    'ER_TOO_MANY_USER_CONNECTIONS',
    "User cdc already has more than 'max_user_connections' active connections",
    /^ALTER USER 'cdc'@'%' WITH MAX_USER_CONNECTIONS 0;/,
  ],
  [
    'ER_USER_LIMIT_REACHED',
    "User 'cdc' has exceeded the 'max_questions' resource (current value: 10)",
    /^ALTER USER 'cdc'@'%' WITH MAX_QUERIES_PER_HOUR 0;$/,
  ],
  [
    'ER_USER_LIMIT_REACHED',
    "User 'cdc' has exceeded the 'max_connections_per_hour' resource (current value: 10)",
    /^ALTER USER 'cdc'@'%' WITH MAX_CONNECTIONS_PER_HOUR 0;$/,
  ],
  [
    'ER_USER_LIMIT_REACHED',
    "User 'cdc' has exceeded the 'max_queries_per_hour' resource (current value: 2)",
    /^ALTER USER 'cdc'@'%' WITH MAX_QUERIES_PER_HOUR 0;$/,
  ],
])('%s (%s) has the hint of its own limit', (code, message, hint) => {
  expect(errorFor(code, message).hint).toMatch(hint);
});

test.each(['PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'EPIPE'])('%s is a closed connection, not a firewall', (code) => {
  const failure = Object.assign(new Error('Connection lost: The server closed the connection.'), { code });
  for (const target of [SOURCE, { ...SOURCE, serverId: 7 }]) {
    const { hint } = connectionError(failure, target);
    expect(hint).toMatch(/KILL/);
    expect(hint).not.toMatch(/firewall/);
  }
  expect(connectionError(failure, { ...SOURCE, serverId: 7 }).message).toBe(
    'the binlog connection to db.example:3307 was closed',
  );
});

test.each([
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tlsv1 alert unknown ca'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tlsv13 alert certificate required'],
  // With TLS 1.2 it comes in the handshake, and mysql2 names each failure there so.
  ['HANDSHAKE_SSL_ERROR', 'sslv3 alert certificate expired'],
])('%s (%s) is about the client certificate', (code, alert) => {
  const message = `801C:error:0A000418:SSL routines:ssl3_read_bytes:${alert}:../deps/rec_layer_s3.c:1601:SSL alert number 48`;
  const failure = Object.assign(new Error(message), { code, fatal: true });
  const ssl = { rejectUnauthorized: true, verifyIdentity: true };
  expect(connectionError(failure, { ...SOURCE, ssl })).toMatchObject({
    message: 'the server at db.example:3307 refuses the client certificate',
    hint: 'set source.cert_file and key_file, which the server asks for',
    exitCode: 3,
  });
  const { hint } = connectionError(failure, { ...SOURCE, ssl: { ...ssl, certFile: 'c.pem' }, section: 'backfill' });
  expect(hint).toMatch(/^renew c.pem/);
});

describe('a rejected user', () => {
  const denied = (target: object) =>
    connectionError(Object.assign(new Error('Access denied'), { code: 'ER_ACCESS_DENIED_ERROR' }), {
      ...SOURCE,
      ...target,
    }).hint;

  test('is proposed, because the server answers a missing user like a wrong password', () => {
    expect(denied({})).toMatch(/CREATE USER 'cdc'@'%' IDENTIFIED BY '…';/);
  });

  test('can need TLS, if TLS is off', () => {
    expect(denied({})).toMatch(/REQUIRE SSL needs source.tls/);
    expect(denied({ ssl: { rejectUnauthorized: true, verifyIdentity: true } })).not.toMatch(/REQUIRE SSL/);
  });

  test('without a password differs from one with an empty password', () => {
    expect(denied({ password: undefined })).toMatch(/^no password is set/);
    expect(denied({ password: '' })).toMatch(/^the password is empty/);
  });
});

describe('error 1236 is classified by its text', () => {
  const dump = (message: string, serverId?: number | 'auto') =>
    connectionError(
      Object.assign(new Error(message), { code: 'ER_MASTER_FATAL_ERROR_READING_BINLOG', errno: 1236 }),
      serverId === undefined ? SOURCE : { ...SOURCE, serverId },
    );

  test('a duplicate server id is fatal if it is configured, and retried with another one if it is auto', () => {
    const text = 'A replica with the same server_uuid/server_id as this replica has connected to the source';
    expect(dump(text, 42)).toMatchObject({ kind: 'fatal', hint: expect.stringContaining('source.server_id') });
    expect(dump(text, 'auto').kind).toBe('retry');
  });

  test.each([
    'Cannot replicate because the source purged required binary logs',
    'Could not find first log file name in binary log index file',
    'could not find next log',
    'Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old',
    "Error: connecting slave requested to start from GTID 0-1-9, which is not in the master's binlog",
    'Client requested source to start replication from position > file size',
  ])('lost data is an error with exit code 4: %s', (text) => {
    expect(dump(text)).toMatchObject({ kind: 'fatal', exitCode: 4, why: text });
  });

  test('a server that has fewer GTIDs than it reported is retried', () => {
    expect(dump("Replica has more GTIDs than the source has, using the source's SERVER_UUID.").kind).toBe('retry');
  });

  test('any other text is fatal', () => {
    expect(dump('log event entry exceeded max_allowed_packet')).toMatchObject({ kind: 'fatal', exitCode: 1 });
  });
});
