import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { ListenAddress } from '../config/admin-schema.ts';
import { CdcError } from '../runtime/error.ts';

/**
 * Connections of a port at the same time. Beyond that the one that has been idle for the longest is closed, and if none
 * is idle, the one that has been open for the longest: its client does not read.
 */
const CONNECTIONS_MAX = 256;

/**
 * Listens on a port. Connections that only stay open cannot keep others out.
 * @returns the address, with the port that the system has chosen for 0
 * @throws CdcError with exit code 2 if the address cannot be used
 */
export async function listenOnPort(server: Server, { host, port }: ListenAddress): Promise<string> {
  closeIdleConnections(server);
  await new Promise<void>((resolve, reject) => {
    const fail = ({ code, message }: NodeJS.ErrnoException): void => {
      const isTaken = code === 'EADDRINUSE';
      reject(
        new CdcError(isTaken ? `port ${port} on ${host} is already in use` : `cannot listen on ${host}:${port}`, {
          exitCode: 2,
          why: isTaken ? 'another process listens there: a daemon of another pipeline, for example' : message,
          hint: 'name another address with admin.listen, or remove it: cdc commands use the socket',
        }),
      );
    };
    server.once('error', fail);
    server.listen(port, host, () => {
      server.removeListener('error', fail);
      resolve();
    });
  });
  const address = server.address();
  const actual = address !== null && typeof address === 'object' ? address.port : port;
  return `${host.includes(':') ? `[${host}]` : host}:${actual}`;
}

function closeIdleConnections(server: Server): void {
  /** Open connections, those that were used last at the end. */
  const idle = new Set<Socket>();
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    if (open.size >= CONNECTIONS_MAX) {
      const [longest] = idle.size > 0 ? idle : open;
      forget(longest as Socket);
      longest?.destroy();
    }
    open.add(socket);
    idle.add(socket);
    socket.once('close', () => forget(socket));
  });
  const forget = (socket: Socket): void => {
    open.delete(socket);
    idle.delete(socket);
  };
  server.on('request', ({ socket }, response) => {
    idle.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) idle.add(socket);
    });
  });
}
