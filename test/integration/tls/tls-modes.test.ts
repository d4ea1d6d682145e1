import { copyFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import { TLS_MODES } from '../../../src/config/url.ts';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { asCdcError } from '../../../src/runtime/error.ts';
import { BinlogClient } from '../../../src/source/binlog/binlog-client.ts';
import { connect } from '../../../src/source/server/server-info.ts';
import { until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { Authority, type Certificate } from './authority.ts';

const PASSWORD = 'MarkPassword90';

type Settings = Partial<Parameters<typeof sourceConnection>[0]>;
type Outcome = string;

const connection = (port: number, settings: Settings) =>
  sourceConnection({ url: `mysql://tls:${PASSWORD}@localhost:${port}`, ...settings } as never);

/** `encrypted`, `in the clear`, or the message of the error. */
async function query(port: number, settings: Settings): Promise<Outcome> {
  try {
    const client = await connect(connection(port, settings));
    const [[[, cipher] = []] = []] = (await client.query("SHOW STATUS LIKE 'Ssl_cipher'")) as unknown as string[][][];
    client.destroy();
    return cipher ? 'encrypted' : 'in the clear';
  } catch (error) {
    return asCdcError(error).message;
  }
}

/** The same for the connection of the binlog dump, once the first event has arrived. */
async function dump(port: number, settings: Settings, from: { file: string; position: number }): Promise<Outcome> {
  const end = new AbortController();
  let events = 0;
  const client = new BinlogClient({
    connection: connection(port, settings),
    serverId: 'auto',
    from: { coordinates: from },
    heartbeatMs: 5_000,
    onStart: () => {},
    onEvent() {
      events++;
      end.abort();
      return undefined;
    },
    signal: end.signal,
  });
  try {
    await client.follow();
    expect(events).toBeGreaterThan(0);
    return 'connected';
  } catch (error) {
    return asCdcError(error).message;
  }
}

/** What each mode makes of each server: the promise of docs/CONFIGURATION.md, "TLS". */
const STATES = ['right', 'wrong authority', 'wrong host', 'expired', 'no TLS'] as const;
type State = (typeof STATES)[number];
const REFUSED: Record<Exclude<State, 'right'>, RegExp> = {
  'wrong authority': /^the certificate of localhost:\d+ is not trusted$/,
  'wrong host': /^the certificate of localhost:\d+ is for another host name$/,
  expired: /^the certificate of localhost:\d+ has expired or is not yet valid$/,
  'no TLS': /^the server at localhost:\d+ has no TLS$/,
};
const REFUSES: Record<(typeof TLS_MODES)[number], readonly State[]> = {
  'verify-identity': ['wrong authority', 'wrong host', 'expired', 'no TLS'],
  'verify-ca': ['wrong authority', 'expired', 'no TLS'],
  required: ['no TLS'],
  disabled: [],
};

describe.each(['mysql', 'mariadb'] as const)('TLS to %s', (flavor) => {
  let authority: Authority;
  let other: Authority;
  let withTls: LocalServer;
  let without: LocalServer;
  let inUse: Certificate;
  let trusted: string;
  const positions = new Map<number, { file: string; position: number }>();

  beforeAll(async () => {
    authority = new Authority();
    other = new Authority();
    inUse = { cert: join(authority.directory, 'server.pem'), key: join(authority.directory, 'server.key') };
    trusted = join(authority.directory, 'trusted.pem');
    use(authority.issue({ name: 'localhost' }));
    [withTls, without] = await Promise.all([
      startTestServer({
        flavor,
        settings: [`--ssl-ca=${trusted}`, `--ssl-cert=${inUse.cert}`, `--ssl-key=${inUse.key}`],
      }),
      startTestServer({ flavor, settings: flavor === 'mysql' ? ['--tls-version='] : ['--skip-ssl'] }),
    ]);
    for (const { url, port } of [withTls, without]) {
      const [[status]] = (await root(
        url,
        `CREATE USER tls IDENTIFIED BY '${PASSWORD}'`,
        'GRANT ALL ON *.* TO tls',
        flavor === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
      )) as unknown as [[[string, number]]];
      positions.set(port, { file: status[0], position: 4 });
    }
  });
  afterAll(async () => {
    await Promise.all([withTls?.stop(), without?.stop()]);
    authority.remove();
    other.remove();
  });

  const use = ({ cert, key }: Certificate, by = authority): void => {
    copyFileSync(by.file, trusted);
    copyFileSync(cert, inUse.cert);
    copyFileSync(key, inUse.key);
  };
  /** The server reads its certificate again. */
  const present = async (certificate: Certificate, by = authority): Promise<void> => {
    use(certificate, by);
    await root(withTls.url, flavor === 'mysql' ? 'ALTER INSTANCE RELOAD TLS' : 'FLUSH SSL');
  };
  const prepare: Record<State, () => Promise<void> | void> = {
    right: () => present(authority.issue({ name: 'localhost' })),
    'wrong authority': () => present(other.issue({ name: 'localhost' }), other),
    'wrong host': () => present(authority.issue({ name: 'other.example' })),
    // MySQL loads none that has expired already.
    async expired() {
      const end = new Date(Date.now() + 3_000);
      await present(authority.issue({ name: 'localhost', until: end }));
      await until(() => Date.now() > end.getTime() + 1_000);
    },
    'no TLS': () => {},
  };

  test.each(STATES)('a server with %s', async (state) => {
    await prepare[state]();
    const { port } = state === 'no TLS' ? without : withTls;
    for (const tls of TLS_MODES) {
      const settings = { tls, ...(tls.startsWith('verify-') && { ca_file: authority.file }) };
      const found = [await query(port, settings), await dump(port, settings, positions.get(port) as never)];
      const refused = REFUSES[tls].includes(state);
      const expected = refused
        ? [REFUSED[state as 'expired'], REFUSED[state as 'expired']]
        : [tls === 'disabled' ? /^in the clear$/ : /^encrypted$/, /^connected$/];
      for (const [i, outcome] of found.entries())
        expect(outcome, `${tls}, ${i ? 'dump' : 'query'}`).toMatch(expected[i] as RegExp);
    }
  });

  test('an authority that is replaced in place is used by the next connection, in its old connection options too', async () => {
    await prepare.right();
    const file = join(authority.directory, 'bundle.pem');
    copyFileSync(other.file, file);
    const { port } = withTls;
    const settings = { tls: 'verify-identity' as const, ca_file: file };
    expect(await query(port, settings)).toMatch(REFUSED['wrong authority']);
    copyFileSync(authority.file, file);
    expect(await query(port, settings)).toBe('encrypted');
    expect(await dump(port, settings, positions.get(port) as never)).toBe('connected');
  });

  test('client certificates: REQUIRE X509 and SUBJECT, renewed under a running process', async () => {
    await prepare.right();
    const { port } = withTls;
    const at = positions.get(port) as never;
    const files = {
      cert_file: join(authority.directory, 'client.pem'),
      key_file: join(authority.directory, 'client.key'),
    };
    const hold = ({ cert, key }: Certificate): void => {
      copyFileSync(cert, files.cert_file);
      copyFileSync(key, files.key_file);
    };
    const settings = { tls: 'verify-identity' as const, ca_file: authority.file };
    hold(authority.issue({ name: 'cdc-client' }));
    const denied = `the server at localhost:${port} rejects user tls or its password`;
    for (const demand of ['X509', "SUBJECT '/CN=cdc-client'"]) {
      await root(withTls.url, `ALTER USER tls REQUIRE ${demand}`);
      expect([await query(port, settings), await dump(port, settings, at)]).toEqual([denied, denied]);
      const all = { ...settings, ...files };
      expect([await query(port, all), await dump(port, all, at)]).toEqual(['encrypted', 'connected']);
    }
    // Another subject, then one from another authority, which the server does not take in its handshake.
    hold(authority.issue({ name: 'someone' }));
    expect(await query(port, { ...settings, ...files })).toBe(denied);
    hold(other.issue({ name: 'cdc-client' }));
    for (const outcome of [
      await query(port, { ...settings, ...files }),
      await dump(port, { ...settings, ...files }, at),
    ]) {
      expect(outcome).toMatch(/refuses the client certificate$|rejects user tls/);
    }
    hold(authority.issue({ name: 'cdc-client', until: new Date(Date.now() - 86_400_000) }));
    expect(await query(port, { ...settings, ...files })).toMatch(/refuses the client certificate$/);
    hold(authority.issue({ name: 'cdc-client' }));
    expect(await query(port, { ...settings, ...files })).toBe('encrypted');
    writeFileSync(files.key_file, 'half a k');
    expect(await query(port, { ...settings, ...files })).toBe(`source.key_file ${files.key_file} is not usable`);
    await root(withTls.url, 'ALTER USER tls REQUIRE NONE');
  });
});

test.each(['required', 'verify-ca', 'verify-identity'] as const)(
  'with tls: %s a server that offers no TLS gets no byte: neither user nor password',
  async (tls) => {
    const received: Buffer[] = [];
    const server = await greeter((bytes) => received.push(bytes));
    const { port } = server.address() as { port: number };
    const at = { file: 'binlog.000001', position: 4 };
    expect(await query(port, { tls })).toMatch(REFUSED['no TLS']);
    expect(await dump(port, { tls }, at)).toMatch(REFUSED['no TLS']);
    expect(Buffer.concat(received).toString('latin1')).toBe('');
    // The same server gets them where the configuration allows it, so the test would see them.
    await Promise.race([query(port, { tls: 'disabled' }), new Promise((resolve) => setTimeout(resolve, 500))]);
    expect(Buffer.concat(received).toString('latin1')).toContain('tls\0');
    server.close();
  },
);

/** A MySQL server that greets without CLIENT_SSL (0x800), and reads what comes. */
async function greeter(onBytes: (bytes: Buffer) => void): Promise<Server> {
  const server = createServer((socket: Socket) => {
    const plugin = 'mysql_native_password\0';
    const greeting = Buffer.concat([
      Buffer.from('\x0a8.4.0\0', 'latin1'),
      Buffer.from([1, 0, 0, 0]),
      Buffer.from('abcdefgh\0', 'latin1'),
      Buffer.from([0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21]),
      Buffer.alloc(10),
      Buffer.from(`ijklmnopqrst\0${plugin}`, 'latin1'),
    ]);
    const header = Buffer.from([greeting.length, 0, 0, 0]);
    socket.on('data', onBytes).on('error', () => {});
    socket.write(Buffer.concat([header, greeting]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function root(url: string, ...statements: string[]): Promise<unknown> {
  const client = await createConnection({ uri: url, rowsAsArray: true });
  try {
    let answer: unknown;
    for (const sql of statements) answer = await client.query(sql);
    return answer;
  } finally {
    client.destroy();
  }
}
