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

const judged = (server: PreflightFacts, source = '') =>
  checkAccess(server, config('', source)).map(({ severity, what, fix }) => `${severity} ${what} -> ${fix}`);

test('an account that may do all it needs gives no problem', () => {
  expect(judged(soundServer())).toEqual([]);
});

describe('the GRANT names exactly what is missing', () => {
  test('by the names of MySQL', () => {
    expect(judged(soundServer({ canReplicate: false, canReadBinlogStatus: false }))).toEqual([
      "error 'cdc'@'%' lacks REPLICATION SLAVE and REPLICATION CLIENT -> GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';",
    ]);
    expect(judged(soundServer({ canReadBinlogStatus: false }))).toEqual([
      expect.stringContaining('-> GRANT REPLICATION CLIENT ON'),
    ]);
  });

  test('by the names of MariaDB 10.5', () => {
    expect(judged({ ...soundMariadb(), canReplicate: false, canReadBinlogStatus: false })).toEqual([
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
  ])('for the pattern %s on %s', (text, target) => {
    expect(judged(soundServer({ patterns: [pattern(text, { maySelect: false, matches: 0 })] }))).toEqual([
      `error 'cdc'@'%' lacks SELECT on what "${text}" matches -> GRANT SELECT ON ${target} TO 'cdc'@'%';`,
    ]);
  });

  test('for tables that are seen but may not be read', () => {
    const patterns = [pattern('shop.*', { maySelect: false, matches: 2, closed: ['shop.orders'] })];
    expect(judged(soundServer({ patterns }))).toEqual([
      "error 'cdc'@'%' lacks SELECT on shop.orders -> GRANT SELECT ON `shop`.* TO 'cdc'@'%';",
    ]);
  });

  test('as a mere warning where all that is seen may be read', () => {
    expect(judged(soundServer({ patterns: [pattern('shop.*', { maySelect: false, matches: 2 })] }))).toEqual([
      expect.stringMatching(/^warning "shop.\*" may match tables that 'cdc'@'%' cannot see/),
    ]);
  });
});

test('a pattern that matches no table is a warning, an excluding one too', () => {
  const patterns = [pattern('shop.order', { matches: 0 }), pattern('!shop.lgo', { matches: 0 }), pattern('!shop.log')];
  expect(judged(soundServer({ patterns }))).toEqual([
    expect.stringContaining('warning the pattern "shop.order" matches no table'),
    expect.stringContaining('warning the pattern "!shop.lgo" matches no table'),
  ]);
});

test('a captured schema that the server keeps out of its binlog is an error', () => {
  expect(judged(soundServer({ binlogSchemas: { only: [], ignored: ['shop'] } }))).toEqual([
    expect.stringContaining('error the server leaves shop out of its binlog'),
  ]);
  expect(judged(soundServer({ binlogSchemas: { only: ['other'], ignored: [] } }))).toHaveLength(1);
  expect(judged(soundServer({ binlogSchemas: { only: ['shop'], ignored: ['other'] } }))).toEqual([]);
});

test('a server_id that a replica has registered is an error, unless it is drawn at random', () => {
  const server = soundServer({ replicas: [{ id: 42, host: 'replica-1' }] });
  expect(judged(server, ', server_id: 42')).toEqual([
    expect.stringContaining('error source.server_id 42 is used by a replica on replica-1'),
  ]);
  expect(judged(server, ', server_id: 43')).toEqual([]);
  expect(judged(server)).toEqual([]);
});

test('REPLICATION SLAVE is found in what MariaDB prints, directly, in ALL, by a role, and nowhere else', () => {
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

test('versions and accounts are read as servers write them', () => {
  expect(parseVersion('10.11.18-MariaDB-0+deb12u1-log')).toEqual([10, 11, 18]);
  expect(parseVersion('5.7.44-log')).toEqual([5, 7, 44]);
  expect(atLeast([9, 7, 4], 8, 0, 22)).toBe(true);
  expect(atLeast([8, 0, 21], 8, 0, 22)).toBe(false);
  expect(atLeast([8, 2, 0], 8, 2)).toBe(true);
  expect(quoteAccount("o'b@x@10.%")).toBe("'o''b@x'@'10.%'");
});
