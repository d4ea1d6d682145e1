import { readFile, rm, writeFile } from 'node:fs/promises';
import { CdcError } from './error.ts';

/** Locks that this very process holds: one with our own pid that is not among them is a dead process's. */
const held = new Set<string>();

/**
 * Makes this process the only one of its machine at something; the lock of a process that is gone is taken over.
 * Returns what gives it back.
 * @throws CdcError made by `refusal` when another process that is alive holds it
 */
export async function lockFile(path: string, refusal: (owner: number) => CdcError): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new CdcError(`cannot write the lock ${path}`, { why: (error as Error).message, cause: error });
      }
    }
    const owner = Number.parseInt(await readFile(path, 'utf8').catch(() => ''), 10);
    if (owner === process.pid ? held.has(path) : isAlive(owner)) throw refusal(owner);
    await rm(path, { force: true });
  }
  held.add(path);
  return async () => {
    await rm(path, { force: true });
    held.delete(path);
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
