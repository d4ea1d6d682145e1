import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { AdminClient } from '../../../src/admin/client.ts';
import { type AdminServer, startAdminServer } from '../../../src/admin/server.ts';
import type { PipelineObservation, StatusSource } from '../../../src/admin/status.ts';
import { listenOnSocket, SOCKET_PATH_MAX_BYTES, stateOfFailure } from '../../../src/admin/unix-socket.ts';
import type { BackfillRequest, BackfillStatus, RepairRequest } from '../../../src/backfill/control.ts';
import type { VerifiedTable } from '../../../src/model/verified-tables.ts';
import { CdcError } from '../../../src/runtime/error.ts';
import { createLog } from '../../../src/runtime/log.ts';
import { daemonFacts, observation } from '../../admin-fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-admin-'));
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(() => rmSync(directory, { recursive: true }));

const IDLE: BackfillStatus = { state: 'idle', waitingFor: null, parallel: 4, rate: null, tables: [] };

const TABLES = [
  {
    ...{ schema: 'shop', table: 'orders', coverage: { complete: true, since: '2026-01-01', why: 'created' } },
    verified: null,
  },
];
const STREAM = {
  server: { flavor: 'mysql' as const, identity: 'uuid', host: 'db:3306' },
  epoch: 7,
  delivered: { file: 'binlog.000001', position: 4, gtids: null },
};
const OBSERVED = observation(STREAM);
const RESULT = {
  ...{ schema: 'shop', table: 'orders', at: '2026-03-01T00:00:00.000Z', scope: 'whole' as const },
  ...{ rows: 12, missing: 1, extra: 2, different: 3 },
};

/** A pipeline that records what it is asked for. */
class Pipeline implements StatusSource {
  calls: unknown[] = [];
  answer: () => Promise<{ request: string; tables: { schema: string; table: string }[] }> = async () => ({
    request: 'r1',
    tables: [{ schema: 'shop', table: 'orders' }],
  });
  state: BackfillStatus['state'] = 'idle';
  backfill = {
    status: (): BackfillStatus => ({ ...IDLE, state: this.state }),
    start: (asked: BackfillRequest) => {
      this.calls.push(asked);
      return this.answer();
    },
    pause: () => void (this.state = 'paused'),
    resume: () => void (this.state = 'running'),
    cancel: (tables?: string[]) => void this.calls.push({ cancel: tables }),
  };
  repair = async (asked: RepairRequest) => {
    this.calls.push(asked);
    return { sent: 1, deleted: 0, left: 0 };
  };
  async tables() {
    return TABLES;
  }
  observe(): PipelineObservation {
    return { ...OBSERVED, ...this.seen };
  }
  seen: Partial<PipelineObservation> = {};
  async verified(results: readonly VerifiedTable[]) {
    await this.answer();
    this.calls.push(...results);
  }
}

const verifiedBody = (wrong: object): string => JSON.stringify({ tables: [{ ...RESULT, ...wrong }] });

let logged = '';
const log = createLog('shop', 'info', { write: (line) => void (logged += line) });
let sockets = 0;
const newSocket = (): string => join(directory, `${sockets++}.sock`);

async function start(
  source: () => StatusSource | undefined,
  socket = newSocket(),
): Promise<{ server: AdminServer; client: AdminClient; socket: string }> {
  const facts = daemonFacts({ pipeline: source, whyNoPipeline: () => new CdcError('MySQL is away') });
  const server = await startAdminServer({ socket, dashboard: directory, daemon: facts, log });
  open.push(server);
  const client = new AdminClient(socket);
  open.push(client);
  return { server, client, socket };
}

