import { chmodSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { ensureDirectory } from '../runtime/durable-file.ts';
import { CdcError } from '../runtime/error.ts';

/** The bytes of sun_path without the zero at its end: 108 on Linux, 104 on macOS and the BSDs. */
export const SOCKET_PATH_MAX_BYTES = process.platform === 'linux' ? 107 : 103;

const MOVE_HINT = 'name another path with admin.socket';

/** @throws CdcError with exit code 2 if a Unix socket cannot have this path; some systems would cut it instead */
export function assertSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_MAX_BYTES) return;
  throw new CdcError(`the path of the socket is too long: ${path}`, {
    exitCode: 2,
    why: `it has ${bytes} bytes, and the system allows ${SOCKET_PATH_MAX_BYTES}`,
    hint: 'name a shorter path with admin.socket, such as /run/cdc/shop.sock',
  });
}

/**
 * Listens on a Unix socket that only this account can use. The socket of a process that no longer runs is replaced.
 * Node removes the socket when the server closes.
 * @throws CdcError if another process listens there, or the socket cannot be made
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  assertSocketPath(path);
  try {
    await ensureDirectory(dirname(path));
    try {
      await listenPrivately(server, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      await removeStaleSocket(path);
      await listenPrivately(server, path);
    }
  } catch (error) {
    if (error instanceof CdcError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CdcError(`cannot listen on the socket ${path}`, {
      why: message,
      hint:
        code === 'EADDRINUSE'
          ? 'another process took the path at this moment: start again'
          : `use a folder with write permission for cdc, or ${MOVE_HINT}`,
      cause: error,
    });
  }
}

/** The socket exists from the first moment for its owner alone: `listen` binds it before it returns. */
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Not 0177: a folder that another thread creates in this moment must stay one that its owner can enter.
    const previous = process.umask(0o077);
    try {
      server.listen(path, () => {
        server.removeListener('error', reject);
        resolve();
      });
      if (server.listening) chmodSync(path, 0o600);
    } finally {
      process.umask(previous);
    }
  });
}

/** @throws CdcError if something else than the socket of a dead process is there */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path);
  if (!found.isSocket()) {
    throw new CdcError(`cannot listen on the socket ${path}`, {
      exitCode: 2,
      why: 'something else than a socket has this name',
      hint: `${MOVE_HINT}, or move that away`,
    });
  }
  const reached = await probeSocket(path);
  if (reached === 'listening' || reached === 'denied') {
    throw new CdcError(`another process listens on the socket ${path}`, {
      exitCode: 2,
      ...(reached === 'denied' && { why: 'it belongs to another account' }),
      hint: `stop it, or ${MOVE_HINT}`,
    });
  }
  if (reached === 'stale') await unlink(path);
}

/**
 * - absent: there is no such socket
 * - stale: its process no longer runs
 * - denied: another account owns it
 */
export type SocketState = 'listening' | 'absent' | 'stale' | 'denied';

/** Whether a process listens on the socket. */
export function probeSocket(path: string): Promise<SocketState> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve('listening');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const state = stateOfFailure(error);
      if (state === undefined) reject(error);
      else resolve(state);
    });
  });
}

/** What a failed connection says about the socket; undefined if it is not a failure to connect. */
export function stateOfFailure({ code }: NodeJS.ErrnoException): SocketState | undefined {
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'absent';
  if (code === 'ECONNREFUSED' || code === 'ENOTSOCK') return 'stale';
  if (code === 'EACCES' || code === 'EPERM') return 'denied';
  // Its queue of connections is full.
  if (code === 'EAGAIN') return 'listening';
  return undefined;
}
