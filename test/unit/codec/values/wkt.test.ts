import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { putWkt } from '../../../../src/codec/values/wkt.ts';

function wkt(stored: Buffer): string {
  const out = new ByteWriter(16);
  putWkt(out, Buffer.concat([Buffer.from('ab'), stored, Buffer.from('cd')]), 2, 2 + stored.length);
  return out.bytes.toString('utf8', 0, out.at);
}

const u32 = (n: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
};
const xy = (...numbers: number[]) => Buffer.from(new Float64Array(numbers).buffer);
const shape = (type: number, ...body: Buffer[]) => Buffer.concat([Buffer.of(1), u32(type), ...body]);
const stored = (srid: number, geometry: Buffer) => Buffer.concat([u32(srid), geometry]);

describe('writing a stored geometry as text', () => {
  test.each([
    ['POINT (1.5 -0)', shape(1, xy(1.5, -0))],
    ['POINT (0.1 1e+21)', shape(1, xy(0.1, 1e21))],
    ['LINESTRING (0 0, 1 2)', shape(2, u32(2), xy(0, 0, 1, 2))],
    [
      'POLYGON ((0 0, 4 0, 0 0), (1 1, 2 1, 1 1))',
      shape(3, u32(2), u32(3), xy(0, 0, 4, 0, 0, 0), u32(3), xy(1, 1, 2, 1, 1, 1)),
    ],
    ['MULTIPOINT ((1 2), (3 4))', shape(4, u32(2), shape(1, xy(1, 2)), shape(1, xy(3, 4)))],
    ['MULTILINESTRING ((0 0, 1 1))', shape(5, u32(1), shape(2, u32(2), xy(0, 0, 1, 1)))],
    ['MULTIPOLYGON (((0 0, 1 0, 0 0)))', shape(6, u32(1), shape(3, u32(1), u32(3), xy(0, 0, 1, 0, 0, 0)))],
    ['GEOMETRYCOLLECTION EMPTY', shape(7, u32(0))],
    [
      'GEOMETRYCOLLECTION (GEOMETRYCOLLECTION (POINT (1 2)), LINESTRING (0 0, 1 1))',
      shape(7, u32(2), shape(7, u32(1), shape(1, xy(1, 2))), shape(2, u32(2), xy(0, 0, 1, 1))),
    ],
  ])('the text is %s, after the SRID if there is one', (text, geometry) => {
    expect(wkt(stored(0, geometry))).toBe(text);
    expect(wkt(stored(4326, geometry))).toBe(`SRID=4326;${text}`);
  });
});

describe('invalid geometries', () => {
  const nested = (depth: number): Buffer => (depth === 0 ? shape(1, xy(1, 2)) : shape(7, u32(1), nested(depth - 1)));

  test.each([
    ['too few bytes for an SRID', Buffer.from('ab')],
    ['no shape', u32(0)],
    ['an unknown type', stored(0, shape(8, xy(1, 2)))],
    ['big-endian bytes', stored(0, Buffer.concat([Buffer.of(0), u32(1), xy(1, 2)]))],
    ['a point cut short', stored(0, shape(1, xy(1)))],
    ['bytes after the geometry', stored(0, Buffer.concat([shape(1, xy(1, 2)), Buffer.of(0)]))],
    ['a count beyond the value', stored(0, shape(2, u32(0xffffffff), xy(0, 0)))],
    ['a list that holds another shape', stored(0, shape(4, u32(1), shape(2, u32(1), xy(0, 0))))],
    ['collections nested deeper than 100', stored(0, nested(102))],
  ])('a value with %s is an error', (_, bytes) => {
    expect(() => wkt(bytes)).toThrow(/not the WKB of any known shape/);
  });

  test('100 nested collections are valid', () => {
    expect(wkt(stored(0, nested(100)))).toContain('POINT (1 2)');
  });
});
