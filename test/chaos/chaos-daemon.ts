import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readFileSync, type WriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A start of the daemon, at the moment when it begins to follow the binlog after this GTID set. */
export interface Generation {
  at: number;
  from: string;
}

export interface DaemonOptions {
  entry: string;
  configFile: string;
  logFile: string;
  /** A module that Node loads before the daemon. */
  preload: string | undefined;
  onGeneration: (generation: Generation) => void;
  /** A line of the log, with its time in milliseconds since 1970. */
  onLine?: (at: number, message: string) => void;
  /** The daemon ended without a request. */
  onDeath: (how: string, lastWords: string) => void;
}

/** Log lines that are kept as evidence. */
const LAST_LINES = 30;

/** Starts `cdc run` in a process of its own, again and again. */
export class ChaosDaemon {
  readonly #options: DaemonOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #ended: Promise<string> = Promise.resolve('');
  #expected = true;
  #following = false;
  #lines: string[] = [];
  starts = 0;
  startedAt = 0;
  peakRssMb = 0;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#log = createWriteStream(options.logFile, { flags: 'a' });
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Whether the daemon has followed the binlog since its start. */
  get following(): boolean {
    return this.#following;
  }

  start(preload = this.#options.preload): void {
    const { entry, configFile, onDeath } = this.#options;
    this.starts++;
    this.startedAt = Date.now();
    this.#following = false;
    this.#expected = false;
    this.#lines = [];
    const child = spawn(process.execPath, [...(preload ? ['--import', preload] : []), entry, 'run', '-c', configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, CDC_LOG_LEVEL: 'info' },
    });
    this.#child = child;
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.#log.write(`--- start ${this.starts}, process ${child.pid}, ${new Date().toISOString()}\n`);
    for (const stream of [child.stdout, child.stderr]) this.#read(stream);
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      // `close` is emitted after the last line of the log.
      child.once('close', (code, signal) => resolve(signal ?? String(code)));
    });
    void this.#ended.then((how) => {
      process.off('exit', killWithUs);
      this.#log.write(`--- ended: ${how}\n`);
      if (this.#child === child) this.#child = undefined;
      if (!this.#expected) onDeath(how, this.#lines.join('\n'));
    });
  }

  /** Waits until the daemon follows the binlog, has ended, or the time is over. */
  async untilFollowing(ms: number): Promise<boolean> {
    const deadline = Date.now() + ms;
    while (!this.#following && this.running && Date.now() < deadline) await sleep(20);
    return this.#following;
  }

  /** Stops the process, or lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name);
  }

  async kill(): Promise<void> {
    this.#expected = true;
    this.sampleMemory();
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  /** Sends SIGTERM, and SIGKILL after 40 s. Returns the exit code or signal and the time that the daemon took. */
  async terminate(): Promise<{ how: string; ms: number; lastWords: string }> {
    this.#expected = true;
    this.sampleMemory();
    const at = Date.now();
    this.#child?.kill('SIGTERM');
    const killer = setTimeout(() => this.#child?.kill('SIGKILL'), 40_000);
    const how = await this.#ended;
    clearTimeout(killer);
    return { how, ms: Date.now() - at, lastWords: this.#lines.join('\n') };
  }

  /** Waits until the daemon ends by itself. Returns undefined if it does not end in time. */
  async untilEnded(ms: number): Promise<string | undefined> {
    this.#expected = true;
    const how = await Promise.race([this.#ended, sleep(ms, undefined, { ref: false })]);
    if (how === undefined) this.#expected = false;
    return how ?? undefined;
  }

  get lastWords(): string {
    return this.#lines.join('\n');
  }

  /** Reads the peak resident size of the process, as the kernel counts it. */
  sampleMemory(): void {
    if (this.#child?.pid === undefined) return;
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      const kib = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
      this.peakRssMb = Math.max(this.peakRssMb, Math.round(kib / 1024));
    } catch {
      // The process has just ended.
    }
  }

  close(): void {
    this.#log.end();
  }

  #read(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      this.#log.write(text);
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#line(line);
    });
  }

  #line(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LAST_LINES) this.#lines.shift();
    const { onLine, onGeneration } = this.#options;
    if (onLine && line.startsWith('{')) {
      const { time, msg } = JSON.parse(line) as { time: number | string; msg: string };
      onLine(new Date(time).getTime(), msg);
    }
    if (!line.includes('following the binlog')) return;
    const { time, from } = JSON.parse(line) as { time: number | string; from: { gtids?: string } };
    this.#following = true;
    onGeneration({ at: new Date(time).getTime(), from: from.gtids ?? '' });
  }
}
