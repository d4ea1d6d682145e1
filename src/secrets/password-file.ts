import { readFileSync } from 'node:fs';
import { CdcError } from '../runtime/error.ts';

/** The password in the file, without a line end after it. @throws CdcError; a rotation can be replacing the file */
export function readPasswordFile(file: string, section: string): string {
  return readConnectionFile(file, `${section}.password_file`).replace(/\r?\n$/, '');
}

/** @param key the key of the configuration that names the file */
export function readConnectionFile(file: string, key: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CdcError(`cannot read ${key} ${file}`, {
      kind: 'retry',
      why: (error as Error).message,
      hint: 'restore the file; cdc reads it for each connection',
      cause: error,
    });
  }
}
