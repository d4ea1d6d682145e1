import { describe, expect, test } from 'vitest';
import { checkSettings } from '../../../src/preflight/check-settings.ts';
import type { PreflightFacts } from '../../../src/preflight/gather-server.ts';
import { config, soundMariadb, soundServer, withVariables } from './no-findings.ts';

/** Each finding as `severity what -> fix`. */
const found = (server: PreflightFacts, source = '') =>
  checkSettings(server, config('', source)).map(({ severity, what, fix }) => `${severity} ${what} -> ${fix}`);

test('a correctly configured server of either flavor has no findings', () => {
  expect(found(soundServer())).toEqual([]);
  expect(found(soundMariadb())).toEqual([]);
  expect(found(withVariables({ binlog_row_value_options: '', binlog_expire_logs_seconds: '86400' }))).toEqual([]);
});

describe('each wrong setting is reported with the statement that corrects it', () => {
  test.each<[Partial<PreflightFacts['variables']>, string]>([
    [{ log_bin: 'OFF' }, 'error log_bin is OFF -> log_bin = binlog under [mysqld]'],
    [{ binlog_format: 'MIXED' }, "error binlog_format is MIXED -> SET PERSIST binlog_format = 'ROW';"],
    [{ binlog_format: 'STATEMENT' }, "error binlog_format is STATEMENT -> SET PERSIST binlog_format = 'ROW';"],
    [{ binlog_row_image: 'minimal' }, "warning binlog_row_image is MINIMAL -> SET PERSIST binlog_row_image = 'FULL';"],
    [
      { binlog_row_metadata: 'MINIMAL' },
      "warning binlog_row_metadata is MINIMAL -> SET PERSIST binlog_row_metadata = 'FULL';",
    ],
    [
      { gtid_mode: 'ON_PERMISSIVE' },
      'warning gtid_mode is ON_PERMISSIVE -> SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = ON;',
    ],
    [
      { gtid_mode: 'OFF' },
      'warning gtid_mode is OFF -> SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;',
    ],
    [
      { binlog_expire_logs_seconds: '86399' },
      'warning binlogs are purged after 24.0 hours (binlog_expire_logs_seconds) -> SET PERSIST binlog_expire_logs_seconds = 259200;',
    ],
    [{ server_id: '0' }, 'error server_id is 0 -> SET PERSIST server_id = 1;'],
  ])('on MySQL: %j', (variables, expected) => {
    expect(found(withVariables(variables))).toEqual([expect.stringContaining(expected)]);
  });

  test.each<[Partial<PreflightFacts['variables']>, string]>([
    [{ binlog_format: 'MIXED' }, "SET GLOBAL binlog_format = 'ROW'; -- and binlog_format = ROW under [mysqld]"],
    [{ binlog_row_metadata: 'NO_LOG' }, "SET GLOBAL binlog_row_metadata = 'FULL'; -- and"],
    [
      { expire_logs_days: '0.500000' },
      'binlogs are purged after 12.0 hours (expire_logs_days) -> SET GLOBAL expire_logs_days = 3; --',
    ],
    [
      { binlog_expire_logs_seconds: '3600' },
      'binlogs are purged after 1.0 hours (binlog_expire_logs_seconds) -> SET GLOBAL',
    ],
  ])('on MariaDB: %j', (variables, expected) => {
    expect(found(soundMariadb(variables))).toEqual([expect.stringContaining(expected)]);
  });
});

test('partial JSON updates are an error only if MINIMAL leaves out the documents that they change', () => {
  const partial = { binlog_row_value_options: 'PARTIAL_JSON' };
  expect(found(withVariables(partial))).toEqual([]);
  expect(found(withVariables({ ...partial, binlog_row_image: 'MINIMAL' }))).toContainEqual(
    expect.stringContaining(
      "error binlog_row_value_options is PARTIAL_JSON and binlog_row_image is MINIMAL -> SET PERSIST binlog_row_value_options = '';",
    ),
  );
});

test('all wrong settings are reported at once', () => {
  const wrong = {
    log_bin: 'OFF',
    binlog_format: 'MIXED',
    binlog_row_image: 'NOBLOB',
    gtid_mode: 'OFF',
    server_id: '0',
  };
  expect(found(withVariables(wrong))).toHaveLength(5);
});

test('binlogs that are never purged have no finding', () => {
  expect(found(withVariables({ binlog_expire_logs_seconds: '0' }))).toEqual([]);
  expect(found(withVariables({ binlog_expire_logs_seconds: '60', binlog_expire_logs_auto_purge: 'OFF' }))).toEqual([]);
});

test('the findings for MySQL 5.7 use SET GLOBAL and propose an upgrade for its missing metadata', () => {
  const variables = {
    log_bin: 'ON',
    binlog_format: 'MIXED',
    binlog_row_image: 'FULL',
    expire_logs_days: '0',
    gtid_mode: 'ON',
    server_id: '1',
  };
  expect(found(soundServer({ version: [5, 7, 44], variables }))).toEqual([
    expect.stringMatching(/^error binlog_format .* SET GLOBAL binlog_format = 'ROW';/),
    'warning the server has no binlog_row_metadata -> upgrade to MySQL 8.0 or later',
  ]);
});

test('a server without the variable binlog_format has no finding, because it logs only rows', () => {
  const { binlog_format: _, ...variables } = soundServer().variables;
  expect(found(soundServer({ variables }))).toEqual([]);
});

test('the findings for Amazon RDS name the parameter group and the binlog retention procedure', () => {
  expect(found(withVariables({ basedir: '/rdsdbbin/mysql/', log_bin: 'OFF', binlog_format: 'MIXED' }))).toEqual([
    expect.stringContaining('automated backups'),
    expect.stringContaining("set binlog_format = 'ROW' in the parameter group"),
    expect.stringContaining("mysql.rds_set_configuration('binlog retention hours'"),
  ]);
});

test("a server_id that is the server's own is an error, and auto and other numbers are not", () => {
  expect(found(soundServer(), ', server_id: 7')).toEqual([
    expect.stringMatching(/^error source.server_id 7 is the server's own/),
  ]);
  expect(found(soundServer(), ', server_id: 8')).toEqual([]);
});
