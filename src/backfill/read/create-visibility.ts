import { CdcError } from '../../runtime/error.ts';
import { GtidVisibility } from './gtid-visibility.ts';
import { HeartbeatVisibility } from './heartbeat-visibility.ts';
import { MariadbVisibility } from './mariadb-visibility.ts';
import type { SnapshotConnectionOptions } from './snapshot-options.ts';
import type { Visibility } from './visibility.ts';

/** @throws CdcError if neither GTIDs nor a heartbeat table can order rows and stream */
export function createVisibility({ server, isReplica, heartbeatTable }: SnapshotConnectionOptions): Visibility {
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
