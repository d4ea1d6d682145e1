import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import { checkTables } from '../../../src/preflight/check-tables.ts';
import { cascadesIn } from '../../../src/preflight/gather-tables.ts';
import { config, soundMariadb, soundServer, table } from './no-findings.ts';

const judged = (tables: ReturnType<typeof table>[], more: string | Config = '', server = soundServer()) =>
  checkTables({ ...server, tables }, typeof more === 'string' ? config(more) : more).map(
    ({ severity, what, fix }) => `${severity} ${what} -> ${fix}`,
  );

test('tables with primary keys give no problem', () => {
  expect(judged([table('orders'), table('users')])).toEqual([]);
});

describe('keys', () => {
  const log = table('log', { primaryKey: [], columns: ['host', 'at', 'text'] });

  test('are asked for where a table has no primary key', () => {
    expect(judged([log])).toEqual([
      'warning no primary key: shop.log -> add a primary key, or name columns that identify a row: keys: { "shop.log": [host, at] }',
    ]);
  });

  test('settle it where they name the table, as the server compares names', () => {
    expect(judged([log], 'keys: { "shop.log": [host, AT] }')).toEqual([]);
    expect(judged([log], 'keys: { "Shop.LOG": [host, at] }')).toHaveLength(2);
    const insensitive = soundServer({ variables: { lower_case_table_names: '1' } });
    expect(judged([log], 'keys: { "Shop.LOG": [host, at] }', insensitive)).toEqual([]);
  });

  test('must name columns that are there', () => {
    expect(judged([log], 'keys: { "shop.log": [hots, at] }')).toEqual([
      'error keys of shop.log names hots, which the table does not have -> choose among its columns: host, at, text',
    ]);
  });

  test('for a table that is not captured do nothing, which is said', () => {
    expect(judged([table('orders')], 'keys: { "shop.lgo": [a] }')).toEqual([
      'warning keys names shop.lgo, which is no captured table -> correct or remove it',
    ]);
  });

  test('are proposed in a form that the configuration takes', () => {
    const [problem] = judged([table('my.log', { primaryKey: [] })]);
    const proposed = problem?.slice(problem.indexOf('keys:')) ?? '';
    expect(judged([table('my.log', { primaryKey: [] })], proposed)).toEqual([]);
  });
});

describe('routes', () => {
  const routed = (...patterns: string[]) => {
    const given = config();
    const routes = Object.fromEntries(patterns.map((pattern) => [pattern, 'other']));
    return judged([table('orders'), table('logins')], { ...given, firehose: { ...given.firehose, routes } });
  };

  test('that decide for a table say nothing', () => {
    expect(routed('shop.orders', 'shop.*')).toEqual([]);
  });

  test('that decide for none do nothing, which is said', () => {
    const what = 'which decides for no captured table -> correct it, move it up or remove it';
    expect(routed('shop.ordesr')).toEqual([`warning firehose.routes names shop.ordesr, ${what}`]);
    expect(routed('shop.*', 'shop.orders')).toEqual([`warning firehose.routes names shop.orders, ${what}`]);
  });
});

describe('foreign keys that change rows by themselves', () => {
  const child = table('payments', { cascades: ['ON DELETE CASCADE', 'ON DELETE CASCADE'] });

  test('are a warning before MySQL 9.6 and on MariaDB, whose binlogs lack those changes', () => {
    expect(judged([child], '', soundServer({ version: [8, 4, 0] }))).toEqual([
      expect.stringMatching(
        /^warning changed by foreign keys: shop.payments \(ON DELETE CASCADE\) -> upgrade to MySQL 9.6/,
      ),
    ]);
    expect(judged([child], '', soundMariadb())).toEqual([expect.stringMatching(/-> make the foreign keys RESTRICT/)]);
  });

  test('are no problem from MySQL 9.6 on', () => {
    expect(judged([child], '', soundServer({ version: [9, 6, 0] }))).toEqual([]);
  });

  test('are read from SHOW CREATE TABLE, and from nothing that merely looks like them', () => {
    const created = [
      'CREATE TABLE `c` (',
      "  `a` int COMMENT 'CONSTRAINT `x` FOREIGN KEY (`a`) ON DELETE CASCADE',",
      '  CONSTRAINT `c_1` FOREIGN KEY (`a`) REFERENCES `p` (`id)`) ON DELETE SET NULL ON UPDATE CASCADE,',
      '  CONSTRAINT `c_2` FOREIGN KEY (`a`) REFERENCES `ON DELETE CASCADE` (`id`) ON UPDATE NO ACTION',
      ') ENGINE=InnoDB',
    ];
    expect(cascadesIn(created.join('\n'))).toEqual(['ON DELETE SET NULL', 'ON UPDATE CASCADE']);
  });
});

describe('format flat', () => {
  const clash = table('events', { columns: ['id', '_op', '_seq', 'op'] });

  test('refuses columns named as its own fields, and proposes a free prefix', () => {
    expect(judged([clash], 'format: flat')).toEqual([
      'error columns are named as fields of format flat: shop.events._op, shop.events._seq -> flat_prefix: __',
    ]);
    expect(judged([{ ...clash, columns: ['__ts_ms', '_partial'] }], 'format: flat')[0]).toMatch(/flat_prefix: _cdc_$/);
  });

  test('compares without case, as the readers of a lake do, and leaves out what a rule drops', () => {
    const loud = table('events', { columns: ['id', '_SEQ'] });
    expect(judged([loud], 'format: flat')[0]).toMatch(/shop.events._SEQ -> flat_prefix: __$/);
    expect(judged([loud], 'format: flat\ncolumns: { shop.events._seq: drop }')).toEqual([]);
  });

  test('is content with another prefix, and other formats do not care', () => {
    expect(judged([clash], 'format: flat\nflat_prefix: __')).toEqual([]);
    expect(judged([clash])).toEqual([]);
  });
});

describe('column rules', () => {
  const users = table('users', { columns: ['id', 'Email', 'phone'] });
  const hash = '{ hash: sha256, secret: x }';

  test('that match a column give no problem, whatever its case', () => {
    expect(
      judged([users], `columns: { shop.users.EMAIL: ${hash}, "*.*.phone": drop, shop.users.id: ${hash} }`),
    ).toEqual([]);
  });

  test('that match no column are named, for a mistyped name protects nothing', () => {
    expect(judged([users], 'columns: { shop.users.emial: drop, Shop.users.phone: drop, "*.*.phone": drop }')).toEqual([
      'warning columns names what is no column of a captured table: shop.users.emial, Shop.users.phone -> correct or remove the patterns',
    ]);
  });

  test('that would drop or mask a key column are refused, of a primary key and of keys', () => {
    const log = table('log', { primaryKey: [], columns: ['host', 'at'] });
    const rules = 'columns: { "*.*.id": drop, "shop.log.*": { mask: 2 } }\nkeys: { shop.log: [Host] }';
    expect(judged([users, log], rules)).toEqual([
      `error columns would drop the key column shop.users.id -> narrow the pattern, or hash the column: "shop.users.id": { hash: sha256, secret: … }`,
      `error columns would mask the key column shop.log.host -> narrow the pattern, or hash the column: "shop.log.host": { hash: sha256, secret: … }`,
    ]);
  });
});
