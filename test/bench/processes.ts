import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordinates } from '../../src/model/coordinates.ts';

// Runs the built program in separate processes and reads their resource usage.

const ENTRY = resolve('dist/main.js');

export interface ResourceUsage {
  cpuSeconds: number;
  rssMB: number;
  /** The maximum so far. */
  peakMB: number;
}

/** Reads the resource usage of a process (Linux, proc(5): stat in ticks of 10 ms, status in kB). */
export function resourceUsage(child: ChildProcess): ResourceUsage {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const kilobytes = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    rssMB: kilobytes('VmRSS') / 1000,
    peakMB: kilobytes('VmHWM') / 1000,
  };
}

export interface FirehoseProcess {
  child: ChildProcess;
  endpoint: string;
}

/** Starts `cdc firehose`. */
export async function startFirehose(lake: string, ...flags: string[]): Promise<FirehoseProcess> {
  const args = ['firehose', '--listen', '127.0.0.1:0', '--lake', lake, '--buffer-seconds', '5', ...flags];
  const child = spawn(process.execPath, [ENTRY, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const endpoint = await new Promise<string>((done, failed) => {
    child.once('exit', () => failed(new Error('cdc firehose exited')));
    child.stdout?.on('data', (text) => {
      const match = /http:\/\/[\d.:]+/.exec(String(text));
      if (match) done(match[0]);
    });
  });
  return { child, endpoint };
}

export interface DaemonOptions {
  directory: string;
  mysqlPort: number;
  endpoint: string;
  /** The section of another transport than Firehose, as YAML. */
  section?: string;
  /** `now`, or the coordinates to start from. */
  start: string;
  /** More keys of the section `firehose`, as YAML. */
  firehose?: string;
  /** Keys of the section `admin`, as YAML. */
  admin?: string;
}

export interface Daemon {
  child: ChildProcess;
  /** The time when it started to follow the binlog, as Date.now(). */
  followsSince: number;
  /** Resolves with the time of the checkpoint when the checkpoint on disk has reached `end`. */
  reached(end: Coordinates, withinMs?: number): Promise<number>;
  /** Stops the daemon. Returns its last log line, which has its counters. */
  stop(): Promise<Record<string, number>>;
}

/** Starts `cdc run` and waits until it follows the binlog. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { directory, mysqlPort, endpoint, start } = options;
  writeFileSync(
    join(directory, 'cdc.yaml'),
    `name: bench
source: { url: "mysql://root@127.0.0.1:${mysqlPort}", start: "${start}" }
tables: ["bench.*"]
${options.section ?? `firehose: { stream: bench, endpoint: "${endpoint}"${options.firehose ? `, ${options.firehose}` : ''} }`}
${options.admin ? `admin: { ${options.admin} }\n` : ''}`,
  );
  const child = spawn(process.execPath, [...(process.env.CDC_BENCH_NODE_OPTIONS?.split(' ') ?? []), ENTRY, 'run'], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (text) => (log += text));
  const lineWith = (message: string): Record<string, number> | undefined => {
    const line = log.split('\n').find((each) => each.includes(`"msg":"${message}"`));
    return line === undefined ? undefined : JSON.parse(line);
  };
  while (lineWith('following the binlog') === undefined) {
    if (child.exitCode !== null) throw new Error(log);
    await sleep(5);
  }
  const checkpoint = join(directory, 'state/bench.json');
  return {
    child,
    followsSince: lineWith('following the binlog')?.time ?? 0,
    async reached(end, withinMs = 300_000) {
      const deadline = Date.now() + withinMs;
      for (;;) {
        const saved = readCheckpoint(checkpoint);
        if (saved && (saved.file > end.file || (saved.file === end.file && saved.position >= end.position))) {
          return Date.parse(saved.saved_at);
        }
        if (Date.now() > deadline || child.exitCode !== null)
          throw new Error(`the checkpoint did not reach the end: ${log}`);
        await sleep(20);
      }
    },
    async stop() {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      await closed;
      return lineWith('stopped') ?? {};
    },
  };
}

function readCheckpoint(file: string): (Coordinates & { saved_at: string }) | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

export async function end(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  await closed;
}
