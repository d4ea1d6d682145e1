import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CdcError } from '../../runtime/error.ts';
import { runProcess } from './subprocess.ts';

/** `mysql-5.6` is for tests of the oldest supported binlog formats. */
export type ServerKind = 'mysql' | 'mariadb' | 'mysql-5.6';

/** A server program that runs on this machine, and the settings that it needs to find its own files. */
export interface Installation {
  flavor: ServerKind;
  version: string;
  /** The program with its first arguments. An unpacked server is started through its own loader. */
  command: [string, ...string[]];
  settings: string[];
  /** The folder of error messages, character sets and, on MariaDB, the SQL scripts that create the system tables. */
  share: string | undefined;
}

export const serverName = { mysql: 'MySQL', mariadb: 'MariaDB', 'mysql-5.6': 'MySQL 5.6' } as const;
export const programPath = { mysql: 'mysqld', mariadb: 'mariadbd', 'mysql-5.6': 'mysqld' } as const;

/** Debian's names of an architecture, which packages and loader use. */
export interface Architecture {
  debian: 'amd64' | 'arm64';
  triplet: string;
  loader: string;
}

export function hostArchitecture(name: string = process.arch): Architecture {
  if (name === 'x64') return { debian: 'amd64', triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' };
  if (name === 'arm64') return { debian: 'arm64', triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' };
  throw new CdcError(`cannot fetch a MySQL server for the architecture ${name}`, {
    why: 'cdc supports only x64 and arm64',
  });
}

/** The server in a folder of unpacked Debian packages or of an unpacked official archive. */
export async function unpackedServer(flavor: ServerKind, root: string, signal?: AbortSignal): Promise<Installation> {
  if (flavor === 'mysql-5.6') {
    // The folder of the program has the one library that the host can lack.
    const loader = join('/lib64', hostArchitecture().loader);
    const settings = [`--basedir=${root}`, `--lc-messages-dir=${join(root, 'share')}`];
    return inspectInstallation(flavor, [loader, '--library-path', root, join(root, 'mysqld')], settings, root, signal);
  }
  const official = join(root, 'bin', programPath[flavor]);
  if (existsSync(official)) return inspectInstallation(flavor, [official], [`--basedir=${root}`], root, signal);
  const { triplet, loader } = hostArchitecture();
  // The loader in lib64 can be a link to the host's loader. The loader in the folder of the libraries is a file.
  const libraries = [join(root, 'lib', triplet), join(root, 'usr/lib', triplet)];
  const loaderFile = firstExisting(libraries.map((folder) => join(folder, loader)));
  const binary = firstExisting([join(root, 'usr/sbin', programPath[flavor])]);
  if (!loaderFile || !binary) throw new Error(`${binary ? loader : programPath[flavor]} is missing in ${root}`);
  const path = [...libraries, join(root, 'usr/lib/mysql/private')].join(':');
  const plugins = firstExisting([join(root, 'usr/lib/mysql/plugin'), join(root, 'usr/lib/mariadb/plugin')]);
  const share = firstExisting([join(root, 'usr/share', flavor), join(root, 'usr/share/mysql')]);
  const settings = [
    `--basedir=${join(root, 'usr')}`,
    ...(share ? [`--lc-messages-dir=${share}`, `--character-sets-dir=${join(share, 'charsets')}`] : []),
    ...(plugins ? [`--plugin-dir=${plugins}`] : []),
  ];
  return inspectInstallation(flavor, [loaderFile, '--library-path', path, binary], settings, join(root, 'usr'), signal);
}

/** Checks that the program runs on this machine and is of this flavor. Debian's `mysqld` can be MariaDB. */
export async function inspectInstallation(
  flavor: ServerKind,
  command: [string, ...string[]],
  settings: string[],
  base: string,
  signal?: AbortSignal,
): Promise<Installation> {
  const [file, ...args] = command;
  const output = await runProcess(file, [...args, '--no-defaults', '--version'], { signal });
  const version = /Ver (\d+\.\d+\.\d+)/.exec(output)?.[1];
  if (!version) throw new Error(`${command.at(-1)} --version prints no version: ${output.trim()}`);
  const found = flavorOf(/mariadb/i.test(output.slice(output.indexOf('Ver '))) ? `${version}-MariaDB` : version);
  if (found !== flavor) throw new Error(`${command.at(-1)} is ${serverName[found]} ${version}`);
  const share = firstExisting([join(base, 'share', flavor), join(base, 'share/mysql'), join(base, 'share')]);
  return { flavor, version, command, settings, share };
}

/** The flavor of a server with this `VERSION()`. */
export function flavorOf(version: string): ServerKind {
  if (/mariadb/i.test(version)) return 'mariadb';
  return version.startsWith('5.6.') ? 'mysql-5.6' : 'mysql';
}

function firstExisting(paths: string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}
