import { mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { CdcError } from '../../runtime/error.ts';
import { lockFile } from '../../runtime/file-lock.ts';
import { serveClient } from './client.ts';
import { loadPglite } from './pglite.ts';
import { DATABASE, openSession, type Session, USER } from './session.ts';

/** A PostgreSQL in this process, PGlite, that every client of PostgreSQL's protocol reaches. */
export interface Warehouse {
  host: string;
  port: number;
  /** postgres://postgres@HOST:PORT/postgres, for psql, `pg` and cdc */
  url: string;
  /** The same for ClusterJDBCURL of a delivery stream. */
  jdbcUrl: string;
  /** Ends the connections after their current batch, then closes the database. */
  close(): Promise<void>;
}

export interface WarehouseOptions {
  /** The folder of the database, created if it is missing. One process at a time can have it. */
  directory: string;
  /** The operating system chooses a free port for port 0. There is no password, so keep it on this machine. */
  listen: { host: string; port: number };
  log?: (line: string) => void;
}

/** @throws CdcError if PGlite is missing, the folder is in use or damaged, or the address is taken */
export async function startWarehouse(options: WarehouseOptions): Promise<Warehouse> {
  const { directory, listen, log = () => {} } = options;
  const { PGlite: database } = await loadPglite();
  const unlock = await lockDirectory(directory);
  let db: PGlite | undefined;
  try {
    db = await database.create(join(directory, 'data')).catch((error: Error) => {
      throw new CdcError(`the embedded warehouse cannot open ${directory}`, {
        why: error.message,
        hint: 'choose another folder with --warehouse',
        cause: error,
      });
    });
    const front = new Front(await openSession(db), log);
    const server = createServer((socket) => front.accept(socket));
    await listenOn(server, listen);
    const { address, port, family } = server.address() as AddressInfo;
    const host = family === 'IPv6' ? `[${address}]` : address;
    const opened = db;
    let closed: Promise<void> | undefined;
    const close = async () => {
      await front.close(server);
      await opened.close().catch(() => {}); // a PGlite that has ended
      await unlock();
    };
    return {
      host: address,
      port,
      url: `postgres://${USER}@${host}:${port}/${DATABASE}`,
      jdbcUrl: `jdbc:postgresql://${host}:${port}/${DATABASE}`,
      close: () => (closed ??= close()),
    };
  } catch (error) {
    await db?.close().catch(() => {});
    await unlock();
    throw error;
  }
}

/** The connections of the warehouse. */
class Front {
  readonly #session: Session;
  readonly #log: (line: string) => void;
  readonly #clients = new Map<Socket, Promise<void>>();

  constructor(session: Session, log: (line: string) => void) {
    this.#session = session;
    this.#log = log;
  }

  accept(socket: Socket): void {
    socket.setNoDelay(true);
    const served = serveClient(socket, this.#session, this.#log).then(() => this.#leave(socket));
    this.#clients.set(socket, served);
  }

  async close(server: Server): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#clients.keys()) socket.destroy();
    await Promise.all(this.#clients.values());
    await closed;
  }

  /** The session is that of all clients. What the last one leaves in it does not reach the next one. */
  async #leave(socket: Socket): Promise<void> {
    this.#clients.delete(socket);
    if (this.#clients.size > 0) return;
    const endTurn = await this.#session.takeTurn();
    await this.#session
      .discard()
      .catch(() => {})
      .finally(endTurn);
  }
}

async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw new CdcError(`cannot use ${directory} as the folder of the warehouse`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'choose another folder with --warehouse',
      cause: error,
    });
  }
  const lock = join(directory, 'lock');
  return lockFile(
    lock,
    (owner) =>
      new CdcError(`process ${owner} has the warehouse ${directory} open`, {
        hint: `stop it, or choose another folder with --warehouse; if process ${owner} is another program, remove ${lock}`,
      }),
  );
}

function listenOn(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE';
      reject(
        new CdcError(inUse ? `port ${port} on ${host} is already in use` : `cannot listen on ${host}:${port}`, {
          why: error.message,
          hint: inUse
            ? 'stop the process that listens on it, or choose another port with --warehouse-listen'
            : 'choose an address of this machine and a port over 1023 with --warehouse-listen',
          cause: error,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}
