import { CdcError } from '../../runtime/error.ts';
import { connectionError } from '../../source/server/connection-error.ts';
import { identityQuery } from '../../source/server/server-info.ts';
import { createVisibility } from './create-visibility.ts';
import { STATEMENT_TIMEOUT_MS } from './limits.ts';
import { assertSameData } from './replica-check.ts';
import { ReadSession } from './session.ts';
import type { SnapshotConnectionOptions } from './snapshot-options.ts';
import type { Visibility } from './visibility.ts';

/**
 * A session of one server. When it is lost, or was ended to drop the rest of a result set, the next use opens another
 * one to the same server.
 */
export class ReconnectingSession {
  readonly options: SnapshotConnectionOptions;
  readonly visibility: Visibility;
  #session: ReadSession | undefined;
  /** The server that answered first. */
  #identity: string | undefined;
  #closed = false;

  constructor(options: SnapshotConnectionOptions) {
    this.options = options;
    this.visibility = createVisibility(options);
    if (!options.isReplica) this.#identity = options.server.identity;
  }

  get statementTimeoutMs(): number {
    return this.options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  }

  /** The open session, or a new one. @throws CdcError if rows of the server cannot be ordered against the stream */
  async open(): Promise<ReadSession> {
    if (this.#session !== undefined && !this.#session.isBroken) return this.#session;
    if (this.#closed) throw new Error('a closed connection was used');
    const { connection, server, signal } = this.options;
    let session: ReadSession | undefined;
    try {
      session = await ReadSession.open(connection, server.flavor, signal);
      await this.#verifyIdentity(session);
      if (this.options.isReplica) await assertSameData(session, this.options);
      await this.visibility.prepare(session);
      await session.limitStatements(this.statementTimeoutMs);
      await session.query('SET SESSION TRANSACTION READ ONLY');
    } catch (error) {
      session?.destroy();
      signal.throwIfAborted();
      throw connectionError(error, connection);
    }
    this.#session = session;
    return session;
  }

  close(): void {
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
