import type { SourceConnection } from '../../model/source-connection.ts';
import type { ServerInfo } from '../../source/server/server-info.ts';

export interface SnapshotConnectionOptions {
  /** The server to read from: the source, or a replica. */
  connection: SourceConnection;
  /** The source. */
  server: ServerInfo;
  isReplica: boolean;
  /** How to reach the source, if the rows come from a replica: the two are compared. */
  source?: SourceConnection;
  /** `schema.table`, for a server without GTIDs. */
  heartbeatTable?: string;
  /** How long a statement runs at most; rows that have arrived by then are kept. */
  statementTimeoutMs?: number;
  signal: AbortSignal;
}
