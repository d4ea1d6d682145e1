import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '../error.ts';
import { decodeMeta, deliverSpooled, type SpoolFolders } from './object-buffer.ts';

/** Folders that servers of this very process hold: a lock with our own pid that is not among them is a dead one's. */
const held = new Set<string>();

/** Opens the spool for this process alone; returns what gives it back. */
export async function lockSpool({ lake, spool }: SpoolFolders): Promise<() => Promise<void>> {
  try {
    await mkdir(lake, { recursive: true });
    await mkdir(spool, { recursive: true });
  } catch (error) {
    throw new CdcError(`The lake folder ${lake} cannot be created`, {
      why: (error as Error).message,
      hint: 'Give another folder with --lake.',
      cause: error,
    });
  }
  if ((await stat(lake)).dev !== (await stat(spool)).dev) {
    throw new CdcError(`The lake ${lake} and its spool ${spool} lie on different file systems`, {
      why: 'Objects are renamed from the spool into the lake, so that they appear whole.',
      hint: 'Give a lake folder inside the mounted file system, for example its subfolder "lake".',
    });
  }
  const lock = join(spool, 'lock');
  for (;;) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number.parseInt(await readFile(lock, 'utf8').catch(() => ''), 10);
    if (owner === process.pid ? held.has(lock) : isAlive(owner)) {
      throw new CdcError(`Another local Firehose (process ${owner}) delivers into ${lake}`, {
        hint: `Stop it, or give another folder with --lake. If process ${owner} is something else, remove ${lock}.`,
      });
    }
    await rm(lock, { force: true });
  }
  held.add(lock);
  return async () => {
    await rm(lock, { force: true });
    held.delete(lock);
  };
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Delivers what a killed process had acknowledged; returns the objects. */
export async function recoverSpool(folders: SpoolFolders): Promise<string[]> {
  const delivered: string[] = [];
  const names = await readdir(folders.spool);
  for (const name of names) {
    const path = join(folders.spool, name);
    if (name.endsWith('.gz')) await rm(path, { force: true });
    if (!name.endsWith('.meta')) continue;
    const id = name.slice(0, -'.meta'.length);
    const left = await readMeta(path);
    const dataIsThere = names.includes(`${id}.data`);
    if (!left && dataIsThere && (await stat(join(folders.spool, `${id}.data`))).size > 0) {
      throw new CdcError(`${path} is damaged`, {
        why: 'It should say where the acknowledged records beside it are to be delivered.',
        hint: `Move ${id}.data and ${id}.meta out of ${folders.spool}, and look into the data by hand.`,
      });
    }
    if (left && left.committed > 0 && dataIsThere) {
      await deliverSpooled(folders, id, left.committed, left.spooled);
      delivered.push(left.spooled.object);
    } else {
      await rm(join(folders.spool, `${id}.data`), { force: true });
      await rm(path, { force: true });
    }
  }
  return delivered;
}

/** Undefined when the process died while it wrote it, which is before the first acknowledgement. */
async function readMeta(path: string) {
  try {
    const meta = decodeMeta(await readFile(path, 'utf8'));
    return Number.isInteger(meta.committed) && typeof meta.spooled.object === 'string' ? meta : undefined;
  } catch {
    return undefined;
  }
}
