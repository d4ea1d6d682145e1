import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { RowDataPacket } from 'mysql2/promise';
import { quoteIdentifier } from '../model/identifier.ts';
import type { SourceConnection } from '../model/source-connection.ts';
import { CdcError } from '../runtime/error.ts';
import { isPasswordRejected, openConnection } from '../secrets/open-connection.ts';
import type { Checkpoint } from './checkpoint.ts';
import { formatCheckpoint, parseCheckpoint } from './checkpoint-format.ts';
import {
  type CheckpointStore,
  type Lease,
  type LeaseHolder,
  NOTHING_STORED,
  type StoredState,
} from './checkpoint-store.ts';
import { LeaseSession } from './lease-session.ts';

export interface MysqlStoreOptions {
  connection: SourceConnection;
  schema: string;
  table: string;
}

/** In the source itself, each save is a transaction that the daemon then reads. */
const SAVE_INTERVAL_MS = { busy: 1_000, idle: 10_000 };

const NO_SUCH_DATABASE = 1049;
const NO_SUCH_TABLE = 1146;
/** ER_DBACCESS_DENIED: for CREATE DATABASE, if the schema is missing. */
const SCHEMA_DENIED = 1044;
/** ER_BAD_FIELD_ERROR, ER_NON_INSERTABLE_TABLE, ER_NON_UPDATABLE_TABLE: the table is another one, or a view. */
const NOT_OURS: ReadonlySet<unknown> = new Set([1054, 1288, 1471]);
/** ER_DBACCESS_DENIED, ER_ACCESS_DENIED, ER_TABLEACCESS_DENIED, ER_COLUMNACCESS_DENIED, ER_SPECIFIC_ACCESS_DENIED. */
const DENIED: ReadonlySet<unknown> = new Set([1044, 1045, 1142, 1143, 1227]);

/**
 * A row of a table in MySQL or MariaDB. The lease is a named lock (GET_LOCK) of a session that the server closes once
 * it was silent for `LEASE_TTL_MS`: to renew it is a SELECT, so that nothing is written while nothing changes. The
 * generation in the row fences the holders before.
 */
export class MysqlStore implements CheckpointStore {
  readonly location: string;
  readonly saveIntervalMs = SAVE_INTERVAL_MS;
  readonly #name: string;
  readonly #options: MysqlStoreOptions;
  readonly #table: string;
  readonly #lockName: string;
  #session: LeaseSession | undefined;
  #hasLed = false;

  constructor(name: string, options: MysqlStoreOptions) {
    const { connection, schema, table } = options;
    this.location = `mysql://${connection.host}:${connection.port}/${schema}.${table}`;
    this.#name = name;
    this.#options = options;
    this.#table = `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
    // A name of a lock has up to 64 characters.
    const place = JSON.stringify([schema, table, name]);
    this.#lockName = `cdc:${createHash('sha256').update(place).digest('hex').slice(0, 40)}`;
  }

  async read(): Promise<StoredState> {
    const [row] = await this.#onSession((session) => this.#select(session, 'used_epoch, checkpoint'));
    return row === undefined ? NOTHING_STORED : this.#stateOf(row);
  }

  async holder(): Promise<LeaseHolder | undefined> {
    return this.#onSession(async (session) => {
      const [lock] = await session.query('SELECT IS_USED_LOCK(?) AS holder', [this.#lockName]);
      return lock?.holder === null ? undefined : this.#namedHolder(session);
    });
  }

