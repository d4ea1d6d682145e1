import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LostAnswer, TcpProxy } from '../../tcp-proxy.ts';
import { ChaosDaemon, type DaemonOptions } from '../chaos-daemon.ts';
import type { SenderLog } from './leader-checker.ts';

export interface MemberOptions extends Pick<DaemonOptions, 'entry' | 'preload' | 'onGeneration' | 'onDeath'> {
  name: string;
  directory: string;
  firehosePort: number;
  /** Undefined for a store that is a file. */
  storePort: number | undefined;
  configuration: (member: { name: string; firehose: number; store: number | undefined }) => string;
}

/** How long an answer can wait for a busy process to read it. */
const UNREAD_MS = 500;

export type MemberState = 'down' | 'starting' | 'standby' | 'leader';

/** One of the daemons of a pipeline, with its own links to Firehose and to the store: so it is known who sent. */
export class Member implements SenderLog {
  readonly name: string;
  readonly daemon: ChaosDaemon;
  readonly firehose: TcpProxy;
  readonly store: TcpProxy | undefined;
  readonly spans: { from: number; to: number | undefined }[] = [];
  readonly puts: number[] = [];
  /** When its puts were accepted as a whole. */
  readonly accepted: number[] = [];
  state: MemberState = 'down';
  losses = 0;
  isStopped = false;
  /** A process that continues after a stop can give a request up whose answer waits to be read. */
  readonly stops: LostAnswer[] = [];

  private constructor({ name, directory, ...options }: MemberOptions, firehose: TcpProxy, store: TcpProxy | undefined) {
    this.name = name;
    this.firehose = firehose;
    this.store = store;
    firehose.onChunk = (from, chunk) => this.#chunk(from, chunk);
    const configFile = join(directory, `${name}.yaml`);
    writeFileSync(configFile, options.configuration({ name, firehose: firehose.port, store: store?.port }));
    this.daemon = new ChaosDaemon({
      ...options,
      ...{ configFile, logFile: join(directory, `${name}.log`) },
      onLine: (at, message) => this.#line(at, message),
      onDeath: (how, lastWords) => {
        this.#ended(Date.now());
        this.state = 'down';
        options.onDeath(`${name}: ${how}`, lastWords);
      },
    });
  }

  static async open(options: MemberOptions): Promise<Member> {
    const { firehosePort, storePort } = options;
    const firehose = await TcpProxy.listen(firehosePort);
    return new Member(options, firehose, storePort === undefined ? undefined : await TcpProxy.listen(storePort));
  }

  /** Since when it leads; undefined if it does not. */
  get leadsSince(): number | undefined {
    return this.state === 'leader' ? this.spans.at(-1)?.from : undefined;
  }

  start(): void {
    this.state = 'starting';
    this.daemon.start();
  }

  /** @returns when it was killed */
  async kill(): Promise<number> {
    const at = Date.now();
    await this.daemon.kill();
    this.#down(at);
    return at;
  }

  async terminate(): Promise<{ how: string; ms: number; at: number; lastWords: string }> {
    const ended = await this.daemon.terminate();
    const at = Date.now();
    this.#down(at);
    return { ...ended, at };
  }

  stop(): number {
    this.daemon.signal('SIGSTOP');
    this.isStopped = true;
    const at = Date.now();
    this.stops.push({ from: at - UNREAD_MS, to: Number.POSITIVE_INFINITY });
    return at;
  }

  continue(): number {
    this.isStopped = false;
    const at = Date.now();
    const last = this.stops.at(-1);
    if (last) last.to = at;
    this.daemon.signal('SIGCONT');
    return at;
  }

  async close(): Promise<void> {
    if (this.daemon.running) await this.kill();
    this.daemon.close();
    await this.firehose.close();
    await this.store?.close();
  }

  #down(at: number): void {
    this.#ended(at);
    this.state = 'down';
    this.isStopped = false;
  }

  #ended(at: number): void {
    const span = this.spans.at(-1);
    if (span) span.to ??= at;
  }

  #line(at: number, message: string): void {
    if (message === 'this process leads') {
      this.#ended(at);
      this.spans.push({ from: at, to: undefined });
      this.state = 'leader';
    } else if (message.startsWith('standing by')) {
      if (this.state === 'leader') this.losses++;
      this.#ended(at);
      this.state = 'standby';
    }
  }

  #chunk(from: 'client' | 'server', chunk: Buffer): void {
    const head = chunk.toString('latin1', 0, 2_048);
    if (from === 'server') {
      if (/"FailedPutCount":0[,}]/.test(head)) this.accepted.push(Date.now());
    } else if (head.startsWith('POST ') && head.includes('.PutRecord')) this.puts.push(Date.now());
  }
}
