import type { Connection } from 'mysql2';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { configSchema, type ValueOptions } from '../../src/config/schema.ts';
import { type CompareOptions, compareTable, isEqual, type TableComparison } from '../../src/lake/compare.ts';
import { type FoldOptions, foldLake } from '../../src/lake/fold.ts';
import { connectSource } from '../../src/lake/source-table.ts';
import { formatRawObject, parseRawObject } from '../../src/runtime/raw-json.ts';
import { debeziumLine, flatLine, writeObjects } from '../unit/lake/event-lines.ts';

const schema = `lake_test_${process.pid}`;
const defaults: ValueOptions = configSchema.parse({
  source: { url: 'mysql://u@localhost' },
  firehose: { stream: 's' },
}).values;

/** Column, its type, a literal, and the JSON text that the contract promises for it. */
const COLUMNS: [name: string, type: string, sql: string, json: string][] = [
  ['id', 'BIGINT UNSIGNED', '18446744073709551615', '18446744073709551615'],
  ['tiny', 'TINYINT(1)', '-128', '-128'],
  ['flag', 'TINYINT(1)', '1', '1'],
  ['bit1', 'BIT(1)', "b'0'", '0'],
  ['filled', 'INT(8) UNSIGNED ZEROFILL', '7', '7'],
  ['big', 'BIGINT', '-9223372036854775808', '-9223372036854775808'],
  ['amount', 'DECIMAL(65,30)', "'-0.000000000000000000000000000001'", '"-0.000000000000000000000000000001"'],
  ['price', 'DECIMAL(12,2)', '12.5', '"12.50"'],
  ['f', 'FLOAT', '1.1', '1.1'],
  ['f_big', 'FLOAT', '16777217', '16777216'],
  ['f_shown', 'DOUBLE(10,2)', '3.14', '3.14'],
  ['d', 'DOUBLE', '1.7976931348623157e308', '1.7976931348623157e+308'],
  ['d_zero', 'DOUBLE', '-0e0', '-0'],
  ['bits', 'BIT(64)', "b'1111111111111111111111111111111111111111111111111111111111111111'", '18446744073709551615'],
  ['y', 'YEAR', "'0000'", '0'],
  ['date', 'DATE', "'2026-01-02'", '"2026-01-02"'],
  ['partial', 'DATE', "'2026-00-00'", '"2026-00-00"'],
  ['dt', 'DATETIME(3)', "'2026-01-02 03:04:05.12'", '"2026-01-02T03:04:05.120"'],
  ['dt_zero', 'DATETIME', "'0000-00-00 00:00:00'", '"0000-00-00T00:00:00"'],
  ['ts', 'TIMESTAMP(6) NULL', "'2026-07-02 03:04:05.000001'", '"2026-07-02T03:04:05.000001Z"'],
  ['ti', 'TIME(6)', "'-838:59:59'", '"-838:59:59.000000"'],
  ['c', 'CHAR(10) CHARACTER SET latin1', "'äö '", '"äö"'],
  ['vc', 'VARCHAR(50)', "'q\"u\\\\o\\n😀\\0'", '"q\\"u\\\\o\\n😀\\u0000"'],
  ['tx', 'LONGTEXT CHARACTER SET utf16', "'ünï'", '"ünï"'],
  ['bin', 'BINARY(4)', "x'ff00'", '"/wAAAA=="'],
  ['bl', 'BLOB', "x'00fe'", '"AP4="'],
  ['en', "ENUM('a','b,c')", "'b,c'", '"b,c"'],
  ['en_zero', "ENUM('a')", "''", '""'],
  ['se', "SET('x','y','z')", "'z,x'", '"x,z"'],
  ['js', 'JSON', '\'{"b": 1.0, "a": "\\\\u00e9/"}\'', '"{\\"a\\": \\"é/\\", \\"b\\": 1.0}"'],
  [
    'ge',
    'POINT SRID 4326',
    "ST_GeomFromText('POINT(1 2)', 4326)",
    '{"srid":4326,"wkb":"AQEAAAAAAAAAAAAAQAAAAAAAAPA/"}',
  ],
  ['ve', 'VECTOR(3)', "STRING_TO_VECTOR('[1.1,-2,3e10]')", '[1.1,-2,3e10]'],
  ['we`ird."n/a~me ü€', 'INT', '5', '5'],
];
const FIRST = new Map(COLUMNS.map(([name, , , json]) => [name, json]));
const SECOND = new Map(COLUMNS.map(([name], i) => [name, i === 0 ? '2' : 'null']));