/** A call as any HTTP client makes it. */
function call(socket: string, method: string, path: string, body?: string): Promise<{ status: number; json: unknown }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, method, path, agent: false }, (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

describe('the calls', () => {
  test('status says which daemon it is, and has its stream, its backfill and the coverage of each table', async () => {
    const { client } = await start(() => new Pipeline());
    expect(await client.status()).toMatchObject({
      name: 'shop',
      version: expect.stringMatching(/^\d/),
      pid: process.pid,
      startedAt: expect.stringMatching(/^2\d{3}-.*Z$/),
      state: 'streaming',
      stream: STREAM,
      backfill: IDLE,
      tables: TABLES,
    });
    expect(await client.backfill()).toEqual(IDLE);
  });

  test('a backfill is started, paused, resumed and cancelled, and each answer is its state', async () => {
    const pipeline = new Pipeline();
    const { client } = await start(() => pipeline);
    const asked = { tables: ['shop.*'], where: 'id > 5', parallel: 2, rate: 100, maxLagMs: 5_000 };
    expect(await client.startBackfill(asked)).toEqual({ request: 'r1', tables: [{ schema: 'shop', table: 'orders' }] });
    expect((await client.changeBackfill('pause')).state).toBe('paused');
    expect((await client.changeBackfill('resume')).state).toBe('running');
    await client.changeBackfill('cancel');
    await client.changeBackfill('cancel', ['shop.orders']);
    expect(pipeline.calls).toEqual([asked, { cancel: undefined }, { cancel: ['shop.orders'] }]);
  });

  test('a result of cdc verify reaches the pipeline, with its time in UTC; the answer is empty', async () => {
    const pipeline = new Pipeline();
    const { client, socket } = await start(() => pipeline);
    await client.verified([RESULT]);
    const body = JSON.stringify({ tables: [{ ...RESULT, at: '2026-03-01T00:00:00Z', scope: 'part' }] });
    expect(await call(socket, 'POST', '/api/verified', body)).toEqual({ status: 200, json: {} });
    expect(pipeline.calls).toEqual([RESULT, { ...RESULT, scope: 'part' }]);
    const repair = { ...RESULT, scope: 'part' as const, repairOf: RESULT.at };
    await client.verified([repair]);
    expect(pipeline.calls.at(-1)).toEqual(repair);
    pipeline.answer = () => Promise.reject(new CdcError('not a captured table: shop.orders', { exitCode: 2 }));
    await expect(client.verified([RESULT])).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('shop.orders'),
    });
    expect((await call(socket, 'POST', '/api/verified', body)).status).toBe(400);
  });

  test('a repair has the keys as they are, and is answered with what became of them', async () => {
    const pipeline = new Pipeline();
    const { client } = await start(() => pipeline);
    const asked = { schema: 'shop', table: 'a.b c', keys: ['{"id":1}', '{"id":"é\\"\\\\"}'] };
    expect(await client.repair(asked)).toEqual({ sent: 1, deleted: 0, left: 0 });
    expect(pipeline.calls).toEqual([asked]);
    pipeline.repair = () => Promise.reject(new CdcError('the pipeline ended', { kind: 'retry' }));
    await expect(client.repair(asked)).rejects.toMatchObject({ kind: 'retry' });
  });

  test('while no pipeline runs, each call is answered with 503 and the reason, and the server stays', async () => {
    let pipeline: Pipeline | undefined;
    const { client, socket } = await start(() => pipeline);
    expect(await call(socket, 'GET', '/api/backfill')).toMatchObject({
      status: 503,
      json: { error: { message: expect.stringContaining('pipeline'), why: 'MySQL is away', hint: expect.any(String) } },
    });
    expect(await client.status()).toMatchObject({
      ...{ name: 'shop', state: 'waiting', stream: null, delivery: null, backfill: null },
      health: { status: 'down', ready: false, problems: [{ code: 'not_streaming', why: 'MySQL is away' }] },
    });
    await expect(client.running()).rejects.toMatchObject({ kind: 'retry', why: 'MySQL is away' });
    pipeline = new Pipeline();
    expect((await client.running()).stream).toEqual(STREAM);
  });

  test('an error of the backfill keeps what, why, hint and exit code on its way to the command', async () => {
    const pipeline = new Pipeline();
    const { client, socket } = await start(() => pipeline);
    const details = { exitCode: 2 as const, why: 'no such table', hint: 'correct the name' };
    pipeline.answer = () => Promise.reject(new CdcError('shop.x cannot be read', details));
    await expect(client.startBackfill({ tables: ['shop.x'] })).rejects.toMatchObject({
      message: 'shop.x cannot be read',
      kind: 'fatal',
      ...details,
    });
    pipeline.answer = () => Promise.reject(new CdcError('MySQL is away', { kind: 'retry' }));
    expect((await call(socket, 'POST', '/api/backfill', '{"tables":[]}')).status).toBe(503);
    pipeline.answer = () => Promise.reject(new CdcError('a binlog is gone', { exitCode: 4 }));
    expect((await call(socket, 'POST', '/api/backfill', '{"tables":[]}')).status).toBe(409);
  });

  test('an unexpected error shows its code only, to the caller and in the log: its message can hold a row', async () => {
    const pipeline = new Pipeline();
    const { socket } = await start(() => pipeline);
    pipeline.answer = () => Promise.reject(Object.assign(new Error("Incorrect value: 'ada@x'"), { code: 'ER_TRUNC' }));
    const { status, json } = await call(socket, 'POST', '/api/backfill', '{"tables":[]}');
    expect({ status, json }).toMatchObject({ status: 500, json: { error: { why: 'ER_TRUNC' } } });
    expect(logged).toContain('ER_TRUNC');
    expect(logged + JSON.stringify(json)).not.toContain('ada@x');
  });
});

