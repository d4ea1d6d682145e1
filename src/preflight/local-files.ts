import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { error, type Finding } from '../model/finding.ts';

/** Whether the checkpoint can be written: beside the file, then renamed over it. A missing folder is made on run. */
export function checkCheckpointFile(file: string): Finding[] {
  const why =
    failureReason(() => {
      const found = statSync(file, { throwIfNoEntry: false });
      if (found && !found.isFile()) throw new Error('it is not a file');
      if (found) accessSync(file, constants.R_OK | constants.W_OK);
    }) ?? whyNotWritable(dirname(file));
  if (why === undefined) return [];
  const fix = 'correct checkpoint.file, or the owner and mode of its folder';
  return [error(`the checkpoint ${file} cannot be written`, why, fix)];
}

/** Whether dead letters could be written: better known now than with the first one. */
export function checkDeadLetterFolder(folder: string): Finding[] {
  const why = whyNotWritable(folder);
  if (why === undefined) return [];
  const fix = 'correct dead_letter.directory, or the owner and mode of the folder';
  return [error(`dead letters cannot be written to ${folder}`, why, fix)];
}

/** Why no file can be made in the folder, or in the one above in which it would be made; undefined if one can. */
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