let pool: mysql.Connection;
let source: Connection;

const tick = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** Makes a schema of our own with a table of these columns and two rows. */
async function createTable(uri: string, columns: typeof COLUMNS): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({ uri, charset: 'utf8mb4' });
  await connection.query(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`);
  await connection.query(`USE ${schema}`);
  await connection.query("SET sql_mode = '', time_zone = '+00:00'");
  const definitions = columns.map(([name, type]) => `${tick(name)} ${type}`).join();
  await connection.query(`CREATE TABLE \`we ird\` (${definitions}, PRIMARY KEY (id))`);
  await connection.query(`INSERT INTO \`we ird\` VALUES (${columns.map(([, , sql]) => sql).join()})`);
  await connection.query('INSERT INTO `we ird` (id) VALUES (2)');
  return connection;
}

beforeAll(async () => {
  pool = await createTable(inject('mysqlUrl'), COLUMNS);
  await pool.query('CREATE TABLE pairs (a VARCHAR(9), f FLOAT, v INT, PRIMARY KEY (a, f)) COLLATE utf8mb4_0900_ai_ci');
  await pool.query("INSERT INTO pairs VALUES ('A', 1.1, 1), ('b', -2.5e30, 2), ('é', 0, 3)");
  await pool.query('CREATE TABLE log (at INT, v INT)');
  await pool.query('INSERT INTO log VALUES (1, 1), (2, 2)');
  source = await connectSource({ uri: inject('mysqlUrl') });
});

afterAll(async () => {
  source?.destroy();
  await pool?.query(`DROP DATABASE IF EXISTS ${schema}`);
  await pool?.end();
});

/** Compares a table with a lake that holds just these rows. */
async function compared(
  lines: string[],
  options: Partial<CompareOptions> = {},
  foldOptions: Partial<FoldOptions> = {},
  from: Connection = source,
): Promise<TableComparison> {
  const lake = writeObjects(lines);
  const fold = await foldLake({ objects: lake.objects, ...foldOptions });
  try {
    return await compareTable(from, fold, { schema, table: 'we ird', values: defaults, ...options });
  } finally {
    fold.close();
    lake.remove();
  }
}

const inserted = (row: Map<string, string>, key = ['id'], table = 'we ird', seq = row.get(key[0]!)!): string =>
  debeziumLine({
    op: 'c',
    seq: `1${seq}`,
    key: formatRawObject(key.map((name) => [name, row.get(name)!])),
    row: formatRawObject(row),
    schema,
    table,
  });
const bothRows = () => [inserted(FIRST), inserted(SECOND)];

const pairs = (...rows: [a: string, f: string, v: number][]): string[] =>
  rows.map(([a, f, v]) => inserted(parseRawObject(`{"a":${a},"f":${f},"v":${v}}`), ['a', 'f'], 'pairs', String(v)));

