import { connect, createServer, type Server, type Socket } from 'node:net';

/** One connection through the proxy. */
interface Link {
  near: Socket;
  far: Socket;
  /** Whether the client has sent what has not been answered, as far as a proxy can tell, and since when. */
  open: boolean;
  askedAt: number;
  answeredAt: number;
  /** Forwards nothing any more, in neither direction, and says so to nobody. */
  dead: boolean;
}

/** A stretch of time in which a request was sent whose answer may not have come back. */
export interface LostAnswer {
  from: number;
  to: number;
}

/** An answer forwarded shortly before a cut may still be thrown away by the receiving kernel. */
const SETTLE_MS = 200;

/** A TCP proxy that can cut, stall and blackhole what goes through it. */
export class TcpProxy {
  readonly lostAnswers: LostAnswer[] = [];
  readonly #server: Server;
  readonly #target: number;
  readonly #links = new Set<Link>();
  #stalled = false;
  #blackhole = false;
  #cutAfterBytes = -1;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: false }, (near) => this.#accept(near));
  }

  static async listen(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Ends all connections, by RST or FIN. Returns how many. */
  cut(by: 'rst' | 'fin'): number {
    let cut = 0;
    for (const link of [...this.#links]) {
      this.#drop(link, by);
      cut++;
    }
    return cut;
  }

  /** Forwards so many more bytes, then ends the connection in the middle of a message. */
  cutAfter(bytes: number): void {
    this.#cutAfterBytes = bytes;
  }

  /** Whether the cut that was asked for has happened. */
  get cutPending(): boolean {
    return this.#cutAfterBytes >= 0;
  }

  /** Forwards nothing until `resume`; nothing is lost. */
  stall(): void {
    this.#stalled = true;
    for (const { near, far } of this.#links) {
      near.pause();
      far.pause();
    }
  }

  /** What is connected now is dead for ever, what connects until `resume` is accepted and never answered. */
  blackhole(): void {
    this.#blackhole = true;
    for (const link of this.#links) {
      this.#lost(link);
      link.dead = true;
    }
  }

  resume(): void {
    this.#stalled = false;
    this.#blackhole = false;
    this.#cutAfterBytes = -1;
    for (const { near, far, dead } of this.#links) {
      if (dead) continue;
      near.resume();
      far.resume();
    }
  }

  async close(): Promise<void> {
    this.cut('rst');
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    const far = connect(this.#target, '127.0.0.1');
    const link: Link = { near, far, open: false, askedAt: 0, answeredAt: 0, dead: this.#blackhole };
    this.#links.add(link);
    near.setNoDelay(true);
    far.setNoDelay(true);
    this.#forward(link, near, far, () => {
      if (!link.open) link.askedAt = Date.now();
      link.open = true;
    });
    this.#forward(link, far, near, () => {
      link.open = false;
      link.answeredAt = Date.now();
    });
    if (this.#stalled) {
      near.pause();
      far.pause();
    }
  }

  #forward(link: Link, from: Socket, to: Socket, seen: () => void): void {
    from.on('data', (chunk: Buffer) => {
      if (link.dead) return;
      seen();
      if (this.#cutAfterBytes >= 0) {
        if (chunk.length >= this.#cutAfterBytes) {
          const part = chunk.subarray(0, this.#cutAfterBytes);
          this.#cutAfterBytes = -1;
          to.write(part, () => this.#drop(link, 'rst'));
          link.dead = true;
          return;
        }
        this.#cutAfterBytes -= chunk.length;
      }
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => {
          if (!this.#stalled) from.resume();
        });
      }
    });
    from.on('error', () => {});
    // The end of either side ends the other at once: what is on the way then is lost, as it is on a network.
    from.on('end', () => this.#close(link));
    from.on('close', () => this.#close(link));
  }

  #close(link: Link): void {
    if (!this.#links.delete(link)) return;
    link.near.destroy();
    // A server that dies behind a blackhole is not heard of either, but nobody waits for that: the client is gone.
    link.far.destroy();
  }

  #drop(link: Link, by: 'rst' | 'fin'): void {
    if (!this.#links.delete(link)) return;
    this.#lost(link);
    for (const socket of [link.near, link.far]) {
      if (by === 'rst') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }

  #lost({ open, askedAt, answeredAt }: Link): void {
    const now = Date.now();
    if (!open && now - answeredAt > SETTLE_MS) return;
    this.lostAnswers.push({ from: askedAt, to: now });
    if (this.lostAnswers.length > 2_000) this.lostAnswers.splice(0, 1_000);
  }
}
