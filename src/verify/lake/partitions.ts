import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CdcError } from '../../runtime/error.ts';

/** Records are divided by the first byte of the hash of their key. */
export const PARTITIONS = 256;
const BUFFER_BYTES = 32 * 1024;
const EMPTY = Buffer.alloc(0);

/** The temporary folder of one verify. It is gone when `close` has resolved. */
export class Workspace {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws CdcError if the folder for temporary files (TMPDIR) cannot be written */
  static async open(): Promise<Workspace> {
    try {
      return new Workspace(await mkdtemp(join(tmpdir(), 'cdc-verify-')));
    } catch (error) {
      throw unwritable(error as Error);
    }
  }

  partitions(name: string): Partitions {
    return new Partitions(join(this.#directory, name));
  }

  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Records in files, each file with the keys of one range of hashes, so that only one range has to be in memory. Records
 * of one key are in one file, in the order in which they were added.
 */
export class Partitions {
  readonly #path: string;
  readonly #files = new Array<number | undefined>(PARTITIONS);
  readonly #buffers = new Array<Buffer | undefined>(PARTITIONS);
  readonly #used = new Uint32Array(PARTITIONS);

  constructor(path: string) {
    this.#path = path;
  }

  /** @param partition the first byte of the hash */
  add(partition: number, head: Buffer, payload: Buffer = EMPTY): void {
    const length = head.length + payload.length;
    let buffer = this.#buffers[partition];
    if (buffer === undefined) this.#buffers[partition] = buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    let used = this.#used[partition] as number;
    if (used + length > BUFFER_BYTES) {
      this.#flush(partition);
      used = 0;
      if (length > BUFFER_BYTES) {
        this.#write(partition, head);
        this.#write(partition, payload);
        return;
      }
    }
    head.copy(buffer, used);
    payload.copy(buffer, used + head.length);
    this.#used[partition] = used + length;
  }

  /** All records of a partition. */
  read(partition: number): Buffer {
    this.#flush(partition);
    return this.#files[partition] === undefined ? EMPTY : readFileSync(this.#fileName(partition));
  }

  /** Drops the records of a partition that nobody needs any more. */
  drop(partition: number): void {
    this.#used[partition] = 0;
    this.#buffers[partition] = undefined;
    const file = this.#files[partition];
    if (file === undefined) return;
    closeSync(file);
    this.#files[partition] = undefined;
    rmSync(this.#fileName(partition), { force: true });
  }

  close(): void {
    for (let i = 0; i < PARTITIONS; i++) this.drop(i);
  }

  #fileName(partition: number): string {
    return `${this.#path}-${partition}`;
  }

  #flush(partition: number): void {
    const used = this.#used[partition] as number;
    if (used === 0) return;
    this.#write(partition, (this.#buffers[partition] as Buffer).subarray(0, used));
    this.#used[partition] = 0;
  }

  #write(partition: number, bytes: Buffer): void {
    try {
      const file = (this.#files[partition] ??= openSync(this.#fileName(partition), 'a'));
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    } catch (error) {
      throw unwritable(error as Error);
    }
  }
}

const unwritable = (cause: Error): CdcError =>
  new CdcError('cannot write the temporary files of verify', {
    why: cause.message,
    hint: 'give it space: set TMPDIR to a folder with about 100 bytes for each event of the lake; or verify fewer tables',
    cause,
  });
