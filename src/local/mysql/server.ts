import { mkdirSync, realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { CdcError } from '../../runtime/error.ts';
import { freePort } from '../../runtime/free-port.ts';
import { initializeData } from './data-directory.ts';
import { findInstallation, urlVariable } from './installation.ts';
import { flavorOf, type Installation, type ServerKind, serverName } from './layout.ts';
import { assertNotRunning, type ServerProcess, startProcess } from './server-process.ts';
import { mysqldArguments, serverPaths, serverSettings } from './settings.ts';

export type { ServerKind };

export interface LocalServer {
  flavor: ServerKind;
  version: string;
  /** mysql://root@127.0.0.1:PORT, or the url of an external server. */
  url: string;
  port: number;
  /** The directory of data, binlogs and error log; empty for an external server. */
  directory: string;
  /** The id of the current process, which a restart changes; 0 for an external server. */
  pid: number;
  /** Stops the server, and removes its directory unless the caller chose it. */
  stop(): Promise<void>;
  /** Stops the server if it runs, and starts it with the same port and data. */
  restart(): Promise<void>;
  /** Kills the server with SIGKILL, like a crash. The data stays for a restart. */
  kill(): Promise<void>;
}

export interface LocalServerOptions {
  flavor: ServerKind;
  /** Keeps the data in this directory, even after stop(). Existing data is used. Default: a temporary directory. */
  directory?: string;
  /** More `--key=value` arguments, which override the settings of cdc. */
  settings?: string[];
  /** Receives the progress of long steps. */
  report?: (line: string) => void;
  /** Interrupts the start. Use stop() to end a started server. */
  signal?: AbortSignal;
}

/**
 * Returns the server that the environment names, otherwise starts one on a free port. Its settings are ready for cdc.
 */
export async function startLocalServer(options: LocalServerOptions): Promise<LocalServer> {
  const { flavor, settings = [], signal } = options;
  const externalUrl = process.env[urlVariable[flavor]];
  if (externalUrl) return externalServer(flavor, externalUrl);
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
  const paths = serverPaths(directory);
  const start = (port: number, interrupt?: AbortSignal): Promise<ServerProcess> => {
    const args = [
      ...mysqldArguments(installation, paths.data, paths.temporary),
      ...serverSettings(flavor, paths, port, settings),
    ];
    return startProcess({
      flavor,
      command: installation.command[0],
      args,
      paths,
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
      // Another process can take the free port before the server does.
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
      if (stopped)
        throw new CdcError(`the local ${serverName[flavor]} server was stopped`, { hint: 'start a new one' });
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
  const unusable = (message: string, why?: string) =>
    new CdcError(message, {
      ...(why ? { why } : {}),
      hint:
        `set ${variable} to mysql://USER:PASSWORD@HOST:PORT of a running ${serverName[flavor]} server, ` +
        'or unset it to let cdc start its own',
    });
  if (!URL.canParse(url) || new URL(url).protocol !== 'mysql:') throw unusable(`${variable} is not a mysql:// url`);
  const { host, port } = new URL(url);
  let version: string;
  try {
    version = await serverVersion(url);
  } catch (error) {
    throw unusable(
      `the server ${host} in ${variable} cannot be used`,
      (error as Error).message || (error as { code?: string }).code,
    );
  }
  const found = flavorOf(version);
  if (found !== flavor) throw unusable(`the server ${host} in ${variable} is ${serverName[found]} ${version}`);
  const rejectExternal = async () => {
    throw unusable(`cdc does not restart or kill the external server ${host} in ${variable}`);
  };
  return {
    flavor,
    version,
    url,
    port: Number(port || 3306),
    directory: '',
    pid: 0,
    stop: async () => {},
    restart: rejectExternal,
    kill: rejectExternal,
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
