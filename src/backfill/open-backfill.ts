import type { RowDataPacket } from 'mysql2/promise';
import type { Config } from '../config/schema.ts';
import { backfillConnection, sourceConnection } from '../config/source-connection.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { type BackfillProgress, NO_BACKFILL } from '../model/backfill-progress.ts';
import type { TableWatches } from '../model/chunk-window.ts';
import { compileColumnRules } from '../model/column-rules.ts';
import type { TablesActivity } from '../model/table-activity.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import { CdcError } from '../runtime/error.ts';
import type { Log } from '../runtime/log.ts';
import { connectionError } from '../source/server/connection-error.ts';
import { connect, type ServerInfo } from '../source/server/server-info.ts';
import type { StartPoint } from '../source/start-point.ts';
import { Backfill, type RequestedTable } from './backfill.ts';
import type { BackfillRequest, TableStatus } from './control.ts';
import type { MergePoint } from './merge/merge-point.ts';
import { Ordinals } from './merge/ordinals.ts';
import { tableOutputs } from './merge/table-output.ts';
import { keyValues } from './read/key-predicate.ts';
import { readReplicaLag } from './read/replica-lag.ts';
import { SnapshotConnection } from './read/snapshot-connection.ts';
import { Repairs } from './repair/repairs.ts';
import { resolveTables } from './request/resolve-tables.ts';

export interface OpenBackfillOptions {
  config: Config;
  server: ServerInfo;
  start: StartPoint;
  saved: BackfillProgress | undefined;
  /** Tables that earlier pipelines of this process have finished. */
  finished: TableStatus[];
  delivery: Delivery;
  /** Counts the events of each table. */
  activity: TablesActivity;
  merge: MergePoint;
  watches: TableWatches;
  log: Log;
  signal: AbortSignal;
  pauseStream(): () => void;
  onProgress(): void;
  saveCheckpoint(): Promise<void>;
}

/** The backfill and the repairs of a pipeline, with what they need of the configuration. */
export function openBackfill(options: OpenBackfillOptions): {
  backfill: Backfill;
  repairs: Repairs;
  ordinals: Ordinals;
} {
  const { config, server, start, signal } = options;
  const saved = options.saved ?? NO_BACKFILL;
  const ordinals = new Ordinals(saved.ordinals);
  const isReplica = config.backfill.url !== undefined;
  const heartbeatTable = config.backfill.heartbeat_table;
  const shared = {
    ordinals,
    binlogEnd: server.end,
    isCaptured: compileTableFilter(config.tables, server),
    createOutput: tableOutputs(config, server, start.epoch, options),
    openConnection: () =>
      SnapshotConnection.open({
        connection: backfillConnection(config),
        ...(isReplica && { source: sourceConnection(config.source) }),
        server,
        isReplica,
        ...(heartbeatTable !== undefined && { heartbeatTable }),
        signal,
      }),
  };
  const backfill = new Backfill({
    ...options,
    ...shared,
    config: config.backfill,
    saved,
    coverage: start.coverage,
    sendsTruncates: config.truncate === 'event',
    caseSensitive: server.caseSensitive,
    ...(isReplica && { readReplicaLag: () => readReplicaLag(backfillConnection(config)) }),
    resolveTables: (request, ifNone) => requestedTables(config, request, ifNone),
  });
  const ruleOf = compileColumnRules(config.columns, server);
  const repairs = new Repairs({
    ...options,
    ...shared,
    values: keyValues(config.format, config.values),
    isHashed: (schema, table, column) => ruleOf(schema, table, column) !== undefined,
  });
  return { backfill, repairs, ordinals };
}

/** The tables of a request, and about how many rows each has. */
async function requestedTables(
  config: Config,
  request: BackfillRequest,
  ifNone?: 'may be empty',
): Promise<RequestedTable[]> {
  const options = backfillConnection(config);
  const connection = await connect(options);
  try {
    const tables = await resolveTables(connection, config, request, ifNone);
    const schemas = [...new Set(tables.map(({ schema }) => schema))];
    if (schemas.length === 0) return [];
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (?)',
      [schemas],
    );
    const estimates = new Map(
      (rows as unknown as [string, string, number | string | null][]).map(
        ([schema, table, count]) => [`${schema}\0${table}`, Number(count ?? 0)] as const,
      ),
    );
    return tables.map(({ schema, table }) => ({
      schema,
      table,
      estimatedRows: estimates.get(`${schema}\0${table}`) ?? 0,
    }));
  } catch (error) {
    throw error instanceof CdcError ? error : connectionError(error, options);
  } finally {
    connection.destroy();
  }
}
