import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { shortList } from '../model/finding.ts';
import type { SourceConnection } from '../model/source-connection.ts';
import { formatTableName, type TableFilter } from '../model/table-filter.ts';
import { CdcError } from '../runtime/error.ts';
import { openConnection } from '../secrets/open-connection.ts';
import { CONNECT_TIMEOUT_MS } from './limits.ts';

/** How long an answer of the server is used again. */
const FRESH_MS = 5_000;

export interface TableId {
  schema: string;
  table: string;
}

/** The captured tables that the server has and the account can see. */
export class CapturedTables {
  readonly #connection: () => SourceConnection;
  readonly #isCaptured: TableFilter;
  #tables: Promise<TableId[]> | undefined;
  #readAt = 0;

  /** @param connection made for each connection, because a password can be rotated */
  constructor(connection: () => SourceConnection, isCaptured: TableFilter) {
    this.#connection = connection;
    this.#isCaptured = isCaptured;
  }

  /**
   * @param maxAgeMs how old the answer of the server may be
   * @throws the error of the driver if the server does not answer
   */
  list(maxAgeMs = FRESH_MS): Promise<TableId[]> {
    if (this.#tables === undefined || performance.now() - this.#readAt > maxAgeMs) {
      this.#readAt = performance.now();
      this.#tables = this.#read();
      this.#tables.catch(() => {
        this.#tables = undefined;
      });
    }
    return this.#tables;
  }

  /**
   * @throws CdcError with exit code 2 that names each table that is not among them now; one of kind `retry` if the
   * server does not answer
   */
  async assertCaptured(tables: readonly TableId[]): Promise<void> {
    const listed = await this.list(0).catch((cause) => {
      const { code, name } = cause as { code?: string; name?: string };
      const hint = 'try again; the log of the daemon says what it waits for';
      throw new CdcError('the server does not list its tables', {
        kind: 'retry',
        why: String(code ?? name),
        hint,
        cause,
      });
    });
    const known = new Set(listed.map(({ schema, table }) => formatTableName(schema, table)));
    const unknown = tables
      .map(({ schema, table }) => formatTableName(schema, table))
      .filter((name) => !known.has(name));
    if (unknown.length === 0) return;
    throw new CdcError(`not a captured table: ${shortList([...new Set(unknown)])}`, {
      exitCode: 2,
      why: 'the server does not have it, the account cannot see it, or tables of the configuration leave it out',
      hint: 'correct the name, or add the table to tables and restart cdc run',
    });
  }

  async #read(): Promise<TableId[]> {
    const connection = await openConnection(this.#connection(), (options) =>
      createConnection({ ...options, connectTimeout: CONNECT_TIMEOUT_MS, rowsAsArray: true }),
    );
    connection.on('error', () => {});
    try {
      const [rows] = await connection.query<RowDataPacket[]>(
        `SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
         WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
           AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')
         ORDER BY TABLE_SCHEMA, TABLE_NAME`,
      );
      return (rows as unknown as [string, string][])
        .filter(([schema, table]) => this.#isCaptured(schema, table))
        .map(([schema, table]) => ({ schema, table }));
    } finally {
      connection.destroy();
    }
  }
}
