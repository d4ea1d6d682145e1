import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type Installation, type ServerKind, unpackedServer } from './layout.ts';

const ABANDONED_AFTER_MS = 60 * 60 * 1000;

export function cacheDirectory(): string {
  const xdg = process.env.XDG_CACHE_HOME;
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'mysql-firehose-cdc');
}

function copyDirectory(flavor: ServerKind): string {
  return join(cacheDirectory(), `${flavor}-${process.arch}`);
}

/** The cached copy of an earlier run. A copy gets its name only when it is complete, so an existing copy is usable. */
export async function cachedServer(flavor: ServerKind, signal?: AbortSignal): Promise<Installation> {
  const copy = copyDirectory(flavor);
  if (!existsSync(copy)) throw new Error(`${copy} does not exist yet`);
  return unpackedServer(flavor, join(copy, 'root'), signal);
}

/**
 * Creates the cached copy. `unpack` fills `root` and can use `scratch` for other files. If the server in `root` runs, a
 * rename publishes the copy. When two processes do this at the same time, both use the copy of the first to finish.
 */
export async function fillCache(
  flavor: ServerKind,
  unpack: (root: string, scratch: string) => Promise<void>,
  signal?: AbortSignal,
): Promise<Installation> {
  const copy = copyDirectory(flavor);
  await mkdir(cacheDirectory(), { recursive: true });
  await removeAbandoned();
  const partial = await mkdtemp(`${copy}.partial-`);
  try {
    const [root, scratch] = [join(partial, 'root'), join(partial, 'scratch')];
    await mkdir(root);
    await mkdir(scratch);
    await unpack(root, scratch);
    await unpackedServer(flavor, root, signal);
    await rm(scratch, { recursive: true, force: true });
    await publish(flavor, partial, copy);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return cachedServer(flavor, signal);
}

async function publish(flavor: ServerKind, partial: string, copy: string): Promise<void> {
  try {
    return await rename(partial, copy);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  const otherCopyRuns = await cachedServer(flavor).then(
    () => true,
    () => false,
  );
  if (otherCopyRuns) return;
  const discarded = await mkdtemp(`${copy}.partial-`);
  await rename(copy, join(discarded, 'broken'));
  await rename(partial, copy);
  await rm(discarded, { recursive: true, force: true });
}

/** Removes incomplete copies of killed processes. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(cacheDirectory())) {
    if (!name.includes('.partial-')) continue;
    const path = join(cacheDirectory(), name);
    const changed = await stat(path).then(
      (entry) => entry.mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - changed > ABANDONED_AFTER_MS) await rm(path, { recursive: true, force: true });
  }
}
