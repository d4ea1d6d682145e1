import type { Connection } from 'mysql2/promise';
import { CdcError } from '../../runtime/error.ts';
import { type DeclaredTable, readDeclaredTable } from '../../source/schema/declared-table.ts';
import { connectionError } from '../../source/server/connection-error.ts';
import { KeyLookup } from './key-lookup.ts';
import { readKeyTextColumns } from './read-charsets.ts';
import { readError } from './read-error.ts';
import { readKeyColumns } from './read-key-columns.ts';
import { ReconnectingSession } from './reconnecting-session.ts';
import type { HighWatermark, Processed } from './row-chunk.ts';
import type { ReadSession } from './session.ts';
import type { SnapshotConnectionOptions } from './snapshot-options.ts';
import { TableReader } from './table-reader.ts';
import { checkWhere } from './where.ts';

/** The connection of one worker of a backfill. It reads one thing at a time, and connects again when it has to. */
export class SnapshotConnection {
  readonly #session: ReconnectingSession;

  private constructor(session: ReconnectingSession) {
    this.#session = session;
  }

  /** @throws CdcError if the server cannot be reached, or its rows cannot be ordered against the stream */
  static async open(options: SnapshotConnectionOptions): Promise<SnapshotConnection> {
    const session = new ReconnectingSession(options);
    await session.open();
    return new SnapshotConnection(session);
  }

  /** Resolves once everything that the stream has processed is visible. */
  async waitUntilVisible(processed: Processed): Promise<void> {
    const { visibility } = this.#session;
    const session = await this.#session.open();
    await visibility.open(session, processed, false);
    await visibility.close(session);
  }

  /**
   * Reads rows of a table while everything that the stream has processed is visible.
   * @returns a watermark that nothing lies behind of what `read` has seen
   */
  async readBetween(
    table: string,
    processed: Processed,
    read: (connection: Connection) => Promise<void>,
  ): Promise<HighWatermark> {
    const { visibility, options } = this.#session;
    const session = await this.#session.open();
    try {
      await visibility.open(session, processed, false);
      await read(session.connection);
      const high = await visibility.high(session);
      await visibility.close(session);
      return high;
    } catch (error) {
      session.destroy();
      options.signal.throwIfAborted();
      throw readError(error, { table, connection: options.connection });
    }
  }

  /** Asks the server something that is not ordered against the stream. */
  async query<T>(ask: (connection: Connection, session: ReadSession) => Promise<T>): Promise<T> {
    const { connection, signal } = this.#session.options;
    const session = await this.#session.open();
    try {
      return await ask(session.connection, session);
    } catch (error) {
      signal.throwIfAborted();
      throw connectionError(error, connection);
    }
  }

  /** Undefined if the table does not exist, or the account cannot see it. */
  async describe(schema: string, name: string): Promise<DeclaredTable | undefined> {
    const { connection, signal } = this.#session.options;
    const session = await this.#session.open();
    try {
      return await readDeclaredTable(session.connection, schema, name);
    } catch (error) {
      signal.throwIfAborted();
      throw connectionError(error, connection);
    }
  }

  /** @throws CdcError if the table cannot be read, or the condition is none */
  async use(table: DeclaredTable, { where }: { where?: string }): Promise<TableReader> {
    const { connection, signal } = this.#session.options;
    if (table.kind === 'view') throw viewError(table);
    const session = await this.#session.open();
    try {
      if (where !== undefined) await checkWhere(session, table, where);
      const reader = new TableReader(this.#session, table, await readKeyColumns(session, table), where);
      await reader.prepare();
      return reader;
    } catch (error) {
      signal.throwIfAborted();
      throw readError(error, { table: `${table.schema}.${table.name}`, connection });
    }
  }

  /**
   * Reads rows by the keys of their events.
   * @param key the indexes of the key columns
   * @param isHashed whether a column rule replaces the values of a column
   * @throws CdcError if the table is none, or the server spells its name differently: events would have another name
   */
  async lookUp(
    table: DeclaredTable,
    key: readonly number[],
    isHashed: (column: string) => boolean,
  ): Promise<KeyLookup> {
    const { connection, signal } = this.#session.options;
    if (table.kind === 'view') throw viewError(table);
    const session = await this.#session.open();
    try {
      const found = await session.query(
        'SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
        [table.schema, table.name],
      );
      if (!found.some(([schema, name]) => schema === table.schema && name === table.name)) throw spellingError(table);
      return new KeyLookup(this.#session, table, await readKeyTextColumns(session, table, key, isHashed));
    } catch (error) {
      signal.throwIfAborted();
      throw readError(error, { table: `${table.schema}.${table.name}`, connection });
    }
  }

  async close(): Promise<void> {
    this.#session.close();
  }
}

const spellingError = ({ schema, name }: DeclaredTable): CdcError =>
  new CdcError(`the server spells the name of ${schema}.${name} differently`, {
    exitCode: 2,
    hint: 'name the table as its events do',
  });

const viewError = ({ schema, name }: DeclaredTable): CdcError =>
  new CdcError(`${schema}.${name} is a view`, {
    exitCode: 2,
    why: 'the stream has no changes of a view, so nothing could keep its copy up to date',
    hint: 'name the tables that the view reads',
  });
