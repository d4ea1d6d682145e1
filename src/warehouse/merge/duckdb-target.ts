import { type FileHandle, open, rm } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { loadDuckdb } from '../../lake/duckdb.ts';
import { CdcError } from '../../runtime/error.ts';
import { duckdb } from '../dialects/duckdb.ts';
import { quotedText } from '../dialects/sql-text.ts';
import { BATCH, batchColumns, type MergeTarget } from './merge-target.ts';

/** More is written to files beside the database. */
const MEMORY_LIMIT = '1GB';
const READ_BYTES = 8 * 1024 * 1024;
const LINE_END = 0x0a;

/** A database file of DuckDB. The lines of a batch go through a file beside it, which DuckDB reads in parallel. */
export class DuckdbTarget implements MergeTarget {
  readonly dialect = duckdb;
  readonly position = 'rowid';
  readonly isFilledApart = true;
  readonly location: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #stage: string;
  #file: FileHandle | undefined;
  #batches = 0;
  #longestLine = 0;

  private constructor(path: string, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.location = path;
    this.#instance = instance;
    this.#connection = connection;
    this.#stage = `${path}.batch`;
  }

  /**
   * Creates the file if it is not there. Only one process can have it open.
   * @throws CdcError if DuckDB is not installed, or the file is in use or is another one
   */
  static async open(path: string): Promise<DuckdbTarget> {
    const { DuckDBInstance } = await loadDuckdb();
    try {
      const instance = await DuckDBInstance.create(path, {
        memory_limit: MEMORY_LIMIT,
        temp_directory: `${path}.tmp`,
        preserve_insertion_order: 'false',
      });
      return new DuckdbTarget(path, instance, await instance.connect());
    } catch (error) {
      const { message } = error as Error;
      const isLocked = /Could not set lock|Conflicting lock/i.test(message);
      throw new CdcError(`cannot open ${path} with DuckDB`, {
        why: isLocked ? 'another process has it open, such as another cdc merge' : message.split('\n', 1)[0]!,
        hint: isLocked ? 'wait for its end, or close it' : 'name a file of DuckDB, or one that is not there yet',
        cause: error,
      });
    }
  }

  /** The name that DuckDB gives the database: a schema of the same name would be ambiguous. */
  get catalog(): string {
    return basename(this.location, extname(this.location));
  }

  async prepare(): Promise<void> {}

  async query(sql: string): Promise<unknown[][]> {
    try {
      return (await this.#connection.runAndReadAll(sql)).getRows();
    } catch (error) {
      throw engineError(error, this.location);
    }
  }

  async openBatch(): Promise<void> {
    this.#longestLine = 0;
    this.#file = await open(this.#stagePath(++this.#batches), 'w', 0o600);
  }

  async append(lines: Buffer): Promise<void> {
    for (let from = 0, to = 0; from < lines.length; from = to) {
      to = lines.indexOf(LINE_END, from) + 1;
      this.#longestLine = Math.max(this.#longestLine, to - from);
    }
    await this.#file?.writeFile(lines);
  }

  async closeBatch(): Promise<() => Promise<void>> {
    await this.#file?.close();
    this.#file = undefined;
    const path = this.#stagePath(this.#batches);
    const longest = this.#longestLine;
    return () => this.#load(path, longest);
  }

  async #load(path: string, longestLine: number): Promise<void> {
    const columns = batchColumns(duckdb)
      .split(', ')
      .map((column) => column.split(' '))
      // The lines were checked, and a cast to JSON would do that again.
      .map(([name, type]) => `${name}: '${type === 'json' ? 'VARCHAR' : type}'`)
      .join(', ');
    // Each thread has buffers of its own, and each must have room for a whole line.
    await this.query(
      `CREATE OR REPLACE TEMP TABLE ${BATCH} AS FROM read_csv(${quotedText(path)}, auto_detect = false, header = false,
         delim = E'\\x02', quote = '', escape = '', nullstr = E'\\x01', max_line_size = ${longestLine + 1},
         buffer_size = ${Math.max(READ_BYTES, 2 * longestLine + 2)}, columns = {${columns}})`,
    );
    await rm(path, { force: true });
  }

  #stagePath(batch: number): string {
    return `${this.#stage}${batch % 2}`;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    for (const batch of [0, 1]) await rm(this.#stagePath(batch), { force: true });
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

const engineError = (error: unknown, location: string): CdcError =>
  new CdcError(`DuckDB cannot run a statement of the merge in ${location}`, {
    why: (error as Error).message.split('\n').slice(0, 2).join(' '),
    cause: error,
  });
