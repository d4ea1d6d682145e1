import type { Config } from '../config/schema.ts';
import { error, type Finding, warning } from '../model/finding.ts';
import { atLeast, type PreflightFacts, type Variable } from './gather-server.ts';

export type Settings = Pick<PreflightFacts, 'flavor' | 'version' | 'variables'>;

const OPEN_SESSIONS = 'open sessions keep their value until they reconnect';

/** Global variables of the server that stop or impair `cdc run`. */
export function checkSettings(server: Settings, config: Config): Finding[] {
  return [
    ...checkBinlog(server),
    ...checkRowEvents(server),
    ...checkGtid(server),
    ...checkRetention(server),
    ...checkServerId(server, config),
  ];
}

function checkBinlog(server: Settings): Finding[] {
  if (server.variables.log_bin === 'ON') return [];
  return [
    error(
      'log_bin is OFF',
      'without a binary log there are no changes to read',
      isRds(server)
        ? 'turn on automated backups of the instance (Aurora: set binlog_format = ROW in the cluster parameter group), then reboot it'
        : "log_bin = binlog under [mysqld] in the server's option file, and a restart",
    ),
  ];
}

function checkRowEvents(server: Settings): Finding[] {
  const { flavor, variables } = server;
  const findings: Finding[] = [];
  const upperCase = (name: Variable) => variables[name]?.toUpperCase();
  const differs = (name: Variable, expected: string) => variables[name] !== undefined && upperCase(name) !== expected;

  if (differs('binlog_format', 'ROW')) {
    const why = `changes are logged as statements instead of rows; ${OPEN_SESSIONS}`;
    findings.push(
      error(`binlog_format is ${upperCase('binlog_format')}`, why, setting(server, 'binlog_format', "'ROW'")),
    );
  }
  if (differs('binlog_row_image', 'FULL')) {
    const why = `events lack the columns that the server leaves out, and are marked "partial"; ${OPEN_SESSIONS}`;
    findings.push(
      warning(
        `binlog_row_image is ${upperCase('binlog_row_image')}`,
        why,
        setting(server, 'binlog_row_image', "'FULL'"),
      ),
    );
  }
  const unnamed =
    'the binlog does not name columns: cdc reads them from INFORMATION_SCHEMA, and a table that was altered while cdc was stopped stops the daemon';
  if (upperCase('binlog_row_metadata') === undefined) {
    const since = flavor === 'mysql' ? 'MySQL 8.0' : 'MariaDB 10.5';
    findings.push(warning('the server has no binlog_row_metadata', unnamed, `upgrade to ${since} or later`));
  } else if (differs('binlog_row_metadata', 'FULL')) {
    const fix = setting(server, 'binlog_row_metadata', "'FULL'");
    findings.push(warning(`binlog_row_metadata is ${upperCase('binlog_row_metadata')}`, unnamed, fix));
  }
  if (upperCase('binlog_row_value_options')?.includes('PARTIAL_JSON') && upperCase('binlog_row_image') === 'MINIMAL') {
    const why = `a partial JSON update changes the document in the before image, which MINIMAL leaves out: the first such update stops cdc; ${OPEN_SESSIONS}`;
    findings.push(
      error(
        'binlog_row_value_options is PARTIAL_JSON and binlog_row_image is MINIMAL',
        why,
        setting(server, 'binlog_row_value_options', "''"),
      ),
    );
  }
  return findings;
}

const GTID_STEPS = ['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'];

function checkGtid(server: Settings): Finding[] {
  const mode = server.variables.gtid_mode?.toUpperCase();
  if (server.flavor !== 'mysql' || mode === 'ON' || mode === undefined) return [];
  const steps = GTID_STEPS.slice(GTID_STEPS.indexOf(mode) + 1).map((step) => setting(server, 'gtid_mode', step));
  return [
    warning(
      `gtid_mode is ${mode}`,
      'the position is then a file and an offset, which has no meaning on another server after a failover',
      [setting(server, 'enforce_gtid_consistency', 'ON'), ...new Set(steps)].join(' '),
    ),
  ];
}

const DAY_S = 86_400;

function checkRetention(server: Settings): Finding[] {
  if (isRds(server)) {
    const why = 'RDS and Aurora purge the binlog as soon as possible by default, and no variable shows the setting';
    const fix =
      "CALL mysql.rds_show_configuration; and if it shows NULL or less than 24: CALL mysql.rds_set_configuration('binlog retention hours', 72);";
    return [warning('cdc check cannot read the binlog retention of RDS', why, fix)];
  }
  const { variables } = server;
  const seconds = Number(variables.binlog_expire_logs_seconds ?? 0);
  const days = Number(variables.expire_logs_days ?? 0);
  const retentionSeconds = seconds > 0 ? seconds : days * DAY_S;
  if (
    variables.binlog_expire_logs_auto_purge?.toUpperCase() === 'OFF' ||
    retentionSeconds === 0 ||
    retentionSeconds >= DAY_S
  )
    return [];
  const name = seconds > 0 ? 'binlog_expire_logs_seconds' : 'expire_logs_days';
  return [
    warning(
      `binlogs are purged after ${(retentionSeconds / 3600).toFixed(1)} hours (${name})`,
      'a longer outage loses changes, and the tables must be copied again',
      setting(server, name, name === 'expire_logs_days' ? '3' : String(3 * DAY_S)),
    ),
  ];
}

function checkServerId(server: Settings, config: Config): Finding[] {
  const id = Number(server.variables.server_id ?? 0);
  if (id === 0) {
    return [error('server_id is 0', 'a server without an id rejects every replica', setting(server, 'server_id', '1'))];
  }
  if (config.source.server_id !== id) return [];
  const why = 'the server rejects a replica with its own id';
  return [error(`source.server_id ${id} is the server's own id`, why, 'source.server_id: auto, or another number')];
}

/** How to set a global variable permanently. */
function setting(server: Settings, name: Variable | 'enforce_gtid_consistency', value: string): string {
  if (isRds(server)) return `set ${name} = ${value} in the parameter group (Aurora: of the cluster).`;
  if (server.flavor === 'mysql' && atLeast(server.version, 8, 0)) return `SET PERSIST ${name} = ${value};`;
  return `SET GLOBAL ${name} = ${value}; -- and ${name} = ${value.replaceAll("'", '')} under [mysqld] in its option file`;
}

/** Amazon RDS and Aurora, where SET and option files are not available. */
const isRds = (server: Settings): boolean => server.variables.basedir?.startsWith('/rdsdbbin') ?? false;
