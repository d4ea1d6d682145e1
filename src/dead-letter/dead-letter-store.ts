import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ensureDirectory, fsyncDirectory, writeFileAtomic } from '../runtime/durable-file.ts';
import { CdcError } from '../runtime/error.ts';
import {
  type DeadLetter,
  LARGE_FILE_BYTES,
  PIECE_BYTES,
  parseDeadLetter,
  type StoredDeadLetter,
  serializeDeadLetter,
} from './dead-letter.ts';

/** A dead letter without its event. */
export interface ListedDeadLetter extends Omit<StoredDeadLetter, 'event'> {
  /** Bytes of the event. */
  bytes: number;
}

/** A file of the directory that is not a valid dead letter. */
export interface UnreadableFile {
  file: string;
  why: string;
}

/** The file name of a dead letter of any pipeline, or of a temporary file of a write in progress or after a kill. */
const FILE_NAME = /^([A-Za-z0-9_.-]{1,64})\.([0-9a-f]{36})\.json(\.\d+\.tmp)?$/;
/** A file occupies whole blocks on the disk, and counts in whole blocks. */
const BLOCK_BYTES = 4096;
/** No write takes this long. An older temporary file was left by a kill. */
const ABANDONED_AFTER_MS = 3_600_000;

/**
 * The dead letters of one pipeline: one file for each, named by the event's seq. If the daemon writes an event again
 * after a crash, it writes the same file. The daemon and the commands therefore need no coordination.
 */
