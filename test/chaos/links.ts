import type { TcpProxy } from '../tcp-proxy.ts';
import type { Link } from './transport-under-test.ts';

/** The links to several servers as one. A cut inside a message is one of the server with the most connections. */
export class Links implements Link {
  readonly #proxies: readonly TcpProxy[];

  constructor(proxies: readonly TcpProxy[]) {
    this.#proxies = proxies;
  }

  get cutPending(): boolean {
    return this.#proxies.some(({ cutPending }) => cutPending);
  }

  cut(by: 'rst' | 'fin'): number {
    return this.#proxies.reduce((sum, proxy) => sum + proxy.cut(by), 0);
  }

  cutAfter(bytes: number): void {
    const [busiest] = [...this.#proxies].sort((a, b) => b.connections - a.connections);
    for (const proxy of this.#proxies) proxy.cutAfter(proxy === busiest ? bytes : -1);
  }

  stall(): void {
    for (const proxy of this.#proxies) proxy.stall();
  }

  blackhole(which: 'open' | 'open and new'): void {
    for (const proxy of this.#proxies) proxy.blackhole(which);
  }

  resume(): void {
    for (const proxy of this.#proxies) proxy.resume();
  }

  async close(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
  }
}
