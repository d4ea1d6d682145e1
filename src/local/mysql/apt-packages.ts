import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { formatSources, newestPackage, parseDistribution, parseSources, sourcesFor } from './apt-sources.ts';
import { hostArchitecture, type ServerKind, serverName } from './layout.ts';
import { runProcess } from './subprocess.ts';

/** A server among the packages of Debian or Ubuntu. */
export interface PackagedServer {
  name: string;
  /** The name of its package, to which a version such as `-8.0` or `-15` can be appended. */
  packageName: string;
  /** Stable Debian does not have it, so it comes from the unstable suite. */
  unstable: boolean;
}

export const packagedServer = (flavor: ServerKind): PackagedServer => ({
  name: serverName[flavor],
  packageName: `${flavor}-server-core`,
  unstable: flavor === 'mysql',
});

/**
 * Fetches the server and its libraries as Debian packages and unpacks them. It needs no root and does not change the
 * host's apt state: apt gets its own configuration, lists and empty package database in `scratch`.
 */
export async function unpackPackages(
  server: PackagedServer,
  root: string,
  scratch: string,
  options: { report: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<void> {
  const { report, signal } = options;
  const host = await readHost();
  const sources = sourcesFor(server, host.distribution, hostArchitecture().debian, host.sources);
  if (sources.length === 0) {
    throw new Error(`apt's sources contain no archive of ${host.distribution.family} ${host.distribution.codename}`);
  }
  const env = { APT_CONFIG: await writePrivateConfig(scratch, formatSources(sources), host) };
  const suites = [...new Set(sources.flatMap((source) => source.suites))].join(', ');
  report(`fetching ${server.name} from the ${host.distribution.family} packages (${suites}), once`);
  // An unreachable archive matters only if the package is not found in the others.
  const update = await runProcess('apt-get', ['update'], { env, signal }).then(
    () => '',
    (error: Error) => error.message,
  );
  const names = await runProcess('apt-cache', ['pkgnames', server.packageName], { env, signal });
  const name = newestPackage(server.packageName, names.split('\n').filter(Boolean));
  if (!name) throw new Error(update || `the suites ${suites} have no ${server.packageName}`);
  await runProcess('apt-get', ['install', '--download-only', '--yes', '--no-install-recommends', name], {
    env,
    signal,
  });

  const archives = join(scratch, 'cache/archives');
  for (const file of await readdir(archives)) {
    // Only the installation scripts need Perl, and they are not run.
    if (!file.endsWith('.deb') || /^(lib)?perl/.test(file)) continue;
    await runProcess('dpkg-deb', ['--extract', join(archives, file), root], { signal });
  }
  for (const folder of ['doc', 'man', 'locale', 'lintian']) {
    await rm(join(root, 'usr/share', folder), { recursive: true, force: true });
  }
}

async function readHost() {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const distribution = parseDistribution(osRelease);
  if (!distribution) throw new Error('the distribution is neither Debian nor Ubuntu');
  const shell = await runProcess('apt-config', [
    'shell',
    ...['list', 'Dir::Etc::sourcelist/f', 'parts', 'Dir::Etc::sourceparts/d'],
    ...['trusted', 'Dir::Etc::trusted/f', 'trustedparts', 'Dir::Etc::trustedparts/d'],
    ...['netrc', 'Dir::Etc::netrc/f', 'netrcparts', 'Dir::Etc::netrcparts/d'],
  ]);
  const paths = Object.fromEntries([...shell.matchAll(/^(\w+)='(.*)'$/gm)].map((match) => [match[1]!, match[2]!]));
  const dump = await runProcess('apt-config', ['dump']);
  const parts = paths.parts && existsSync(paths.parts) ? (await readdir(paths.parts)).sort() : [];
  const files = [paths.list, ...parts.map((part) => join(paths.parts!, part))];
  const texts = files.flatMap((file) => (file && existsSync(file) ? [file] : []));
  const sources = parseSources(
    await Promise.all(texts.map(async (file) => ({ name: basename(file), text: await readFile(file, 'utf8') }))),
  );
  return { distribution, sources, paths, acquire: acquireSettings(dump) };
}

/**
 * The host's settings for access to its mirrors (proxies, certificates, timeouts), without settings for more downloads.
 */
export function acquireSettings(dump: string): string {
  const lines = dump.split('\n').filter((line) => line.startsWith('Acquire::'));
  return lines.filter((line) => !/^Acquire::(IndexTargets|Languages|Changelogs)\b/.test(line)).join('\n');
}

/** Writes a configuration file that apt reads first. It hides the host's own configuration, including its hooks. */
async function writePrivateConfig(
  scratch: string,
  sources: string,
  host: { paths: Record<string, string>; acquire: string },
): Promise<string> {
  for (const folder of ['etc/apt.conf.d', 'etc/sources.list.d', 'etc/preferences.d', 'lists/partial']) {
    await mkdir(join(scratch, folder), { recursive: true });
  }
  await mkdir(join(scratch, 'cache/archives/partial'), { recursive: true });
  await writeFile(join(scratch, 'status'), '');
  await writeFile(join(scratch, 'etc/sources.list.d/cdc.sources'), sources);
  const settings: Record<string, string | undefined> = {
    'Dir::Etc': join(scratch, 'etc'),
    'Dir::Etc::trusted': host.paths.trusted,
    'Dir::Etc::trustedparts': host.paths.trustedparts,
    'Dir::Etc::netrc': host.paths.netrc,
    'Dir::Etc::netrcparts': host.paths.netrcparts,
    'Dir::State': scratch,
    'Dir::State::lists': join(scratch, 'lists'),
    'Dir::State::status': join(scratch, 'status'),
    'Dir::Cache': join(scratch, 'cache'),
    'Dir::Cache::archives': join(scratch, 'cache/archives'),
    'Dir::Log': scratch,
    'APT::Architecture': hostArchitecture().debian,
    'APT::Architectures': hostArchitecture().debian,
    // When root runs apt, its sandbox user cannot read root's home directory.
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
  };
  const lines = Object.entries(settings).flatMap(([key, value]) => (value ? [`${key} "${value}";`] : []));
  const path = join(scratch, 'apt.conf');
  await writeFile(path, `${[...lines, host.acquire].join('\n')}\n`);
  return path;
}
