import { sourceConnection } from '../../config/source-connection.ts';
import { hostUrls, parseSourceUrl, type TlsMode } from '../../config/url.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import { parseVersion, quoteAccount } from '../../preflight/gather-server.ts';
import { accountGrants, createUser, type GrantingServer, PASSWORD_TO_CHOOSE } from '../../preflight/privileges.ts';
import { abortable } from '../../runtime/abort.ts';
import { connectionError } from '../../source/server/connection-error.ts';
import { connect } from '../../source/server/server-info.ts';

/** What a connection needs; several hosts in `url` as in the configuration. */
export interface SourceSettings {
  url: string;
  password?: string | undefined;
  password_file?: string | undefined;
  tls?: TlsMode | undefined;
  ca_file?: string;
}

/** A server that has answered. */
export interface ReachedServer extends GrantingServer {
  versionText: string;
  host: string;
  /** The account as in GRANT. */
  account: string;
  /** Databases that the account can see, without those of the server itself. */
  databases: string[];
}

/**
 * Connects to the first host of the source that answers.
 * @throws CdcError of the last host, if none does
 */
export async function reachSource(settings: SourceSettings, signal: AbortSignal): Promise<ReachedServer> {
  let failure: unknown;
  for (const url of hostUrls(settings.url)) {
    try {
      return await abortable(ask(sourceConnection({ ...settings, url })), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function ask(options: SourceConnection): Promise<ReachedServer> {
  const connection = await connect(options);
  try {
    const query = async (sql: string): Promise<unknown[][]> => (await connection.query(sql))[0] as unknown[][];
    const [[version, account] = []] = await query('SELECT VERSION(), CURRENT_USER()');
    const databases = await query(
      `SELECT schema_name FROM information_schema.schemata
         WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1`,
    );
    return {
      flavor: /mariadb/i.test(String(version)) ? 'mariadb' : 'mysql',
      version: parseVersion(String(version)),
      versionText: String(version),
      host: `${options.host}:${options.port}`,
      account: quoteAccount(String(account)),
      databases: databases.map(([name]) => String(name)),
    };
  } catch (error) {
    throw connectionError(error, options);
  } finally {
    connection.destroy();
  }
}

/** The statements that make the account, as SQL with comments. */
export function accountSql(url: string, tables: readonly string[], reached: ReachedServer | undefined): string {
  const { user } = parseSourceUrl(hostUrls(url)[0] as string);
  const account = reached?.account ?? quoteAccount(`${user}@%`);
  const create = createUser(account);
  if (reached !== undefined) {
    const product = reached.flavor === 'mysql' ? 'MySQL' : 'MariaDB';
    return [
      `-- The account on ${product} ${reached.versionText}. It exists; the statement in the comment makes a new one.`,
      `-- ${create}`,
      ...accountGrants(reached, account, tables),
    ].join('\n');
  }
  const [onMysql = '', ...selects] = accountGrants({ flavor: 'mysql', version: [8, 0] }, account, tables);
  const [onMariadb = ''] = accountGrants({ flavor: 'mariadb', version: [10, 5] }, account, tables);
  return [
    `-- As an administrator of the server, with another password than ${PASSWORD_TO_CHOOSE}:`,
    create,
    onMysql,
    `-- on MariaDB instead: ${onMariadb}`,
    ...selects,
  ].join('\n');
}
