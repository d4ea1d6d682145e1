import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { unpackPackages } from '../../src/local/mysql/apt-packages.ts';
import { cacheDirectory } from '../../src/local/mysql/cache.ts';
import { hostArchitecture } from '../../src/local/mysql/layout.ts';
import { freePort } from '../../src/runtime/free-port.ts';

/** A throw-away PostgreSQL server of Debian or Ubuntu, as the warehouse that the wire protocol stands for. */
export interface PostgresServer {
  /** For example `15.18`. */
  version: string;
  port: number;
  /** postgres://postgres@127.0.0.1:PORT/postgres; every local client is trusted. */
  url: string;
  /** Of its first process. */
  pid: number;
  /** Kills the server and removes its data. */
  stop(): Promise<void>;
}

/** The programs of a PostgreSQL, and the variables that they need in order to find their libraries. */
interface Installation {
  bin: string;
  env: Record<string, string>;
}

/** PostgreSQL refuses to run as root: its processes are then those of the user `nobody`. */
const OWNER = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
const START_TIMEOUT_MS = 60_000;

/** An installed PostgreSQL, or the packages of the distribution, which need no root. @throws Error with the reasons */
export async function findPostgres(report: (line: string) => void = () => {}): Promise<Installation> {
  const installed = installedFolder();
  if (installed !== undefined) return { bin: installed, env: {} };
  const copy = unpackedCopy();
  if (existsSync(copy)) return unpacked(copy);
  if (process.platform !== 'linux')
    throw new Error(`no postgres is installed, and ${process.platform} has no packages`);
  return unpackPostgres(report);
}

/** Why there is no PostgreSQL here; undefined if there is one. For `describe.skipIf` and its name. */
export const postgresUnavailable = (): Promise<string | undefined> =>
  findPostgres().then(
    () => undefined,
    (error: Error) => error.message,
  );

/** Starts a server with new data on a free port of 127.0.0.1. `settings` are more `name=value` of postgresql.conf. */
export async function startPostgres(settings: readonly string[] = []): Promise<PostgresServer> {
  const { bin, env } = await findPostgres();
  const directory = await mkdtemp(join(tmpdir(), 'cdc-postgres-'));
  await giveToOwner(directory);
  const data = join(directory, 'data');
  const remove = () => rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  // Never the locale of the machine: C.UTF-8 sorts and folds alike everywhere.
  const initialize = ['--pgdata', data, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8'];
  try {
    await run(join(bin, 'initdb'), [...initialize, '--no-sync', '--no-instructions'], env);
    const port = await freePort();
    const options = [
      ...['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off', 'timezone=UTC'],
      ...settings,
    ];
    const log: string[] = [];
    const child = start(join(bin, 'postgres'), ['-D', data, ...options.flatMap((option) => ['-c', option])], env);
    child.stderr.on('data', (text) => log.push(String(text)));
    const ended = once(child, 'close');
    // Without the parent, a kill of the first process ends the others.
    const killAtExit = () => child.kill('SIGKILL');
    process.once('exit', killAtExit);
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    const stop = async () => {
      child.kill('SIGQUIT');
      await ended;
      process.off('exit', killAtExit);
      await remove();
    };
    const version = await versionWhenReady(url, () => child.exitCode !== null).catch(async (error) => {
      await stop();
      throw new Error(`postgres does not answer: ${error.message}\n${log.join('').trim()}`);
    });
    return { version, port, url, pid: child.pid ?? 0, stop };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Debian has the programs of each version in a folder of its own, which is on no PATH. */
function installedFolder(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(root, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  return folders.find((folder) => ['postgres', 'initdb'].every((name) => existsSync(join(folder, name))));
}

/** The user `nobody` cannot read below the home directory of root. */
const unpackedCopy = (): string => {
  const parent = OWNER.uid === undefined ? cacheDirectory() : join(tmpdir(), 'mysql-firehose-cdc');
  return join(parent, `postgresql-${process.arch}`);
};

/** The copy gets its name when it is complete. Of two that are made at the same time, the first is used. */
async function unpackPostgres(report: (line: string) => void): Promise<Installation> {
  const copy = unpackedCopy();
  await mkdir(join(copy, '..'), { recursive: true });
  const partial = await mkdtemp(`${copy}.partial-`);
  try {
    const scratch = join(partial, 'scratch');
    await mkdir(scratch);
    const server = { name: 'PostgreSQL', packageName: 'postgresql', unstable: false };
    await unpackPackages(server, partial, scratch, { report });
    await rm(scratch, { recursive: true, force: true });
    // The programs start with the loader of the host, which fits only its own C library.
    for (const folder of ['lib', 'usr/lib'].map((name) => join(partial, name, hostArchitecture().triplet))) {
      const names = existsSync(folder) ? readdirSync(folder) : [];
      const ofTheHost = names.filter((name) => /^(?:ld-|lib(?:c|m|dl|rt|pthread|resolv|util|nss_\w+)[.-])/.test(name));
      for (const name of ofTheHost) await rm(join(folder, name));
    }
    await chmod(partial, 0o755);
    await run(join(unpacked(partial).bin, 'postgres'), ['--version'], unpacked(partial).env);
    await rename(partial, copy).catch((error) => {
      if (!existsSync(copy)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return unpacked(copy);
}

function unpacked(root: string): Installation {
  const versions = join(root, 'usr/lib/postgresql');
  const [version] = existsSync(versions) ? readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : [];
  if (version === undefined) throw new Error(`${versions} has no version of PostgreSQL`);
  const { triplet } = hostArchitecture();
  const libraries = [join(root, 'lib', triplet), join(root, 'usr/lib', triplet), join(root, 'usr/lib', triplet, 'nss')];
  return { bin: join(versions, version, 'bin'), env: { LD_LIBRARY_PATH: libraries.join(':') } };
}

async function giveToOwner(directory: string): Promise<void> {
  if (OWNER.uid !== undefined) await chown(directory, OWNER.uid, OWNER.gid);
}

function start(program: string, args: string[], env: Record<string, string>) {
  // Linux kills the server when this process is killed. util-linux has the program that requests it.
  const wrapped = existsSync('/usr/bin/setpriv')
    ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--', program]
    : [program];
  const [command = program, ...first] = wrapped;
  return spawn(command, [...first, ...args], {
    ...OWNER,
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function run(program: string, args: string[], env: Record<string, string>): Promise<void> {
  const child = start(program, args, env);
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} exited with ${code}: ${stderr.trim()}`);
}

async function versionWhenReady(url: string, hasEnded: () => boolean): Promise<string> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      const { rows } = await client.query('SHOW server_version');
      return String(rows[0]?.server_version).split(' ', 1)[0] as string;
    } catch (error) {
      if (hasEnded() || Date.now() > deadline) throw error;
      await sleep(50);
    } finally {
      await client.end().catch(() => {});
    }
  }
}
