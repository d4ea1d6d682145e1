import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Edit, edited } from '../../chaos/edit.ts';

/** A copy of the built program with edits. Returns the folder; its `dist/main.js` is the program. */
export function mutantDist(edits: readonly Edit[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-mutant-'));
  cpSync('dist', join(directory, 'dist'), { recursive: true });
  for (const name of ['node_modules', 'package.json']) symlinkSync(resolve(name), join(directory, name));
  for (const edit of edits) {
    const path = join(directory, 'dist', `${edit.file}.js`);
    writeFileSync(path, edited(readFileSync(path, 'utf8'), edit));
  }
  return directory;
}
