import { describe, expect, test } from 'vitest';
import { maxwellReader } from '../../../../src/verify/source/maxwell-values.ts';
import { DEFAULT_VALUES, declared } from '../compared-table.ts';

const reader = (type: string, values = {}) => maxwellReader(declared('v', type), { ...DEFAULT_VALUES, ...values });
const json = (type: string, value: string | Buffer, values = {}): string =>
  reader(type, values).toJson(Buffer.from(value));

describe('a value in format maxwell', () => {
  test.each([
    ['decimal(8,2)', '9.90', '9.90'],
    ['json', '{"a": 1.0}', '{"a": 1.0}'],
    ['datetime(3)', '2026-01-02 03:04:05.123', '"2026-01-02 03:04:05.123"'],
    ['timestamp', '2026-01-02 03:04:05', '"2026-01-02 03:04:05"'],
    ['date', '0000-00-00', '"0000-00-00"'],
    ['time', '-838:59:59', '"-838:59:59"'],
    ['set', 'a,c', '["a","c"]'],
    ['set', '', '[]'],
    ['bigint', '9007199254740993', '9007199254740993'],
    ['varbinary(9)', '\u0001', '"AQ=="'],
    ['varchar(9)', 'a"b', '"a\\"b"'],
  ])('of a %s', (type, value, expected) => {
    expect(json(type, value)).toBe(expected);
  });

  test('follows the options that apply, and no others', () => {
    expect(json('bigint', '7', { bigint: 'string' })).toBe('"7"');
    expect(json('varbinary(9)', '\u0001', { binary: 'hex' })).toBe('"01"');
    expect(json('tinyint(1)', '1', { boolean: ['tinyint1'] })).toBe('true');
    expect(json('date', '0000-00-00', { zero_dates: 'null' })).toBe('null');
    expect(json('decimal(8,2)', '9.90', { decimal: 'string' })).toBe('9.90');
    expect(json('json', '[1]', { json: 'string' })).toBe('[1]');
    expect(json('datetime', '2026-01-02 03:04:05', { temporal: 'iso' })).toBe('"2026-01-02 03:04:05"');
  });
});

/** A geometry as MySQL stores it: the SRID, then well-known binary. */
const geometry = (srid: number, ...parts: Buffer[]): Buffer => Buffer.concat([count(srid), ...parts]);
function count(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
const head = (type: number): Buffer => Buffer.concat([Buffer.of(1), count(type)]);
function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) bytes.writeDoubleLE(value, 8 * i);
  return bytes;
}
const point = (x: number, y: number): Buffer => Buffer.concat([head(1), numbers(x, y)]);
const line = (...values: number[]): Buffer => Buffer.concat([head(2), count(values.length / 2), numbers(...values)]);
const ring = (...values: number[]): Buffer => Buffer.concat([count(values.length / 2), numbers(...values)]);

describe('a geometry is well-known text', () => {
  const square = ring(0, 0, 1, 0, 1, 1, 0, 0);
  const polygon = Buffer.concat([head(3), count(2), square, square]);

  test.each([
    ['a point', point(1.5, -2), 'POINT (1.5 -2)'],
    ['a line', line(0, 0, 1, 1e25), 'LINESTRING (0 0, 1 1e+25)'],
    ['a polygon', polygon, 'POLYGON ((0 0, 1 0, 1 1, 0 0), (0 0, 1 0, 1 1, 0 0))'],
    ['points', Buffer.concat([head(4), count(2), point(1, 2), point(3, 4)]), 'MULTIPOINT ((1 2), (3 4))'],
    ['lines', Buffer.concat([head(5), count(1), line(1, 2, 3, 4)]), 'MULTILINESTRING ((1 2, 3 4))'],
    ['an empty collection', Buffer.concat([head(7), count(0)]), 'GEOMETRYCOLLECTION EMPTY'],
    [
      'a collection',
      Buffer.concat([head(7), count(2), point(1, 2), Buffer.concat([head(7), count(1), line(1, 2, 3, -0)])]),
      'GEOMETRYCOLLECTION (POINT (1 2), GEOMETRYCOLLECTION (LINESTRING (1 2, 3 -0)))',
    ],
  ])('of %s', (_, wkb, expected) => {
    expect(json('geometry', geometry(0, wkb))).toBe(JSON.stringify(expected));
    expect(json('geometry', geometry(4326, wkb))).toBe(JSON.stringify(`SRID=4326;${expected}`));
  });

  test('whose numbers and spaces can have other spellings', () => {
    const same = reader('point').sameValue as (source: string, lake: string) => boolean;
    expect(same('"POINT (1.5 -2)"', '"POINT(1.50 -2.0)"')).toBe(true);
    expect(same('"POINT (1e+25 0)"', '"POINT (10000000000000000905969664 0)"')).toBe(true);
    expect(same('"POINT (1.5 -2)"', '"POINT (1.5 2)"')).toBe(false);
    expect(same('"POINT (0 0)"', '"POINT (-0 0)"')).toBe(false);
    expect(same('"SRID=1;POINT (0 0)"', '"POINT (0 0)"')).toBe(false);
    expect(same('"POINT (0 0)"', '{"srid":0,"wkb":""}')).toBe(false);
  });
});
