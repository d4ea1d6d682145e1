import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { error, type Problem } from './problem.ts';

/** Whether the checkpoint can be written: beside the file, then renamed over it. A missing folder is made on run. */
export function checkCheckpointFile(file: string): Problem[] {
  const bad = (why: string) => [
    error(
      `the checkpoint ${file} cannot be written`,
      why,
      'correct checkpoint.file, or the owner and mode of its folder',
    ),
  ];
  try {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found && !found.isFile()) return bad('it is not a file');
    if (found) accessSync(file, constants.R_OK | constants.W_OK);
    const folder = nearestFolder(dirname(file));
    if (!statSync(folder).isDirectory()) return bad(`${folder} is not a folder`);
    accessSync(folder, constants.W_OK | constants.X_OK);
    return [];
  } catch (thrown) {
    return bad((thrown as Error).message);
  }
}

function nearestFolder(folder: string): string {
  return statSync(folder, { throwIfNoEntry: false }) || dirname(folder) === folder
    ? folder
    : nearestFolder(dirname(folder));
}
