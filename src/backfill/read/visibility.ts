import { CdcError } from '../../runtime/error.ts';
import type { ServerInfo } from '../../source/server/server-info.ts';
import { GtidVisibility } from './gtid-visibility.ts';
import { HeartbeatVisibility } from './heartbeat-visibility.ts';
import { MariadbVisibility } from './mariadb-visibility.ts';
import type { HighWatermark, Processed } from './row-chunk.ts';
import type { ReadSession } from './session.ts';

/**
 * How rows that SELECT returns are ordered against the stream. The stream can be ahead of SELECT, because a transaction
 * is in the binlog before it is visible, and SELECT can be ahead of the stream. Each kind of server has another way to
 * bound both sides.
 */
export interface Visibility {
  /** Checks once a connection, before the first read. @throws CdcError if rows of this server cannot be ordered */
  prepare(session: ReadSession): Promise<void>;
  /**
   * Returns once every SELECT sees all that was processed. With `view`, all following statements see the same state,
   * until `close`.
   */
  open(session: ReadSession, processed: Processed, view: boolean): Promise<void>;
  /** A watermark that is not before any transaction that the statements since `open` have seen. */
  high(session: ReadSession): Promise<HighWatermark>;
  /** Ends the view, if there is one. */
  close(session: ReadSession): Promise<void>;
}

export interface VisibilityOptions {
  server: ServerInfo;
  isReplica: boolean;
  heartbeatTable?: string;
}

/** @throws CdcError if neither GTIDs nor a heartbeat table can order rows and stream */
export function createVisibility({ server, isReplica, heartbeatTable }: VisibilityOptions): Visibility {
  if (server.flavor === 'mariadb') return new MariadbVisibility(isReplica);
  if (server.executed !== undefined && !/^5\.[0-6]\./.test(server.version)) {
    return new GtidVisibility(isReplica);
  }
  if (isReplica) {
    throw new CdcError('a backfill cannot read from this replica', {
      exitCode: 3,
      why: 'without GTIDs (gtid_mode = ON, MySQL 5.7 or later), nothing relates its rows to the binlog of the source',
      hint: 'remove backfill.url to read from the source',
    });
  }
  if (heartbeatTable === undefined) {
    throw new CdcError('rows of this server cannot be ordered against its binlog', {
      exitCode: 3,
      why: 'a transaction is in the binlog before SELECT sees it, and without GTIDs the server does not report which ones SELECT sees',
      hint: 'set gtid_mode = ON (MySQL 5.7 or later), or name a table that cdc may write in backfill.heartbeat_table',
    });
  }
  return new HeartbeatVisibility(heartbeatTable);
}