export class DeadLetterStore {
  readonly directory: string;
  readonly #pipeline: string;
  readonly #maxBytes: number;
  /** The disk space of the dead letters; NaN until it is measured. */
  #usedBytes = Number.NaN;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(directory: string, pipeline: string, maxBytes: number) {
    this.directory = directory;
    this.#pipeline = pipeline;
    this.#maxBytes = maxBytes;
  }

  pathOf(seq: string): string {
    return join(this.directory, `${this.#pipeline}.${seq}.json`);
  }

  /**
   * Moves events to the dead letters. When it resolves, the files survive a power failure.
   * @throws CdcError, fatal, if a file cannot be written or would exceed `maxBytes`
   */
  write(letters: readonly DeadLetter[]): Promise<void> {
    const at = new Date().toISOString();
    return this.#store(letters.map((letter) => ({ ...letter, at })));
  }

  /** Overwrites a dead letter that a retry could not deliver. */
  update(letter: StoredDeadLetter): Promise<void> {
    return this.#store([letter]);
  }

  /** The seqs of the dead letters, in order. */
  async ids(): Promise<string[]> {
    const matches = (await this.#names()).map((name) => FILE_NAME.exec(name));
    return matches
      .filter((match) => match?.[1] === this.#pipeline && match[3] === undefined)
      .map((match) => match?.[2] as string)
      .sort();
  }

  /** The dead letters in order of seq, and the invalid files. It changes no file and skips other pipelines. */
  async list(): Promise<{ letters: ListedDeadLetter[]; unreadable: UnreadableFile[] }> {
    const letters: ListedDeadLetter[] = [];
    const unreadable = (await this.#names())
      .filter((name) => !FILE_NAME.test(name))
      .map((file): UnreadableFile => ({ file, why: 'it is not a dead letter of cdc' }));
    for (const seq of await this.ids()) {
      try {
        const { event, ...letter } = await this.#read(seq);
        letters.push({ ...letter, bytes: event.length });
      } catch (error) {
        // A missing file was delivered in the meantime.
        if (isMissing(error)) continue;
        unreadable.push({ file: `${this.#pipeline}.${seq}.json`, why: (error as Error).message });
      }
    }
    return { letters, unreadable };
  }

  /** @throws CdcError if the file is missing, damaged, or of another pipeline. The file stays unchanged. */
  async read(seq: string): Promise<StoredDeadLetter> {
    try {
      return await this.#read(seq);
    } catch (error) {
      if (isMissing(error)) {
        throw new CdcError(`there is no dead letter ${seq}`, {
          exitCode: 2,
          why: `the file ${this.pathOf(seq)} does not exist; a retry has possibly delivered it in the meantime`,
          hint: 'cdc dead-letter list shows the dead letters',
        });
      }
      throw new CdcError(`cannot read the dead letter ${this.pathOf(seq)}`, {
        why: (error as Error).message,
        hint: 'restore the file from a copy, or move it away; cdc leaves it unchanged',
        cause: error,
      });
    }
  }

  async remove(seq: string): Promise<void> {
    try {
      await rm(this.pathOf(seq), { force: true });
    } catch (error) {
      throw new CdcError(`cannot remove the dead letter ${this.pathOf(seq)}`, {
        why: (error as Error).message,
        hint: 'remove the file yourself, because its event was delivered; another retry would deliver it again, which is harmless',
        cause: error,
      });
    }
  }

  async #read(seq: string): Promise<StoredDeadLetter> {
    const path = this.pathOf(seq);
    const file = await stat(path);
    // Reading a pipe would wait forever.
    if (!file.isFile()) throw new Error('it is not a file');
    return parseDeadLetter(await readWhole(path, file.size), this.#pipeline, seq);
  }

  /** Whether the file of the dead letter takes so much memory that one is enough at a time. */
  async isLarge(seq: string): Promise<boolean> {
    return (await sizeOf(this.pathOf(seq))) > LARGE_FILE_BYTES;
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.directory)).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw new CdcError(`cannot read the directory of the dead letters, ${this.directory}`, {
        why: (error as Error).message,
        hint: 'run the command as the user of the daemon, and check dead_letter.directory',
        cause: error,
      });
    }
  }

  /** Writes one after the other, because the limit is for their sum. */
  #store(letters: readonly StoredDeadLetter[]): Promise<void> {
    const stored = this.#lastWrite.then(() => this.#storeNow(letters));
    this.#lastWrite = stored.catch(() => {});
    return stored;
  }

  async #storeNow(letters: readonly StoredDeadLetter[]): Promise<void> {
    let at = this.directory;
    try {
      if (Number.isNaN(this.#usedBytes)) await this.#prepare();
      for (const letter of letters) {
        at = this.pathOf(letter.seq);
        await this.#storeOne(letter, at);
      }
      at = this.directory;
      await fsyncDirectory(this.directory);
    } catch (error) {
      this.#usedBytes = Number.NaN;
      if (error instanceof CdcError) throw error;
      throw new CdcError(`cannot write the dead letter ${at}`, {
        why: (error as Error).message,
        hint: 'set dead_letter.directory to a writable directory with free space; nothing was lost',
        cause: error,
      });
    }
  }

  async #prepare(): Promise<void> {
    await ensureDirectory(this.directory, 0o700);
    await fsyncDirectory(dirname(this.directory));
    this.#usedBytes = await this.#measure();
  }

  async #storeOne(letter: StoredDeadLetter, path: string): Promise<void> {
    let bytes = 0;
    for (const piece of serializeDeadLetter(this.#pipeline, letter)) bytes += Buffer.byteLength(piece);
    const size = onDisk(bytes);
    const growth = size - (await sizeOf(path));
    // A command can have removed dead letters since the last measurement.
    if (this.#usedBytes + growth > this.#maxBytes) this.#usedBytes = await this.#measure();
    if (this.#usedBytes + growth > this.#maxBytes) throw this.#limitError(letter, size);
    const pieces = serializeDeadLetter(this.#pipeline, letter);
    const text = letter.event.length > PIECE_BYTES ? pieces : [...pieces].join('');
    await writeFileAtomic(path, `${path}.${process.pid}.tmp`, text);
    this.#usedBytes += growth;
  }

  /** The disk space of the dead letters. It also removes abandoned temporary files. */
  async #measure(): Promise<number> {
    let sum = 0;
    for (const name of await this.#names()) {
      const match = FILE_NAME.exec(name);
      if (match?.[1] !== this.#pipeline) continue;
      const path = join(this.directory, name);
      const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: Date.now() }));
      if (match[3] !== undefined && Date.now() - mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
      else sum += onDisk(size);
    }
    return sum;
  }

  #limitError({ seq, table }: StoredDeadLetter, size: number): CdcError {
    return new CdcError(`the dead letters would exceed dead_letter.max_bytes (${this.#maxBytes})`, {
      why: `the dead letters of "${this.#pipeline}" in ${this.directory} take ${this.#usedBytes} bytes, and the event ${seq} of ${table} needs ${size}`,
      hint: 'deliver them (cdc dead-letter retry --all), move their files away, or raise dead_letter.max_bytes; nothing was lost',
    });
  }
}

const onDisk = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

/** `readFile` reads no file of more than 2 GiB. */
async function readWhole(path: string, size: number): Promise<Buffer> {
  if (size <= LARGE_FILE_BYTES) return readFile(path);
  const content = Buffer.allocUnsafeSlow(size);
  const handle = await open(path, 'r');
  try {
    for (let at = 0; at < size; ) {
      const { bytesRead } = await handle.read(content, at, Math.min(size - at, READ_BYTES), at);
      if (bytesRead === 0) return content.subarray(0, at);
      at += bytesRead;
    }
    return content;
  } finally {
    await handle.close();
  }
}

const READ_BYTES = 64 * 1024 * 1024;

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => onDisk(size),
    () => 0,
  );

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
