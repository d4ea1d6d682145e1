import type { Config } from '../config/schema.ts';
import { error, type Finding, indentedList, warning } from '../model/finding.ts';
import { atLeast, type PatternFacts, type PreflightFacts } from './gather-server.ts';
import { quoteName } from './query.ts';

/** What the account lacks, what keeps tables out of reach, and whether another replica has our id. */
export function checkAccess(server: PreflightFacts, config: Config): Finding[] {
  return [
    ...judgeReplication(server),
    ...server.patterns.flatMap((pattern) => judgePattern(pattern, server)),
    ...judgeBinlogFilters(server),
    ...judgeReplicas(server, config),
  ].filter((problem, i, all) => all.findIndex(({ what, fix }) => what === problem.what && fix === problem.fix) === i);
}

function judgeReplication({ canReplicate, canReadBinlogStatus, flavor, version, account }: PreflightFacts): Finding[] {
  const monitor = flavor === 'mariadb' && atLeast(version, 10, 5) ? 'BINLOG MONITOR' : 'REPLICATION CLIENT';
  const missing = [...(canReplicate ? [] : ['REPLICATION SLAVE']), ...(canReadBinlogStatus ? [] : [monitor])];
  if (missing.length === 0) return [];
  return [
    error(
      `${account} lacks ${missing.join(' and ')}`,
      'REPLICATION SLAVE allows following the binlog, '.concat(`${monitor} asking where it stands`),
      `GRANT ${missing.join(', ')} ON *.* TO ${account};`,
    ),
  ];
}

function judgePattern({ pattern, matches, maySelect, closed }: PatternFacts, { account }: PreflightFacts): Finding[] {
  if (maySelect) {
    if (matches > 0) return [];
    const why = pattern.exclude
      ? 'what it should keep out may be captured under another name'
      : 'nothing is captured by it until there is one';
    return [
      warning(`the pattern "${pattern.text}" matches no table`, why, 'correct it in tables, or create the table'),
    ];
  }
  const grant = `GRANT SELECT ON ${grantTarget(pattern)} TO ${account};`;
  if (matches === 0) {
    const why = 'tables without it are not even visible, so nothing can be known about them';
    return [error(`${account} lacks SELECT on what "${pattern.text}" matches`, why, grant)];
  }
  if (closed.length > 0) {
    const why = 'the rows that are there already can be neither looked up nor compared';
    return [error(`${account} lacks SELECT on ${indentedList(closed)}`, why, grant)];
  }
  const why = 'their changes are captured all the same, but this check knows nothing about them';
  return [warning(`"${pattern.text}" may match tables that ${account} cannot see`, why, grant)];
}

/** The smallest thing GRANT can name that covers the pattern; it knows no star within a name. */
function grantTarget({ schema, table }: PatternFacts['pattern']): string {
  if (schema.length > 1) return '*.*';
  return `${quoteName(schema[0] as string)}.${table.length > 1 ? '*' : quoteName(table[0] as string)}`;
}

/** Schemas that the server keeps out of its binlog although they are captured. */
function judgeBinlogFilters({ binlogSchemas: { only, ignored }, tables }: PreflightFacts): Finding[] {
  const schemas = [...new Set(tables.map((table) => table.schema))];
  const unlogged = schemas.filter((schema) => ignored.includes(schema) || (only.length > 0 && !only.includes(schema)));
  if (unlogged.length === 0) return [];
  return [
    error(
      `the server leaves ${indentedList(unlogged)} out of its binlog`,
      'binlog_do_db or binlog_ignore_db says so, and what is not logged cannot be captured',
      "remove binlog_do_db and binlog_ignore_db from the server's option file and restart it, or exclude the schema in tables",
    ),
  ];
}

function judgeReplicas({ replicas }: PreflightFacts, config: Config): Finding[] {
  const twin = replicas.find(({ id }) => id === config.source.server_id);
  if (!twin) return [];
  return [
    error(
      `source.server_id ${twin.id} is used by a replica on ${twin.host}`,
      'of two readers with one id, the server ends the older one, in turns',
      'source.server_id: auto, or another number',
    ),
  ];
}
