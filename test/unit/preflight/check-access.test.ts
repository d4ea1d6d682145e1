import { describe, expect, test } from 'vitest';
import { checkAccess } from '../../../src/preflight/check-access.ts';
import {
  atLeast,
  grantsReplicationSlave,
  type PreflightFacts,
  parseVersion,
  quoteAccount,
} from '../../../src/preflight/gather-server.ts';
import { config, pattern, soundMariadb, soundServer } from './no-findings.ts';

const found = (server: PreflightFacts, source = '') =>
  checkAccess(server, config('', source)).map(({ severity, what, fix }) => `${severity} ${what} -> ${fix}`);

test('an account with all privileges has no findings', () => {
  expect(found(soundServer())).toEqual([]);
});

describe('the proposed GRANT', () => {
  test('the GRANT has exactly the missing privileges, with the names of MySQL', () => {
    expect(found(soundServer({ canReplicate: false, canReadBinlogStatus: false }))).toEqual([
      "error 'cdc'@'%' lacks REPLICATION SLAVE and REPLICATION CLIENT -> GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';",
    ]);
    expect(found(soundServer({ canReadBinlogStatus: false }))).toEqual([
      expect.stringContaining('-> GRANT REPLICATION CLIENT ON'),
    ]);
  });

  test('the GRANT has exactly the missing privileges, with the names of MariaDB 10.5', () => {
    expect(found({ ...soundMariadb(), canReplicate: false, canReadBinlogStatus: false })).toEqual([
      expect.stringContaining("-> GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'cdc'@'%';"),
    ]);
  });

  test.each([
    ['shop.orders', '`shop`.`orders`'],
    ['shop.*', '`shop`.*'],
    ['shop.ord*', '`shop`.*'],
    ['shop_*.*', '*.*'],
    ['*.*', '*.*'],
    ['`a``b.c`.d', '`a``b.c`.`d`'],
  ])('the GRANT for the pattern %s is on %s', (text, target) => {
    expect(found(soundServer({ patterns: [pattern(text, { canSelectAll: false, matches: 0 })] }))).toEqual([
      `error 'cdc'@'%' lacks SELECT on what "${text}" matches -> GRANT SELECT ON ${target} TO 'cdc'@'%';`,
    ]);
  });

  test('the GRANT covers visible tables that the account cannot read', () => {
    const patterns = [pattern('shop.*', { canSelectAll: false, matches: 2, unreadableTables: ['shop.orders'] })];
    expect(found(soundServer({ patterns }))).toEqual([
      "error 'cdc'@'%' lacks SELECT on shop.orders -> GRANT SELECT ON `shop`.* TO 'cdc'@'%';",
    ]);
  });

  test('the finding is only a warning if all visible tables can be read', () => {
    expect(found(soundServer({ patterns: [pattern('shop.*', { canSelectAll: false, matches: 2 })] }))).toEqual([
      expect.stringMatching(/^warning "shop.\*" can match tables that 'cdc'@'%' cannot see/),
    ]);
  });
});

test('a pattern that matches no table is a warning, also with !', () => {
  const patterns = [pattern('shop.order', { matches: 0 }), pattern('!shop.lgo', { matches: 0 }), pattern('!shop.log')];
  expect(found(soundServer({ patterns }))).toEqual([
    expect.stringContaining('warning the pattern "shop.order" matches no table'),
    expect.stringContaining('warning the pattern "!shop.lgo" matches no table'),
  ]);
});

test('a captured schema that the server does not log is an error', () => {
  expect(found(soundServer({ binlogSchemas: { only: [], ignored: ['shop'] } }))).toEqual([
    expect.stringContaining('error the server leaves shop out of its binlog'),
  ]);
  expect(found(soundServer({ binlogSchemas: { only: ['other'], ignored: [] } }))).toHaveLength(1);
  expect(found(soundServer({ binlogSchemas: { only: ['shop'], ignored: ['other'] } }))).toEqual([]);
});

test('a server_id that a replica has registered is an error, but auto is not', () => {
  const server = soundServer({ replicas: [{ id: 42, host: 'replica-1' }] });
  expect(found(server, ', server_id: 42')).toEqual([
    expect.stringContaining('error source.server_id 42 is used by a replica on replica-1'),
  ]);
  expect(found(server, ', server_id: 43')).toEqual([]);
  expect(found(server)).toEqual([]);
});

test('REPLICATION SLAVE is found in SHOW GRANTS of MariaDB as a privilege, in ALL and by a role, and nowhere else', () => {
  const has = (...lines: string[]) => grantsReplicationSlave(lines.map((line) => [line]));
  expect(has("GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `cdc`@`%` IDENTIFIED BY PASSWORD '*B'")).toBe(
    true,
  );
  expect(has('GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION')).toBe(true);
  expect(
    has('GRANT `r` TO `cdc`@`%`', 'GRANT USAGE ON *.* TO `cdc`@`%`', 'GRANT REPLICATION SLAVE ON *.* TO `r`'),
  ).toBe(true);
  expect(has('GRANT REPLICATION SLAVE ADMIN ON *.* TO `cdc`@`%`')).toBe(false);
  expect(has('GRANT ALL PRIVILEGES ON `shop`.* TO `cdc`@`%`', 'GRANT `REPLICATION SLAVE` TO `cdc`@`%`')).toBe(false);
});

test('versions and accounts are parsed as servers write them', () => {
  expect(parseVersion('10.11.18-MariaDB-0+deb12u1-log')).toEqual([10, 11, 18]);
  expect(parseVersion('5.7.44-log')).toEqual([5, 7, 44]);
  expect(atLeast([9, 7, 4], 8, 0, 22)).toBe(true);
  expect(atLeast([8, 0, 21], 8, 0, 22)).toBe(false);
  expect(atLeast([8, 2, 0], 8, 2)).toBe(true);
  expect(quoteAccount("o'b@x@10.%")).toBe("'o''b@x'@'10.%'");
});
