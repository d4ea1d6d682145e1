import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDirectory } from '../../runtime/durable-file.ts';
import { CdcError } from '../../runtime/error.ts';
import { lockFile } from '../../runtime/file-lock.ts';
import { decodeMeta, deliverSpooled, type SpoolFolders } from './object-buffer.ts';

/** Locks the spool for this process. Returns the release function. */
export async function lockSpool({ lake, spool }: SpoolFolders): Promise<() => Promise<void>> {
  try {
    await ensureDirectory(lake);
    await ensureDirectory(spool);
  } catch (error) {
    throw new CdcError(`cannot use ${lake} as the lake folder`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'choose another folder with --lake',
      cause: error,
    });
  }
  if ((await stat(lake)).dev !== (await stat(spool)).dev) {
    throw new CdcError(`the lake ${lake} and its spool ${spool} are on different file systems`, {
      why: 'an object is renamed from the spool into the lake, so that it appears complete',
      hint: 'choose a lake folder inside the mounted file system, for example its subfolder "lake"',
    });
  }
  const lock = join(spool, 'lock');
  return lockFile(
    lock,
    (owner) =>
      new CdcError(`another local Firehose (process ${owner}) delivers into ${lake}`, {
        hint: `stop it, or choose another folder with --lake; if process ${owner} is another program, remove ${lock}`,
      }),
  );
}

/** Delivers the acknowledged data of a killed process. Returns the names of the objects. */
export async function recoverSpool(folders: SpoolFolders): Promise<string[]> {
  const delivered: string[] = [];
  const names = await readdir(folders.spool);
  for (const name of names) {
    const path = join(folders.spool, name);
    if (name.endsWith('.gz')) await rm(path, { force: true });
    if (!name.endsWith('.meta')) continue;
    const id = name.slice(0, -'.meta'.length);
    const meta = await readMeta(path);
    const hasData = names.includes(`${id}.data`);
    if (!meta && hasData && (await stat(join(folders.spool, `${id}.data`))).size > 0) {
      throw new CdcError(`${path} is damaged`, {
        why: `it should contain the object name and the number of acknowledged bytes of ${id}.data`,
        hint: `move ${id}.data and ${id}.meta out of ${folders.spool}, and inspect the data`,
      });
    }
    if (meta && meta.committed > 0 && hasData) {
      await deliverSpooled(folders, id, meta.committed, meta.spooled);
      delivered.push(meta.spooled.object);
    } else {
      await rm(join(folders.spool, `${id}.data`), { force: true });
      await rm(path, { force: true });
    }
  }
  return delivered;
}

/** Undefined when the process died during the write of the file, which is before the first acknowledgement. */
async function readMeta(path: string) {
  try {
    const meta = decodeMeta(await readFile(path, 'utf8'));
    return Number.isInteger(meta.committed) && typeof meta.spooled.object === 'string' ? meta : undefined;
  } catch {
    return undefined;
  }
}
