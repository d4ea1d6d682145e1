import { checkpointTablePattern } from '../config/checkpoint-schema.ts';
import type { Config } from '../config/schema.ts';
import { error, type Finding, shortList, warning } from '../model/finding.ts';
import type { PatternFacts, PreflightFacts } from './gather-server.ts';
import { binlogStatusPrivilege, grantReplication, grantSelect, REPLICATION } from './privileges.ts';

/** Missing privileges, tables that cannot be captured, and a server id that another replica uses. */
export function checkAccess(server: PreflightFacts, config: Config): Finding[] {
  return [
    ...checkReplication(server),
    // The pattern that cdc adds itself concerns nobody.
    ...server.patterns
      .filter(({ pattern }) => pattern.text !== checkpointTablePattern(config.checkpoint))
      .flatMap((facts) => checkPattern(facts, server)),
    ...checkBinlogFilters(server),
    ...checkReplicas(server, config),
  ].filter((finding, i, all) => all.findIndex(({ what, fix }) => what === finding.what && fix === finding.fix) === i);
}

function checkReplication(server: PreflightFacts): Finding[] {
  const { canReplicate, canReadBinlogStatus, account } = server;
  const monitor = binlogStatusPrivilege(server);
  const missing = [...(canReplicate ? [] : [REPLICATION]), ...(canReadBinlogStatus ? [] : [monitor])];
  if (missing.length === 0) return [];
  return [
    error(
      `${account} lacks ${missing.join(' and ')}`,
      `${REPLICATION} allows reading the binlog, ${monitor} allows querying its position`,
      grantReplication(missing, account),
    ),
  ];
}

function checkPattern(
  { pattern, matches, canSelectAll, unreadableTables }: PatternFacts,
  { account }: PreflightFacts,
): Finding[] {
  if (canSelectAll) {
    if (matches > 0) return [];
    const why = pattern.exclude
      ? 'the table that it should exclude is captured if it has another name'
      : 'it captures nothing until such a table exists';
    return [
      warning(`the pattern "${pattern.text}" matches no table`, why, 'correct it in tables, or create the table'),
    ];
  }
  const grant = grantSelect(pattern, account);
  if (matches === 0) {
    const why = 'without SELECT the tables are not visible, so this check knows nothing about them';
    return [error(`${account} lacks SELECT on what "${pattern.text}" matches`, why, grant)];
  }
  if (unreadableTables.length > 0) {
    const why = 'without SELECT, cdc cannot look up columns of these tables, nor backfill or compare their rows';
    return [error(`${account} lacks SELECT on ${shortList(unreadableTables)}`, why, grant)];
  }
  const why = 'their changes are captured, but this check knows nothing about them';
  return [warning(`"${pattern.text}" can match tables that ${account} cannot see`, why, grant)];
}

/** Captured schemas that the server does not log. */
function checkBinlogFilters({ binlogSchemas: { only, ignored }, tables }: PreflightFacts): Finding[] {
  const schemas = [...new Set(tables.map((table) => table.schema))];
  const unlogged = schemas.filter((schema) => ignored.includes(schema) || (only.length > 0 && !only.includes(schema)));
  if (unlogged.length === 0) return [];
  return [
    error(
      `the server leaves ${shortList(unlogged)} out of its binlog`,
      'binlog_do_db or binlog_ignore_db excludes it, and changes that are not logged cannot be captured',
      "remove binlog_do_db and binlog_ignore_db from the server's option file and restart it, or exclude the schema in tables",
    ),
  ];
}

function checkReplicas({ replicas }: PreflightFacts, config: Config): Finding[] {
  const sameId = replicas.find(({ id }) => id === config.source.server_id);
  if (!sameId) return [];
  return [
    error(
      `source.server_id ${sameId.id} is used by a replica on ${sameId.host}`,
      'two replicas with the same server id disconnect each other repeatedly',
      'source.server_id: auto, or another number',
    ),
  ];
}
