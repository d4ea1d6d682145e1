import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Client } from 'pg';
import { CdcError } from '../../../runtime/error.ts';
import type { CopyOptions } from './copy-options.ts';
import { COLUMNS_SQL, copiedColumns, insertSql } from './copy-sql.ts';
import { type CopyLine, jsonObjects } from './json-objects.ts';

/** Where a COPY goes: a server of PostgreSQL's protocol, and a table in it. */
export interface CopyTarget {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  /** As SQL. */
  table: string;
  columns: readonly string[] | undefined;
  options: CopyOptions;
}

/** A line that could not be loaded. */
export interface RejectedLine {
  file: string;
  line: number;
  reason: string;
}

export interface CopyResult {
  rows: number;
  /** Fewer than MAXERROR. */
  rejected: RejectedLine[];
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Characters of one INSERT. A part that fails is halved until the line is found. */
const PART_LENGTH = 1024 * 1024;
/** SQLSTATE classes of what a value can be at fault for: data exception, integrity constraint violation. */
const FAULTS_OF_DATA = ['22', '23'];

const unpack = promisify(gunzip);

/**
 * Copies files into the table, all of them or nothing.
 * @throws CdcError for the line at which MAXERROR is reached; an error of `pg` or of the file system for all else
 */
export async function copyFiles(target: CopyTarget, files: readonly string[]): Promise<CopyResult> {
  const { default: pg } = await import('pg');
  const { host, port, database, user, password, table, options } = target;
  const client = new pg.Client({
    ...{ host, port, database, user, password },
    application_name: 'cdc firehose',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  client.on('error', () => {}); // the statement that runs fails with it
  await client.connect();
  try {
    await client.query("BEGIN; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, MDY'");
    const { rows: columns } = await client.query(COLUMNS_SQL, [table]);
    if (columns.length === 0) throw new Error(`relation ${table} does not exist`);
    const sql = insertSql(table, copiedColumns(columns, target.columns), options);
    const loading = new Loading(client, sql, options.maxErrors);
    for (const file of files) await loading.load(file, await readObject(file), options.invalidCharacter);
    await client.query('COMMIT');
    return loading;
  } finally {
    await client.end().catch(() => {});
  }
}

async function readObject(file: string): Promise<Buffer> {
  const bytes = await readFile(file);
  return file.endsWith('.gz') ? unpack(bytes) : bytes;
}

type ObjectLine = Extract<CopyLine, { text: string }>;

class Loading implements CopyResult {
  rows = 0;
  readonly rejected: RejectedLine[] = [];
  readonly #client: Client;
  readonly #sql: string;
  readonly #maxErrors: number;

  constructor(client: Client, sql: string, maxErrors: number) {
    this.#client = client;
    this.#sql = sql;
    this.#maxErrors = Math.max(1, maxErrors);
  }

  async load(file: string, bytes: Buffer, invalidCharacter: string | undefined): Promise<void> {
    let part: ObjectLine[] = [];
    let length = 0;
    for (const line of jsonObjects(bytes, invalidCharacter)) {
      if ('problem' in line) {
        this.#reject(file, line.line, line.problem);
        continue;
      }
      part.push(line);
      length += line.text.length;
      if (length < PART_LENGTH) continue;
      await this.#insert(file, part);
      part = [];
      length = 0;
    }
    if (part.length > 0) await this.#insert(file, part);
  }

  async #insert(file: string, lines: readonly ObjectLine[]): Promise<void> {
    await this.#client.query('SAVEPOINT part');
    try {
      const { rowCount } = await this.#client.query(this.#sql, [`[${lines.map(({ text }) => text).join(',')}]`]);
      await this.#client.query('RELEASE SAVEPOINT part');
      this.rows += rowCount ?? 0;
      return;
    } catch (error) {
      const { code = '', message, detail } = error as { code?: string; message: string; detail?: string };
      if (!FAULTS_OF_DATA.includes(code.slice(0, 2))) throw error;
      await this.#client.query('ROLLBACK TO SAVEPOINT part');
      if (lines.length === 1) {
        this.#reject(file, lines[0]!.line, detail === undefined ? message : `${message} (${detail})`);
        return;
      }
    }
    const half = lines.length >> 1;
    await this.#insert(file, lines.slice(0, half));
    await this.#insert(file, lines.slice(half));
  }

  #reject(file: string, line: number, reason: string): void {
    this.rejected.push({ file, line, reason });
    if (this.rejected.length < this.#maxErrors) return;
    throw new CdcError(`line ${line} of ${file} cannot be loaded`, { why: reason });
  }
}
