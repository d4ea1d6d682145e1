import type { Socket } from 'node:net';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Coordinates } from '../../model/coordinates.ts';
import { GtidSet } from '../../model/gtid-set.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import { CdcError } from '../../runtime/error.ts';
import { openConnection } from '../../secrets/open-connection.ts';
import { CONNECT_TIMEOUT_MS, QUERY_TIMEOUT_MS } from '../limits.ts';
import { connectionError } from './connection-error.ts';

export type Flavor = 'mysql' | 'mariadb';

/** The server at the time of the query: its identity, what it has executed, and which binlogs it still has. */
export interface ServerInfo {
  flavor: Flavor;
  version: string;
  /** `server_uuid` on MySQL; on MariaDB, which has no UUID, its numeric server id. */
  identity: string;
  caseSensitive: boolean;
  /** The position after the last event of the binlog. */
  end: Coordinates;
  /** The binlogs that the server still has, oldest first. The position of each is its size in bytes. */
  binlogs: Coordinates[];
  /** All transactions committed so far; undefined on a MySQL without GTIDs. */
  executed: GtidSet | MariadbGtidPosition | undefined;
  /**
   * Committed transactions that no binlog has any more; undefined if the server has no GTIDs or does not report them.
   */
  purged: GtidSet | MariadbGtidPosition | undefined;
  /** A replica that can still receive missing transactions: it applies those of another server, or is read-only. */
  isReplica: boolean;
  /** Collation id to character set. */
  charsets: Map<number, string>;
}

/**
 * Opens a connection for queries. Their rows are arrays: mysql2 rejects an object row with a column `__proto__`. A
 * query that is not answered in time ends the connection, because a half-open connection would wait forever.
 */
export async function connect(options: SourceConnection, queryTimeoutMs = QUERY_TIMEOUT_MS): Promise<Connection> {
  try {
    const connection = await openConnection(options, (attempt) =>
      createConnection({
        connectTimeout: CONNECT_TIMEOUT_MS,
        ...attempt,
        rowsAsArray: true,
        supportBigNumbers: true,
        bigNumberStrings: true,
        timezone: 'Z',
      }),
    );
    const core = (connection as unknown as { connection: { stream: Socket; _command: unknown } }).connection;
    core.stream.setTimeout(queryTimeoutMs);
    core.stream.on('timeout', () => {
      const timeout = Object.assign(new Error(`no answer for ${queryTimeoutMs / 1000} s`), { code: 'ETIMEDOUT' });
      if (core._command) core.stream.destroy(timeout);
    });
    // Between two queries nobody waits for the connection; the next query fails.
    connection.on('error', () => {});
    return connection;
  } catch (error) {
    throw connectionError(error, options);
  }
}

type Row = (string | number | null)[];

async function rows(connection: Connection, sql: string): Promise<Row[]> {
  const [result] = await connection.query<RowDataPacket[]>(sql);
  return result as unknown as Row[];
}

/** Runs the first of several statements that the server supports. */
async function queryFirstSupported(connection: Connection, ...statements: string[]): Promise<Row[]> {
  for (const [i, sql] of statements.entries()) {
    try {
      return await rows(connection, sql);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (i + 1 < statements.length && (code === 'ER_PARSE_ERROR' || code === 'ER_UNKNOWN_SYSTEM_VARIABLE')) continue;
      throw error;
    }
  }
  throw new Error('no statement was given');
}

/** @throws CdcError if the server cannot be reached or has no binlog */
export async function readServerInfo(options: SourceConnection): Promise<ServerInfo> {
  const connection = await connect(options);
  try {
    return await queryServerInfo(connection);
  } catch (error) {
    throw connectionError(error, options);
  } finally {
    connection.destroy();
  }
}

async function queryServerInfo(connection: Connection): Promise<ServerInfo> {
  const [[version, serverId, lowerCaseTableNames] = []] = await rows(
    connection,
    'SELECT VERSION(), @@global.server_id, @@global.lower_case_table_names',
  );
  const flavor: Flavor = /mariadb/i.test(String(version)) ? 'mariadb' : 'mysql';
  const end = await currentBinlogPosition(connection);
  // Queried after the end, so that no size is older than it.
  const logs = await listBinlogs(connection);
  if (logs[0] === undefined) throw binlogClosedError();
  return {
    flavor,
    version: String(version),
    caseSensitive: Number(lowerCaseTableNames) === 0,
    end,
    binlogs: logs,
    charsets: await readCharsets(connection, flavor),
    isReplica: await isReplica(connection),
    ...(flavor === 'mysql'
      ? await mysqlIdentity(connection)
      : await mariadbIdentity(connection, String(serverId), logs[0].file)),
  };
}

