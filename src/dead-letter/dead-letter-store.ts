import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ensureDirectory, fsyncDirectory, writeFileAtomic } from '../runtime/durable-file.ts';
import { CdcError } from '../runtime/error.ts';
import { type DeadLetter, parseDeadLetter, type StoredDeadLetter, serializeDeadLetter } from './dead-letter.ts';

/** A letter without its event. */
export interface ListedLetter extends Omit<StoredDeadLetter, 'event'> {
  /** Of the event. */
  bytes: number;
}

/** A file of the folder that is not what it should be. */
export interface UnreadableFile {
  file: string;
  why: string;
}

/** A letter of any pipeline, also one that is being written or whose write was cut off by a kill. */
const LETTER_NAME = /^([A-Za-z0-9_.-]{1,64})\.([0-9a-f]{36})\.json(\.\d+\.tmp)?$/;
/** What a file takes on the disk at least, and is counted as: in whole blocks. */
const BLOCK = 4096;
/** No write takes this long: a temporary file of this age was left by a kill. */
const ABANDONED_MS = 3_600_000;

/**
 * The dead letters of one pipeline: a file for each, named by the event's seq. So the daemon that writes an event again
 * after a crash writes the same file, and neither it nor a command needs to know of the other.
 */
export class DeadLetterStore {
  readonly directory: string;
  readonly #pipeline: string;
  readonly #maxBytes: number;
  /** What the letters take; NaN until it has been looked up. */
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
   * Sets events aside; once it resolves they outlive a power cut.
   * @throws CdcError, fatal, when one cannot be written or there would be more than `maxBytes`
   */
  write(letters: readonly DeadLetter[]): Promise<void> {
    const at = new Date().toISOString();
    return this.#store(letters.map((letter) => ({ ...letter, at })));
  }

  /** Writes a letter anew that a retry could not deliver. */
  update(letter: StoredDeadLetter): Promise<void> {
    return this.#store([letter]);
  }

  /** The seqs of the letters, in order. */
  async ids(): Promise<string[]> {
    const found = (await this.#names()).map((name) => LETTER_NAME.exec(name));
    return found
      .filter((match) => match?.[1] === this.#pipeline && match[3] === undefined)
      .map((match) => match?.[2] as string)
      .sort();
  }

  /** The letters in order of seq, and the files that are none; nothing is touched. Other pipelines' are passed over. */
  async list(): Promise<{ letters: ListedLetter[]; strange: UnreadableFile[] }> {
    const letters: ListedLetter[] = [];
    const strange = (await this.#names())
      .filter((name) => !LETTER_NAME.test(name))
      .map((file): UnreadableFile => ({ file, why: 'it is not a dead letter of cdc' }));
    for (const seq of await this.ids()) {
      try {
        const { event, ...letter } = await this.#read(seq);
        letters.push({ ...letter, bytes: event.length });
      } catch (error) {
        // One that is gone was delivered just now.
        if (!isGone(error)) strange.push({ file: `${this.#pipeline}.${seq}.json`, why: (error as Error).message });
      }
    }
    return { letters, strange };
  }

  /** @throws CdcError when it is not there, damaged, or of another pipeline; it is left as it is */
  async read(seq: string): Promise<StoredDeadLetter> {
    try {
      return await this.#read(seq);
    } catch (error) {
      if (isGone(error)) {
        throw new CdcError(`there is no dead letter ${seq}`, {
          exitCode: 2,
          why: `${this.pathOf(seq)} is gone; it may have been delivered just now`,
          hint: 'cdc dead-letter list shows what is there',
        });
      }
      throw new CdcError(`cannot read the dead letter ${this.pathOf(seq)}`, {
        why: (error as Error).message,
        hint: 'restore it from a copy, or move it away; cdc leaves it as it is',
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
        hint: 'remove it yourself: its event was delivered, and would be again (which does no harm)',
        cause: error,
      });
    }
  }

  async #read(seq: string): Promise<StoredDeadLetter> {
    const path = this.pathOf(seq);
    // Reading a pipe would wait for ever.
    if (!(await stat(path)).isFile()) throw new Error('it is not a file');
    return parseDeadLetter(await readFile(path, 'utf8'), this.#pipeline, seq);
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.directory)).sort();
    } catch (error) {
      if (isGone(error)) return [];
      throw new CdcError(`cannot read the folder of the dead letters, ${this.directory}`, {
        why: (error as Error).message,
        hint: 'run the command as the user that the daemon runs as, and check dead_letter.directory',
        cause: error,
      });
    }
  }

  /** One at a time: what they take together is counted. */
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
        hint: 'give cdc a folder that it may write to, with space left (dead_letter.directory); nothing was lost',
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
    const text = serializeDeadLetter(this.#pipeline, letter);
    const size = onDisk(Buffer.byteLength(text));
    const growth = size - (await sizeOf(path));
    // What a command has delivered meanwhile is known only from a new look.
    if (this.#usedBytes + growth > this.#maxBytes) this.#usedBytes = await this.#measure();
    if (this.#usedBytes + growth > this.#maxBytes) throw this.#limitError(letter, size);
    await writeFileAtomic(path, `${path}.${process.pid}.tmp`, text);
    this.#usedBytes += growth;
  }

  /** What the letters take; what kills have left half written goes. */
  async #measure(): Promise<number> {
    let sum = 0;
    for (const name of await this.#names()) {
      const match = LETTER_NAME.exec(name);
      if (match?.[1] !== this.#pipeline) continue;
      const path = join(this.directory, name);
      const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: Date.now() }));
      if (match[3] !== undefined && Date.now() - mtimeMs > ABANDONED_MS) await rm(path, { force: true });
      else sum += onDisk(size);
    }
    return sum;
  }

  #limitError({ seq, table }: StoredDeadLetter, size: number): CdcError {
    return new CdcError(`the dead letters would pass dead_letter.max_bytes (${this.#maxBytes})`, {
      why: `those of "${this.#pipeline}" in ${this.directory} take ${this.#usedBytes} bytes, and the event ${seq} of ${table} would take ${size}`,
      hint: 'deliver them (cdc dead-letter retry --all), move their files away, or raise dead_letter.max_bytes; nothing was lost',
    });
  }
}

const onDisk = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => onDisk(size),
    () => 0,
  );

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