describe('comparing the source with the lake', () => {
  test('finds a table of every type equal to events that follow the contract', async () => {
    const result = await compared(bothRows());
    expect(result).toMatchObject({ sourceRows: 2, lakeRows: 2, samples: [] });
    expect(isEqual(result)).toBe(true);
  });

  test('finds a table of MariaDB equal too', async () => {
    // JSON is text there, SRID is written otherwise, VECTOR is newer, and a negative zero is stored as zero.
    const unknown = ['js', 'ge', 've', 'd_zero'];
    const columns: typeof COLUMNS = [
      ...COLUMNS.filter(([name]) => !unknown.includes(name)),
      ['uuid', 'UUID', "'F47AC10B-58CC-4372-A567-0E02B2C3D479'", '"f47ac10b-58cc-4372-a567-0e02b2c3d479"'],
      ['ip', 'INET6', "'::FFFF:192.0.2.1'", '"::ffff:192.0.2.1"'],
      ['js', 'JSON', '\'{"a":  1.0}\'', '"{\\"a\\":  1.0}"'],
      ['ge', 'POINT', "ST_GeomFromText('POINT(1 2)')", '{"srid":0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA"}'],
    ];
    const connection = await createTable(inject('mariadbUrl'), columns);
    const mariadb = await connectSource({ uri: inject('mariadbUrl') });
    try {
      const second = new Map(columns.map(([name], i) => [name, i === 0 ? '2' : 'null']));
      const first = new Map(columns.map(([name, , , json]) => [name, json]));
      const result = await compared([inserted(first), inserted(second)], {}, {}, mariadb);
      expect(result).toMatchObject({ sourceRows: 2, lakeRows: 2, samples: [] });
      expect(isEqual(result)).toBe(true);
    } finally {
      mariadb.destroy();
      await connection.query(`DROP DATABASE ${schema}`);
      await connection.end();
    }
  });

  test('finds it equal in format flat too', async () => {
    const lines = [FIRST, SECOND].map((row, seq) =>
      flatLine({ op: 'c', seq, row: formatRawObject(row), schema, table: 'we ird' }),
    );
    const result = await compared(lines, {}, { format: 'flat', keys: [{ schema, table: 'we ird', columns: ['id'] }] });
    expect(result).toMatchObject({ sourceRows: 2, lakeRows: 2, samples: [], lakeOnlyColumns: [] });
    expect(isEqual(result)).toBe(true);
  });

  test('follows the options for values', async () => {
    const values: ValueOptions = {
      bigint: 'string',
      decimal: 'number',
      json: 'nested',
      binary: 'hex',
      temporal: 'epoch_micros',
      zero_dates: 'null',
      boolean: ['tinyint1', 'bit1'],
    };
    const row = new Map([...FIRST]);
    for (const [name, json] of Object.entries({
      id: '"18446744073709551615"',
      tiny: '-128',
      flag: 'true',
      bit1: 'false',
      big: '"-9223372036854775808"',
      bits: '"18446744073709551615"',
      amount: '-0.000000000000000000000000000001',
      price: '12.50',
      js: '{"a":"é/","b":1.0}',
      bin: '"ff000000"',
      bl: '"00fe"',
      ge: '{"srid":4326,"wkb":"01010000000000000000000040000000000000f03f"}',
      date: '1767312000000000',
      partial: 'null',
      dt: '1767323045120000',
      dt_zero: 'null',
      ts: '1782961445000001',
      ti: '-3020399000000',
    })) {
      row.set(name, json);
    }
    const lines = [
      inserted(row, ['id'], 'we ird', '1'),
      inserted(new Map([...SECOND, ['id', '"2"']]), ['id'], 'we ird', '2'),
    ];
    expect((await compared(lines, { values })).samples).toEqual([]);
  });

  test.for(COLUMNS.slice(1))(
    'finds a changed value, a NULL and an absent value in column %s',
    async ([name, , , json]) => {
      const changed = json.startsWith('"')
        ? JSON.stringify(`${JSON.parse(json)}x`)
        : json === '5'
          ? '6'
          : '[1.1,-2,3.0001e10]';
      for (const lakeValue of [changed, 'null', undefined]) {
        const row = new Map(FIRST);
        if (lakeValue === undefined) row.delete(name);
        else row.set(name, lakeValue);
        const result = await compared([inserted(row), inserted(SECOND)]);
        expect(result).toMatchObject({ missing: 0, extra: 0, different: 1 });
        expect(result.samples).toEqual([
          {
            kind: 'different',
            key: '{"id":18446744073709551615}',
            columns: [{ name, source: expect.any(String), lake: lakeValue }],
          },
        ]);
      }
    },
  );

  test.for(COLUMNS.slice(1))('finds a value where column %s of the source is NULL', async ([name, , , json]) => {
    const result = await compared([inserted(FIRST), inserted(new Map([...SECOND, [name, json]]))]);
    expect(result.samples).toEqual([
      { kind: 'different', key: '{"id":2}', columns: [{ name, source: 'null', lake: expect.any(String) }] },
    ]);
  });

  test('takes other spellings of the same value for equal', async () => {
    const row = new Map(FIRST);
    for (const [name, spelled] of [
      ['f', '1.10000002'],
      ['d', '17976931348623157e292'],
      ['ve', '[1.10000002, -2.0, 30000000000]'],
      ['c', '"\\u00e4\\u00f6"'],
      ['bin', '"\\/wAAAA=="'],
    ] as const) {
      row.set(name, spelled);
    }
    expect((await compared([inserted(row), inserted(SECOND)])).samples).toEqual([]);
  });

  test('reads the source in UTC, whatever zone the server has', async () => {
    const zone = await new Promise((resolve) => {
      source.query({ sql: 'SELECT @@time_zone', rowsAsArray: true }, (_, rows) => resolve(rows));
    });
    expect(zone).toEqual([['+00:00']]);
  });

  test('takes a number one unit in its last place away for a difference', async () => {
    for (const [name, near] of [
      ['big', '-9223372036854775807'],
      ['bits', '18446744073709551614'],
      ['f', '1.1000001'],
      ['d', '1.7976931348623155e+308'],
      ['d_zero', '0'],
      ['price', '"12.5"'],
      ['dt', '"2026-01-02T03:04:05.12"'],
      ['ts', '"2026-07-02T03:04:05.000001"'],
    ] as const) {
      const result = await compared([inserted(new Map([...FIRST, [name, near]])), inserted(SECOND)]);
      expect(result.samples.map(({ columns }) => columns?.map((column) => column.name))).toEqual([[name]]);
    }
  });

  test('names rows that are missing, rows that are extra, and a NULL that the lake has a value for', async () => {
    const third = new Map([...SECOND, ['id', '18446744073709551614']]);
    const result = await compared([inserted(new Map([...SECOND, ['y', '0']])), inserted(third)]);
    expect(result).toMatchObject({ sourceRows: 2, lakeRows: 2, missing: 1, extra: 1, different: 1 });
    expect(result.samples).toEqual([
      { kind: 'different', key: '{"id":2}', columns: [{ name: 'y', source: 'null', lake: '0' }] },
      { kind: 'missing', key: '{"id":18446744073709551615}' },
      { kind: 'extra', key: '{"id":18446744073709551614}' },
    ]);
  });

  test('finds rows by a key of several columns, floats and accents among them', async () => {
    const lines = pairs(['"A"', '1.1', 1], ['"b"', '-2.5e+30', 2], ['"\\u00e9"', '0', 3]);
    expect((await compared(lines, { table: 'pairs' })).samples).toEqual([]);
    const folded = pairs(['"a"', '1.1', 1], ['"b"', '-2.5e+30', 2], ['"e"', '0', 3]);
    expect(await compared(folded, { table: 'pairs' })).toMatchObject({ missing: 2, extra: 2 });
  });

  test('counts every difference and shows only as many as asked for', async () => {
    const result = await compared([], { samples: 1 });
    expect(result).toMatchObject({ sourceRows: 2, lakeRows: 0, missing: 2 });
    expect(result.samples).toHaveLength(1);
  });

  test('names a column that only the lake has', async () => {
    const result = await compared([inserted(new Map([...FIRST, ['gone', '1']])), inserted(SECOND)]);
    expect(result).toMatchObject({ lakeOnlyColumns: ['gone'], different: 0 });
  });

  test('says why a table without a primary key cannot be compared, and compares it by named key columns', async () => {
    const rows = [1, 2].map((n) => parseRawObject(`{"at":${n},"v":${n}}`));
    const keyless = rows.map((row, seq) =>
      debeziumLine({ op: 'c', seq, row: formatRawObject(row), schema, table: 'log' }),
    );
    const without = await compared(keyless, { table: 'log' });
    expect([isEqual(without), without.incomparable]).toEqual([false, expect.stringContaining('no primary key')]);
    const unkeyed = await compared(keyless, { table: 'log', keyColumns: ['at'] });
    expect([isEqual(unkeyed), unkeyed.incomparable]).toEqual([false, expect.stringContaining('have no key')]);
    const keyed = rows.map((row) => inserted(row, ['at'], 'log'));
    expect(isEqual(await compared(keyed, { table: 'log', keyColumns: ['at'] }))).toBe(true);
  });

  test('refuses key columns that do not identify a row, and a table that is not there', async () => {
    const twice = pool.query('INSERT INTO log VALUES (1, 5)');
    await twice;
    await expect(compared([], { table: 'log', keyColumns: ['at'] })).rejects.toMatchObject({ exitCode: 2 });
    await pool.query('DELETE FROM log WHERE v = 5');
    await expect(compared([], { table: 'nowhere' })).rejects.toThrow(`no table ${schema}.nowhere`);
  });
});
