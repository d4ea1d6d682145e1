import { expect, test } from 'vitest';
import { connectionFinding } from '../../../src/preflight/connection-finding.ts';
import { configFrom } from '../config/config-from.ts';

const source = configFrom('source: { url: "mysql://cdc:hunter2@db.example:3307" }\nfirehose: { stream: s }').source;

test.each([
  ['ECONNREFUSED', 'connect ECONNREFUSED', 'the server at db.example:3307 cannot be reached'],
  ['ENOTFOUND', 'getaddrinfo ENOTFOUND', 'the server at db.example:3307 cannot be reached'],
  ['PROTOCOL_CONNECTION_LOST', 'Connection lost', 'the server at db.example:3307 cannot be reached'],
  ['ER_ACCESS_DENIED_ERROR', 'Access denied', 'the server at db.example:3307 rejects user cdc or its password'],
  ['ER_SECURE_TRANSPORT_REQUIRED', 'insecure', 'the server at db.example:3307 accepts only TLS connections'],
  ['HANDSHAKE_NO_SSL_SUPPORT', 'no TLS', 'the server at db.example:3307 has no TLS'],
  [
    'HANDSHAKE_SSL_ERROR',
    'self-signed certificate in certificate chain',
    'the certificate of db.example:3307 is not trusted',
  ],
  [
    'HANDSHAKE_SSL_ERROR',
    "Hostname/IP does not match certificate's altnames",
    'the certificate of db.example:3307 is for another host name',
  ],
  [
    'HANDSHAKE_SSL_ERROR',
    'certificate has expired',
    'the certificate of db.example:3307 has expired or is not yet valid',
  ],
  ['HANDSHAKE_SSL_ERROR', 'wrong version number', 'no TLS connection to db.example:3307'],
  ['ER_CON_COUNT_ERROR', 'Too many connections', 'the server at db.example:3307 has no free connection'],
  ['ER_PARSE_ERROR', 'You have an error in your SQL syntax', 'the server at db.example:3307 rejected a query'],
])('%s (%s) has its own message, without the password', (code, message, what) => {
  const finding = connectionFinding({ code, message }, source);
  expect(finding).toMatchObject({ severity: 'error', what });
  expect(JSON.stringify(finding)).not.toContain('hunter2');
});
