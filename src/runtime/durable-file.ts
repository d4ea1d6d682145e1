import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates a directory and its missing parents. It does not use `mkdir` with `recursive`, which never returns under
 * /proc, where no directory can be created in an existing one (Node 20 to 22).
 * @param mode the permissions of a new directory
 */
export async function ensureDirectory(path: string, mode = 0o777): Promise<void> {
  const makeIfMissing = (): Promise<void> =>
    mkdir(path, { mode }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  try {
    await makeIfMissing();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    await ensureDirectory(dirname(path));
    await makeIfMissing();
  }
}

/**
 * Writes a file atomically, readable only by its owner: it writes a temporary file, fsyncs it and renames it. The new
 * name is durable only after `fsyncDirectory`.
 * @param text the content, in pieces if it can be too long for a string
 */
export async function writeFileAtomic(path: string, temporary: string, text: string | Iterable<string>): Promise<void> {
  try {
    const handle = await open(temporary, 'w', 0o600);
    try {
      if (typeof text === 'string') await handle.writeFile(text);
      // Each call writes behind the previous one.
      else for (const piece of text) await handle.writeFile(piece);
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

/** Makes the names in a directory survive a power loss, where the system can (Windows cannot open a directory). */
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
