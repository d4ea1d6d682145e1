import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { cdc } from '../pipeline-fixture.ts';
import { duckdbTarget, MergeFixture, postgresTarget, type Target } from './merge-fixture.ts';

const fixture = new MergeFixture(inject('mysqlUrl'), `merge_types_${process.pid}`);
let targets: Target[];

beforeAll(async () => {
  await fixture.createSchema();
  await fixture.begin();
  targets = [await duckdbTarget(join(fixture.directory, 'types.duckdb')), await postgresTarget(fixture.directory)];
});
afterAll(async () => {
  for (const target of targets) await target.close();
  await fixture.end();
});

/** Type, value in SQL, and the text of the value in DuckDB and in PostgreSQL, where the two differ. */
const CASES: [type: string, literal: string, expected: string | null, postgres?: string | null][] = [
  ['TINYINT', '-128', '-128'],
  ['TINYINT UNSIGNED', '255', '255'],
  ['SMALLINT UNSIGNED', '65535', '65535'],
  ['MEDIUMINT UNSIGNED', '16777215', '16777215'],
  ['INT UNSIGNED', '4294967295', '4294967295'],
  ['BIGINT', '-9223372036854775808', '-9223372036854775808'],
  ['BIGINT UNSIGNED', '18446744073709551615', '18446744073709551615'],
  ['BIT(1)', "b'1'", '1'],
  ['BIT(64)', '18446744073709551615', '18446744073709551615'],
  ['YEAR', '2155', '2155'],
  ['DECIMAL(38,10)', "'-1234567890123456789012345678.0123456789'", '-1234567890123456789012345678.0123456789'],
  ['DECIMAL(65,30)', "'0.000000000000000000000000000001'", '0.000000000000000000000000000001'],
  ['FLOAT', '1.1', '1.1'],
  ['DOUBLE', '1.7976931348623157e308', '1.7976931348623157e+308'],
  ['DATE', "'9999-12-31'", '9999-12-31'],
  ['DATE', "'0000-00-00'", null],
  ['DATE', "'2026-02-31'", null],
  ['DATETIME(6)', "'2026-01-02 03:04:05.123456'", '2026-01-02 03:04:05.123456'],
  ['DATETIME', "'2026-00-02 03:04:05'", null],
  ['TIMESTAMP(3)', "'2026-01-02 03:04:05.120'", '2026-01-02 03:04:05.12+00'],
  ['TIMESTAMP', "'0000-00-00 00:00:00'", null],
  ['TIME(6)', "'-838:59:59.000000'", '-838:59:59'],
  ['TIME', "'00:00:01'", '00:00:01'],
  ['CHAR(3)', "'a '", 'a'],
  ['VARCHAR(20)', "'Zoë \\\\ \\' \" 😀'", 'Zoë \\ \' " 😀'],
  ['VARCHAR(20)', 'CONCAT("a", CHAR(0), "b")', 'a\0b', 'a\ufffdb'],
  ['VARCHAR(20)', "'\\\\u0000'", '\\u0000'],
  ["ENUM('a','b')", "'b'", 'b'],
  ["SET('x','y')", "'x,y'", 'x,y'],
  ['BINARY(3)', "x'00ff'", '\\x00\\xFF\\x00', '\\x00ff00'],
  ['LONGBLOB', "x'00c3a4'", '\\x00\\xC3\\xA4', '\\x00c3a4'],
  ['JSON', `'{"b": [1, 2.50], "a": "x"}'`, '{"a": "x", "b": [1, 2.5]}'],
  ['JSON', `'"text"'`, '"text"'],
  ['POINT', 'ST_GeomFromText("POINT(1 2)", 4326)', '{"srid":4326,"wkb":"WKB"}'],
  ['INT', 'NULL', null],
];

/** Longitude and latitude are stored in the order of the axes. */
const WKB = Buffer.from('AQEAAAAAAAAAAAAAQAAAAAAAAPA/', 'base64');

test.each([
  ['the defaults', '', WKB.toString('base64')],
  [
    'other forms of values',
    'values: { temporal: mysql, binary: hex, bigint: string, boolean: [tinyint1, bit1] }\n',
    WKB.toString('hex'),
  ],
  ['numbers of microseconds', 'values: { temporal: epoch_micros }\n', WKB.toString('base64')],
])('every type has its stated value, with %s', async (name, values, wkb) => {
  if (values !== '') {
    await fixture.stop();
    await fixture.begin(values);
  }
  const table = `t${values.length}`;
  const columns = CASES.map(([type], i) => `c${i} ${type} NULL`).join(', ');
  await fixture.query(
    "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
    `CREATE TABLE ${fixture.schema}.${table} (id INT PRIMARY KEY, ${columns})`,
    `INSERT INTO ${fixture.schema}.${table} VALUES (1, ${CASES.map(([, literal]) => literal).join(', ')})`,
  );
  await fixture.delivered();
  for (const target of targets) {
    const merged = await cdc(fixture.directory, 'merge', `${fixture.schema}.${table}`, '--into', target.into);
    expect(merged, merged.stderr).toMatchObject({ code: 0, stderr: '' });
    const cast = target.name === 'DuckDB' ? 'VARCHAR' : 'text';
    const [found] = await target.rows(
      `SELECT ${CASES.map((_, i) => `CAST(c${i} AS ${cast})`).join(', ')} FROM ${fixture.schema}.${table}`,
    );
    const wanted = CASES.map(([, , text, postgres]) => {
      const expected = target.name === 'DuckDB' || postgres === undefined ? text : postgres;
      return expected?.replace('WKB', wkb) ?? null;
    });
    expect(found, `${target.name}, ${name}`).toEqual(wanted);
  }
});
