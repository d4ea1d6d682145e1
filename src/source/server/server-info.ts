import type { Socket } from 'node:net';
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Coordinates } from '../../model/coordinates.ts';
import { GtidSet } from '../../model/gtid-set.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import { CdcError } from '../../runtime/error.ts';
import { connectionError } from './connection-error.ts';

export type Flavor = 'mysql' | 'mariadb';

/** The server as it was when asked: who it is, what it has executed and what of that it still keeps. */
export interface ServerInfo {
  flavor: Flavor;
  version: string;
  /** `server_uuid` on MySQL; MariaDB has only its numeric server id. */
  identity: string;
  caseSensitive: boolean;
  /** The end of the binlog. */
  end: Coordinates;
  /** The binlogs that are still there, oldest first, each with its size in bytes as its position. */
  binlogs: Coordinates[];
  /** Everything committed so far; undefined on a MySQL without GTIDs. */
  executed: GtidSet | MariadbGtidPosition | undefined;
  /** What was committed and is no longer in any binlog; undefined where the server has no GTIDs or does not say. */
  purged: GtidSet | MariadbGtidPosition | undefined;
  /** It is a replica that may still receive what it lacks: it applies what another server sends, or is read-only. */
  isReplica: boolean;
  /** Collation id to character set. */
  charsets: Map<number, string>;
}

/** No question that is asked here takes a server this long; a link that is half open takes for ever. */
const QUERY_TIMEOUT_MS = 20_000;

/**
 * Opens a connection for questions, whose rows come as arrays, the only form in which no column name can do harm.
 * A question that stays without an answer breaks it.
 */
export async function connect(options: ConnectionOptions, silenceMs = QUERY_TIMEOUT_MS): Promise<Connection> {
  try {
    const connection = await createConnection({
      connectTimeout: 10_000,
      ...options,
      rowsAsArray: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      timezone: 'Z',
    });
    const core = (connection as unknown as { connection: { stream: Socket; _command: unknown } }).connection;
    core.stream.setTimeout(silenceMs);
    core.stream.on('timeout', () => {
      const silent = Object.assign(new Error(`no answer for ${silenceMs / 1000} s`), { code: 'ETIMEDOUT' });
      if (core._command) core.stream.destroy(silent);
    });
    // Between two questions nobody waits for it; the next one fails.
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

/** Runs the first of several spellings that the server understands. */
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
  throw new Error('no statement given');
}

/** @throws CdcError when the server is not reachable or cannot be followed at all */
export async function readServerInfo(options: ConnectionOptions): Promise<ServerInfo> {
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
  const [[version, serverId, caseNames] = []] = await rows(
    connection,
    'SELECT VERSION(), @@global.server_id, @@global.lower_case_table_names',
  );
  const flavor: Flavor = /mariadb/i.test(String(version)) ? 'mariadb' : 'mysql';
  const end = await currentBinlogPosition(connection);
  // Behind the end, so that no size is older than it.
  const logs = await rows(connection, 'SHOW BINARY LOGS');
  if (logs[0] === undefined) throw binlogClosedError();
  return {
    flavor,
    version: String(version),
    caseSensitive: Number(caseNames) === 0,
    end,
    binlogs: logs.map(([file, size]) => ({ file: String(file), position: Number(size) })),
    charsets: await readCharsets(connection, flavor),
    isReplica: await replicates(connection),
    ...(flavor === 'mysql'
      ? await mysqlIdentity(connection)
      : await mariadbIdentity(connection, String(serverId), String(logs[0][0]))),
  };
}

/** Where the next event will be written. @throws CdcError when the server writes no binlog */
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

/** The names of the binlogs that are left, oldest first. */
export async function listBinlogs(connection: Connection): Promise<string[]> {
  return (await rows(connection, 'SHOW BINARY LOGS')).map(([file]) => String(file));
}

const binlogDisabledError = (): CdcError =>
  new CdcError('the server does not write a binlog', {
    why: 'log_bin is off',
    hint: 'set log_bin in its configuration and restart it, then run cdc check',
  });

/** What a server says that is shutting down, or has not come up yet. */
const binlogClosedError = (): CdcError =>
  new CdcError('the server has no binlog open', {
    kind: 'retry',
    why: 'log_bin is on; it is about to stop, or only starts',
  });

/** Some accounts may not ask for the state of replication; read_only everyone may see. */
async function replicates(connection: Connection): Promise<boolean> {
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

/** What tells one server from another, as `identity` has it. */
export const identityQuery = {
  mysql: 'SELECT @@global.server_uuid',
  mariadb: "SELECT CONCAT('mariadb-', @@global.server_id)",
} as const;

async function mysqlIdentity(connection: Connection): Promise<Pick<ServerInfo, 'identity' | 'executed' | 'purged'>> {
  const [[uuid, mode, executed, purged] = []] = await queryFirstSupported(
    connection,
    'SELECT @@global.server_uuid, @@global.gtid_mode, @@global.gtid_executed, @@global.gtid_purged',
  );
  // Only ON and ON_PERMISSIVE give every new transaction a GTID.
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
    // NULL when the file went in between.
    purged: typeof purged === 'string' ? MariadbGtidPosition.parse(purged) : undefined,
  };
}

async function readCharsets(connection: Connection, flavor: Flavor): Promise<Map<number, string>> {
  const listed = await rows(
    connection,
    'SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL',
  );
  if (flavor === 'mariadb') {
    // The UCA 14.0.0 collations (10.10 and later) have an id per character set, and only here.
    const more = await rows(
      connection,
      'SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL',
    ).catch(() => []);
    listed.push(...more);
  }
  return new Map(listed.filter((row) => row[1] !== null).map(([id, name]) => [Number(id), String(name)]));
}
