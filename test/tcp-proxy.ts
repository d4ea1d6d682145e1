import { connect, createServer, type Server, type Socket } from 'node:net';

/** One connection through the proxy: the client's socket is `near`, the server's is `far`. */
interface Link {
  near: Socket;
  far: Socket;
  /** Whether the client has sent bytes since the server last answered, and since when. */
  open: boolean;
  askedAt: number;
  answeredAt: number;
  /** Forwards neither bytes nor the end of a connection, in either direction. */
  dead: boolean;
}

/** A time range in which a request was sent whose answer can have been lost. */
export interface LostAnswer {
  from: number;
  to: number;
}

export interface TcpProxyOptions {
  /** A receiver can still lose an answer that was forwarded this many milliseconds before a cut. */
  settleMs?: number;
}

const SETTLE_MS = 200;

/** A TCP proxy that can delay, throttle, cut, stall and blackhole its connections. */
export class TcpProxy {
  /** Every chunk is forwarded after this delay. */
  delayMs = 0;
  /** After each chunk nothing is read for this long. */
  throttleMs = 0;
  readonly lostAnswers: LostAnswer[] = [];
  /** Hears of each chunk, before it is forwarded. */
  onChunk: (from: 'client' | 'server', chunk: Buffer) => void = () => {};
  /** Connections that it has accepted. */
  accepted = 0;
  readonly #server: Server;
  readonly #target: number;
  readonly #settleMs: number;
  readonly #links = new Set<Link>();
  #stalled = false;
  #blackholed = false;
  #cutAfterBytes = -1;

  private constructor(target: number, { settleMs = SETTLE_MS }: TcpProxyOptions) {
    this.#target = target;
    this.#settleMs = settleMs;
    this.#server = createServer({ allowHalfOpen: false }, (near) => this.#accept(near));
  }

  /** Listens on a free port. @param target the port of the server on this machine */
  static async listen(target: number, options: TcpProxyOptions = {}): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, options);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Open connections without the blackholed ones. */
  get connections(): number {
    return [...this.#links].filter(({ dead }) => !dead).length;
  }

  /** Ends all connections by RST or FIN, blackholed ones too. Returns how many the client still had. */
  cut(by: 'rst' | 'fin'): number {
    let cut = 0;
    for (const link of [...this.#links]) {
      if (!link.near.destroyed) cut++;
      this.#drop(link, by);
    }
    return cut;
  }

  /** Forwards this many more bytes, then ends that connection inside a message. A negative number cancels the cut. */
  cutAfter(bytes: number): void {
    this.#cutAfterBytes = bytes;
  }

  /** Whether a cut by `cutAfter` has not happened yet. */
  get cutPending(): boolean {
    return this.#cutAfterBytes >= 0;
  }

  /** Forwards nothing until `resume`. No byte is lost. */
  stall(): void {
    this.#stalled = true;
    for (const { near, far } of this.#links) {
      near.pause();
      far.pause();
    }
  }

  /**
   * Open connections never forward anything again, not even their end: both sides see a silent peer.
   * With `open and new` the same holds for connections that are made before `resume`.
   */
  blackhole(which: 'open' | 'open and new'): void {
    this.#blackholed = which === 'open and new';
    for (const link of this.#links) this.#kill(link);
  }

  /** Ends a stall, a blackhole for new connections and a pending cut. */
  resume(): void {
    this.#stalled = false;
    this.#blackholed = false;
    this.#cutAfterBytes = -1;
    for (const { near, far } of this.#links) {
      near.resume();
      far.resume();
    }
  }

  async close(): Promise<void> {
    this.cut('rst');
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    this.accepted++;
    const far = connect(this.#target, '127.0.0.1');
    const link: Link = { near, far, open: false, askedAt: 0, answeredAt: 0, dead: this.#blackholed };
    this.#links.add(link);
    near.setNoDelay(true);
    far.setNoDelay(true);
    this.#forward(link, near, far, (chunk) => {
      this.onChunk('client', chunk);
      if (!link.open) link.askedAt = Date.now();
      link.open = true;
    });
    this.#forward(link, far, near, (chunk) => {
      this.onChunk('server', chunk);
      link.open = false;
      link.answeredAt = Date.now();
    });
    if (this.#stalled) {
      near.pause();
      far.pause();
    }
  }

  #forward(link: Link, from: Socket, to: Socket, onChunk: (chunk: Buffer) => void): void {
    from.on('data', (chunk: Buffer) => {
      if (link.dead) return;
      onChunk(chunk);
      if (this.throttleMs > 0) {
        from.pause();
        setTimeout(() => this.#read(from), this.throttleMs);
      }
      this.#later(() => this.#write(link, from, to, chunk));
    });
    from.on('error', () => {});
    // The end of one side ends the other. Bytes under way in the other direction are lost, as on a network.
    for (const event of ['end', 'close']) from.on(event, () => this.#later(() => this.#close(link)));
  }

  #later(action: () => void): void {
    if (this.delayMs === 0) action();
    else setTimeout(action, this.delayMs);
  }

  #read(socket: Socket): void {
    if (!this.#stalled) socket.resume();
  }

  #write(link: Link, from: Socket, to: Socket, chunk: Buffer): void {
    if (link.dead || to.destroyed) return;
    if (this.#cutAfterBytes >= 0) {
      if (chunk.length >= this.#cutAfterBytes) {
        const part = chunk.subarray(0, this.#cutAfterBytes);
        this.#cutAfterBytes = -1;
        this.#kill(link);
        to.write(part, () => this.#drop(link, 'rst'));
        return;
      }
      this.#cutAfterBytes -= chunk.length;
    }
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => this.#read(from));
  }

  #close(link: Link): void {
    const { near, far, dead } = link;
    // The peer of a dead link must not see the end.
    if (dead && !(near.destroyed && far.destroyed)) return;
    if (!this.#links.delete(link)) return;
    near.destroy();
    far.destroy();
  }

  #drop(link: Link, by: 'rst' | 'fin'): void {
    if (!this.#links.delete(link)) return;
    this.#kill(link);
    for (const socket of [link.near, link.far]) {
      if (by === 'rst') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }

  #kill(link: Link): void {
    if (link.dead) return;
    link.dead = true;
    const { open, askedAt, answeredAt } = link;
    const now = Date.now();
    if (!open && now - answeredAt > this.#settleMs) return;
    this.lostAnswers.push({ from: askedAt, to: now });
    if (this.lostAnswers.length > 2_000) this.lostAnswers.splice(0, 1_000);
  }
}
