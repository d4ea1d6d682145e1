import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CdcError } from '../../runtime/error.ts';
import { runProcess } from './subprocess.ts';

/** `mysql-5.6` is there to test what the oldest servers write. */
export type ServerKind = 'mysql' | 'mariadb' | 'mysql-5.6';

/** A server program that runs on this machine, and what it must be told to find its own files. */
export interface Installation {
  flavor: ServerKind;
  version: string;
  /** The program with its leading arguments: an unpacked server is started through its own loader. */
  command: [string, ...string[]];
  settings: string[];
  /** The folder of error messages, character sets and, of MariaDB, the SQL that makes the system tables. */
  share: string | undefined;
}

export const serverName = { mysql: 'MySQL', mariadb: 'MariaDB', 'mysql-5.6': 'MySQL 5.6' } as const;
export const programPath = { mysql: 'mysqld', mariadb: 'mariadbd', 'mysql-5.6': 'mysqld' } as const;

/** The names that Debian gives an architecture; packages and loader carry them. */
export interface Architecture {
  debian: 'amd64' | 'arm64';
  triplet: string;
  loader: string;
}

export function hostArchitecture(name: string = process.arch): Architecture {
  if (name === 'x64') return { debian: 'amd64', triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' };
  if (name === 'arm64') return { debian: 'arm64', triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' };
  throw new CdcError(`no MySQL server is fetched for the architecture ${name}`, {
    why: 'only x64 and arm64 are known to cdc',
  });
}

/** The server in a folder that Debian packages, or an official archive, were unpacked into. */
export async function unpackedServer(flavor: ServerKind, root: string, signal?: AbortSignal): Promise<Installation> {
  if (flavor === 'mysql-5.6') {
    // Beside the program lies the one library that the host may lack.
    const loader = join('/lib64', hostArchitecture().loader);
    const settings = [`--basedir=${root}`, `--lc-messages-dir=${join(root, 'share')}`];
    return inspect(flavor, [loader, '--library-path', root, join(root, 'mysqld')], settings, root, signal);
  }
  const official = join(root, 'bin', programPath[flavor]);
  if (existsSync(official)) return inspect(flavor, [official], [`--basedir=${root}`], root, signal);
  const { triplet, loader } = hostArchitecture();
  // The loader in lib64 may be a link to the host's own; the one beside the libraries is a file.
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
  return inspect(flavor, [loaderFile, '--library-path', path, binary], settings, join(root, 'usr'), signal);
}

/** Proves that the program runs here and is of this flavor: Debian's `mysqld` may well be MariaDB. */
export async function inspect(
  flavor: ServerKind,
  command: [string, ...string[]],
  settings: string[],
  base: string,
  signal?: AbortSignal,
): Promise<Installation> {
  const [file, ...args] = command;
  const answer = await runProcess(file, [...args, '--no-defaults', '--version'], { signal });
  const version = /Ver (\d+\.\d+\.\d+)/.exec(answer)?.[1];
  if (!version) throw new Error(`${command.at(-1)} does not tell its version: ${answer.trim()}`);
  const found = flavorOf(/mariadb/i.test(answer.slice(answer.indexOf('Ver '))) ? `${version}-MariaDB` : version);
  if (found !== flavor) throw new Error(`${command.at(-1)} is ${serverName[found]} ${version}`);
  const share = firstExisting([join(base, 'share', flavor), join(base, 'share/mysql'), join(base, 'share')]);
  return { flavor, version, command, settings, share };
}

/** The flavor of a server that calls itself so in `SELECT VERSION()`. */
export function flavorOf(version: string): ServerKind {
  if (/mariadb/i.test(version)) return 'mariadb';
  return version.startsWith('5.6.') ? 'mysql-5.6' : 'mysql';
}

function firstExisting(paths: string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}
