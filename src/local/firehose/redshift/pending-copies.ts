import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fsyncFile } from '../../../runtime/durable-file.ts';

/** An object in the lake that is not copied into its table yet. */
export interface PendingCopy {
  /** The id of its files in the spool. */
  id: string;
  stream: string;
  /** The path of the object below the lake. */
  object: string;
}

const ENDING = '.copy';

/**
 * Notes an object in the spool before it appears in the lake. Whatever happens later, it is copied, or listed in a
 * manifest. The note has no password: the stream must be there again.
 */
export async function notePendingCopy(
  spool: string,
  { id, stream, object }: PendingCopy,
  durable: boolean,
): Promise<void> {
  const path = join(spool, `${id}${ENDING}`);
  await writeFile(path, JSON.stringify({ stream, object }));
  if (durable) await fsyncFile(path);
}

export const forgetPendingCopy = (spool: string, { id }: PendingCopy): Promise<void> =>
  rm(join(spool, `${id}${ENDING}`), { force: true });

/** What earlier processes have left, oldest objects first. Their objects are all in the lake after a recovery. */
export async function readPendingCopies(spool: string): Promise<PendingCopy[]> {
  const pending: PendingCopy[] = [];
  for (const name of await readdir(spool)) {
    if (!name.endsWith(ENDING)) continue;
    const id = name.slice(0, -ENDING.length);
    try {
      const { stream, object } = JSON.parse(await readFile(join(spool, name), 'utf8'));
      pending.push({ id, stream, object });
    } catch {
      // Written in part: the process died before the object was in the lake, and its recovery has noted it again.
      await rm(join(spool, name), { force: true });
    }
  }
  return pending.sort((a, b) => (a.object < b.object ? -1 : 1));
}
