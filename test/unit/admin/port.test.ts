import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket, connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PortGuard } from '../../../src/admin/guard.ts';
import { type AdminServer, startAdminServer } from '../../../src/admin/server.ts';
import type { BackfillStatus } from '../../../src/backfill/control.ts';
import { createLog } from '../../../src/runtime/log.ts';
import { daemonFacts, observation } from '../../admin-fixture.ts';
import { type CallOptions, httpCall } from '../../integration/admin/admin-daemon.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-port-'));
const dashboard = join(directory, 'dashboard');
const open: { close(): unknown }[] = [];
beforeAll(() => {
  mkdirSync(join(dashboard, 'assets'), { recursive: true });
  writeFileSync(join(dashboard, 'index.html'), '<!doctype html><title>cdc</title>');
  writeFileSync(join(dashboard, 'assets', 'app-1.js'), 'run();');
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(() => rmSync(directory, { recursive: true }));

const TOKEN = 'token-of-the-test';
const STREAM = {
  server: { flavor: 'mysql' as const, identity: 'uuid', host: 'db:3306' },
  epoch: 7,
  delivered: { file: 'binlog.000001', position: 4, gtids: null },
};
let sockets = 0;

async function start(guard: PortGuard = { hosts: [], token: TOKEN }) {
  const changed: string[] = [];
  const status = (): BackfillStatus => ({ state: 'idle', waitingFor: null, parallel: 4, rate: null, tables: [] });
  const pipeline = {
    backfill: {
      status,
      start: async () => {
        changed.push('start');
        return { request: 'r1', tables: [] };
      },
      pause: () => void changed.push('pause'),
      resume: () => void changed.push('resume'),
      cancel: () => void changed.push('cancel'),
    },
    tables: async () => [],
    observe: () => observation(STREAM),
    verified: async () => void changed.push('verified'),
    repair: async () => {
      changed.push('repair');
      return { sent: 0, deleted: 0, left: 0 };
    },
  };
  const socket = join(directory, `${sockets++}.sock`);
  const server = await startAdminServer({
    ...{ socket, dashboard, daemon: daemonFacts({ pipeline: () => pipeline }) },
    port: { address: { host: '127.0.0.1', port: 0 }, ...guard },
    log: createLog('shop', 'fatal'),
  });
  open.push(server);
  const url = server.url as string;
  const call = (path: string, options?: CallOptions) => httpCall(url, path, options);
  return { server, url, port: Number(new URL(url).port), call, changed };
}

const PATHS = [
  '/',
  '/assets/app-1.js',
  '/healthz',
  '/readyz',
  '/metrics',
  '/api/status',
  '/api/history',
  '/api/backfill',
];
const CHANGES = [
  ['/api/backfill', '{"tables":[]}', 202],
  ['/api/backfill/pause', '', 200],
  ['/api/backfill/resume', '', 200],
  ['/api/backfill/cancel', '', 200],
  [
    '/api/verified',
    '{"tables":[{"schema":"s","table":"t","at":"2026-01-31T12:00:00Z","scope":"whole","rows":1,"missing":0,"extra":0,"different":0}]}',
    200,
  ],
  ['/api/repair', '{"schema":"s","table":"t","keys":["{}"]}', 200],
] as const;
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe('looking', () => {
  test.each(PATHS)('%s is answered without a token, and not kept or sniffed by a browser', async (path) => {
    const { call } = await start();
    const { status, headers } = await call(path);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });

  test('the dashboard can load from this daemon only; its hashed files are kept, the page is not', async () => {
    const { call } = await start();
    const page = await call('/');
    expect(page.text).toContain('<title>cdc</title>');
    expect(page.headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self';.*frame-ancestors 'none'/,
    );
    expect(page.headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' });
    const script = await call('/assets/app-1.js');
    expect(script.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': expect.stringContaining('immutable'),
    });
  });

  test.each([
    '/assets/../index.html',
    '/assets/%2e%2e/index.html',
    '/assets/..%2f..%2fserver.ts',
    '/index.js',
    '//evil/',
  ])('%s leads to no other file', async (path) => {
    const { call } = await start();
    expect([400, 404]).toContain((await call(path)).status);
  });

  test('HEAD has the headers of GET and no body', async () => {
    const { call } = await start();
    const { status, headers, text } = await call('/healthz', { method: 'HEAD' });
    expect({ status, text }).toEqual({ status: 200, text: '' });
    expect(Number(headers['content-length'])).toBeGreaterThan(0);
  });
});

describe('the token', () => {
  test.each(CHANGES)('%s needs it', async (path, body, success) => {
    const { call, changed } = await start();
    const post = (headers: Record<string, string>) => call(path, { method: 'POST', headers, body });
    for (const headers of [
      {},
      bearer('wrong'),
      bearer(`${TOKEN}x`),
      bearer(TOKEN.slice(1)),
      bearer(TOKEN.slice(0, -1)),
      { Authorization: TOKEN },
      { Authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}` },
      { Authorization: 'Bearer ' },
      { Cookie: `token=${TOKEN}` },
    ]) {
      const { status, headers: answer, text } = await post(headers);
      expect(status).toBe(401);
      expect(answer['www-authenticate']).toBe('Bearer');
      expect(text).not.toContain(TOKEN);
    }
    expect(changed).toEqual([]);
    expect((await post(bearer(TOKEN))).status).toBe(success);
    expect(changed).toHaveLength(1);
  });

  test('is not taken from the path', async () => {
    const { call, changed } = await start();
    expect((await call(`/api/backfill/pause?token=${TOKEN}`, { method: 'POST' })).status).toBe(401);
    expect(changed).toEqual([]);
  });

  test.each(CHANGES)('without one in the configuration, %s is refused with any', async (path, body) => {
    const { call, changed } = await start({ hosts: [] });
    for (const headers of [{}, bearer('undefined'), bearer('')]) {
      const { status, text } = await call(path, { method: 'POST', headers, body });
      expect(status).toBe(403);
      expect(JSON.parse(text).error.hint).toContain('admin.token');
    }
    expect(changed).toEqual([]);
  });
});

describe('a hostile page', () => {
  test.each([...PATHS, '/api/backfill/pause', '/no/such/path'])('cannot use %s by a name of its own', async (path) => {
    const { call, changed, port } = await start();
    const method = path.endsWith('pause') ? 'POST' : 'GET';
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '192.0.2.1',
      '127.0.0.1@evil.example',
      '[::2]',
    ]) {
      const { status, text } = await call(path, { method, headers: { Host: host, ...bearer(TOKEN) } });
      expect({ host, status }).toEqual({ host, status: 403 });
      expect(text).not.toContain('shop');
    }
    expect(changed).toEqual([]);
  });

  test.each([
    'null',
    'http://evil.example',
    'https://127.0.0.1.evil.example',
    'http://127.0.0.1',
    'http://localhost:1',
    'file://',
    '',
  ])('of the origin "%s" is refused on every path, with the token too', async (origin) => {
    const { call, changed } = await start();
    const headers = { Origin: origin, ...bearer(TOKEN) };
    for (const [path, body] of CHANGES) {
      expect((await call(path, { method: 'POST', headers, body })).status).toBe(403);
    }
    for (const path of PATHS) expect((await call(path, { headers })).status).toBe(403);
    expect((await call('/api/backfill/pause', { method: 'OPTIONS', headers })).status).toBe(403);
    expect(changed).toEqual([]);
  });

  test('the dashboard itself is of its own origin', async () => {
    const { call, changed, url, port } = await start();
    const pause = (Host: string, Origin: string) =>
      call('/api/backfill/pause', { method: 'POST', headers: { Host, Origin, ...bearer(TOKEN) } });
    expect((await pause(`127.0.0.1:${port}`, url)).status).toBe(200);
    expect((await pause(`localhost:${port}`, `http://localhost:${port}`)).status).toBe(200);
    expect(changed).toHaveLength(2);
  });
});

test('a request without a Host, or with two, or for a proxy, is refused', async () => {
  const { port } = await start();
  const answer = (bytes: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      const socket = tcpConnect(port, '127.0.0.1', () => socket.end(bytes));
      socket.on('data', (piece) => (text += piece));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
  expect(await answer('GET /api/status HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
  expect(await answer('GET /api/status HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await answer('GET /api/status HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n')).toMatch(/^HTTP\/1\.1 40[03] /);
  expect(await answer('GET http://evil/api/status HTTP/1.1\r\nHost: localhost\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
});

test('other names of this machine are those of admin.hosts', async () => {
  const { call } = await start({ hosts: ['cdc', 'Cdc.Internal'] });
  const get = async (Host: string) => (await call('/readyz', { headers: { Host } })).status;
  expect(await get('cdc:8686')).toBe(200);
  expect(await get('CDC.internal')).toBe(200);
  expect(await get('cdc.internal.:443')).toBe(200);
  expect(await get('cdc.internal.evil')).toBe(403);
  // Behind a proxy that speaks TLS.
  const own = { Host: 'cdc.internal', Origin: 'https://cdc.internal' };
  expect((await call('/readyz', { headers: own })).status).toBe(200);
});

/** A connection that stays open, and whether the daemon has closed it. */
function hold(port: number, bytes = ''): Promise<{ socket: Socket; isClosed(): boolean; close(): void }> {
  return new Promise((resolve, reject) => {
    let closed = false;
    const socket = tcpConnect(port, '127.0.0.1', () => {
      if (bytes !== '') socket.write(bytes);
      resolve({ socket, isClosed: () => closed, close: () => socket.destroy() });
    });
    // Whoever does not read does not hear that it was closed.
    socket.resume();
    socket.on('close', () => (closed = true));
    socket.on('error', (error) => (socket.connecting ? reject(error) : undefined));
  });
}

describe('a thousand connections', () => {
  test.each([
    ['that send nothing', ''],
    ['that never end their headers', 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: '],
    ['that were answered and stay open', 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'],
  ])('%s keep nobody out', async (_, bytes) => {
    const { port, call, server } = await start();
    const held = [];
    for (let i = 0; i < 1_000; i++) {
      const connection = await hold(port, bytes);
      open.push(connection);
      held.push(connection);
      if (i % 100 === 99) expect((await call('/metrics')).status).toBe(200);
    }
    expect((await call('/readyz')).status).toBe(200);
    // What is in use is bounded, and the end does not wait for them.
    expect(held.filter((each) => !each.isClosed()).length).toBeLessThanOrEqual(300);
    await server.close();
  });
});

test('a scrape every few milliseconds gets the same text for a second, and is never refused', async () => {
  let reads = 0;
  const facts = daemonFacts({ countDeadLetters: async () => ++reads });
  const server = await startAdminServer({
    ...{ socket: join(directory, `${sockets++}.sock`), dashboard, daemon: facts, log: createLog('shop', 'fatal') },
    port: { address: { host: '127.0.0.1', port: 0 }, hosts: [] },
  });
  open.push(server);
  const texts = await Promise.all(Array.from({ length: 100 }, () => httpCall(server.url as string, '/metrics')));
  expect(texts.every(({ status }) => status === 200)).toBe(true);
  expect(new Set(texts.map(({ text }) => text)).size).toBe(1);
  expect(reads).toBe(1);
});

test('a port that is in use is an error that names it, and leaves no socket behind', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  open.push(other);
  await new Promise((done) => other.once('listening', done));
  const { port } = other.address() as { port: number };
  const socket = join(directory, 'taken.sock');
  const starting = (): Promise<AdminServer> =>
    startAdminServer({
      ...{ socket, dashboard, daemon: daemonFacts(), log: createLog('shop', 'fatal') },
      port: { address: { host: '127.0.0.1', port }, hosts: [] },
    });
  await expect(starting()).rejects.toMatchObject({
    exitCode: 2,
    message: `port ${port} on 127.0.0.1 is already in use`,
    hint: expect.stringContaining('admin.listen'),
  });
  await new Promise((done) => other.close(done));
  // The socket is free again: this start takes it.
  open.push(await starting());
});

test('an address that this machine does not have is an error', async () => {
  const starting = startAdminServer({
    ...{ socket: join(directory, 'away.sock'), dashboard, daemon: daemonFacts(), log: createLog('shop', 'fatal') },
    port: { address: { host: '192.0.2.1', port: 8686 }, hosts: [] },
  });
  await expect(starting).rejects.toMatchObject({ exitCode: 2, message: 'cannot listen on 192.0.2.1:8686' });
});
