import type { Config } from '../config/schema.ts';
import { error, type Finding, warning } from '../model/finding.ts';
import { atLeast, type PreflightFacts, type Variable } from './gather-server.ts';

export type Settings = Pick<PreflightFacts, 'flavor' | 'version' | 'variables'>;

const REOPEN = 'sessions that are open keep their own value until they reconnect';

/** What is wrong with the server's global variables. */
export function checkSettings(server: Settings, config: Config): Finding[] {
  return [
    ...judgeBinlog(server),
    ...judgeRowEvents(server),
    ...judgeGtid(server),
    ...judgeRetention(server),
    ...judgeServerId(server, config),
  ];
}

function judgeBinlog(server: Settings): Finding[] {
  if (server.variables.log_bin === 'ON') return [];
  return [
    error(
      'log_bin is OFF',
      'without a binary log there is nothing to follow',
      isRds(server)
        ? 'turn on automated backups of the instance (Aurora: set binlog_format = ROW in the cluster parameter group), then reboot it'
        : "log_bin = binlog under [mysqld] in the server's option file, and a restart",
    ),
  ];
}

function judgeRowEvents(server: Settings): Finding[] {
  const { flavor, variables } = server;
  const problems: Finding[] = [];
  const is = (name: Variable) => variables[name]?.toUpperCase();
  const differs = (name: Variable, wanted: string) => variables[name] !== undefined && is(name) !== wanted;

  if (differs('binlog_format', 'ROW')) {
    const why = `changes are logged as statements, from which no rows can be read; ${REOPEN}`;
    problems.push(error(`binlog_format is ${is('binlog_format')}`, why, setting(server, 'binlog_format', "'ROW'")));
  }
  if (differs('binlog_row_image', 'FULL')) {
    const why = `events lack the columns that the server leaves out, and say "partial"; ${REOPEN}`;
    problems.push(
      warning(`binlog_row_image is ${is('binlog_row_image')}`, why, setting(server, 'binlog_row_image', "'FULL'")),
    );
  }
  const unnamed =
    'the stream does not name columns: they are looked up in INFORMATION_SCHEMA, and a table that was altered while nobody followed stops the daemon';
  if (is('binlog_row_metadata') === undefined) {
    const needed = flavor === 'mysql' ? 'MySQL 8.0' : 'MariaDB 10.5';
    problems.push(warning('the server has no binlog_row_metadata', unnamed, `upgrade to ${needed} or later`));
  } else if (differs('binlog_row_metadata', 'FULL')) {
    const fix = setting(server, 'binlog_row_metadata', "'FULL'");
    problems.push(warning(`binlog_row_metadata is ${is('binlog_row_metadata')}`, unnamed, fix));
  }
  if (is('binlog_row_value_options')?.includes('PARTIAL_JSON') && is('binlog_row_image') === 'MINIMAL') {
    const why = `a partial JSON update is applied to the document in the before image, which MINIMAL leaves out: cdc stops at the first; ${REOPEN}`;
    problems.push(
      error(
        'binlog_row_value_options is PARTIAL_JSON and binlog_row_image is MINIMAL',
        why,
        setting(server, 'binlog_row_value_options', "''"),
      ),
    );
  }
  return problems;
}

const GTID_STEPS = ['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'];

function judgeGtid(server: Settings): Finding[] {
  const mode = server.variables.gtid_mode?.toUpperCase();
  if (server.flavor !== 'mysql' || mode === 'ON' || mode === undefined) return [];
  const steps = GTID_STEPS.slice(GTID_STEPS.indexOf(mode) + 1).map((step) => setting(server, 'gtid_mode', step));
  return [
    warning(
      `gtid_mode is ${mode}`,
      'the position is then a file and an offset, which means nothing on another server after a failover',
      [setting(server, 'enforce_gtid_consistency', 'ON'), ...new Set(steps)].join(' '),
    ),
  ];
}

const DAY = 86_400;

function judgeRetention(server: Settings): Finding[] {
  if (isRds(server)) {
    const why = 'RDS and Aurora purge the binlog as soon as they can unless told otherwise, which no variable shows';
    const fix =
      "CALL mysql.rds_show_configuration; and where it says NULL or less than 24: CALL mysql.rds_set_configuration('binlog retention hours', 72);";
    return [warning('the binlog retention of RDS cannot be seen', why, fix)];
  }
  const { variables } = server;
  const seconds = Number(variables.binlog_expire_logs_seconds ?? 0);
  const days = Number(variables.expire_logs_days ?? 0);
  const kept = seconds > 0 ? seconds : days * DAY;
  if (variables.binlog_expire_logs_auto_purge?.toUpperCase() === 'OFF' || kept === 0 || kept >= DAY) return [];
  const name = seconds > 0 ? 'binlog_expire_logs_seconds' : 'expire_logs_days';
  return [
    warning(
      `binlogs are purged after ${(kept / 3600).toFixed(1)} hours (${name})`,
      'an outage longer than that loses changes, and the tables must be copied anew',
      setting(server, name, name === 'expire_logs_days' ? '3' : String(3 * DAY)),
    ),
  ];
}

function judgeServerId(server: Settings, config: Config): Finding[] {
  const id = Number(server.variables.server_id ?? 0);
  if (id === 0) {
    return [error('server_id is 0', 'a server without an id refuses every replica', setting(server, 'server_id', '1'))];
  }
  if (config.source.server_id !== id) return [];
  const why = 'a replica of the same id is taken for the server itself, and refused';
  return [error(`source.server_id ${id} is the server's own id`, why, 'source.server_id: auto, or another number')];
}

/** How to set a global variable for good. */
function setting(server: Settings, name: Variable | 'enforce_gtid_consistency', value: string): string {
  if (isRds(server)) return `set ${name} = ${value} in the parameter group (Aurora: of the cluster).`;
  if (server.flavor === 'mysql' && atLeast(server.version, 8, 0)) return `SET PERSIST ${name} = ${value};`;
  return `SET GLOBAL ${name} = ${value}; -- and ${name} = ${value.replaceAll("'", '')} under [mysqld] in its option file`;
}

/** Amazon RDS and Aurora, where SET and option files are out of reach. */
const isRds = (server: Settings): boolean => server.variables.basedir?.startsWith('/rdsdbbin') ?? false;
