import { statSync } from 'node:fs';
import { mkdir, open, readlink, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Creates a directory and its missing parents. It does not use `mkdir` with `recursive`, which never returns under
 * /proc, where no directory can be created in an existing one (Node 20 to 22).
 * @param mode the permissions of a new directory
 */
export async function ensureDirectory(path: string, mode = 0o777): Promise<void> {
  const makeIfMissing = (): Promise<void> =>
    mkdir(path, { mode }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      if (!statSync(path).isDirectory()) throw new Error(`${path} is not a directory`);
    });
  try {
    await makeIfMissing();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    await ensureDirectory(dirname(path));
    await makeIfMissing();
  }
}

/** A full disk, and one that fails or is not there for a while. */
const CLEARS_BY_ITSELF: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'ESTALE', 'ETIMEDOUT']);

/** Whether a write can succeed later, without a change of the configuration. */
export const clearsByItself = (error: unknown): boolean =>
  CLEARS_BY_ITSELF.has((error as NodeJS.ErrnoException | undefined)?.code);

/** What to do about a file that cannot be written. */
export const writeHint = (error: unknown, otherwise: string): string =>
  clearsByItself(error)
    ? 'free space on the disk, or mend it; cdc tries again by itself, and nothing was lost'
    : otherwise;

/** Links to links that are followed, as many as Linux follows. */
const LINKS_MAX = 40;

/**
 * The file that a path leads to over symbolic links, whether it exists or not. A rename to a link would replace the
 * link; a rename to this path replaces the file.
 */
export async function followLinks(path: string): Promise<string> {
  let target = path;
  for (let links = 0; links <= LINKS_MAX; links++) {
    const next = await readlink(target).catch(() => undefined);
    if (next === undefined) return target;
    target = resolve(dirname(target), next);
  }
  throw new Error(`too many symbolic links: ${path}`);
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
