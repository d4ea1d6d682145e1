import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configPerHost, sourceConnection } from '../../../src/config/source-connection.ts';
import { hostUrls, parseSourceUrl, tlsMode } from '../../../src/config/url.ts';
import type { CdcError } from '../../../src/runtime/error.ts';
import { configFrom, thrownBy } from './config-from.ts';

const connection = (source: string, extra = '') =>
  sourceConnection(configFrom(`source: { url: "${source}"${extra} }\nfirehose: { stream: s }`).source);

describe('sourceConnection', () => {
  test('host, port, user and password come from the URL, percent-decoded', () => {
    expect(connection('mysql://c%64c:p%40ss%2F%23%3A,@127.0.0.1:3307')).toEqual({
      host: '127.0.0.1',
      port: 3307,
      user: 'cdc',
      password: 'p@ss/#:,',
      keepAliveInitialDelay: 30_000,
    });
  });

  test('the default port is 3306, and mariadb:// and IPv6 addresses are accepted', () => {
    expect(connection('mariadb://cdc@[::1]')).toMatchObject({ host: '::1', port: 3306, user: 'cdc' });
  });

  test('source.password takes precedence over the one in the URL', () => {
    expect(connection('mysql://cdc:old@127.0.0.1', ', password: new').password).toBe('new');
  });

  test('each TLS mode maps to the checks of mysql2', () => {
    const ssl = (tls: string) => connection('mysql://cdc@db.example', `, tls: ${tls}`).ssl;
    expect(ssl('verify-identity')).toEqual({ rejectUnauthorized: true, verifyIdentity: true });
    expect(ssl('verify-ca')).toEqual({ rejectUnauthorized: true, verifyIdentity: false });
    expect(ssl('required')).toEqual({ rejectUnauthorized: false, verifyIdentity: false });
    expect(ssl('disabled')).toBeUndefined();
  });

  test('the default is full verification, except for this machine', () => {
    const modes = ['db.example', 'localhost', '127.1.2.3', '[::1]', '127.0.0.1.example'].map((host) =>
      tlsMode({ url: `mysql://cdc@${host}` }),
    );
    expect(modes).toEqual(['verify-identity', 'disabled', 'disabled', 'disabled', 'verify-identity']);
  });

  test('any user and password are restored from their percent-encoded form', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(text, text, (user, password) => {
        const url = `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@db.example:1`;
        expect(parseSourceUrl(url)).toEqual({ host: 'db.example', port: 1, user, password });
      }),
    );
  });
});

describe('a source URL with several hosts', () => {
  test('each host gets its own URL, in order, with the same user and password', () => {
    const urls = hostUrls('mysql://cdc:p%40,x@db1:3307,db2,[::1]:9/');
    expect(urls.map(parseSourceUrl)).toEqual([
      { host: 'db1', port: 3307, user: 'cdc', password: 'p@,x' },
      { host: 'db2', port: 3306, user: 'cdc', password: 'p@,x' },
      { host: '::1', port: 9, user: 'cdc', password: 'p@,x' },
    ]);
  });

  test('each host gets its own configuration, which differs only in the URL and in its TLS mode', () => {
    const config = configFrom('source: { url: "mysql://cdc@db.example:1,127.0.0.1:2" }\nfirehose: { stream: s }');
    const [first, second] = configPerHost(config);
    expect(first).toEqual({ ...config, source: { ...config.source, url: 'mysql://cdc@db.example:1' } });
    expect(sourceConnection(first?.source ?? config.source).ssl).toBeDefined();
    expect(sourceConnection(second?.source ?? config.source)).toMatchObject({ host: '127.0.0.1', port: 2 });
    expect(sourceConnection(second?.source ?? config.source).ssl).toBeUndefined();
  });

  test('the URL is rejected if one host cannot be verified as configured', () => {
    const text = 'source: { url: "mysql://cdc@db.example,10.0.0.1" }\nfirehose: { stream: s }';
    expect((thrownBy(() => configFrom(text)) as CdcError).why).toContain('verify-identity needs a host name');
  });
});

describe('an invalid source URL is rejected, and its password is never shown', () => {
  test.each([
    ['postgres://cdc:hunter2@h', 'does not begin with mysql://'],
    ['cdc:hunter2@h:3306', 'does not begin with mysql://'],
    ['mysql://cdc:hunter2@h/shop', 'has a path'],
    ['mysql://cdc:hunt/er2@h', 'cannot be parsed'],
    ['mysql://cdc:1/hunter2@h', 'has a path'],
    ['mysql://cdc:hunter2@h?ssl=true', 'has a query'],
    ['mysql://cdc:hunter2@h#x', 'has a query or a fragment'],
    ['mysql://cdc:hunter2#@h', 'cannot be parsed'],
    ['mysql://cdc:hunter2@h:port', 'cannot be parsed'],
    ['mysql://cdc:hunter2@h:99999', 'cannot be parsed'],
    ['mysql://cdc:hunter2@h:0', 'has port 0'],
    ['mysql://cdc:hunter2%zz@h', 'two hex digits'],
    ['mysql://:hunter2@h', 'has no user'],
    ['mysql://h', 'has no user'],
    ['mysql://', 'has no host'],
    ['mysql://cdc:hunter2@a,,b', 'cannot be parsed|has no host'],
    ['mysql://cdc:hunter2@a:1,b:0', 'has port 0'],
    ['mysql://cdc:hunter2@a,', 'cannot be parsed|has no host'],
    ['mysql://cdc:hunter2@/var/run/mysqld/mysqld.sock', 'names a Unix socket'],
    ['mysql://cdc:hunter2@localhost/var/run/mysqld/mysqld.sock', 'names a Unix socket'],
    ['mysql://cdc:hunter2@%2Ftmp%2Fmysql.sock', 'names a Unix socket'],
    ['mysql://cdc:hunter2@localhost?socketPath=/tmp/mysql', 'names a Unix socket'],
    ['mysql+unix://cdc:hunter2@/tmp/mysql.sock', 'names a Unix socket'],
    ['unix:///tmp/hunter2', 'names a Unix socket'],
    ['mysql://cdc:hunter2.sock/x@h', 'cannot be parsed'],
  ])('%s', (url, what) => {
    const error = thrownBy(() => hostUrls(url).forEach(parseSourceUrl));
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringMatching(what) });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/hunt|er2/);
  });
});
