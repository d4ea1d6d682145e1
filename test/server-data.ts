import { constants } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { initializeData } from '../src/local/mysql/data-directory.ts';
import { findInstallation, urlVariable } from '../src/local/mysql/installation.ts';
import { type LocalServer, type LocalServerOptions, startLocalServer } from '../src/local/mysql/server.ts';
import { serverPaths } from '../src/local/mysql/settings.ts';

/** Flavors whose data takes seconds to initialize, or is needed by many tests. */
export type CopiedFlavor = 'mysql' | 'mariadb';

/** Initializes the data that servers of tests begin with, once for the whole run. Nothing if the server is external. */
export async function makeData(flavor: CopiedFlavor, root: string, report: (line: string) => void): Promise<void> {
  if (process.env[urlVariable[flavor]]) return;
  await initializeData(await findInstallation({ flavor, report }), serverPaths(join(root, flavor)));
}

/** A server as `startLocalServer` starts it, but on a copy of the data below `root`. `stop` kills it. */
export async function startOnCopy(root: string, options: LocalServerOptions): Promise<LocalServer> {
  const { flavor } = options;
  if (flavor === 'mysql-5.6' || process.env[urlVariable[flavor]]) return startLocalServer(options);
  const directory = await mkdtemp(join(root, `${flavor}-`));
  const { data } = serverPaths(directory);
  await cp(serverPaths(join(root, flavor)).data, data, { recursive: true, mode: constants.COPYFILE_FICLONE });
  // Each server has an identity of its own.
  await rm(join(data, 'auto.cnf'), { force: true });
  const server = await startLocalServer({ ...options, directory });
  server.stop = async () => {
    await server.kill();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  return server;
}
