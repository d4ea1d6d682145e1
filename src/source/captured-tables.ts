import { type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { TableFilter } from '../model/table-filter.ts';
import { CONNECT_TIMEOUT_MS } from './limits.ts';

/** How long an answer of the server is used again. */
const FRESH_MS = 5_000;

export interface TableId {
  schema: string;
  table: string;
}

/** The captured tables that the server has and the account can see. */
export class CapturedTables {
  readonly #connection: () => ConnectionOptions;
  readonly #isCaptured: TableFilter;
  #tables: Promise<TableId[]> | undefined;
  #readAt = 0;

  /** @param connection made for each connection, because a password can be rotated */
  constructor(connection: () => ConnectionOptions, isCaptured: TableFilter) {
    this.#connection = connection;
    this.#isCaptured = isCaptured;
  }

  /** @throws the error of the driver if the server does not answer */
  list(): Promise<TableId[]> {
    if (this.#tables === undefined || performance.now() - this.#readAt > FRESH_MS) {
      this.#readAt = performance.now();
      this.#tables = this.#read();
      this.#tables.catch(() => {
        this.#tables = undefined;
      });
    }
    return this.#tables;
  }

  async #read(): Promise<TableId[]> {
    const connection = await createConnection({
      ...this.#connection(),
      connectTimeout: CONNECT_TIMEOUT_MS,
      rowsAsArray: true,
    });
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