const repairOf = (count: number): string =>
  JSON.stringify({ schema: 's', table: 't', keys: Array.from({ length: count }, (_, id) => JSON.stringify({ id })) });

describe('a call that is wrong', () => {
  test.each<[method: string, path: string, body: string | undefined, status: number, text: RegExp]>([
    ['GET', '/', undefined, 404, /the dashboard was not built/],
    ['GET', '/assets/x.js', undefined, 404, /the dashboard was not built/],
    ['GET', '/api/history?since=x', undefined, 400, /since: must be milliseconds/],
    ['GET', '/api/status/', undefined, 404, /no such path/],
    ['POST', '/api/status', '{}', 405, /use GET/],
    ['DELETE', '/api/backfill', undefined, 405, /use GET, POST/],
    ['GET', '/api/backfill/pause', undefined, 405, /use POST/],
    ['POST', '/api/backfill', undefined, 400, /the body: /],
    ['POST', '/api/backfill', '{"tables": ["shop.orders"', 400, /not JSON/],
    ['POST', '/api/backfill', '[]', 400, /the body: /],
    ['POST', '/api/backfill', '{}', 400, /tables: must be a list/],
    ['POST', '/api/backfill', '{"tables":["orders"]}', 400, /tables\.0: .*no dot between schema and table/],
    ['POST', '/api/backfill', '{"tables":[],"parallel":65}', 400, /parallel: must be a whole number from 1 to 64/],
    ['POST', '/api/backfill', '{"tables":[],"rate":0.5}', 400, /rate: must be a whole number/],
    ['POST', '/api/backfill', '{"tables":[],"maxLagMs":1}', 400, /maxLagMs: must be a whole number/],
    ['POST', '/api/backfill', '{"tables":[],"where":""}', 400, /where: must not be empty/],
    ['POST', '/api/backfill', '{"tables":[],"were":"x"}', 400, /[Uu]nrecognized key: "were"/],
    ['POST', '/api/backfill/cancel', '{"tables":["shop.*"]}', 400, /tables\.0: .*a single table/],
    ['GET', '/api/verified', undefined, 405, /use POST/],
    ['POST', '/api/verified', '{}', 400, /tables: must be a list/],
    ['POST', '/api/verified', '{"tables":[]}', 400, /tables: must not be empty/],
    ['POST', '/api/verified', verifiedBody({ schema: '' }), 400, /tables\.0\.schema: must not be empty/],
    ['POST', '/api/verified', verifiedBody({ table: 'x'.repeat(1_001) }), 400, /tables\.0\.table: is too long/],
    ['POST', '/api/verified', verifiedBody({ at: 'today' }), 400, /tables\.0\.at: must be a time/],
    ['POST', '/api/verified', verifiedBody({ at: '2026-03-01T00:00:00' }), 400, /tables\.0\.at: must be a time/],
    ['POST', '/api/verified', verifiedBody({ scope: 'half' }), 400, /tables\.0\.scope: must be one of whole, part/],
    ['POST', '/api/verified', verifiedBody({ extra: -1 }), 400, /tables\.0\.extra: must be a whole number/],
    ['POST', '/api/verified', verifiedBody({ missing: 0.5 }), 400, /tables\.0\.missing: must be a whole number/],
    ['POST', '/api/verified', verifiedBody({ different: '3' }), 400, /tables\.0\.different: must be a whole number/],
    ['POST', '/api/verified', verifiedBody({ rows: 2 ** 53 }), 400, /tables\.0\.rows: must be a whole number/],
    ['POST', '/api/verified', '[]', 400, /the body: /],
    ['POST', '/api/verified', '{"tables":[1]}', 400, /tables\.0: /],
    ['POST', '/api/verified', verifiedBody({ scope: 'part', repairOf: 'now' }), 400, /0\.repairOf: must be a time/],
    ['POST', '/api/verified', verifiedBody({ repairOf: RESULT.at }), 400, /tables\.0\.repairOf: needs scope part/],
    ['POST', '/api/verified', verifiedBody({ hasEarlier: false }), 400, /[Uu]nrecognized key: "hasEarlier"/],
    ['POST', '/api/verified', verifiedBody({ keys: ['1'] }), 400, /[Uu]nrecognized key: "keys"/],
    ['POST', '/api/verified', `{"tables":[${'{},'.repeat(20_000)}{}]}`, 400, /must have at most 20000 results/],
    ['GET', '/api/repair', undefined, 405, /use POST/],
    ['POST', '/api/repair', '{"schema":"s","table":"t"}', 400, /keys: must be a list of the keys of events/],
    ['POST', '/api/repair', '{"schema":"s","table":"t","keys":[]}', 400, /keys: must not be empty/],
    ['POST', '/api/repair', '{"schema":"s","keys":["{}"]}', 400, /table: must be text/],
    ['POST', '/api/repair', '{"schema":"","table":"t","keys":["{}"]}', 400, /schema: must not be empty/],
    ['POST', '/api/repair', '{"schema":"s","table":"t","keys":[{"id":1}]}', 400, /keys\.0: must be text/],
    ['POST', '/api/repair', '{"schema":"s","table":"t","keys":["{}","1"]}', 400, /keys\.1: must be a JSON object/],
    ['POST', '/api/repair', '{"schema":"s","table":"t","keys":["{}"],"all":1}', 400, /[Uu]nrecognized key: "all"/],
    ['POST', '/api/repair', repairOf(501), 400, /keys: must have at most 500 keys/],
    ['POST', '/api/backfill', `{"tables":["${'x'.repeat(5 * 1024 * 1024)}"]}`, 413, /more than/],
  ])('%s %s (%#) is answered with its status and what to do', async (method, path, body, status, text) => {
    const pipeline = new Pipeline();
    const { socket } = await start(() => pipeline);
    const answer = await call(socket, method, path, body);
    expect(answer).toEqual({ status, json: { error: expect.any(Object) } });
    expect(JSON.stringify(answer.json).replaceAll('\\"', '"')).toMatch(text);
    expect(pipeline.calls).toEqual([]);
  });

  test('an answer names a bounded number of mistakes', async () => {
    const { socket } = await start(() => new Pipeline());
    const { status, json } = await call(socket, 'POST', '/api/verified', `{"tables":[${'{},'.repeat(19_000)}{}]}`);
    expect(status).toBe(400);
    expect(JSON.stringify(json).length).toBeLessThan(2_000);
  });

  test('a value of the request is not in the answer', async () => {
    const { socket } = await start(() => new Pipeline());
    const { json } = await call(socket, 'POST', '/api/backfill', '{"tables":[],"where":["email = \'ada@x\'"]}');
    expect(JSON.stringify(json)).toContain('where: must be text');
    expect(JSON.stringify(json)).not.toContain('ada@x');
    const keys = ['{"email":"ada@x"', `{"email":"${'ada@x'.repeat(20_000)}"}`];
    const repair = await call(socket, 'POST', '/api/repair', JSON.stringify({ schema: 's', table: 't', keys }));
    expect(JSON.stringify(repair.json)).toContain('keys.1: is too long');
    expect(JSON.stringify(repair.json)).not.toContain('ada@x');
  });
});

