import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CdcError } from './error.ts';

/** How long to wait for another process that takes over the same lock. */
const GUARD_POLL_MS = 5;

/** Locks that this process holds or is acquiring. */
const heldPaths = new Set<string>();

/**
 * Acquires a lock that is exclusive on this machine. Returns the release function. The lock of a process that no longer
 * runs is taken over. A lock file never exists without its owner: it is written under another name, then linked. It
 * identifies the owner by pid and start time, so that another process with the same pid, or a reboot, does not keep it.
 * @param heldBy makes the error for a lock that another running process holds
 * @throws CdcError if the lock is held or cannot be written
 */
export async function lockFile(path: string, heldBy: (owner: number) => CdcError): Promise<() => Promise<void>> {
  const ownPath = `${path}.${process.pid}`;
  if (heldPaths.has(path)) throw heldBy(process.pid);
  heldPaths.add(path);
  try {
    const self = await processIdentity(process.pid);
    await writeFile(ownPath, self);
    while (!(await tryLink(ownPath, path))) {
      const owner = await readFile(path, 'utf8').catch(undefinedIfMissing);
      if (owner === undefined) continue; // the lock was released in between
      const pid = Number.parseInt(owner, 10);
      const running = await processIdentity(pid);
      // A lock with our own identity was left by a process that had our pid in an earlier container.
      if (running !== '' && running === owner && owner !== self) throw heldBy(pid);
      await removeStaleLock(path, ownPath, owner);
    }
  } catch (error) {
    heldPaths.delete(path);
    if (error instanceof CdcError) throw error;
    throw new CdcError(`cannot write the lock ${path}`, {
      why: (error as Error).message,
      hint: 'use a folder with write permission for cdc, on a file system with hard links',
      cause: error,
    });
  } finally {
    await rm(ownPath, { force: true });
  }
  return async () => {
    await rm(path, { force: true });
    heldPaths.delete(path);
  };
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** Creates the lock file atomically; false if it already exists. */
async function tryLink(ownPath: string, path: string): Promise<boolean> {
  try {
    await link(ownPath, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock of a process that no longer runs. It closes two races. Only one process at a time can remove it,
 * under a second lock (`.takeover`). And it removes the lock only if the owner is still the stale one, because another
 * process can have removed it and acquired the lock in between.
 */
async function removeStaleLock(path: string, ownPath: string, owner: string): Promise<void> {
  const guard = `${path}.takeover`;
  if (!(await tryLink(ownPath, guard))) {
    const guardOwner = (await readFile(guard, 'utf8').catch(undefinedIfMissing)) ?? '';
    const running = await processIdentity(Number.parseInt(guardOwner, 10));
    // A process that died while it held the guard was killed within the millisecond that this takes.
    if (guardOwner !== '' && running !== guardOwner) await rm(guard, { force: true });
    else await sleep(GUARD_POLL_MS);
    return;
  }
  try {
    if ((await readFile(path, 'utf8').catch(undefinedIfMissing)) === owner) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

/**
 * Identifies a process by its pid and start time (field 22 of /proc/PID/stat) on Linux, and by its pid elsewhere. Empty
 * if the process does not run.
 */
async function processIdentity(pid: number): Promise<string> {
  if (!Number.isInteger(pid) || pid < 1) return '';
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return startTime === undefined ? '' : `${pid} ${startTime}\n`;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return '';
  }
  return `${pid}\n`;
}
