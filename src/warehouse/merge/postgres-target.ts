import type pg from 'pg';
import { CdcError } from '../../runtime/error.ts';
import type { Dialect } from '../dialect.ts';
import { postgres } from '../dialects/postgres.ts';
import { BATCH, batchColumns, type MergeTarget } from './merge-target.ts';
import { replaceNul } from './replace-nul.ts';

const CONNECT_TIMEOUT_MS = 30_000;
/** The key of the advisory lock: the bytes of `cdcmerge`. */
const LOCK_KEY = 0x6364_636d_6572_6765n;

/** PostgreSQL, or what speaks its protocol. */
export class PostgresTarget implements MergeTarget {
  readonly dialect: Dialect;
  readonly isFilledApart = false;
  readonly location: string;
  readonly #client: pg.Client;

  private constructor(client: pg.Client, location: string, dialect: Dialect) {
    this.dialect = dialect;
    this.#client = client;
    this.location = location;
  }

  /** @throws CdcError if the server does not answer, or refuses the account */
  static async open(url: string, dialect: Dialect = postgres): Promise<PostgresTarget> {
    const { default: pg } = await import('pg');
    const location = locationOf(url);
    const client = new pg.Client({
      connectionString: url.replace(/^redshift:/, 'postgres:'),
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'cdc merge',
      keepAlive: true,
    });
    // A connection that is lost between two queries fails the next one.
    client.on('error', () => {});
    try {
      await client.connect();
    } catch (error) {
      throw new CdcError(`cannot connect to ${location}`, {
        why: (error as Error).message || (error as NodeJS.ErrnoException).code || 'no answer',
        hint: 'check host, port, account and password of --into; the password can be in PGPASSWORD',
        cause: error,
      });
    }
    return new PostgresTarget(client, location, dialect);
  }

  /** Takes the lock of the database. Redshift has none, and keeps transactions apart by itself. */
  async prepare(): Promise<void> {
    for (const sql of this.dialect.session ?? []) await this.query(sql);
    if (this.dialect !== postgres) return;
    const [[isFree] = []] = await this.query(`SELECT pg_try_advisory_lock(${LOCK_KEY})`);
    if (isFree !== true) {
      throw new CdcError(`another cdc merge runs in ${this.location}`, { hint: 'wait for its end' });
    }
    const [[version] = []] = await this.query("SELECT current_setting('server_version_num')::int");
    if (Number(version) < 150_000) {
      throw new CdcError(`the server at ${this.location} is too old`, {
        why: `it is PostgreSQL ${Math.floor(Number(version) / 10_000)}, and MERGE came with 15`,
        hint: 'use PostgreSQL 15 or later',
      });
    }
  }

  async query(sql: string): Promise<unknown[][]> {
    try {
      const { rows } = await this.#client.query({ text: sql, rowMode: 'array' });
      return rows ?? [];
    } catch (error) {
      throw engineError(error, this.location);
    }
  }

  async openBatch(): Promise<void> {
    await this.query(`CREATE TEMP TABLE ${BATCH} (${batchColumns(this.dialect)}) ON COMMIT DROP`);
  }

  async append(lines: Buffer): Promise<void> {
    // As a parameter in the binary format of text, its own bytes.
    const text = replaceNul(lines.subarray(0, lines.length - 1));
    try {
      await this.#client.query(INSERT_LINES, [text]);
    } catch (error) {
      throw engineError(error, this.location);
    }
  }

  async closeBatch(): Promise<() => Promise<void>> {
    return async () => {
      await this.query(`ANALYZE ${BATCH}`);
    };
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}

const part = (n: number): string => `split_part(l, E'\\x02', ${n})`;
const INSERT_LINES = `INSERT INTO ${BATCH}
  SELECT ${part(1)}, ${part(2)}, ${part(3)}, ${part(4)}, ${part(5)}::boolean, ${part(6)}::json
  FROM string_to_table($1::text, E'\\n') AS l`;

/** The URL without its password, and without parameters, which can hold one. */
export function locationOf(url: string): string {
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === '' ? '' : `${username}@`}${host}${pathname}`;
}

function engineError(error: unknown, location: string): CdcError {
  const { message, code, detail } = error as Error & { code?: string; detail?: string };
  const hint =
    code === '42501' ? 'grant the account CREATE on the database and its schemas, or use the owner' : undefined;
  return new CdcError(`${location} refuses a statement of the merge`, {
    why: [message, detail].filter(Boolean).join(': '),
    ...(hint && { hint }),
    cause: error,
  });
}
