import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { DynamodbStore } from '../../src/checkpoint/dynamodb-store.ts';

/** It has no types. */
const dynalite: (options: { createTableMs: number }) => Server = createRequire(import.meta.url)('dynalite');

const SAMPLE: Checkpoint = {
  ...{ name: 'shop', server: { flavor: 'mysql', identity: 'a' }, epoch: 1, gtids: null },
  ...{ file: 'binlog.000001', position: 4, tables: [], incomplete: [] },
};

const open: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  open.push(() => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  });
  return (server.address() as AddressInfo).port;
}

test('a save that the network delivers late does not undo the one after it', async () => {
  const port = await listening(dynalite({ createTableMs: 20 }));
  /** The next save is held back, and its connection cut. */
  let holds = false;
  let deliverLate: (() => Promise<number>) | undefined;
  const forward = (incoming: IncomingMessage, body: Buffer, response?: ServerResponse): Promise<number> =>
    new Promise((resolve, reject) => {
      const { method = 'POST', url: path = '/', headers } = incoming;
      const outgoing = request({ port, host: '127.0.0.1', method, path, headers }, async (answer) => {
        const pieces: Buffer[] = [];
        for await (const piece of answer) pieces.push(piece as Buffer);
        response?.writeHead(answer.statusCode ?? 500, answer.headers).end(Buffer.concat(pieces));
        resolve(answer.statusCode ?? 0);
      });
      outgoing.on('error', reject).end(body);
    });
  const front = createServer(async (incoming, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    if (!holds || !body.includes('saved_at')) return void forward(incoming, body, response).catch(() => {});
    holds = false;
    deliverLate = () => forward(incoming, body);
    incoming.socket.destroy();
  });
  const endpoint = `http://127.0.0.1:${await listening(front)}`;
  const store = new DynamodbStore('shop', 'late', { region: 'us-east-1', endpoint });
  open.push(() => store.close());
  const result = await store.acquire();
  if (!('lease' in result)) throw new Error('another process has the lease');
  const { lease } = result;
  expect(await lease.save({ ...SAMPLE, position: 100 })).toBe(true);
  holds = true;
  await expect(lease.save({ ...SAMPLE, position: 200 })).rejects.toMatchObject({ kind: 'retry' });
  expect(await lease.save({ ...SAMPLE, position: 300 })).toBe(true);
  expect(await deliverLate?.()).toBe(400);
  expect((await store.read()).checkpoint?.position).toBe(300);
});

test('a table that is being made does not hold back the end of a daemon', async () => {
  const endpoint = `http://127.0.0.1:${await listening(dynalite({ createTableMs: 4_000 }))}`;
  const store = new DynamodbStore('shop', 'slow', { region: 'us-east-1', endpoint });
  open.push(() => store.close());
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 500);
  await expect(store.acquire(stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
  // The table becomes active, and the next one has the lease.
  expect(await store.acquire()).toHaveProperty('lease');
});
