import { type Query, undefinedIfDenied } from './query.ts';

/** How long a server keeps its binlogs. */
export interface BinlogRetention {
  /** Null if it keeps them without end. */
  retentionSeconds: number | null;
  /** The variable that says so. */
  variable: string;
  /** The bytes of its binlogs now; null if the account may not see them. */
  bytes: number | null;
  files: number | null;
}

const DAY_S = 86_400;

/** MySQL 8.0 and MariaDB 10.6 count in seconds; MySQL 5.6 and older MariaDB in days. */
export async function readRetention(query: Query): Promise<Pick<BinlogRetention, 'retentionSeconds' | 'variable'>> {
  const rows = await query(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN
     ('binlog_expire_logs_seconds', 'expire_logs_days', 'binlog_expire_logs_auto_purge')`,
  );
  return retention(new Map(rows.map(([name, value]) => [String(name).toLowerCase(), String(value)])));
}

export async function readBinlogRetention(query: Query): Promise<BinlogRetention> {
  const retained = await readRetention(query);
  const logs = await undefinedIfDenied(query('SHOW BINARY LOGS'));
  return {
    ...retained,
    bytes: logs === undefined ? null : logs.reduce((total, [, size]) => total + Number(size), 0),
    files: logs?.length ?? null,
  };
}

/** @param variables global variables of the server by name */
export function retention(
  variables: ReadonlyMap<string, string>,
): Pick<BinlogRetention, 'retentionSeconds' | 'variable'> {
  const seconds = Number(variables.get('binlog_expire_logs_seconds') ?? 0);
  const days = Number(variables.get('expire_logs_days') ?? 0);
  const variable = variables.has('binlog_expire_logs_seconds') ? 'binlog_expire_logs_seconds' : 'expire_logs_days';
  const isOff = variables.get('binlog_expire_logs_auto_purge')?.toUpperCase() === 'OFF';
  // MariaDB has both and keeps them equal; on MySQL 8 only one of them can be set.
  if (isOff || (seconds === 0 && days === 0)) return { retentionSeconds: null, variable };
  if (seconds > 0) return { retentionSeconds: seconds, variable: 'binlog_expire_logs_seconds' };
  return { retentionSeconds: Math.round(days * DAY_S), variable: 'expire_logs_days' };
}
