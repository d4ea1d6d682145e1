import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { error, type Finding } from '../model/finding.ts';

/**
 * Whether the checkpoint can be written: a temporary file in the same folder is renamed to it. `cdc run` creates a
 * missing folder.
 */
export function checkCheckpointFile(file: string): Finding[] {
  const why =
    failureReason(() => {
      const existing = statSync(file, { throwIfNoEntry: false });
      if (existing && !existing.isFile()) throw new Error('it is not a file');
      if (existing) accessSync(file, constants.R_OK | constants.W_OK);
    }) ?? whyNotWritable(dirname(file));
  if (why === undefined) return [];
  const fix = 'correct checkpoint.file, or the owner and mode of its folder';
  return [error(`cannot write the checkpoint ${file}`, why, fix)];
}

/** Whether dead letters can be written, so that this is known before the first one. */
export function checkDeadLetterFolder(folder: string): Finding[] {
  const why = whyNotWritable(folder);
  if (why === undefined) return [];
  const fix = 'correct dead_letter.directory, or the owner and mode of the folder';
  return [error(`cannot write dead letters to ${folder}`, why, fix)];
}

/**
 * Why no file can be created in the folder, or, if it is missing, in its nearest existing parent; undefined if one can.
 */
function whyNotWritable(folder: string): string | undefined {
  return failureReason(() => {
    const nearest = nearestFolder(folder);
    if (!statSync(nearest).isDirectory()) throw new Error(`${nearest} is not a folder`);
    accessSync(nearest, constants.W_OK | constants.X_OK);
  });
}

function failureReason(attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

function nearestFolder(folder: string): string {
  return statSync(folder, { throwIfNoEntry: false }) || dirname(folder) === folder
    ? folder
    : nearestFolder(dirname(folder));
}
