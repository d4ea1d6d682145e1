import type { Connection as CallbackConnection } from 'mysql2';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { SourceConnection } from '../../model/source-connection.ts';
import { onAbort } from '../../runtime/abort.ts';
import { NET_WRITE_TIMEOUT_S } from '../../source/limits.ts';
import type { Flavor } from '../../source/server/server-info.ts';
import { connect } from '../../source/server/server-info.ts';
import { type DriverConnection, ExecuteCommand, type OnRows, type Parameter } from './execute-command.ts';
import { ANSWER_TIMEOUT_MS } from './limits.ts';
import type { RowCollector } from './row-collector.ts';

/** A prepared statement of one connection. */
export interface PreparedStatement {
  id: number;
  parameters: number;
}

export type Cell = string | number | null;

/**
 * Modes that change what SELECT returns or how it compares with a parameter. The others stay as the server has them:
 * the text of a condition, and generated columns, depend on them.
 */
const SQL_MODE = [
  'PAD_CHAR_TO_FULL_LENGTH',
  'NO_ZERO_DATE',
  'NO_ZERO_IN_DATE',
  'STRICT_TRANS_TABLES',
  'STRICT_ALL_TABLES',
  'TRADITIONAL',
  'EMPTY_STRING_IS_NULL',
].reduce((mode, name) => `REPLACE(${mode}, '${name}', '')`, '@@sql_mode');

/** The code of the error of a statement whose connection cdc has closed. */
const CLOSED = 'PROTOCOL_CONNECTION_LOST';

/** Settings that every server knows. */
const SETTINGS = [
  "SET SESSION time_zone = '+00:00'",
  `SET SESSION sql_mode = CONCAT(${SQL_MODE}, ',ALLOW_INVALID_DATES')`,
  'SET SESSION autocommit = 1',
  'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  `SET SESSION net_write_timeout = ${NET_WRITE_TIMEOUT_S}`,
  'SET SESSION wait_timeout = 28800',
  // Where the server sorts, it compares whole values: the default is 1,024 bytes.
  'SET SESSION max_sort_length = 8192',
];

/** MySQL counts milliseconds, MariaDB seconds. Zero is no limit. */
const statementTimeout: Readonly<Record<Flavor, (ms: number) => string>> = {
  mysql: (ms) => `SET SESSION max_execution_time = ${ms}`,
  mariadb: (ms) => `SET SESSION max_statement_time = ${ms / 1000}`,
};

/** One connection with the session of a backfill. After an error that ended it, it is of no more use. */
export class ReadSession {
  readonly connection: Connection;
  readonly flavor: Flavor;
  readonly #driver: DriverConnection;
  #broken = false;
  #removeListener: () => void = () => {};

  private constructor(connection: Connection, flavor: Flavor) {
    this.connection = connection;
    this.flavor = flavor;
    this.#driver = (connection as unknown as { connection: DriverConnection }).connection;
    this.#driver.stream.once('close', () => {
      this.#broken = true;
    });
  }

  /** @throws CdcError if the server cannot be reached; the server's error for a setting */
  static async open(options: SourceConnection, flavor: Flavor, signal: AbortSignal): Promise<ReadSession> {
    signal.throwIfAborted();
    const session = new ReadSession(await connect(options, ANSWER_TIMEOUT_MS), flavor);
    session.#removeListener = onAbort(signal, () => session.destroy());
    try {
      for (const sql of SETTINGS) await session.query(sql);
      // The last one: after it, names in answers are in their own character sets.
      await session.query('SET SESSION character_set_results = NULL');
      return session;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  get isBroken(): boolean {
    return this.#broken;
  }

  async query(sql: string, values: readonly unknown[] = []): Promise<Cell[][]> {
    const [rows] = await this.connection.query<RowDataPacket[]>(sql, values as unknown[]);
    return rows as unknown as Cell[][];
  }

  /** MySQL 5.6 has no such limit. */
  async limitStatements(ms: number): Promise<void> {
    await this.query(statementTimeout[this.flavor](ms)).catch((error) => {
      if ((error as { code?: string }).code !== 'ER_UNKNOWN_SYSTEM_VARIABLE') throw error;
    });
  }

  prepare(sql: string): Promise<PreparedStatement> {
    const callbacks = this.#driver as unknown as CallbackConnection;
    return new Promise((resolve, reject) => {
      callbacks.prepare(sql, (error, statement) => {
        if (error) return reject(error);
        const { id, parameters } = statement as unknown as { id: number; parameters: unknown[] };
        resolve({ id, parameters: parameters.length });
      });
    });
  }

  /** Resolves at the end of the result set. `onRows` is called whenever bytes have arrived. */
  execute(
    statement: PreparedStatement,
    parameters: readonly Parameter[],
    rows: RowCollector,
    onRows: OnRows,
  ): Promise<void> {
    if (parameters.length !== statement.parameters) throw new Error('a statement with other parameters than given');
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => (error ? reject(error) : resolve());
      try {
        this.#driver.addCommand(new ExecuteCommand(statement.id, parameters, rows, onRows, settle));
      } catch (error) {
        reject(error);
      }
    });
  }

  /** Stops reading from the socket, so that the server waits. No deadline runs meanwhile. */
  pause(): void {
    this.#driver.stream.setTimeout(0);
    this.#driver.stream.pause();
  }

  resume(): void {
    this.#driver.stream.setTimeout(ANSWER_TIMEOUT_MS);
    this.#driver.stream.resume();
  }

  /** Ends the connection at once. A statement that runs on it is rejected; the driver alone would leave it pending. */
  destroy(): void {
    this.#broken = true;
    this.#removeListener();
    this.#driver.stream.destroy(Object.assign(new Error('cdc has closed the connection'), { code: CLOSED }));
  }
}
