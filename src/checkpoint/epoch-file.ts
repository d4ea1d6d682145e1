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

/**
 * The highest epoch that a pipeline has used, in a file beside its checkpoint. It stays when the checkpoint is moved
 * away, so that `seq` keeps growing even if the first start had a clock ahead.
 */
export class EpochFile {
  readonly #checkpoint: string;

  constructor(checkpoint: string) {
    this.#checkpoint = checkpoint;
  }

  /** The highest epoch so far; 0 if there is none. @throws CdcError if the file cannot be understood */
  async load(): Promise<number> {
    const path = await this.#path();
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw new CdcError(`cannot read the epoch file ${path}`, { why: (error as Error).message, cause: error });
    }
    const epoch = /^\d{1,10}\n?$/.test(text) ? Number(text) : Number.NaN;
    if (epoch <= 0xffffffff) return epoch;
    throw new CdcError(`the epoch file ${path} is damaged`, {
      exitCode: 2,
      why: 'it does not hold a number of up to 32 bits',
      hint: 'remove it, and set source.epoch to a number above the first 8 hex digits of the highest seq in the lake',
    });
  }

  /** Saves the epoch. When it resolves, the file survives a power failure. */
  async save(epoch: number): Promise<void> {
    const path = await this.#path();
    try {
      await ensureDirectory(dirname(path));
      await writeFileAtomic(path, `${path}.tmp`, `${epoch}\n`);
      await fsyncDirectory(dirname(path));
    } catch (error) {
      throw new CdcError(`cannot write the epoch file ${path}`, {
        kind: clearsByItself(error) ? 'retry' : 'fatal',
        why: (error as Error).message,
        hint: writeHint(error, 'use a folder with write permission for cdc; nothing was lost'),
        cause: error,
      });
    }
  }

  async #path(): Promise<string> {
    return `${await followLinks(this.#checkpoint)}.epoch`;
  }
}
