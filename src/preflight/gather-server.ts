import type { Connection } from 'mysql2/promise';
import type { Config } from '../config/schema.ts';
import { compileTableFilter, parseTablePattern, type TablePattern } from '../model/table-filter.ts';
import { gatherTables, type TableFacts } from './gather-tables.ts';
import { canSelect, type Query, queryOn, undefinedIfDenied } from './query.ts';

/** What is known about the source, as plain data; the judges decide what of it is wrong. */
export interface PreflightFacts {
  flavor: 'mysql' | 'mariadb';
  version: readonly [major: number, minor: number, patch: number];
  /** The account as GRANT takes it, `'cdc'@'%'`. */
  account: string;
  /** Global variables by their lower-case name; one that the server does not know is absent. */
  variables: Readonly<Partial<Record<Variable, string>>>;
  canReplicate: boolean;
  /** May ask for the binlog position. */
  canReadBinlogStatus: boolean;
  /** binlog_do_db and binlog_ignore_db, where they can be seen. */
  binlogSchemas: { only: string[]; ignored: string[] };
  /** Replicas that have registered, where they can be seen. */
  replicas: { id: number; host: string }[];
  patterns: PatternFacts[];
  /** The captured tables that this account can see. */
  tables: TableFacts[];
}

export interface PatternFacts {
  pattern: TablePattern;
  /** Visible tables that the pattern itself matches, excluded ones too. */
  matches: number;
  /** May SELECT whatever the pattern can match; always true of a `!` pattern. */
  maySelect: boolean;
  /** Matched tables that may not be SELECTed although they are visible. */
  closed: string[];
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
  const ask = queryOn(connection);
  const [[versionText, account] = []] = await ask('SELECT VERSION(), CURRENT_USER()');
  const flavor = /mariadb/i.test(String(versionText)) ? 'mariadb' : 'mysql';
  const version = parseVersion(String(versionText));
  const variables: PreflightFacts['variables'] = Object.fromEntries(
    (await ask('SHOW GLOBAL VARIABLES WHERE Variable_name IN (?)', [VARIABLES])).map(([k, v]) => [
      String(k).toLowerCase(),
      String(v ?? ''),
    ]),
  );
  const renamed = flavor === 'mysql' && atLeast(version, 8, 2);
  const status = await undefinedIfDenied(ask(renamed ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'));
  const newNames = flavor === 'mysql' && atLeast(version, 8, 0, 22);
  const replicas = await undefinedIfDenied(ask(newNames ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS'));
  const caseSensitive = variables.lower_case_table_names === '0';
  const visible = await gatherTables(ask, flavor === 'mysql' && atLeast(version, 8, 0));
  const captured = compileTableFilter(config.tables, { caseSensitive });
  return {
    flavor,
    version,
    account: quoteAccount(String(account)),
    variables,
    // MySQL shows replicas to whom it would stream to. MariaDB asks for another privilege there, but its SHOW GRANTS
    // resolves roles and PUBLIC.
    canReplicate: flavor === 'mysql' ? replicas !== undefined : grantsReplicationSlave(await ask('SHOW GRANTS')),
    canReadBinlogStatus: status !== undefined,
    binlogSchemas: { only: schemaList(status?.[0]?.[2]), ignored: schemaList(status?.[0]?.[3]) },
    replicas: (replicas ?? []).map(([id, host]) => ({ id: Number(id), host: String(host || 'an unnamed host') })),
    patterns: await gatherPatterns(ask, config.tables, visible.names, caseSensitive),
    tables: await visible.describe(captured),
  };
}

async function gatherPatterns(
  ask: Query,
  texts: readonly string[],
  visible: readonly (readonly [string, string])[],
  caseSensitive: boolean,
): Promise<PatternFacts[]> {
  const facts: PatternFacts[] = [];
  for (const text of texts) {
    const pattern = parseTablePattern(text);
    const filter = compileTableFilter([pattern.exclude ? text.replace('!', '') : text], { caseSensitive });
    const matched = visible.filter(([schema, table]) => filter(schema, table));
    const all = pattern.exclude || (await canSelect(ask, probe(pattern.schema), probe(pattern.table)));
    const closed: string[] = [];
    if (!all) {
      for (const [schema, table] of matched)
        if (!(await canSelect(ask, schema, table))) closed.push(`${schema}.${table}`);
    }
    facts.push({ pattern, matches: matched.length, maySelect: all, closed });
  }
  return facts;
}

/**
 * A name that the pattern matches. The server looks at privileges before existence, so a SELECT from a table that
 * is not there tells whether the account may read whatever else the pattern matches.
 */
const probe = (pieces: readonly string[]): string => pieces.join('cdc_check').slice(0, 64);

export function parseVersion(text: string): [number, number, number] {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0), Number(patch ?? 0)];
}

export function atLeast(version: readonly number[], ...wanted: number[]): boolean {
  const differs = wanted.findIndex((part, i) => version[i] !== part);
  return differs < 0 || (version[differs] ?? 0) > (wanted[differs] as number);
}

export const grantsReplicationSlave = (rows: readonly (readonly unknown[])[]): boolean =>
  rows.some(([line]) => {
    const privileges = /^GRANT (.*) ON \*\.\* TO /.exec(String(line))?.[1]?.split(', ') ?? [];
    return privileges.includes('REPLICATION SLAVE') || privileges.includes('ALL PRIVILEGES');
  });

/** `cdc@%` as `'cdc'@'%'`; the host holds no @, the user may. */
export function quoteAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)].map((part) => `'${part.replaceAll("'", "''")}'`).join('@');
}

const schemaList = (text: unknown): string[] => (text ? String(text).split(',') : []);
