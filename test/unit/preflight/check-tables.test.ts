import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import { checkTables } from '../../../src/preflight/check-tables.ts';
import { cascadesIn } from '../../../src/preflight/gather-tables.ts';
import { configFrom, firehoseOf } from '../config/config-from.ts';
import { config, soundMariadb, soundServer, table } from './no-findings.ts';

const found = (tables: ReturnType<typeof table>[], more: string | Config = '', server = soundServer()) =>
  checkTables({ ...server, tables }, typeof more === 'string' ? config(more) : more).map(
    ({ severity, what, fix }) => `${severity} ${what} -> ${fix}`,
  );

test('tables with primary keys have no findings', () => {
  expect(found([table('orders'), table('users')])).toEqual([]);
});

test('tables that get one Kafka topic because of their characters are an error, where they go to Kafka', () => {
  const both = [table('a b'), table('a_b')];
  const kafka = configFrom(
    'source: { url: "mysql://cdc@127.0.0.1", password: a }\nkafka: { brokers: ["127.0.0.1:9092"] }',
  );
  const [finding, ...others] = found(both, kafka);
  expect(others).toEqual([]);
  expect(finding).toMatch(
    /^error tables without a topic .*shop\.a_b and .*shop\.a b both become the topic .*shop\.a_b/,
  );
  expect(found([table('a b')], kafka)).toEqual([]);
  expect(found(both)).toEqual([]);
  const routed = { ...config(''), ...{ name: kafka.name, kafka: kafka.kafka } };
  expect(found(both, { ...routed, routes: { 'shop.`a b`': 'firehose', '*.*': 'kafka' } })).toEqual([]);
  expect(found(both, { ...routed, routes: { 'shop.*': 'kafka', '*.*': 'firehose' } })[0]).toContain('both become');
});

describe('keys', () => {
  const log = table('log', { primaryKey: [], columns: ['host', 'at', 'text'] });

  test('a table without a key is a warning that proposes keys', () => {
    expect(found([log])).toEqual([
      'warning no key: shop.log -> add a primary key or a UNIQUE key of NOT NULL columns, or name columns that identify a row: keys: { "shop.log": [host, at] }',
    ]);
  });

  test('keys that name the table replace the primary key, with names compared as the server does', () => {
    expect(found([log], 'keys: { "shop.log": [host, AT] }')).toEqual([]);
    expect(found([log], 'keys: { "Shop.LOG": [host, at] }')).toHaveLength(2);
    const insensitive = soundServer({ variables: { lower_case_table_names: '1' } });
    expect(found([log], 'keys: { "Shop.LOG": [host, at] }', insensitive)).toEqual([]);
  });

  test('keys of a table that has a key of its own are a warning, because they are not used', () => {
    expect(found([table('orders')], 'keys: { "shop.orders": [total] }')).toEqual([
      'warning keys of shop.orders is not used: the server already has the key (id) -> remove the entry',
    ]);
  });

  test('keys with columns that the table does not have are an error', () => {
    expect(found([log], 'keys: { "shop.log": [hots, at] }')).toEqual([
      'error keys of shop.log names hots, which the table does not have -> choose from its columns: host, at, text',
    ]);
  });

  test('keys of a table that is not captured are a warning', () => {
    expect(found([table('orders')], 'keys: { "shop.lgo": [a] }')).toEqual([
      'warning keys names shop.lgo, which is not a captured table -> correct or remove it',
    ]);
  });

  test('the proposed keys are valid in the configuration', () => {
    const [problem] = found([table('my.log', { primaryKey: [] })]);
    const proposed = problem?.slice(problem.indexOf('keys:')) ?? '';
    expect(found([table('my.log', { primaryKey: [] })], proposed)).toEqual([]);
  });
});

describe('columns that the stream could not name or would leave out', () => {
  const labelled = (charset: string) => table('t', { uncertainLabels: [{ column: 'kind', charset }] });

  test('labels with "?" are an error if neither the binlog nor the server shows them as they are', () => {
    const unnamed = (version: [number, number, number]) =>
      soundServer({ version, variables: { ...soundServer().variables, binlog_row_metadata: 'MINIMAL' } });
    for (const charset of ['utf8mb4', 'binary']) {
      expect(found([labelled(charset)])).toEqual([]);
      expect(found([labelled(charset)], '', unnamed([8, 4, 0]))).toEqual([]);
      expect(found([labelled(charset)], '', unnamed([5, 6, 24]))).toEqual([
        'error labels of ENUM or SET columns contain "?": shop.t.kind -> give the column a character set such as utf8 or latin1, or labels without "?"; or leave the table out',
      ]);
    }
  });

  test('a column with the name of a hidden column of MariaDB is an error there', () => {
    const named = table('t', { columns: ['id', 'DB_ROW_HASH_1'] });
    expect(found([named])).toEqual([]);
    expect(found([named], '', soundMariadb())).toEqual([
      'error columns have a name that MariaDB gives to its hidden columns: shop.t.DB_ROW_HASH_1 -> rename the columns',
    ]);
  });
});

