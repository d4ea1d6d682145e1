import { mkdirSync, realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { CdcError } from '../../runtime/error.ts';
import { initializeData } from './data-directory.ts';
import { findInstallation, urlVariable } from './installation.ts';
import { flavorOf, type Installation, type ServerKind, serverName } from './layout.ts';
import { assertNotRunning, type ServerProcess, startProcess } from './server-process.ts';
import { mysqldArguments, serverPaths, serverSettings } from './settings.ts';

export type { ServerKind as Flavor };

export interface LocalServer {
  flavor: ServerKind;
  version: string;
  /** mysql://root@127.0.0.1:PORT, or the url that was given. */
  url: string;
  port: number;
  /** Holds data, binlogs and error log; empty for a server that was given by its url. */
  directory: string;
  /** Of the current process: a restart changes it. 0 for a server that was given by its url. */
  pid: number;
  /** Ends the server, and removes its directory unless the caller named it. */
  stop(): Promise<void>;
  /** Ends the server, if it runs, and starts it on the same port and data. */
  restart(): Promise<void>;
  /** SIGKILL: what is lost is what a crash loses. The data stays, for a restart. */
  kill(): Promise<void>;
}

export interface LocalServerOptions {
  flavor: ServerKind;
  /** Keeps the data there, over stop() too; data that is there already is used. Without it a temporary directory serves. */
  directory?: string;
  /** Further `--key=value` arguments; they win over those that cdc gives. */
  settings?: string[];
  /** Told what takes long. */
  report?: (line: string) => void;
  /** Interrupts the start; a started server is ended by stop(). */
  signal?: AbortSignal;
}

/** The server named in the environment, else one of our own on a port of its own, ready to be followed by cdc. */
export async function startLocalServer(options: LocalServerOptions): Promise<LocalServer> {
  const { flavor, settings = [], signal } = options;
  const given = process.env[urlVariable[flavor]];
  if (given) return externalServer(flavor, given);
  const installation = await findInstallation(options);
  const temporary = options.directory === undefined;
  if (!temporary) mkdirSync(options.directory!, { recursive: true });
  const directory = realpathSync(options.directory ?? (await mkdtemp(join(tmpdir(), `cdc-${flavor}-`))));
  const temporaryDirectory = temporary ? directory : undefined;
  try {
    await assertNotRunning(serverPaths(directory));
    await initializeData(installation, serverPaths(directory), signal);
    return await startServer(installation, directory, settings, temporaryDirectory, signal);
  } catch (error) {
    if (temporary) await rm(directory, { recursive: true, force: true });
    if (!signal?.aborted) throw error;
    throw new CdcError(`the start of the local ${serverName[flavor]} server was interrupted`);
  }
}

async function startServer(
  installation: Installation,
  directory: string,
  settings: readonly string[],
  temporaryDirectory: string | undefined,
  signal: AbortSignal | undefined,
): Promise<LocalServer> {
  const { flavor } = installation;
  const places = serverPaths(directory);
  const start = (port: number, interrupt?: AbortSignal): Promise<ServerProcess> => {
    const args = [
      ...mysqldArguments(installation, places.data, places.temporary),
      ...serverSettings(flavor, places, port, settings),
    ];
    return startProcess({
      flavor,
      command: installation.command[0],
      args,
      places,
      port,
      temporaryDirectory,
      signal: interrupt,
    });
  };
  let port = await freePort();
  let running: ServerProcess | undefined;
  for (let attempt = 1; !running; attempt++) {
    try {
      running = await start(port, signal);
    } catch (error) {
      // Between our asking for a free port and the server's taking it, another process may have taken it.
      if (attempt === 3 || !/address already in use/i.test((error as CdcError).why ?? '')) throw error;
      port = await freePort();
    }
  }
  let stopped = false;
  let current = running;
  const server: LocalServer = {
    flavor,
    version: current.version,
    url: `mysql://root@127.0.0.1:${port}`,
    port,
    directory,
    pid: current.pid,
    async stop() {
      stopped = true;
      await current.end();
      if (temporaryDirectory) await rm(temporaryDirectory, { recursive: true, force: true, maxRetries: 3 });
    },
    async restart() {
      if (stopped) throw new CdcError(`the local ${serverName[flavor]} server was stopped for good; start a new one`);
      await current.end();
      current = await start(port);
      server.pid = current.pid;
    },
    kill: () => current.kill(),
  };
  return server;
}

async function externalServer(flavor: ServerKind, url: string): Promise<LocalServer> {
  const variable = urlVariable[flavor];
  const refuse = (message: string, why?: string) =>
    new CdcError(message, {
      ...(why ? { why } : {}),
      hint: `set ${variable} to mysql://USER:PASSWORD@HOST:PORT of a running ${serverName[flavor]} server, or unset it to let cdc start its own`,
    });
  if (!URL.canParse(url) || new URL(url).protocol !== 'mysql:') throw refuse(`${variable} is not a mysql:// url`);
  const { host, port } = new URL(url);
  let version: string;
  try {
    version = await serverVersion(url);
  } catch (error) {
    throw refuse(
      `the server ${host} in ${variable} cannot be used`,
      (error as Error).message || (error as { code?: string }).code,
    );
  }
  const found = flavorOf(version);
  if (found !== flavor) throw refuse(`the server ${host} in ${variable} is ${serverName[found]} ${version}`);
  const notOurs = async () => {
    throw refuse(`the server ${host} in ${variable} is not ours to restart or kill`);
  };
  return {
    flavor,
    version,
    url,
    port: Number(port || 3306),
    directory: '',
    pid: 0,
    stop: async () => {},
    restart: notOurs,
    kill: notOurs,
  };
}

async function serverVersion(url: string): Promise<string> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 });
  try {
    const [rows] = await connection.query({ sql: 'SELECT VERSION()', rowsAsArray: true });
    return (rows as unknown as [[string]])[0][0];
  } finally {
    connection.destroy();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const listener = createServer().once('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      listener.close(() => resolve((address as { port: number }).port));
    });
  });
}
