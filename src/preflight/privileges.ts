import { quoteIdentifier } from '../model/identifier.ts';
import { parseTablePattern, type TablePattern } from '../model/table-filter.ts';

/** What an account needs, in one place for `cdc check`, `cdc init` and, by a test, docs/INSTALL.md. */

/** The password in CREATE USER. */
export const PASSWORD_TO_CHOOSE = 'choose-one';

/** Who asks for privileges: `version` is `[major, minor, patch]`. */
export interface GrantingServer {
  flavor: 'mysql' | 'mariadb';
  version: readonly number[];
}

/** The privilege to read the binlog. */
export const REPLICATION = 'REPLICATION SLAVE';

/** The privilege to query the position of the binlog. MariaDB 10.5 gave it a name of its own. */
export const binlogStatusPrivilege = ({ flavor, version: [major = 0, minor = 0] }: GrantingServer): string =>
  flavor === 'mariadb' && (major > 10 || (major === 10 && minor >= 5)) ? 'BINLOG MONITOR' : 'REPLICATION CLIENT';

/** @param account as in GRANT, `'cdc'@'%'` */
export const grantReplication = (privileges: readonly string[], account: string): string =>
  `GRANT ${privileges.join(', ')} ON *.* TO ${account};`;

/** The smallest GRANT of SELECT that covers the pattern. GRANT has no wildcards within a table name. */
export function grantSelect({ schema, table }: Pick<TablePattern, 'schema' | 'table'>, account: string): string {
  const [database, name] = [schema[0] as string, table[0] as string];
  const target =
    schema.length > 1 ? '*.*' : `${quoteIdentifier(database)}.${table.length > 1 ? '*' : quoteIdentifier(name)}`;
  return `GRANT SELECT ON ${target} TO ${account};`;
}

/** The statements that let the account capture what the patterns match. */
export function accountGrants(server: GrantingServer, account: string, patterns: readonly string[]): string[] {
  const included = patterns.map(parseTablePattern).filter(({ exclude }) => !exclude);
  const selects = [...new Set(included.map((pattern) => grantSelect(pattern, account)))];
  const all = grantSelect({ schema: ['', ''], table: ['', ''] }, account);
  return [
    grantReplication([REPLICATION, binlogStatusPrivilege(server)], account),
    ...(selects.includes(all) ? [all] : selects),
  ];
}

export const createUser = (account: string): string => `CREATE USER ${account} IDENTIFIED BY '${PASSWORD_TO_CHOOSE}';`;