  async acquire(): Promise<{ lease: Lease } | { heldBy: LeaseHolder }> {
    this.#session = this.#session?.isOpen ? this.#session : await this.#connect();
    const session = this.#session;
    return this.#guarded(async () => {
      const [lock] = await session.query('SELECT GET_LOCK(?, 0) AS got', [this.#lockName]);
      if (Number(lock?.got) !== 1) return { heldBy: await this.#namedHolder(session) };
      await this.#createTable(session);
      await session.execute(
        `INSERT INTO ${this.#table} (name, generation, host, pid, leads_since) VALUES (?, 1, ?, ?, UTC_TIMESTAMP(3))
         ON DUPLICATE KEY UPDATE generation = generation + 1, host = VALUES(host), pid = VALUES(pid),
           leads_since = VALUES(leads_since)`,
        [this.#name, hostname().slice(0, 255), process.pid],
      );
      const [row] = await this.#select(session, 'generation');
      this.#hasLed = true;
      return { lease: this.#lease(session, Number(row?.generation)) };
    });
  }

  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
  }

  #lease(session: LeaseSession, generation: number): Lease {
    // A session that has ended has no lock any more.
    const unlessEnded = async (work: () => Promise<boolean>): Promise<boolean> => {
      if (!session.isOpen) return false;
      try {
        return await this.#guarded(work);
      } catch (error) {
        if (!session.isOpen) return false;
        throw error;
      }
    };
    const write = (columns: string, values: unknown[]): Promise<boolean> =>
      unlessEnded(async () => {
        const sql = `UPDATE ${this.#table} SET ${columns} WHERE name = ? AND generation = ?`;
        // The rows that were found: mysql2 sets CLIENT_FOUND_ROWS.
        return (await session.execute(sql, [...values, this.#name, generation])) === 1;
      });
    return {
      generation,
      ended: session.ended,
      renew: () =>
        unlessEnded(async () => {
          const [row] = await this.#select(session, 'generation');
          return Number(row?.generation) === generation;
        }),
      save: (checkpoint) => write(SAVED_COLUMNS, savedValues(checkpoint)),
      saveEpoch: (epoch) => write('used_epoch = ?', [epoch]),
      // The end of a session alone gives its lock free, but later, when the server has noticed it.
      release: () => session.closeAfter('SELECT RELEASE_LOCK(?)', [this.#lockName]),
    };
  }

  #stateOf(row: RowDataPacket): StoredState {
    const usedEpoch = Number(row.used_epoch);
    if (row.checkpoint === null) return { ...NOTHING_STORED, usedEpoch };
    const parsed = parseCheckpoint(String(row.checkpoint), this.#name, {
      what: `the checkpoint ${this.#name} in ${this.location}`,
      startOver: 'set its columns checkpoint and gtids to NULL, then cdc begins at source.start',
      separate: 'correct the column name of that row',
    });
    return { ...parsed, usedEpoch };
  }

  /** The server knows that its session lives; who it is stands in the row. */
  async #namedHolder(session: LeaseSession): Promise<LeaseHolder> {
    const [row] = await this.#select(session, 'host, pid');
    const { host, pid } = { host: String(row?.host ?? 'another host'), pid: Number(row?.pid ?? 0) };
    // A session of this process that the server has not ended yet, or a row that its holder has not written yet.
    const isUnknown = pid === process.pid && host === hostname().slice(0, 255) && this.#hasLed;
    return { host, pid: isUnknown ? 0 : pid, isCertain: true };
  }

  async #select(session: LeaseSession, columns: string): Promise<RowDataPacket[]> {
    try {
      return await session.query(`SELECT ${columns} FROM ${this.#table} WHERE name = ?`, [this.#name]);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** Made once. `IF NOT EXISTS` alone would write a statement to the binlog at each start. */
  async #createTable(session: LeaseSession): Promise<void> {
    const exists = await session.query(`SELECT 1 FROM ${this.#table} LIMIT 0`).then(
      () => true,
      (error) => {
        if (isMissing(error)) return false;
        throw error;
      },
    );
    if (exists) return;
    const databases = await session.query('SELECT 1 FROM information_schema.schemata WHERE schema_name = ?', [
      this.#options.schema,
    ]);
    if (databases.length === 0) {
      await session.query(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(this.#options.schema)}`);
    }
    await session.query(`CREATE TABLE IF NOT EXISTS ${this.#table} (${COLUMNS}) ENGINE = InnoDB`);
  }

  /** Work on the session of the lease, or, where there is none, on one of its own. */
  async #onSession<T>(work: (session: LeaseSession) => Promise<T>): Promise<T> {
    if (this.#session?.isOpen) return this.#guarded(() => work(this.#session as LeaseSession));
    const session = await this.#connect();
    return this.#guarded(() => work(session)).finally(() => session.close());
  }

  #connect(): Promise<LeaseSession> {
    return this.#guarded(() => openConnection(this.#options.connection, (options) => LeaseSession.open(options)));
  }

  #hint(errno: number | undefined, isRejected: boolean, needsOperator: boolean): string {
    const schema = quoteIdentifier(this.#options.schema);
    if (isRejected) return 'check the user and the password of checkpoint.mysql';
    if (errno === SCHEMA_DENIED) {
      return `CREATE DATABASE ${schema}; GRANT CREATE, SELECT, INSERT, UPDATE ON ${schema}.* to the account of checkpoint.mysql.url`;
    }
    if (NOT_OURS.has(errno)) return 'name another table with checkpoint.mysql.table: this one is not of cdc';
    return needsOperator
      ? `GRANT CREATE, SELECT, INSERT, UPDATE ON ${this.#table} to the account of checkpoint.mysql.url`
      : 'cdc tries again by itself; check that the server runs, and can be written and reached from here';
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CdcError) throw error;
      const { errno, message, code } = error as { errno?: number; message: string; code?: string };
      const isRejected = isPasswordRejected(error);
      // The server can know a new password before its file or its secret has it, or the other way round.
      const isRotated = isRejected && typeof this.#options.connection.password === 'object';
      const isDenied = !isRotated && DENIED.has(errno);
      const needsOperator = isDenied || NOT_OURS.has(errno);
      throw new CdcError(`cannot use the checkpoint store ${this.location}`, {
        ...(needsOperator ? { exitCode: 3 } : { kind: 'retry' }),
        why: message || code || 'the error has no message',
        hint: this.#hint(errno, isRejected, needsOperator),
        cause: error,
      });
    }
  }
}

const COLUMNS = `
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  generation BIGINT UNSIGNED NOT NULL,
  host VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  pid BIGINT UNSIGNED NOT NULL,
  leads_since DATETIME(3) NOT NULL,
  used_epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,
  saved_at DATETIME(3) NULL,
  file VARCHAR(512) CHARACTER SET utf8mb4 NULL,
  position BIGINT UNSIGNED NULL,
  gtids LONGTEXT CHARACTER SET ascii NULL,
  checkpoint LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL`;

const SAVED_COLUMNS = 'saved_at = ?, file = ?, position = ?, gtids = ?, checkpoint = ?';

function savedValues(checkpoint: Checkpoint): unknown[] {
  const savedAt = new Date();
  const { file, position, gtids } = checkpoint;
  const inUtc = savedAt.toISOString().replace('T', ' ').replace('Z', '');
  return [inUtc, file, position, gtids, formatCheckpoint(checkpoint, savedAt)];
}

const isMissing = (error: unknown): boolean =>
  [NO_SUCH_DATABASE, NO_SUCH_TABLE].includes((error as { errno?: number }).errno ?? 0);
