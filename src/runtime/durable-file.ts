import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it. Not `mkdir` with `recursive`: under /proc, where a folder cannot be made in one
 * that exists, that tries for ever (Node 20 to 22).
 * @param mode who may enter a folder that is new
 */
export async function ensureDirectory(path: string, mode = 0o777): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(path, { mode }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  try {
    await make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    await ensureDirectory(dirname(path));
    await make();
  }
}

/**
 * Writes a file, for its owner alone, that is whole or not there at all: under a temporary name, synced, renamed. Its
 * name is durable only once its folder is synced.
 */
export async function writeFileAtomic(path: string, temporary: string, text: string): Promise<void> {
  try {
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** Makes the names in a folder survive a loss of power, as far as the system can (Windows cannot open a folder). */
export async function fsyncDirectory(path: string): Promise<void> {
  if (process.platform !== 'win32') await fsyncFile(path);
}

export async function fsyncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
