import { link, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { clearsByItself, writeHint } from './durable-file.ts';
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
      // A lock with our own identity was left by a process that had our pid in an earlier container.
      if (owner !== self && (await isRunning(owner, pid))) throw heldBy(pid);
      await removeStaleLock(path, ownPath, owner);
    }
  } catch (error) {
    heldPaths.delete(path);
    if (error instanceof CdcError) throw error;
    throw new CdcError(`cannot write the lock ${path}`, {
      kind: clearsByItself(error) ? 'retry' : 'fatal',
      why: (error as Error).message,
      hint: writeHint(error, 'use a folder with write permission for cdc, on a file system with hard links'),
      cause: error,
    });
  } finally {
    await rm(ownPath, { force: true });
  }
  return async () => {
    // Somebody can have removed the lock, and another process can have it by now.
    if ((await lockState(path))?.owner === 'ours') await rm(path, { force: true });
    heldPaths.delete(path);
  };
}

/** A lock file as it is. */
export interface LockState {
  pid: number;
  /**
   * - ours: this process holds it
   * - running, gone: whether its process runs, which is known of this machine
   * - elsewhere: a process of another machine, of another container, or from before the last boot
   */
  owner: 'ours' | 'running' | 'gone' | 'elsewhere';
  /** Changes whenever the lock is acquired, and with `touchLock`. */
  version: string;
}

/** The state of a lock; undefined if nobody has it. */
export async function lockState(path: string): Promise<LockState | undefined> {
  const text = await readFile(path, 'utf8').catch(undefinedIfMissing);
  const stats = await stat(path).catch(undefinedIfMissing);
  if (text === undefined || stats === undefined) return undefined;
  const pid = Number.parseInt(text, 10);
  return { pid, owner: await ownerOf(path, text, pid), version: `${text}${stats.mtimeMs}` };
}

async function ownerOf(path: string, text: string, pid: number): Promise<LockState['owner']> {
  if (await isElsewhere(text)) return 'elsewhere';
  if (heldPaths.has(path) && text === (await processIdentity(process.pid))) return 'ours';
  return (await isRunning(text, pid)) ? 'running' : 'gone';
}

/** Shows to other machines that the owner of a lock runs. */
export async function touchLock(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
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
    const runs = await isRunning(guardOwner, Number.parseInt(guardOwner, 10));
    // A process that died while it held the guard was killed within the millisecond that this takes.
    if (guardOwner !== '' && !runs) await rm(guard, { force: true });
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
 * Identifies a process by its pid, its start time (field 22 of /proc/PID/stat) and its place on Linux, and by its pid
 * elsewhere. Empty if the process does not run.
 */
async function processIdentity(pid: number): Promise<string> {
  if (!Number.isInteger(pid) || pid < 1) return '';
  if (process.platform === 'linux') {
    const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    const startTime = fields[19];
    // A process that has died, and that its parent has not waited for, runs no more.
    if (/^[ZX]/.test(fields[0] ?? '')) return '';
    return startTime === undefined ? '' : `${`${pid} ${startTime} ${await thisPlace()}`.trimEnd()}\n`;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return '';
  }
  return `${pid}\n`;
}

/** Whether the process of a lock runs here. A lock of cdc 0.1.0, or of a process that sees no place, names none. */
async function isRunning(text: string, pid: number): Promise<boolean> {
  const running = await processIdentity(pid);
  if (running === '' || (await isElsewhere(text))) return false;
  return withoutPlace(running) === withoutPlace(text);
}

async function isElsewhere(text: string): Promise<boolean> {
  const [place, here] = [placeOf(text), await thisPlace()];
  return place !== '' && here !== '' && place !== here;
}

const placeOf = (text: string): string => text.trimEnd().split(' ')[2] ?? '';
const withoutPlace = (text: string): string => `${text.trimEnd().split(' ').slice(0, 2).join(' ')}\n`;

let place: Promise<string> | undefined;

/**
 * Where pids have a meaning: this boot of this machine, and the PID namespace. Empty where that is not known, such as
 * in a sandbox that hides a part of /proc.
 */
function thisPlace(): Promise<string> {
  place ??= Promise.all([readFile('/proc/sys/kernel/random/boot_id', 'utf8'), readlink('/proc/self/ns/pid')])
    .then(([boot, namespace]) => `${boot.trim()}/${namespace.replace(/\D/g, '')}`)
    .catch(() => '');
  return place;
}
