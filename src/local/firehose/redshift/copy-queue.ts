import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exponentialBackoff } from '../../../runtime/backoff.ts';
import { type CopyResult, type CopyTarget, copyFiles } from './copy.ts';
import { forgetPendingCopy, type PendingCopy } from './pending-copies.ts';

export interface CopyQueueOptions {
  stream: string;
  target: CopyTarget;
  /** How long a COPY that fails is tried again. Then its objects are listed in a manifest. */
  retrySeconds: number;
  /** The folder of the lake, and of the spool. */
  folders: { lake: string; spool: string };
  /** The path of a manifest below the lake that is written now. */
  manifestName: () => string;
  /** The name of the bucket in a manifest. */
  bucket: string;
  log: (line: string) => void;
}

/** Objects of one COPY. Those that arrive meanwhile are for the next. */
const MAX_OBJECTS = 50;
const BACKOFF = { baseMs: 500, maxMs: 30_000 };
const REASONS_SHOWN = 3;
/** A COPY can wait for a table that somebody has locked. */
const CLOSE_LIMIT_MS = 30_000;

/**
 * Copies the objects of one stream into its table, in the order of their arrival, one COPY at a time. A COPY is one
 * transaction; if the process dies between its end and the note of it, the next process copies the objects again.
 */
export class CopyQueue {
  readonly #options: CopyQueueOptions;
  readonly #pending: PendingCopy[] = [];
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;
  #closing = false;
  /** Ends the wait before the next attempt. */
  #wake = () => {};

  constructor(options: CopyQueueOptions) {
    this.#options = options;
  }

  add(...copies: PendingCopy[]): void {
    this.#pending.push(...copies);
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  /** Copies all that waits, with one attempt for what fails. Returns what stays noted in the spool. Never rejects. */
  async close(): Promise<readonly PendingCopy[]> {
    this.#closing = true;
    this.#wake();
    const limit = new AbortController();
    const waited = sleep(CLOSE_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => {});
    await Promise.race([this.#running, waited]);
    limit.abort();
    const { stream, log } = this.#options;
    if (this.#pending.length > 0) {
      log(`${stream}: not copied yet: ${objects(this.#pending)}. The next stream of this name copies them`);
    }
    return this.#pending;
  }

  async #run(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        const batch = this.#pending.slice(0, MAX_OBJECTS);
        if (!(await this.#copyWithRetries(batch))) return;
        this.#pending.splice(0, batch.length);
      }
    } catch (error) {
      const { stream, log } = this.#options;
      log(`${stream}: cannot keep account of its copies: ${(error as Error).message}; the next object tries again`);
    } finally {
      // At once with the end of the loop, so that no object arrives between them.
      this.#isRunning = false;
    }
  }

  /** Returns whether the objects are done with: copied, or listed in a manifest. */
  async #copyWithRetries(batch: readonly PendingCopy[]): Promise<boolean> {
    const { folders, stream, target, retrySeconds, log } = this.#options;
    const there = batch.filter(({ object }) => existsSync(join(folders.lake, object)));
    for (const { object } of batch.filter((copy) => !there.includes(copy))) {
      log(`${stream}: ${object} is not in the lake any more, so it is not copied`);
    }
    const files = there.map(({ object }) => join(folders.lake, object));
    const deadline = Date.now() + retrySeconds * 1000;
    let shown = '';
    for (let attempt = 0; files.length > 0; attempt++) {
      try {
        const result = await copyFiles(target, files);
        log(`${stream}: copied ${objects(there)} into ${target.table}, rows: ${result.rows}${leftOut(result)}`);
        break;
      } catch (error) {
        const why = reasonOf(error);
        if (Date.now() >= deadline) {
          await this.#writeManifest(there, why);
          break;
        }
        if (why !== shown)
          log(`${stream}: COPY into ${target.table} failed: ${why}; trying again for ${retrySeconds} s`);
        shown = why;
        if (this.#closing) return false;
        await this.#wait(Math.min(exponentialBackoff(attempt, BACKOFF), deadline - Date.now()));
      }
    }
    for (const copy of batch) await forgetPendingCopy(folders.spool, copy);
    return true;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The manifest has the format of Redshift's COPY … MANIFEST, for a backfill by hand. */
  async #writeManifest(copies: readonly PendingCopy[], why: string): Promise<void> {
    const { folders, manifestName, bucket, stream, target, log } = this.#options;
    const name = manifestName();
    const path = join(folders.lake, name);
    const entries = copies.map(({ object }) => ({ url: `s3://${bucket}/${object}`, mandatory: true }));
    const temporary = join(folders.spool, `${randomUUID()}.manifest`);
    await writeFile(temporary, `${JSON.stringify({ entries })}\n`);
    await mkdir(dirname(path), { recursive: true });
    await rename(temporary, path);
    log(
      `${stream}: gave up the COPY of ${objects(copies)} into ${target.table}: ${why}; they are listed in ${name}. ` +
        'Remove the cause, then put the records again, or load the objects by hand',
    );
  }
}

const objects = (copies: readonly PendingCopy[]): string =>
  copies.length === 1 ? copies[0]!.object : `${copies.length} objects up to ${copies.at(-1)!.object}`;

function leftOut({ rejected }: CopyResult): string {
  if (rejected.length === 0) return '';
  const first = rejected.slice(0, REASONS_SHOWN).map(({ line, reason }) => `line ${line}: ${reason}`);
  return `, lines left out by MAXERROR: ${rejected.length} (${first.join('; ')})`;
}

/** An error of several addresses has its reasons inside. */
function reasonOf(error: unknown): string {
  const { message, why, errors } = error as Error & { why?: string; errors?: Error[] };
  const text = message || errors?.map((one) => one.message).join(', ') || String(error);
  return why === undefined ? text : `${text}: ${why}`;
}
