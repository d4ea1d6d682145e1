import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { CdcError } from './error.ts';

/** Locks that this very process holds or is about to. */
const held = new Set<string>();

/**
 * Makes this process the only one of its machine at something; the lock of a process that is gone is taken over.
 * A lock says who holds it from the moment it is there: it is written under another name, then linked. And it names a
 * process by its pid and its start, so that neither another process with that pid nor a reboot keeps it for ever.
 * Returns what gives it back.
 * @throws CdcError made by `refusal` when another process that is alive holds it
 */
export async function lockFile(path: string, refusal: (owner: number) => CdcError): Promise<() => Promise<void>> {
  const own = `${path}.${process.pid}`;
  if (held.has(path)) throw refusal(process.pid);
  held.add(path);
  try {
    const name = await nameOf(process.pid);
    await writeFile(own, name);
    while (!(await linked(own, path))) {
      const owner = await readFile(path, 'utf8').catch(unlessGone);
      if (owner === undefined) continue; // it was given back just now
      const pid = Number.parseInt(owner, 10);
      const alive = await nameOf(pid);
      // One of our own name was left by a process that had our pid in an earlier container.
      if (alive !== '' && alive === owner && owner !== name) throw refusal(pid);
      await takeAway(path, own, owner);
    }
  } catch (error) {
    held.delete(path);
    if (error instanceof CdcError) throw error;
    throw new CdcError(`cannot write the lock ${path}`, {
      why: (error as Error).message,
      hint: 'give cdc a folder that it may write to, on a file system with hard links',
      cause: error,
    });
  } finally {
    await rm(own, { force: true });
  }
  return async () => {
    await rm(path, { force: true });
    held.delete(path);
  };
}

function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a process that is gone; one that a rival has put there meanwhile is put back. */
async function takeAway(path: string, own: string, owner: string): Promise<void> {
  const aside = `${own}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== owner) await linked(aside, path);
  await rm(aside, { force: true });
}

/** A process by pid and start: the 22nd field of /proc/PID/stat on Linux; by pid alone elsewhere. Empty when it is gone. */
async function nameOf(pid: number): Promise<string> {
  if (!Number.isInteger(pid) || pid < 1) return '';
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return started === undefined ? '' : `${pid} ${started}\n`;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return '';
  }
  return `${pid}\n`;
}