describe('routes', () => {
  const routed = (...patterns: string[]) => {
    const base = config();
    const routes = Object.fromEntries(patterns.map((pattern) => [pattern, 'other']));
    return found([table('orders'), table('logins')], { ...base, firehose: { ...firehoseOf(base), routes } });
  };

  test('routes that match a table have no finding', () => {
    expect(routed('shop.orders', 'shop.*')).toEqual([]);
  });

  test('a route that is never used is a warning', () => {
    const unused = (route: string) =>
      `warning the route ${route} in firehose.routes is never used -> correct it, move it up or remove it`;
    expect(routed('shop.ordesr')).toEqual([unused('shop.ordesr')]);
    expect(routed('shop.*', 'shop.orders')).toEqual([unused('shop.orders')]);
  });
});

describe('foreign keys that change rows by themselves', () => {
  const child = table('payments', { cascades: ['ON DELETE CASCADE', 'ON DELETE CASCADE'] });

  test('cascading foreign keys are a warning before MySQL 9.6 and on MariaDB, whose binlogs lack those changes', () => {
    expect(found([child], '', soundServer({ version: [8, 4, 0] }))).toEqual([
      expect.stringMatching(
        /^warning changed by foreign keys: shop.payments \(ON DELETE CASCADE\) -> upgrade to MySQL 9.6/,
      ),
    ]);
    expect(found([child], '', soundMariadb())).toEqual([expect.stringMatching(/-> make the foreign keys RESTRICT/)]);
  });

  test('cascading foreign keys have no finding since MySQL 9.6', () => {
    expect(found([child], '', soundServer({ version: [9, 6, 0] }))).toEqual([]);
  });

  test('cascading foreign keys are read from SHOW CREATE TABLE, not from text that looks like them', () => {
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

  test('columns with the names of fields of format flat are an error that proposes a free prefix', () => {
    expect(found([clash], 'format: flat')).toEqual([
      'error columns have the names of fields of format flat: shop.events._op, shop.events._seq -> flat_prefix: __',
    ]);
    expect(found([{ ...clash, columns: ['__ts_ms', '_partial'] }], 'format: flat')[0]).toMatch(/flat_prefix: _cdc_$/);
  });

  test('names are compared without case, as readers of a lake do, and dropped columns do not count', () => {
    const upperCase = table('events', { columns: ['id', '_SEQ'] });
    expect(found([upperCase], 'format: flat')[0]).toMatch(/shop.events._SEQ -> flat_prefix: __$/);
    expect(found([upperCase], 'format: flat\ncolumns: { shop.events._seq: drop }')).toEqual([]);
  });

  test('another prefix or another format removes the finding', () => {
    expect(found([clash], 'format: flat\nflat_prefix: __')).toEqual([]);
    expect(found([clash])).toEqual([]);
  });
});

describe('column rules', () => {
  const users = table('users', { columns: ['id', 'Email', 'phone'] });
  const hash = '{ hash: sha256, secret: x }';

  test('column rules that match a column in any case have no finding', () => {
    expect(found([users], `columns: { shop.users.EMAIL: ${hash}, "*.*.phone": drop, shop.users.id: ${hash} }`)).toEqual(
      [],
    );
  });

  test('column rules that match no column are a warning, because a misspelled name protects nothing', () => {
    expect(found([users], 'columns: { shop.users.emial: drop, Shop.users.phone: drop, "*.*.phone": drop }')).toEqual([
      'warning patterns in columns that match no column of a captured table: shop.users.emial, Shop.users.phone -> correct or remove the patterns',
    ]);
  });

  test('column rules that drop or mask a column of the primary key or of keys are an error', () => {
    const log = table('log', { primaryKey: [], columns: ['host', 'at'] });
    const rules = 'columns: { "*.*.id": drop, "shop.log.*": { mask: 2 } }\nkeys: { shop.log: [Host] }';
    expect(found([users, log], rules)).toEqual([
      `error columns would drop the key column shop.users.id -> narrow the pattern, or hash the column: "shop.users.id": { hash: sha256, secret: … }`,
      `error columns would mask the key column shop.log.host -> narrow the pattern, or hash the column: "shop.log.host": { hash: sha256, secret: … }`,
    ]);
  });
});
