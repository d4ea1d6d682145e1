import { accessSync, constants, statSync } from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isMountError, MOUNT_FOLDER_HINT } from '../checkpoint/checkpoint-file.ts';
import { error, type Finding, transientError } from '../model/finding.ts';
import { clearsByItself, followLinks, fsyncDirectory, writeFileAtomic, writeHint } from '../runtime/durable-file.ts';

/**
 * Whether the checkpoint can be written, as `cdc run` writes it, and locked, which needs hard links. `cdc run` creates
 * a missing folder. A checkpoint that exists is not replaced, for a daemon can be writing it. It is linked instead: the
 * system denies that where it denies to replace the file, as where it is mounted alone.
 */
export async function checkCheckpointFile(file: string): Promise<Finding[]> {
  const failure = await failureOf(async () => {
    const target = await followLinks(file);
    const existing = statSync(target, { throwIfNoEntry: false });
    if (existing && !existing.isFile()) throw new Error('it is not a file');
    if (existing) accessSync(target, constants.R_OK | constants.W_OK);
    await tryToWrite(dirname(target), (probe) => link(existing ? target : probe, `${probe}.link`));
  });
  if (failure === undefined) return [];
  const fix = isMountError(failure)
    ? MOUNT_FOLDER_HINT
    : 'correct checkpoint.file, or the owner and mode of its folder, and use a file system with hard links';
  return [unwritable(`cannot write the checkpoint ${file}`, failure, fix)];
}

/** Whether dead letters can be written, so that this is known before the first one. */
export async function checkDeadLetterFolder(folder: string): Promise<Finding[]> {
  const failure = await failureOf(() => tryToWrite(folder, async () => {}));
  if (failure === undefined) return [];
  const fix = 'correct dead_letter.directory, or the owner and mode of the folder';
  return [unwritable(`cannot write dead letters to ${folder}`, failure, fix)];
}

const unwritable = (what: string, failure: NodeJS.ErrnoException, fix: string): Finding =>
  (clearsByItself(failure) ? transientError : error)(what, failure.message, writeHint(failure, fix));

/** Pipelines of one process can check one folder at the same time. */
let probes = 0;

/**
 * Does in the folder what `cdc run` does: a file is written under another name, synced and renamed, and the folder is
 * synced. Removes what it made. If the folder is missing, its nearest existing parent must allow to create it.
 * @param proceed makes `<probe>.link`, if a link is needed
 */
async function tryToWrite(folder: string, proceed: (probe: string) => Promise<void>): Promise<void> {
  const nearest = nearestFolder(folder);
  if (!statSync(nearest).isDirectory()) throw new Error(`${nearest} is not a folder`);
  accessSync(nearest, constants.W_OK | constants.X_OK);
  if (nearest !== folder) return;
  const probe = join(folder, `.cdc-check.${process.pid}.${probes++}`);
  try {
    await writeFileAtomic(probe, `${probe}.tmp`, 'written by cdc check\n');
    await fsyncDirectory(folder);
    await proceed(probe);
  } finally {
    await rm(probe, { force: true });
    await rm(`${probe}.link`, { force: true });
  }
}

async function failureOf(attempt: () => Promise<void>): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await attempt();
    return undefined;
  } catch (thrown) {
    return thrown as NodeJS.ErrnoException;
  }
}

function nearestFolder(folder: string): string {
  return statSync(folder, { throwIfNoEntry: false }) || dirname(folder) === folder
    ? folder
    : nearestFolder(dirname(folder));
}
