import { beforeAll, describe, expect, inject, test } from 'vitest';
import { captureLines } from '../oracle/oracle.ts';

/** Values that zongji 0.9.0 decodes wrongly or rejects, with the JSON that the event must contain. */
const VALUES: readonly { promise: string; column: string; value: string; json: string }[] = [
  { promise: 'TIME -00:01:00 is not -00:00:64', column: 'a TIME', value: "'-00:01:00'", json: '"-00:01:00"' },
  { promise: 'TIME -01:00:00 is not -00:63:64', column: 'b TIME', value: "'-01:00:00'", json: '"-01:00:00"' },
  {
    promise: 'a negative TIME keeps its fraction',
    column: 'c TIME(2)',
    value: "'-00:00:00.01'",
    json: '"-00:00:00.01"',
  },
  { promise: 'YEAR 0000 is not 1900', column: 'd YEAR', value: "'0000'", json: '0' },
  { promise: 'ENUM index 0 is the empty string, not missing', column: "e ENUM('x')", value: "'none'", json: '""' },
  { promise: 'FLOAT 1.1 is not 1.100000023841858', column: 'f FLOAT', value: '1.1', json: '1.1' },
  {
    promise: 'a JSON double 1.0 keeps its .0',
    column: 'g JSON',
    value: "'[1.0, 1.5, 100.0]'",
    json: '"[1.0, 1.5, 100.0]"',
  },
  {
    promise: 'a JSON opaque TIMESTAMP, DATE, TIME and DATETIME does not throw',
    column: 'h JSON',
    value: "JSON_ARRAY(FROM_UNIXTIME(1), DATE'2026-01-02', TIME'-01:02:03', TIMESTAMP'2026-01-02 03:04:05')",
    json: String.raw`"[\"1970-01-01 00:00:01.000000\", \"2026-01-02\", \"-01:02:03.000000\", \"2026-01-02 03:04:05.000000\"]"`,
  },
  {
    promise: 'a JSON opaque YEAR, BIT and BLOB of each size does not throw',
    column: 'i JSON',
    value: '(SELECT JSON_ARRAY(y, bi, ti, bl, me, lo) FROM opaque)',
    json: String.raw`"[2026, \"base64:type16:AVU=\", \"base64:type249:AQ==\", \"base64:type252:Ag==\", \"base64:type250:Aw==\", \"base64:type251:BA==\"]"`,
  },
  {
    promise: 'GEOMETRY keeps its SRID',
    column: 'j GEOMETRY',
    value: "ST_GeomFromText('POINT(1 2)', 3857)",
    json: '{"srid":3857,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA"}',
  },
  { promise: 'a column named __proto__ does not vanish', column: '__proto__ INT', value: '7', json: '7' },
  {
    promise: 'a VECTOR column is consumed',
    column: 'k VECTOR(3)',
    value: "TO_VECTOR('[1.5,-0,16777217]')",
    json: '[1.5,-0,16777216]',
  },
  {
    promise: 'the columns after a VECTOR column are read correctly',
    column: 'l VARCHAR(9)',
    value: "'behind'",
    json: '"behind"',
  },
];

describe('values that zongji 0.9.0 decodes wrongly', () => {
  let inserted: string;
  let lines: string[];
  beforeAll(async () => {
    lines = await captureLines(inject('mysqlUrl'), [
      "SET sql_mode = ''",
      'CREATE TABLE opaque (y YEAR, bi BIT(9), ti TINYBLOB, bl BLOB, me MEDIUMBLOB, lo LONGBLOB)',
      "INSERT INTO opaque VALUES (2026, b'101010101', X'01', X'02', X'03', X'04')",
      `CREATE TABLE wrong (id INT PRIMARY KEY, ${VALUES.map(({ column }) => column).join(', ')})`,
      `INSERT INTO wrong VALUES (1, ${VALUES.map(({ value }) => value).join(', ')}), (2, ${VALUES.map(() => 'NULL').join(', ')})`,
      "SET binlog_row_image = 'MINIMAL'",
      "UPDATE wrong SET l = 'changed' WHERE id = 1",
    ]);
    lines = lines.filter((line) => line.includes('"table":"wrong"'));
    inserted = lines[0] as string;
  });

  test.each(VALUES)('$promise', ({ column, json }) => {
    const name = column.split(' ')[0] as string;
    const next = VALUES[VALUES.findIndex((value) => value.column === column) + 1]?.column.split(' ')[0];
    expect(inserted).toContain(`,"${name}":${json}${next ? `,"${next}":` : '}'}`);
  });

  test('no phantom rows follow a VECTOR: two rows inserted are two events', () => {
    expect(lines.filter((line) => line.startsWith('{"op":"c"'))).toHaveLength(2);
  });

  test('a column absent from a partial row image is absent, not null', () => {
    const updated = JSON.parse(lines[2] as string);
    expect(updated).toMatchObject({ op: 'u', before: { id: 1 }, after: { id: 1, l: 'changed' }, partial: true });
    expect(Object.keys(updated.after).sort()).toEqual(['id', 'l']);
  });
});