/** The position of the next event. @throws CdcError if the server writes no binlog */
export async function currentBinlogPosition(connection: Connection): Promise<Coordinates> {
  const [[on] = []] = await rows(connection, 'SELECT @@global.log_bin');
  if (Number(on) === 0) throw binlogDisabledError();
  const [current] = await queryFirstSupported(
    connection,
    'SHOW BINARY LOG STATUS',
    'SHOW MASTER STATUS',
    'SHOW BINLOG STATUS',
  );
  if (current === undefined) throw binlogClosedError();
  return { file: String(current[0]), position: Number(current[1]) };
}

/** The binlogs that the server still has, oldest first. The position of each is its size in bytes. */
export async function listBinlogs(connection: Connection): Promise<Coordinates[]> {
  const logs = await rows(connection, 'SHOW BINARY LOGS');
  return logs.map(([file, size]) => ({ file: String(file), position: Number(size) }));
}

const binlogDisabledError = (): CdcError =>
  new CdcError('the server does not write a binlog', {
    why: 'log_bin is off',
    hint: 'set log_bin in the configuration of the server and restart it, then run cdc check',
  });

/** A server that is shutting down or still starting reports no binlog. */
const binlogClosedError = (): CdcError =>
  new CdcError('the server has no binlog open', {
    kind: 'retry',
    why: 'log_bin is on, so the server is stopping or still starting',
  });

/** Some accounts must not query the replication status, but every account can read read_only. */
async function isReplica(connection: Connection): Promise<boolean> {
  const [[readOnly] = []] = await rows(connection, 'SELECT @@global.read_only');
  if (Number(readOnly) === 1) return true;
  for (const sql of ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS']) {
    const channels = await connection.query({ sql, rowsAsArray: false }).catch(() => undefined);
    if (channels === undefined) continue;
    return (channels[0] as Record<string, unknown>[]).some(
      (channel) => (channel.Replica_SQL_Running ?? channel.Slave_SQL_Running) === 'Yes',
    );
  }
  return false;
}

/** The query for `ServerInfo.identity`. */
export const identityQuery = {
  mysql: 'SELECT @@global.server_uuid',
  mariadb: "SELECT CONCAT('mariadb-', @@global.server_id)",
} as const;

async function mysqlIdentity(connection: Connection): Promise<Pick<ServerInfo, 'identity' | 'executed' | 'purged'>> {
  const [[uuid, mode, executed, purged] = []] = await queryFirstSupported(
    connection,
    'SELECT @@global.server_uuid, @@global.gtid_mode, @@global.gtid_executed, @@global.gtid_purged',
  );
  // ON and ON_PERMISSIVE give every new transaction a GTID, but with ON_PERMISSIVE a replicated one can be anonymous.
  const gtids = mode === 'ON';
  return {
    identity: String(uuid),
    executed: gtids ? GtidSet.parse(String(executed)) : undefined,
    purged: gtids ? GtidSet.parse(String(purged)) : undefined,
  };
}

async function mariadbIdentity(
  connection: Connection,
  serverId: string,
  oldest: string,
): Promise<Pick<ServerInfo, 'identity' | 'executed' | 'purged'>> {
  const [[position, purged] = []] = await rows(
    connection,
    `SELECT @@global.gtid_binlog_pos, BINLOG_GTID_POS(${connection.escape(oldest)}, 4)`,
  );
  return {
    identity: `mariadb-${serverId}`,
    executed: MariadbGtidPosition.parse(String(position ?? '')),
    // NULL if the file was purged in between.
    purged: typeof purged === 'string' ? MariadbGtidPosition.parse(purged) : undefined,
  };
}

async function readCharsets(connection: Connection, flavor: Flavor): Promise<Map<number, string>> {
  const listed = await rows(
    connection,
    'SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL',
  );
  if (flavor === 'mariadb') {
    // The UCA 14.0.0 collations (10.10 and later) have an id per character set, listed only here.
    const uca1400 = await rows(
      connection,
      'SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL',
    ).catch(() => []);
    listed.push(...uca1400);
  }
  return new Map(listed.filter((row) => row[1] !== null).map(([id, name]) => [Number(id), String(name)]));
}
