import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { CdcError } from '../../runtime/error.ts';
import { type ServerKind, serverName } from './layout.ts';
import type { ServerPaths } from './settings.ts';
import { lastLines, runProcess } from './subprocess.ts';

const startWithin = 60_000;
const endWithin = 20_000;

/** One run of the server program, from ready to ended. */
export interface ServerProcess {
  pid: number;
  version: string;
  /** SIGTERM, then SIGKILL after a deadline. */
  end(): Promise<void>;
  kill(): Promise<void>;
}

interface StartOptions {
  flavor: ServerKind;
  command: string;
  args: string[];
  places: ServerPaths;
  port: number;
  /** Removed if this process exits without having stopped the server. */
  temporaryDirectory: string | undefined;
  signal: AbortSignal | undefined;
}

/** Starts the program and comes back when it answers; a program that does not is an error with its own words. */
export async function startProcess(options: StartOptions): Promise<ServerProcess> {
  const { flavor, places, signal } = options;
  const logFrom = await stat(places.errorLog).then(
    (log) => log.size,
    () => 0,
  );
  const child = await spawnServer(options);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, killer) => resolve(killer ? `was ended by ${killer}` : `exited with ${code}`));
  });
  const forget = endWithParent(child, options.temporaryDirectory);
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
    forget();
  };
  const end = async () => {
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), endWithin);
    await ended;
    clearTimeout(killer);
    forget();
  };

  const fate: { ending?: string } = {};
  void ended.then((ending) => (fate.ending = ending));
  const deadline = Date.now() + startWithin;
  while (fate.ending === undefined && Date.now() < deadline && !signal?.aborted) {
    const version = await versionIfReady(options);
    if (version) return { pid: child.pid!, version, end, kill };
    await Promise.race([sleep(40), ended]);
  }
  const ending = fate.ending ?? `did not answer within ${startWithin / 1000} s`;
  await kill();
  signal?.throwIfAborted();
  const log = (await readFile(places.errorLog)).subarray(logFrom).toString();
  throw new CdcError(`the local ${serverName[flavor]} server ${ending} before it was ready`, {
    why: `the end of ${places.errorLog} says\n${lastLines(log, 15)}`,
    hint: 'correct the setting or the directory that the log complains of',
  });
}

async function spawnServer({ command, args, places }: StartOptions): Promise<ChildProcess> {
  // What the loader or an early failure writes belongs to the log as well.
  const log = openSync(places.errorLog, 'a');
  try {
    const [program, ...rest] = (await canDieWithParent())
      ? (['setpriv', '--pdeathsig', 'KILL', '--', command, ...args] as const)
      : ([command, ...args] as const);
    // In a session of its own: an interrupt at the terminal is for us, and we end the server in order.
    return spawn(program, rest, { stdio: ['ignore', log, log], detached: true });
  } finally {
    closeSync(log);
  }
}

let pdeathsig: Promise<boolean> | undefined;

/** Linux can kill a process when its parent is gone, however that went; util-linux brings the program to ask for it. */
function canDieWithParent(): Promise<boolean> {
  pdeathsig ??= runProcess('setpriv', ['--pdeathsig', 'keep', '--', 'true']).then(
    () => true,
    () => false,
  );
  return pdeathsig;
}

/** For an exit of ours that did not stop the server. Returns what calls it off. */
function endWithParent(child: ChildProcess, temporaryDirectory: string | undefined): () => void {
  const onExit = () => {
    child.kill('SIGKILL');
    if (temporaryDirectory) rmSync(temporaryDirectory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  process.once('exit', onExit);
  return () => process.off('exit', onExit);
}

/** Its version, if the server on the port answers and is the one whose pid file we gave: the port may be another's. */
async function versionIfReady({ port, places }: StartOptions): Promise<string | undefined> {
  try {
    const connection = await createConnection({ host: '127.0.0.1', port, user: 'root', connectTimeout: 2_000 });
    try {
      const [rows] = await connection.query({ sql: 'SELECT VERSION(), @@pid_file', rowsAsArray: true });
      const [version, pidFile] = (rows as unknown as [[string, string]])[0];
      return pidFile === places.pidFile ? version : undefined;
    } finally {
      connection.destroy();
    }
  } catch {
    return undefined;
  }
}

/** Two servers must not share a directory; a server whose parent has just been killed gets a moment to die. */
export async function assertNotRunning(places: ServerPaths): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const pid = Number(await readFile(places.pidFile, 'utf8').catch(() => ''));
    const commandLine = pid ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
    if (!commandLine.split('\0').includes(`--datadir=${places.data}`)) break;
    if (attempt === 10) {
      throw new CdcError(`a server runs in ${places.data} already`, {
        why: `its process is ${pid}`,
        hint: 'end it, or give another directory',
      });
    }
    await sleep(100);
  }
  await rm(places.pidFile, { force: true });
}
