import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { ListenAddress } from './admin-schema.ts';
import { loadConfig } from './load.ts';
import type { Config } from './schema.ts';
import { hostUrls, parseSourceUrl } from './url.ts';

/** A configuration, and the file that it was read from. */
export interface LoadedConfig {
  file: string;
  config: Config;
}

/**
 * Reads the configurations of pipelines that run in one process.
 * @throws CdcError with exit code 2 that names every error of every file, and everything that two of them share
 */
export function loadFleet(files: readonly string[], env = process.env): LoadedConfig[] {
  const loaded: LoadedConfig[] = [];
  const problems: CdcError[] = [];
  for (const file of files) {
    try {
      loaded.push({ file, config: loadConfig(file, env) });
    } catch (error) {
      problems.push(asCdcError(error));
    }
  }
  assertDistinct(loaded, problems);
  return loaded;
}

/**
 * Whether pipelines can run beside each other.
 * @param others what is wrong with them otherwise
 * @throws CdcError with exit code 2 that names every problem, and everything that two of them share
 */
export function assertDistinct(loaded: readonly LoadedConfig[], others: readonly CdcError[] = []): void {
  const problems = [...others];
  for (const [i, one] of loaded.entries()) {
    for (const other of loaded.slice(i + 1)) problems.push(...sharedBetween(one, other));
  }
  const [first] = problems;
  if (first === undefined) return;
  if (problems.length === 1) throw first;
  throw new CdcError(`the configurations have ${problems.length} problems, so no pipeline was started`, {
    exitCode: 2,
    why: problems.map(({ message, why }) => `${message}${why ? `: ${why}` : ''}`).join('\n       '),
    hint: [...new Set(problems.flatMap(({ hint }) => hint ?? []))].join('; '),
  });
}

/**
 * Reads the configuration of one pipeline of a fleet again.
 * @param others the configurations of the other pipelines
 * @throws CdcError with exit code 2
 */
export function reloadConfig(file: string, others: readonly LoadedConfig[]): Config {
  const config = loadConfig(file);
  const [shared] = others.flatMap((other) => sharedBetween(other, { file, config }));
  if (shared !== undefined) throw shared;
  return config;
}

/** What only one pipeline can have. Dead letters may share a folder, because the name is a part of each file's name. */
function sharedBetween(one: LoadedConfig, other: LoadedConfig): CdcError[] {
  const [a, b] = [one.config, other.config];
  const refuse = (what: string, why: string, hint: string): CdcError =>
    new CdcError(`${one.file} and ${other.file} have the same ${what}`, { exitCode: 2, why, hint });
  const problems: CdcError[] = [];
  if (a.name === b.name) {
    const why = 'the name is that of the checkpoint, of the dead letters and of the lines of the log';
    problems.push(refuse(`name, ${a.name}`, why, 'give each pipeline a name of its own'));
  }
  // In a table the name is the key.
  const files = [a.checkpoint.file, b.checkpoint.file].map((file) => file && realPath(file));
  if (files[0] !== undefined && files[0] === files[1]) {
    const why = 'one would overwrite the position of the other';
    problems.push(refuse(`checkpoint, ${files[0]}`, why, 'name another checkpoint.file in one of them'));
  }
  const sockets = [a.admin.socket, b.admin.socket].map(realPath);
  if (sockets[0] === sockets[1]) {
    const why = 'cdc status and cdc backfill reach a pipeline by its socket';
    problems.push(refuse(`socket, ${sockets[0]}`, why, 'name another admin.socket in one of them'));
  }
  if (a.admin.address && b.admin.address && overlap(a.admin.address, b.admin.address)) {
    const { host, port } = a.admin.address;
    const why = 'each pipeline has a dashboard and metrics of its own';
    problems.push(refuse(`address, ${host}:${port}`, why, 'choose another port for admin.listen in one of them'));
  }
  const id = a.source.server_id;
  if (id !== 'auto' && id === b.source.server_id && sharesHost(a, b)) {
    const why = 'two replicas with the same server id disconnect each other repeatedly';
    problems.push(refuse(`source.server_id, ${id}, on one server`, why, 'source.server_id: auto, or another number'));
  }
  return problems;
}

/** The path without symbolic links, as far as its folders exist. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(realPath(dirname(path)), basename(path));
  }
}

const WILDCARDS = ['0.0.0.0', '::'];

function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [one, other] = [a, b].map(({ host }) => (host === 'localhost' ? '127.0.0.1' : host)) as [string, string];
  return one === other || WILDCARDS.includes(one) || WILDCARDS.includes(other);
}

function sharesHost(a: Config, b: Config): boolean {
  const [hosts, others] = [a, b].map(({ source }) =>
    hostUrls(source.url).map((url) => `${parseSourceUrl(url).host}:${parseSourceUrl(url).port}`),
  ) as [string[], string[]];
  return hosts.some((host) => others.includes(host));
}
