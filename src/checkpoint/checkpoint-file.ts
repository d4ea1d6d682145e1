import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  clearsByItself,
  ensureDirectory,
  followLinks,
  fsyncDirectory,
  writeFileAtomic,
  writeHint,
} from '../runtime/durable-file.ts';
import { CdcError } from '../runtime/error.ts';
import { lockFile } from '../runtime/file-lock.ts';
import type { Checkpoint } from './checkpoint.ts';
import { formatCheckpoint, parseCheckpoint } from './checkpoint-format.ts';

/** A rename cannot replace a file that is a mount point, and a link cannot leave it. */
export const isMountError = ({ code }: NodeJS.ErrnoException): boolean => code === 'EBUSY' || code === 'EXDEV';
export const MOUNT_FOLDER_HINT =
  'mount the folder of the checkpoint instead of the file alone, because cdc replaces the file at each save';

/**
 * One JSON file that is written atomically: a temporary file, fsync, rename, and fsync of its folder. All of them, and
 * the lock, are where a symbolic link leads, so that two links to one file are one checkpoint.
 */
export class CheckpointFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Locks the checkpoint on this machine. Returns the release function. */
  async lock(): Promise<() => Promise<void>> {
    const target = await this.#prepare();
    const lockPath = `${target}.lock`;
    return lockFile(
      lockPath,
      (owner) =>
        new CdcError(`another cdc (process ${owner}) runs with the checkpoint ${this.path}`, {
          exitCode: 2,
          hint: `stop it, or give each pipeline its own name; if process ${owner} is not cdc, remove ${lockPath}`,
        }),
    );
  }

  /** Where the lock is. */
  async lockPath(): Promise<string> {
    return `${await followLinks(this.path)}.lock`;
  }

  /** @throws CdcError if the file is damaged or belongs to another pipeline; the file is not changed */
  async load(name: string): Promise<Checkpoint | undefined> {
    return (await this.read(name))?.checkpoint;
  }

  /** The same, and when it was saved, in milliseconds since 1970. */
  async read(name: string): Promise<{ checkpoint: Checkpoint; savedAt: number } | undefined> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new CdcError(`cannot read the checkpoint ${this.path}`, { why: (error as Error).message, cause: error });
    }
    return parseCheckpoint(text, name, {
      what: `the checkpoint ${this.path}`,
      startOver: 'move it away (but not its .epoch file), then cdc begins at source.start',
      separate: 'give each pipeline its own checkpoint.file, or restore name',
    });
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    const text = formatCheckpoint(checkpoint, new Date());
    const target = await this.#prepare();
    try {
      // Always the same name, so that a kill leaves at most one temporary file, which the next save replaces.
      await writeFileAtomic(target, `${target}.tmp`, text);
      await fsyncDirectory(dirname(target));
    } catch (error) {
      throw this.#unwritable(error as NodeJS.ErrnoException);
    }
  }

  /** Makes the folder of the file that the path leads to. Returns its path. */
  async #prepare(): Promise<string> {
    try {
      const target = await followLinks(this.path);
      await ensureDirectory(dirname(target));
      return target;
    } catch (error) {
      throw this.#unwritable(error as NodeJS.ErrnoException);
    }
  }

  #unwritable(cause: NodeJS.ErrnoException): CdcError {
    return new CdcError(`cannot write the checkpoint ${this.path}`, {
      kind: clearsByItself(cause) ? 'retry' : 'fatal',
      why: cause.message,
      hint: isMountError(cause)
        ? `${MOUNT_FOLDER_HINT}; nothing was lost`
        : writeHint(cause, 'use a folder with write permission for cdc; nothing was lost'),
      cause,
    });
  }
}
