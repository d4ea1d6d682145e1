import type { Connection } from 'mysql2/promise';
import { assertSocketPath } from '../admin/unix-socket.ts';
import type { Config } from '../config/schema.ts';
import { backfillConnection } from '../config/source-connection.ts';
import { error, type Finding, shortList, warning } from '../model/finding.ts';
import { onAbort } from '../runtime/abort.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import { connectionError } from '../source/server/connection-error.ts';
import { queryOn } from '../source/server/query.ts';
import { connect } from '../source/server/server-info.ts';
import type { Settings } from './check-settings.ts';
import { gatherPatterns } from './gather-server.ts';
import { gatherTables } from './gather-tables.ts';
import { CHECK_QUERY_TIMEOUT_MS } from './limits.ts';

/** Whether the daemon could listen on its socket. */
export function checkSocket({ admin }: Config): Finding[] {
  try {
    assertSocketPath(admin.socket);
    return [];
  } catch (thrown) {
    const { message, why = '', hint = '' } = asCdcError(thrown);
    return [error(message, why, hint)];
  }
}

/** Whether the server has what a backfill compares its reads with, where the configuration wants one. */
export function checkBackfillServer({ flavor, variables }: Settings, { source, backfill }: Config): Finding[] {
  const isComparable = flavor === 'mariadb' || variables.gtid_mode?.toUpperCase() === 'ON';
  if (source.start !== 'snapshot' || isComparable || backfill.heartbeat_table !== undefined) return [];
  return [
    warning(
      'source.start: snapshot cannot read the rows that are there',
      `gtid_mode is ${variables.gtid_mode?.toUpperCase() ?? 'unknown to this server'}: a SELECT cannot be compared with the binlog`,
      'set gtid_mode = ON, or name a table that cdc may write to: backfill: { heartbeat_table: shop.cdc_heartbeat }',
    ),
  ];
}

/**
 * Whether the rows can be read from the replica that `backfill.url` names. A warning, because `cdc run` follows the
 * binlog without it.
 */
export async function checkReplica(config: Config, signal: AbortSignal): Promise<Finding[]> {
  if (config.backfill.url === undefined) return [];
  const where = (text: string): string => `backfill.url: ${text}`;
  try {
    const connection = await connect(backfillConnection(config), CHECK_QUERY_TIMEOUT_MS);
    const removeListener = onAbort(signal, () => connection.destroy());
    try {
      const unreadable = await unreadableTables(connection, config);
      if (unreadable.length === 0) return [];
      const why = 'cdc backfill reads the rows of these tables on the replica';
      return [
        warning(
          where(`the account lacks SELECT on ${shortList(unreadable)}`),
          why,
          `GRANT SELECT ON ${unreadable[0]} TO the account of backfill.url, and on the others`,
        ),
      ];
    } finally {
      removeListener();
      connection.destroy();
    }
  } catch (failure) {
    const {
      message,
      why,
      hint = 'correct backfill.url',
    } = failure instanceof CdcError ? failure : connectionError(failure, backfillConnection(config));
    return [warning(where(message), why ?? 'cdc backfill cannot read the rows there', hint)];
  }
}

/** What the patterns of `tables` match on the replica and its account cannot read. */
async function unreadableTables(connection: Connection, config: Config): Promise<string[]> {
  const query = queryOn(connection, CHECK_QUERY_TIMEOUT_MS);
  const [[lowerCase] = []] = await query('SELECT @@global.lower_case_table_names');
  const visible = await gatherTables(query, true);
  const patterns = await gatherPatterns(query, config.tables, visible.names, Number(lowerCase) === 0);
  return patterns.flatMap(({ pattern, canSelectAll, matches, unreadableTables }) =>
    canSelectAll ? [] : matches === 0 ? [pattern.text] : unreadableTables,
  );
}
