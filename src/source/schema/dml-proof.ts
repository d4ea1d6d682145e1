import type { Connection, RowDataPacket } from 'mysql2/promise';
import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import type { DmlReach, LoggedDdl } from '../binlog/binlog-handler.ts';
import { connectionError } from '../server/connection-error.ts';
import { connect, currentBinlogPosition } from '../server/server-info.ts';
import type { TableName } from '../statement/statement.ts';
import { type DdlScanOptions, scanDdl } from './ddl-scan.ts';

/** Engines whose tables keep their rows in other tables. */
const ENGINES_WITHOUT_ROWS: ReadonlySet<string> = new Set([
  'MRG_MYISAM',
  'FEDERATED',
  'SPIDER',
  'CONNECT',
  'BLACKHOLE',
]);

/** Statements after which other tables can be reached than before. */
const changesCode = (label: string): boolean => /\b(TRIGGER|FUNCTION|VIEW|PACKAGE|DATABASE)$/.test(label);
/** DDL of a table, or of code. */
const isDdl = (label: string): boolean => changesCode(label) || /^(CREATE|ALTER|DROP|RENAME) TABLE\b/.test(label);

/** Proofs that are kept. Each statement of another text can be one more. */
const PROVEN_MAX = 1_000;

/**
 * Proves that DML in the binlog wrote only the tables that it names, where the event does not say so: those are base
 * tables without triggers and cascades, and the statement calls no stored function. The server knows only its present
 * triggers and functions, so no statement since may have dropped any. What was proven once holds up to where the binlog
 * ended then, and on until the stream has DDL.
 */
export class DmlProof {
  readonly #scan: DdlScanOptions;
  /** What was proven, and up to where the binlog was read for it. */
  readonly #proven = new Map<string, Coordinates>();

  constructor(scan: DdlScanOptions) {
    this.#scan = scan;
  }

  /** The stream has passed a statement. */
  passed({ label, at }: Pick<LoggedDdl, 'label' | 'at'>): void {
    if (!isDdl(label)) return;
    for (const [key, until] of this.#proven) if (!isBefore(at, until)) this.#proven.delete(key);
  }

  isHarmless(dml: DmlReach, at: Coordinates): boolean | Promise<boolean> {
    const key = JSON.stringify([dml.writes, [...dml.calls]]);
    if (this.#proven.has(key)) return true;
    return this.#prove(dml, at).then((until) => {
      if (this.#proven.size === PROVEN_MAX) this.#proven.clear();
      if (until !== undefined) this.#proven.set(key, until);
      return until !== undefined;
    });
  }

  /** Returns up to where it is proven; undefined if it is not. */
  async #prove(dml: DmlReach, at: Coordinates): Promise<Coordinates | undefined> {
    const { connection } = this.#scan;
    const { writes, calls } = dml;
    const client = await connect(connection);
    try {
      if (!(await seesAllCode(client))) return undefined;
      if (!(await areTablesPlain(client, writes))) return undefined;
      if (await callsStoredFunction(client, calls)) return undefined;
      const end = await currentBinlogPosition(client);
      return (await this.#changedSince(dml, at, end)) ? undefined : end;
    } catch (error) {
      throw connectionError(error, connection);
    } finally {
      client.destroy();
    }
  }

  /**
   * Whether a statement since has dropped something through which the DML could reach other tables, or one of its
   * tables with its triggers. What was made since is found, so it stops the stream by itself.
   */
  async #changedSince({ writes, calls }: DmlReach, from: Coordinates, to: Coordinates): Promise<boolean> {
    let isChanged = false;
    const isWritten = (schema: string, table: string): boolean =>
      writes.some((name) => name.schema === schema && name.table === table);
    const isIn = (schema: string): boolean => writes.some((name) => name.schema === schema);
    const options = {
      ...this.#scan,
      isCaptured: isWritten,
      isSchemaCaptured: (schema: string) => isIn(schema) || calls.has(schema.toLowerCase()),
    };
    await scanDdl(options, from, to, ({ label, at, changes, dropped }) => {
      // CREATE TABLE … SELECT itself.
      if (at.position === from.position && at.file === from.file) return;
      isChanged ||= isDdl(label) && changes.length > 0;
      isChanged ||= dropped.some(({ schema, table }) => {
        if (label === 'DROP TRIGGER') return isIn(schema);
        return calls.has(table.toLowerCase()) || isWritten(schema, table);
      });
    });
    return isChanged;
  }
}

/** 'user'@'host'. Double quotes would be names under sql_mode ANSI_QUOTES. */
const GRANTEE = `CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')`;

/** Without these privileges INFORMATION_SCHEMA hides triggers and functions from the account. */
async function seesAllCode(client: Connection): Promise<boolean> {
  const [rows] = await client.query<RowDataPacket[]>(
    `SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES
      WHERE GRANTEE = ${GRANTEE} AND PRIVILEGE_TYPE IN ('SELECT', 'TRIGGER')`,
  );
  return rows.length === 2;
}

/**
 * Aliases and the like are among the names; at least one is a table, and none is more than that. Temporary tables,
 * which have no triggers, are not among the names.
 */
async function areTablesPlain(client: Connection, names: readonly TableName[]): Promise<boolean> {
  let tables = 0;
  for (const name of names) {
    const [found] = await client.query<RowDataPacket[]>(
      'SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
      [name.schema, name.table],
    );
    const [[type, engine] = []] = found as unknown as (string | null)[][];
    if (type === undefined) continue;
    if (type === 'VIEW' || engine == null || ENGINES_WITHOUT_ROWS.has(engine.toUpperCase())) return false;
    if ((await hasTriggers(client, name)) || (await hasCascades(client, name))) return false;
    tables++;
  }
  return tables > 0 || names.length === 0;
}

async function hasTriggers(client: Connection, { schema, table }: TableName): Promise<boolean> {
  const [triggers] = await client.query<RowDataPacket[]>(
    'SELECT 1 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ? LIMIT 1',
    [schema, table],
  );
  return triggers.length > 0;
}

/** A foreign key that changes rows of a child table along with this one. */
async function hasCascades(client: Connection, { schema, table }: TableName): Promise<boolean> {
  const [cascades] = await client.query<RowDataPacket[]>(
    `SELECT 1 FROM information_schema.REFERENTIAL_CONSTRAINTS
      WHERE UNIQUE_CONSTRAINT_SCHEMA = ? AND REFERENCED_TABLE_NAME = ?
        AND (DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL')) LIMIT 1`,
    [schema, table],
  );
  return cascades.length > 0;
}

async function callsStoredFunction(client: Connection, calls: ReadonlySet<string>): Promise<boolean> {
  if (calls.size === 0) return false;
  const [rows] = await client.query<RowDataPacket[]>(
    `SELECT 1 FROM information_schema.ROUTINES
      WHERE ROUTINE_TYPE <> 'PROCEDURE' AND LOWER(ROUTINE_NAME) IN (?) LIMIT 1`,
    [[...calls]],
  );
  return rows.length > 0;
}
