import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that can be slow, cut off, or dead without a word. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #dead = new Set<readonly [Socket, Socket]>();
  /** What arrives is passed on after so many milliseconds. */
  delayMs = 0;
  /** After each chunk nothing is read for so many milliseconds. */
  throttleMs = 0;

  constructor(target: number) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const server = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
      const pair = [client, server] as const;
      this.#pairs.add(pair);
      for (const [from, to] of [pair, [server, client]] as const) {
        const dead = (): boolean => this.#dead.has(pair);
        from.on('data', (data) => {
          if (dead()) return;
          if (this.throttleMs > 0) {
            from.pause();
            setTimeout(() => from.resume(), this.throttleMs);
          }
          if (this.delayMs === 0) to.write(data);
          else setTimeout(() => dead() || to.destroyed || to.write(data), this.delayMs);
        });
        from.on('end', () => dead() || setTimeout(() => to.end(), this.delayMs));
        from.on('error', () => {});
        from.on('close', () => dead() || setTimeout(() => to.destroy(), this.delayMs));
      }
    });
  }

  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get connections(): number {
    return this.#pairs.size - this.#dead.size;
  }

  /** From now on nothing of the open connections is passed on, nor that they end: half-open links. */
  blackhole(): void {
    for (const pair of this.#pairs) this.#dead.add(pair);
  }

  /** Ends the open connections at once. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#pairs.clear();
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }
}
