import type { ConnectionOptions } from 'mysql2';
import { CdcError } from '../../runtime/error.ts';
import { type DeclaredTable, readDeclaredTable } from '../../source/schema/declared-table.ts';
import { connectionError } from '../../source/server/connection-error.ts';
import { identityQuery } from '../../source/server/server-info.ts';
import { readKeyColumns } from './read-key-columns.ts';
import { checkReplica } from './replica-check.ts';
import { ReadSession } from './session.ts';
import { TableReader } from './table-reader.ts';
import { createVisibility, type Visibility, type VisibilityOptions } from './visibility.ts';
import { checkWhere, qualifiedName } from './where.ts';

export interface SnapshotConnectionOptions extends VisibilityOptions {
  /** The server to read from: the source, or a replica. */
  connection: ConnectionOptions;
  /** How to reach the source, if the rows come from a replica: the two are compared. */
  source?: ConnectionOptions;
  signal: AbortSignal;
}

/**
 * The connection of one worker of a backfill. It reads one thing at a time. When it is lost, or ended to drop the rest
 * of a result set, the next use opens another one to the same server.
 */
export class SnapshotConnection {
  readonly options: SnapshotConnectionOptions;
  readonly visibility: Visibility;
  #session: ReadSession | undefined;
  /** The server that answered first. */
  #identity: string | undefined;
  #closed = false;

  private constructor(options: SnapshotConnectionOptions) {
    this.options = options;
    this.visibility = createVisibility(options);
    if (!options.isReplica) this.#identity = options.server.identity;
  }

  /** @throws CdcError if the server cannot be reached, or its rows cannot be ordered against the stream */
  static async open(options: SnapshotConnectionOptions): Promise<SnapshotConnection> {
    const connection = new SnapshotConnection(options);
    await connection.session();
    return connection;
  }

  /** The open session, or a new one. */
  async session(): Promise<ReadSession> {
    if (this.#session !== undefined && !this.#session.isBroken) return this.#session;
    if (this.#closed) throw new Error('a closed connection was used');
    const { connection, server, signal } = this.options;
    let session: ReadSession | undefined;
    try {
      session = await ReadSession.open(connection, server.flavor, signal);
      await this.#verifyIdentity(session);
      if (this.options.isReplica) await checkReplica(session, this.options);
      await this.visibility.prepare(session);
      await session.query('SET SESSION TRANSACTION READ ONLY');
    } catch (error) {
      session?.destroy();
      signal.throwIfAborted();
      throw connectionError(error, connection);
    }
    this.#session = session;
    return session;
  }

  /** Undefined if the table does not exist, or the account cannot see it. */
  async describe(schema: string, name: string): Promise<DeclaredTable | undefined> {
    const session = await this.session();
    try {
      return await readDeclaredTable(session.connection, schema, name);
    } catch (error) {
      this.options.signal.throwIfAborted();
      throw connectionError(error, this.options.connection);
    }
  }

  /** @throws CdcError if the table cannot be read, or the condition is none */
  async use(table: DeclaredTable, { where }: { where?: string }): Promise<TableReader> {
    const session = await this.session();
    if (where !== undefined) await checkWhere(session, qualifiedName(table.schema, table.name), where);
    const reader = new TableReader(this, table, await readKeyColumns(session, table), where);
    await reader.prepare();
    return reader;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#session?.destroy();
    this.#session = undefined;
  }

  async #verifyIdentity(session: ReadSession): Promise<void> {
    const [[identity] = []] = await session.query(identityQuery[this.options.server.flavor]);
    this.#identity ??= String(identity);
    if (this.#identity === String(identity)) return;
    throw new CdcError('the server changed between two connections', {
      kind: 'retry',
      why: `the backfill reads from ${this.#identity}, but ${identity} answers now`,
      hint: 'name one server in the url, not a load balancer over several',
    });
  }
}
