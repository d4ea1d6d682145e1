import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readlink, rename, rm, symlink } from 'node:fs/promises';
import { delimiter, dirname, join, relative } from 'node:path';
import { unpackPackages } from '../../src/local/mysql/apt-packages.ts';
import { cacheDirectory } from '../../src/local/mysql/cache.ts';
import { hostArchitecture } from '../../src/local/mysql/layout.ts';
import { runProcess } from '../../src/local/mysql/subprocess.ts';
import { writeTrustStore } from './trust-store.ts';

/** A program with its first arguments, and the variables that it needs. */
export interface Program {
  command: [string, ...string[]];
  env: Record<string, string>;
}

/** Kafka 4 runs on this version of Java, and on later ones. */
const OLDEST_JAVA = 17;
/** Of an unpacked Java. */
const TRUST_STORE = 'authorities.jks';

/** A Java of `JAVA_HOME` or PATH, otherwise Debian's runtime in the cache. @throws Error with the reasons */
export async function findJava(): Promise<Program> {
  const home = process.env.JAVA_HOME;
  const installed = [...(home ? [join(home, 'bin/java')] : []), ...onPath('java')];
  const reasons: string[] = [];
  for (const file of installed) {
    const version = await versionOf({ command: [file], env: {} }).catch(() => 0);
    if (version >= OLDEST_JAVA) return { command: [file], env: {} };
    reasons.push(`${file} is Java ${version}, Kafka needs ${OLDEST_JAVA}`);
  }
  try {
    return unpackedJava(await unpackedMaven());
  } catch (error) {
    throw new Error([...reasons, `no java on PATH, none to be had: ${(error as Error).message}`].join('; '));
  }
}

/** Apache Maven of PATH, otherwise Debian's in the cache. @throws Error with the reason */
export async function findMaven(): Promise<Program> {
  const [file] = onPath('mvn');
  if (file) return { command: [file], env: {} };
  const root = await unpackedMaven().catch((error: Error) => {
    throw new Error(`no mvn on PATH, none to be had: ${error.message}`);
  });
  const java = await findJava();
  const home = join(root, 'usr/share/maven');
  const classWorlds = readdirSync(join(home, 'boot')).find((name) => /^plexus-classworlds.*\.jar$/.test(name));
  const settings = [
    `-Dclassworlds.conf=${join(root, 'etc/maven/m2.conf')}`,
    `-Dmaven.home=${home}`,
    `-Dmaven.multiModuleProjectDirectory=${home}`,
  ];
  const classPath = ['-classpath', join(home, 'boot', classWorlds ?? 'plexus-classworlds.jar')];
  const main = 'org.codehaus.plexus.classworlds.launcher.Launcher';
  return { command: [...java.command, ...settings, ...classPath, main], env: java.env };
}

function onPath(name: string): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).filter((file) => existsSync(file));
}

async function versionOf(java: Program): Promise<number> {
  const [command, ...first] = java.command;
  const properties = await runProcess(command, [...first, '-XshowSettings:properties', '--version'], { env: java.env });
  return Number(/^\S+ (\d+)/.exec(properties)?.[1] ?? 0);
}

/** Debian's Maven and the Java runtime that it needs, unpacked without root. */
async function unpackedMaven(): Promise<string> {
  if (process.platform !== 'linux') throw new Error(`${process.platform} has no Debian packages`);
  const copy = join(cacheDirectory(), `maven-${process.arch}`);
  if (existsSync(copy)) return copy;
  await mkdir(cacheDirectory(), { recursive: true });
  const partial = await mkdtemp(`${copy}.partial-`);
  try {
    const scratch = join(partial, 'scratch');
    await mkdir(scratch);
    const packages = { name: 'Apache Maven', packageName: 'maven', unstable: false };
    await unpackPackages(packages, partial, scratch, { report: () => {} });
    await rm(scratch, { recursive: true, force: true });
    await makeLinksRelative(partial, partial);
    await writeTrustStore(join(partial, TRUST_STORE));
    // The programs start with the loader of the host, which fits only its own C library.
    for (const folder of ['lib', 'usr/lib'].map((name) => join(partial, name, hostArchitecture().triplet))) {
      const names = existsSync(folder) ? readdirSync(folder) : [];
      const ofTheHost = names.filter((name) => /^(?:ld-|lib(?:c|m|dl|rt|pthread|resolv|util|nss_\w+)[.-])/.test(name));
      for (const name of ofTheHost) await rm(join(folder, name));
    }
    if ((await versionOf(unpackedJava(partial))) < OLDEST_JAVA) throw new Error("the distribution's Java is too old");
    await rename(partial, copy).catch((error) => {
      if (!existsSync(copy)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return copy;
}

/** Debian links from the folder of Java to its settings in /etc. */
async function makeLinksRelative(root: string, folder: string): Promise<void> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeLinksRelative(root, path);
    if (!entry.isSymbolicLink()) continue;
    const target = await readlink(path);
    if (!target.startsWith('/')) continue;
    await rm(path);
    await symlink(relative(dirname(path), join(root, target)), path);
  }
}

function unpackedJava(root: string): Program {
  const machines = join(root, 'usr/lib/jvm');
  const home =
    existsSync(machines) && readdirSync(machines).find((name) => existsSync(join(machines, name, 'bin/java')));
  if (!home) throw new Error(`${machines} has no java`);
  const { triplet } = hostArchitecture();
  const libraries = [join(root, 'lib', triplet), join(root, 'usr/lib', triplet)];
  const trust = ['-Djavax.net.ssl.trustStoreType=JKS', `-Djavax.net.ssl.trustStore=${join(root, TRUST_STORE)}`];
  return { command: [join(machines, home, 'bin/java'), ...trust], env: { LD_LIBRARY_PATH: libraries.join(':') } };
}