describe('the socket', () => {
  test('only its owner can use it, from its first moment', async () => {
    const { socket } = await start(() => new Pipeline(), join(directory, 'missing', 'folder', 'a.sock'));
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const bare = createServer();
    open.push(bare);
    const path = newSocket();
    let atFirst = 0;
    const listen = bare.listen.bind(bare) as (path: string, done: () => void) => Server;
    bare.listen = ((at: string, done: () => void) => {
      const result = listen(at, done);
      atFirst = statSync(path).mode & 0o077;
      return result;
    }) as typeof bare.listen;
    await listenOnSocket(bare, path);
    expect(atFirst).toBe(0);
    if (process.getuid?.() !== 0) return;
    chmodSync(directory, 0o755);
    const script = `require('node:net').connect(${JSON.stringify(socket)}).on('error', (e) => console.log(e.code))`;
    const other = spawn(process.execPath, ['-e', script], { uid: 65534, gid: 65534, cwd: '/' });
    const [said] = await once(other.stdout, 'data');
    expect(String(said).trim()).toBe('EACCES');
  });

  test('the socket of another account is an error that says so', async () => {
    expect(stateOfFailure({ code: 'EACCES' } as NodeJS.ErrnoException)).toBe('denied');
    if (process.getuid?.() === 0) return; // root may use every socket
    const { client, socket } = await start(() => new Pipeline());
    chmodSync(socket, 0);
    await expect(client.probe()).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('another account'),
    });
    await expect(client.status()).rejects.toMatchObject({ exitCode: 2 });
  });

  test('the socket of a dead process is replaced', async () => {
    const socket = newSocket();
    const script = `require('node:net').createServer().listen(${JSON.stringify(socket)}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['-e', script]);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    const before = new AdminClient(socket);
    expect(await before.probe()).toBe('stale');
    await expect(before.status()).rejects.toMatchObject({
      kind: 'retry',
      why: expect.stringContaining('left the socket'),
    });
    const { client } = await start(() => new Pipeline(), socket);
    expect((await client.status()).pid).toBe(process.pid);
  });

  test('the socket of a living process is left alone, and so is a file of that name', async () => {
    const { client, socket } = await start(() => new Pipeline());
    await expect(start(() => undefined, socket)).rejects.toMatchObject({
      exitCode: 2,
      message: `another process listens on the socket ${socket}`,
      hint: expect.stringContaining('admin.socket'),
    });
    expect((await client.status()).name).toBe('shop');
    const file = newSocket();
    writeFileSync(file, 'precious');
    await expect(start(() => undefined, file)).rejects.toMatchObject({
      why: expect.stringContaining('something else'),
    });
    expect(statSync(file).size).toBe(8);
  });

  test('it is gone after the end, and open calls do not delay the end', async () => {
    const { server, client, socket } = await start(() => new Pipeline());
    await client.status();
    const idle = connect(socket);
    await once(idle, 'connect');
    await server.close();
    expect(existsSync(socket)).toBe(false);
    expect(await client.probe()).toBe('absent');
    await expect(client.status()).rejects.toMatchObject({ kind: 'retry', hint: expect.stringContaining('cdc run') });
    idle.destroy();
  });

  test('who steps aside leaves the socket to another process, and takes it again once that has ended', async () => {
    const { server, client, socket } = await start(() => new Pipeline());
    await server.stepAside();
    expect(await client.probe()).toBe('absent');
    const { server: other } = await start(() => new Pipeline(), socket);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(await client.probe()).toBe('listening');
    await other.close();
    await expect.poll(() => client.probe(), { timeout: 60_000 }).toBe('listening');
    await server.close();
    expect(await client.probe()).toBe('absent');
  });

  test('a path that is longer than the system allows is refused with the key that moves it', async () => {
    const socket = join(directory, 'x'.repeat(SOCKET_PATH_MAX_BYTES));
    const expected = { exitCode: 2, hint: expect.stringContaining('admin.socket') };
    await expect(start(() => undefined, socket)).rejects.toMatchObject(expected);
    expect(() => new AdminClient(socket)).toThrow(/too long/);
    const longest = join(directory, 'y'.repeat(SOCKET_PATH_MAX_BYTES - directory.length - 1));
    const { client } = await start(() => new Pipeline(), longest);
    expect((await client.status()).name).toBe('shop');
    expect(existsSync(longest)).toBe(true);
  });

  test('what listens there and is no cdc is named as such', async () => {
    const { createServer: createHttpServer } = await import('node:http');
    const socket = newSocket();
    const other = createHttpServer((_, response) => response.end('<html>'));
    await new Promise<void>((resolve) => other.listen(socket, resolve));
    open.push(other);
    const client = new AdminClient(socket);
    open.push(client);
    await expect(client.status()).rejects.toMatchObject({ message: expect.stringContaining('is no cdc') });
  });
});
