import type { Connection } from 'mysql2/promise';
import type { Config } from '../config/schema.ts';
import { compileTableFilter, parseTablePattern, type TablePattern } from '../model/table-filter.ts';
import { canSelect, type Query, queryOn, undefinedIfDenied } from '../source/server/query.ts';
import { gatherTables, type TableFacts } from './gather-tables.ts';
import { CHECK_QUERY_TIMEOUT_MS } from './limits.ts';

/** What the queries found out about the source, as plain data; the check-*.ts files decide what is wrong. */
export interface PreflightFacts {
  flavor: 'mysql' | 'mariadb';
  version: readonly [major: number, minor: number, patch: number];
  /** The account as written in GRANT: `'cdc'@'%'`. */
  account: string;
  /** Global variables by their lower-case name; absent if the server does not know the variable. */
  variables: Readonly<Partial<Record<Variable, string>>>;
  canReplicate: boolean;
  /** The account can query the binlog position. */
  canReadBinlogStatus: boolean;
  /** binlog_do_db and binlog_ignore_db, if the account can see them. */
  binlogSchemas: { only: string[]; ignored: string[] };
  /** Registered replicas, if the account can see them. */
  replicas: { id: number; host: string }[];
  patterns: PatternFacts[];
  /** The captured tables that this account can see. */
  tables: TableFacts[];
}

export interface PatternFacts {
  pattern: TablePattern;
  /** Number of visible tables that the pattern matches, including excluded tables. */
  matches: number;
  /** The account has SELECT on everything that the pattern can match; always true for a `!` pattern. */
  canSelectAll: boolean;
  /** Visible tables that the pattern matches but the account cannot SELECT from. */
  unreadableTables: string[];
}

const VARIABLES = [
  'basedir',
  'binlog_expire_logs_auto_purge',
  'binlog_expire_logs_seconds',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'expire_logs_days',
  'gtid_mode',
  'log_bin',
  'lower_case_table_names',
  'server_id',
] as const;
export type Variable = (typeof VARIABLES)[number];

export async function gatherServer(connection: Connection, config: Config): Promise<PreflightFacts> {
  const query = queryOn(connection, CHECK_QUERY_TIMEOUT_MS);
  const [[versionText, account] = []] = await query('SELECT VERSION(), CURRENT_USER()');
  const flavor = /mariadb/i.test(String(versionText)) ? 'mariadb' : 'mysql';
  const version = parseVersion(String(versionText));
  const variables: PreflightFacts['variables'] = Object.fromEntries(
    (await query('SHOW GLOBAL VARIABLES WHERE Variable_name IN (?)', [VARIABLES])).map(([k, v]) => [
      String(k).toLowerCase(),
      String(v ?? ''),
    ]),
  );
  const hasBinaryLogStatus = flavor === 'mysql' && atLeast(version, 8, 2);
  const status = await undefinedIfDenied(query(hasBinaryLogStatus ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'));
  const hasShowReplicas = flavor === 'mysql' && atLeast(version, 8, 0, 22);
  const replicas = await undefinedIfDenied(query(hasShowReplicas ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS'));
  const caseSensitive = variables.lower_case_table_names === '0';
  const visible = await gatherTables(query, flavor === 'mysql' && atLeast(version, 8, 0));
  const captured = compileTableFilter(config.tables, { caseSensitive });
  return {
    flavor,
    version,
    account: quoteAccount(String(account)),
    variables,
    // On MySQL the same privilege allows SHOW REPLICAS and replication. MariaDB needs another privilege for the former,
    // but its SHOW GRANTS resolves roles and PUBLIC.
    canReplicate: flavor === 'mysql' ? replicas !== undefined : grantsReplicationSlave(await query('SHOW GRANTS')),
    canReadBinlogStatus: status !== undefined,
    binlogSchemas: { only: schemaList(status?.[0]?.[2]), ignored: schemaList(status?.[0]?.[3]) },
    replicas: (replicas ?? []).map(([id, host]) => ({ id: Number(id), host: String(host || 'an unnamed host') })),
    patterns: await gatherPatterns(query, config.tables, visible.names, caseSensitive),
    tables: await visible.describe(captured),
  };
}

export async function gatherPatterns(
  query: Query,
  texts: readonly string[],
  visible: readonly (readonly [string, string])[],
  caseSensitive: boolean,
): Promise<PatternFacts[]> {
  const facts: PatternFacts[] = [];
  for (const text of texts) {
    const pattern = parseTablePattern(text);
    const filter = compileTableFilter([pattern.exclude ? text.replace('!', '') : text], { caseSensitive });
    const matched = visible.filter(([schema, table]) => filter(schema, table));
    const canSelectAll =
      pattern.exclude || (await canSelect(query, probeName(pattern.schema), probeName(pattern.table)));
    const unreadableTables: string[] = [];
    if (!canSelectAll) {
      for (const [schema, table] of matched)
        if (!(await canSelect(query, schema, table))) unreadableTables.push(`${schema}.${table}`);
    }
    facts.push({ pattern, matches: matched.length, canSelectAll, unreadableTables });
  }
  return facts;
}

/**
 * A name that the pattern matches. The server checks privileges before existence, so a SELECT from a table that does
 * not exist shows whether the account can read everything else that the pattern matches.
 */
const probeName = (pieces: readonly string[]): string => pieces.join('cdc_check').slice(0, 64);

export function parseVersion(text: string): [number, number, number] {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0), Number(patch ?? 0)];
}

export function atLeast(version: readonly number[], ...minimum: number[]): boolean {
  const firstDifference = minimum.findIndex((part, i) => version[i] !== part);
  return firstDifference < 0 || (version[firstDifference] ?? 0) > (minimum[firstDifference] as number);
}

export const grantsReplicationSlave = (rows: readonly (readonly unknown[])[]): boolean =>
  rows.some(([line]) => {
    const privileges = /^GRANT (.*) ON \*\.\* TO /.exec(String(line))?.[1]?.split(', ') ?? [];
    return privileges.includes('REPLICATION SLAVE') || privileges.includes('ALL PRIVILEGES');
  });

/** `cdc@%` as `'cdc'@'%'`. The user can contain @, the host cannot. */
export function quoteAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)].map((part) => `'${part.replaceAll("'", "''")}'`).join('@');
}

const schemaList = (text: unknown): string[] => (text ? String(text).split(',') : []);
