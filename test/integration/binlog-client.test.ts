import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { BinlogClient } from '../../src/source/binlog/binlog-client.ts';

/** The first packet of a server (Protocol::HandshakeV10, MySQL source documentation). */
const GREETING = Buffer.concat([
  Buffer.from([10]),
  Buffer.from('8.4.0\0'),
  Buffer.from([1, 0, 0, 0]),
  Buffer.alloc(8, 'a'),
  Buffer.from([0, 0xff, 0xf7, 45, 2, 0, 0xff, 0xdf, 21]),
  Buffer.alloc(10),
  Buffer.from('bbbbbbbbbbbb\0caching_sha2_password\0'),
]);
const BAD_HANDSHAKE = Buffer.concat([Buffer.from([0xff, 0x13, 0x04]), Buffer.from('#08S01Bad handshake')]);

const packet = (sequence: number, body: Buffer): Buffer => {
  const header = Buffer.from([0, 0, 0, sequence]);
  header.writeUIntLE(body.length, 0, 3);
  return Buffer.concat([header, body]);
};

test('a client that is stopped before the server has greeted it prints no warning of the driver', async () => {
  const closed: Promise<unknown>[] = [];
  // A slow server: it greets once the client has gone, and says that the handshake failed.
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    closed.push(once(socket, 'close'));
    socket.on('error', () => {});
    socket.on('end', () => socket.end(Buffer.concat([packet(0, GREETING), packet(1, BAD_HANDSHAKE)])));
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
  const stop = new AbortController();
  const client = new BinlogClient({
    connection: { host: '127.0.0.1', port: (server.address() as AddressInfo).port, user: 'cdc' },
    serverId: 'auto',
    from: { coordinates: { file: 'binlog.000001', position: 4 } },
    heartbeatMs: 5_000,
    onEvent: () => undefined,
    onStart: () => {},
    signal: stop.signal,
  });
  const following = client.follow();
  await vi.waitFor(() => expect(closed).toHaveLength(2));
  stop.abort();
  await following;
  await Promise.all(closed);
  await new Promise(setImmediate);
  expect(printed.mock.calls).toEqual([]);
  printed.mockRestore();
  server.close();
});
