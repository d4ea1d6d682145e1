import type { Server } from 'node:http';

/** One address: a socket or a port. */
export interface Listener {
  /** Whether somebody has removed what it listens on. */
  isGone(): boolean;
  /** @throws CdcError if it cannot listen, such as where another process does */
  open(): Promise<Server>;
}

/** How often an address that was not free is tried again. */
const LISTEN_INTERVAL_MS = 2_000;
/** How long the addresses are left to a process that tries them in that interval. */
const STEP_ASIDE_MS = 2 * LISTEN_INTERVAL_MS;
/** How long `close` waits for the calls that are being answered. */
const CLOSE_DEADLINE_MS = 1_000;

/** The addresses of the admin server, which processes of one host hand over to each other. */
export class Listeners {
  readonly #listeners: readonly Listener[];
  readonly #servers = new Map<Listener, Server>();
  #opening: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(listeners: readonly Listener[]) {
    this.#listeners = listeners;
  }

  /**
   * Listens on each address as far as it does not yet.
   * @param ifFree whether to leave an address that another process has, and to take it once that has ended
   * @throws CdcError of the first address that cannot be used
   */
  async listen({ ifFree }: { ifFree: boolean }): Promise<void> {
    await this.#open().catch((error) => {
      if (!ifFree) throw error;
    });
    this.#listenLater(LISTEN_INTERVAL_MS);
  }

  /** Leaves the addresses to another process, and takes them again if they are free after a while. */
  async stepAside(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#closeServers();
    this.#listenLater(STEP_ASIDE_MS);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#closeServers();
  }

  #open(): Promise<void> {
    this.#opening = this.#opening
      .catch(() => {})
      .then(async () => {
        let failure: unknown;
        for (const listener of this.#listeners) {
          if (this.#isClosed) return;
          await this.#openIfMissing(listener).catch((error) => {
            failure ??= error;
          });
        }
        if (failure !== undefined) throw failure;
      });
    return this.#opening;
  }

  async #openIfMissing(listener: Listener): Promise<void> {
    const server = this.#servers.get(listener);
    if (server !== undefined) {
      if (!listener.isGone()) return;
      this.#servers.delete(listener);
      await closeServer(server);
    }
    this.#servers.set(listener, await listener.open());
  }

  #listenLater(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const again = async (): Promise<void> => {
      await this.#open().catch(() => {});
      this.#listenLater(LISTEN_INTERVAL_MS);
    };
    this.#timer = setTimeout(() => void again(), ms).unref();
  }

  async #closeServers(): Promise<void> {
    await this.#opening.catch(() => {});
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(servers.map((server) => server.listening && closeServer(server)));
  }
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_DEADLINE_MS);
  await closed;
  clearTimeout(deadline);
}
