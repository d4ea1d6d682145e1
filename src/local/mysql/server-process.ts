import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { CdcError } from '../../runtime/error.ts';
import { type ServerKind, serverName } from './layout.ts';
import type { ServerPaths } from './settings.ts';
import { lastLines, runProcess } from './subprocess.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;

/** A running server program that answers. */
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
  paths: ServerPaths;
  port: number;
  /** It is removed if this process exits without a stop of the server. */
  temporaryDirectory: string | undefined;
  signal: AbortSignal | undefined;
}

/** Starts the program and resolves when it answers. @throws CdcError with the end of its error log if it does not */
export async function startProcess(options: StartOptions): Promise<ServerProcess> {
  const { flavor, paths, signal } = options;
  const logFrom = await stat(paths.errorLog).then(
    (log) => log.size,
    () => 0,
  );
  const child = await spawnServer(options);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, killer) => resolve(killer ? `was ended by ${killer}` : `exited with ${code}`));
  });
  const cancelKillAtExit = killAtExit(child, options.temporaryDirectory);
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
    cancelKillAtExit();
  };
  const end = async () => {
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(killer);
    cancelKillAtExit();
  };

  const state: { ending?: string } = {};
  void ended.then((ending) => (state.ending = ending));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (state.ending === undefined && Date.now() < deadline && !signal?.aborted) {
    const version = await versionIfReady(options);
    if (version) return { pid: child.pid!, version, end, kill };
    await Promise.race([sleep(40), ended]);
  }
  const ending = state.ending ?? `did not answer within ${START_TIMEOUT_MS / 1000} s`;
  await kill();
  signal?.throwIfAborted();
  const log = (await readFile(paths.errorLog)).subarray(logFrom).toString();
  throw new CdcError(`the local ${serverName[flavor]} server ${ending} before it was ready`, {
    why: `the last lines of ${paths.errorLog} are\n${lastLines(log, 15)}`,
    hint: 'correct the setting or the directory that the log names',
  });
}

async function spawnServer({ command, args, paths }: StartOptions): Promise<ChildProcess> {
  // Output of the loader and of an early failure belongs in the log, too.
  const log = openSync(paths.errorLog, 'a');
  try {
    const [program, ...rest] = (await canDieWithParent())
      ? (['setpriv', '--pdeathsig', 'KILL', '--', command, ...args] as const)
      : ([command, ...args] as const);
    // In its own session, the server does not receive Ctrl-C. This process receives it and stops the server cleanly.
    return spawn(program, rest, { stdio: ['ignore', log, log], detached: true });
  } finally {
    closeSync(log);
  }
}

let pdeathsig: Promise<boolean> | undefined;

/** Linux can kill a process when its parent ends for any reason. util-linux has the program that requests it. */
function canDieWithParent(): Promise<boolean> {
  pdeathsig ??= runProcess('setpriv', ['--pdeathsig', 'keep', '--', 'true']).then(
    () => true,
    () => false,
  );
  return pdeathsig;
}

/** Kills the server if this process exits without stopping it. Returns a function that cancels this. */
function killAtExit(child: ChildProcess, temporaryDirectory: string | undefined): () => void {
  const onExit = () => {
    child.kill('SIGKILL');
    if (temporaryDirectory) rmSync(temporaryDirectory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  process.once('exit', onExit);
  return () => process.off('exit', onExit);
}

/** The version, if the server on the port answers and has our pid file. Another server could use the port. */
async function versionIfReady({ port, paths }: StartOptions): Promise<string | undefined> {
  try {
    const connection = await createConnection({ host: '127.0.0.1', port, user: 'root', connectTimeout: 2_000 });
    try {
      const [rows] = await connection.query({ sql: 'SELECT VERSION(), @@pid_file', rowsAsArray: true });
      const [version, pidFile] = (rows as unknown as [[string, string]])[0];
      return pidFile === paths.pidFile ? version : undefined;
    } finally {
      connection.destroy();
    }
  } catch {
    return undefined;
  }
}

/** Two servers must not share a directory. A server whose parent was just killed gets some time to end. */
export async function assertNotRunning(paths: ServerPaths): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const pid = Number(await readFile(paths.pidFile, 'utf8').catch(() => ''));
    const commandLine = pid ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
    if (!commandLine.split('\0').includes(`--datadir=${paths.data}`)) break;
    if (attempt === 10) {
      throw new CdcError(`another server already runs in ${paths.data}`, {
        why: `its process id is ${pid}`,
        hint: 'stop it, or choose another directory',
      });
    }
    await sleep(100);
  }
  await rm(paths.pidFile, { force: true });
}
