import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CdcError } from './error.ts';

/** Locks that this very process holds or is about to. */
const heldPaths = new Set<string>();

/**
 * Makes this process the only one of its machine at something; the lock of a process that is gone is taken over.
 * A lock says who holds it from the moment it is there: it is written under another name, then linked. And it names a
 * process by its pid and its start, so that neither another process with that pid nor a reboot keeps it for ever.
 * Returns what gives it back.
 * @throws CdcError made by `refusal` when another process that is alive holds it
 */
export async function lockFile(path: string, refusal: (owner: number) => CdcError): Promise<() => Promise<void>> {
  const own = `${path}.${process.pid}`;
  if (heldPaths.has(path)) throw refusal(process.pid);
  heldPaths.add(path);
  try {
    const name = await processIdentity(process.pid);
    await writeFile(own, name);
    while (!(await tryLink(own, path))) {
      const owner = await readFile(path, 'utf8').catch(undefinedIfMissing);
      if (owner === undefined) continue; // it was given back just now
      const pid = Number.parseInt(owner, 10);
      const alive = await processIdentity(pid);
      // One of our own name was left by a process that had our pid in an earlier container.
      if (alive !== '' && alive === owner && owner !== name) throw refusal(pid);
      await removeStaleLock(path, own, owner);
    }
  } catch (error) {
    heldPaths.delete(path);
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
    heldPaths.delete(path);
  };
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function tryLink(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock of a process that is gone. One rival at a time may do so, and only if the lock is still that one:
 * else it would be the lock that another has put there meanwhile.
 */
async function removeStaleLock(path: string, own: string, owner: string): Promise<void> {
  const guard = `${path}.takeover`;
  if (!(await tryLink(own, guard))) {
    const guardian = (await readFile(guard, 'utf8').catch(undefinedIfMissing)) ?? '';
    const alive = await processIdentity(Number.parseInt(guardian, 10));
    // Whoever died while it held the guard was killed within a millisecond.
    if (guardian !== '' && alive !== guardian) await rm(guard, { force: true });
    else await sleep(5);
    return;
  }
  try {
    if ((await readFile(path, 'utf8').catch(undefinedIfMissing)) === owner) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

/** A process by pid and start: the 22nd field of /proc/PID/stat on Linux; by pid alone elsewhere. Empty when it is gone. */
async function processIdentity(pid: number): Promise<string> {
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
