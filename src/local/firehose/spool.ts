import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDirectory } from '../../runtime/durable-file.ts';
import { CdcError } from '../../runtime/error.ts';
import { lockFile } from '../../runtime/file-lock.ts';
import { decodeMeta, deliverSpooled, type SpoolFolders } from './object-buffer.ts';

/** Opens the spool for this process alone; returns what gives it back. */
export async function lockSpool({ lake, spool }: SpoolFolders): Promise<() => Promise<void>> {
  try {
    await ensureDirectory(lake);
    await ensureDirectory(spool);
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
  return lockFile(
    lock,
    (owner) =>
      new CdcError(`Another local Firehose (process ${owner}) delivers into ${lake}`, {
        hint: `Stop it, or give another folder with --lake. If process ${owner} is something else, remove ${lock}.`,
      }),
  );
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
