import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackPackages } from '../../src/local/mysql/apt-packages.ts';
import { cacheDirectory } from '../../src/local/mysql/cache.ts';
import { hostArchitecture } from '../../src/local/mysql/layout.ts';

/** A program of a package of Debian. */
interface DebianProgram {
  packageName: string;
  /** Within the package. */
  path: string;
  /** What it answers with exit code 0. */
  check: string[];
  /** Stable Debian has it in a form that is too old. */
  unstable?: true;
}

export interface Runnable {
  command: string;
  env: Record<string, string>;
}

/**
 * A program on PATH, or that of Debian's package, which needs no root: it is unpacked once, beside the servers.
 * @throws Error with the reason
 */
export async function debianProgram(program: DebianProgram): Promise<Runnable> {
  const { packageName, path, check, unstable = false } = program;
  const name = path.split('/').at(-1) as string;
  if (spawnSync(name, check).status === 0) return { command: name, env: {} };
  const copy = join(cacheDirectory(), `${packageName}-${process.arch}`);
  if (!existsSync(copy)) await unpack(packageName, unstable, copy);
  const found = runnable(copy, path);
  const { status, stderr, error } = spawnSync(found.command, check, {
    env: { ...process.env, ...found.env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${found.command} does not run: ${error?.message ?? stderr}`);
  return found;
}

/** Why it cannot be had; undefined if it is here. For `describe.skipIf`. */
export const programUnavailable = (program: DebianProgram): Promise<string | undefined> =>
  debianProgram(program).then(
    () => undefined,
    (error: Error) => error.message,
  );

async function unpack(packageName: string, unstable: boolean, copy: string): Promise<void> {
  if (process.platform !== 'linux') throw new Error(`${process.platform} has no packages of Debian`);
  await mkdir(join(copy, '..'), { recursive: true });
  const partial = await mkdtemp(`${copy}.partial-`);
  try {
    const scratch = join(partial, 'scratch');
    await mkdir(scratch);
    await unpackPackages({ name: packageName, packageName, unstable }, partial, scratch, { report: () => {} });
    await rm(scratch, { recursive: true, force: true });
    await rename(partial, copy).catch((error) => {
      if (!existsSync(copy)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** With its own libraries behind those of the host, whose loader fits only its own C library. */
function runnable(copy: string, path: string): Runnable {
  const { triplet } = hostArchitecture();
  const host = [`/lib/${triplet}`, `/usr/lib/${triplet}`];
  const own = ['lib', 'usr/lib'].map((folder) => join(copy, folder, triplet));
  return { command: join(copy, path), env: { LD_LIBRARY_PATH: [...host, ...own].join(':') } };
}
