import { deflateRawSync, deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeText } from '../../../../src/codec/charset/charset.ts';
import { ColumnType as T } from '../../../../src/model/table.ts';
import { written } from './written-value.ts';

// What no server of the type oracle writes, or writes only when it is broken. Everything else is compared there.

describe('TIMESTAMP', () => {
  test('above 2^31 is unsigned: 2038 is not 1901', () => {
    expect(written({ type: T.TIMESTAMP2 }, '80000000')).toBe('"2038-01-19T03:14:08Z"');
    expect(written({ type: T.TIMESTAMP2 }, 'ffffffff')).toBe('"2106-02-07T06:28:15Z"');
    expect(written({ type: T.TIMESTAMP }, 'ffffffff', { temporal: 'epoch_micros' })).toBe('4294967295000000');
  });

  test('of a fraction alone is not the zero timestamp', () => {
    expect(written({ type: T.TIMESTAMP2, meta: 6 }, '00000000000001')).toBe('"1970-01-01T00:00:00.000001Z"');
    expect(written({ type: T.TIMESTAMP2, meta: 6 }, '00000000000000')).toBe('"0000-00-00T00:00:00.000000Z"');
  });
});

describe('a TIME or DATETIME in the format before MySQL 5.6', () => {
  test('is decimal digits in an integer', () => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(20261231235958n);
    expect(written({ type: T.DATETIME }, bytes)).toBe('"2026-12-31T23:59:58"');
    expect(written({ type: T.TIME }, '5dd6ff')).toBe('"-01:06:59"');
  });
});

test('a TIME or DATETIME that cannot be in the old format is an error, since the column may have a hidden fraction', () => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(20261331000000n);
  expect(() => written({ type: T.DATETIME }, bytes)).toThrow(/out of range/);
  bytes.writeBigUInt64LE(20261231240000n);
  expect(() => written({ type: T.DATETIME }, bytes)).toThrow(/out of range/);
  expect(() => written({ type: T.TIME }, 'd9e5ff')).toThrow(/out of range/);
});

describe('a value that its event does not hold is an error, never a shorter value:', () => {
  const text = { collation: 45 };
  test.each([
    ['VARCHAR', { type: T.VARCHAR, meta: 100, ...text }, '05616263'],
    ['VARCHAR without its length', { type: T.VARCHAR, meta: 1000, ...text }, '05'],
    ['TEXT', { type: T.BLOB, meta: 2, ...text }, 'ffff61'],
    ['LONGBLOB of 4 GiB', { type: T.BLOB, meta: 4, collation: 63 }, 'ffffffff00'],
    ['BINARY', { type: T.STRING, meta: 10, collation: 63 }, '0a00'],
    ['JSON', { type: T.JSON, meta: 4 }, '1000000000'],
    ['GEOMETRY', { type: T.GEOMETRY, meta: 4 }, '0200000000'],
    ['VECTOR', { type: T.VECTOR, meta: 4 }, '0800000000000000'],
    ['DOUBLE', { type: T.DOUBLE, meta: 8 }, '00000000'],
    ['BIT', { type: T.BIT, meta: 64 }, '00000000'],
    ['SET', { type: T.SET, meta: 8, labels: ['a'] }, '01'],
  ])('%s', (_name, column, bytes) => {
    expect(() => written(column, bytes)).toThrow(/longer than its event|wanted/);
  });
});

describe('what cannot be is refused:', () => {
  test.each([
    ['an ENUM index beyond the labels', { type: T.ENUM, meta: 1, labels: ['a'] }, '02', /index 2 of 1/],
    ['a SET member beyond the labels', { type: T.SET, meta: 1, labels: ['a'] }, '02', /member 1 of 1/],
    ['a VECTOR of half a float', { type: T.VECTOR, meta: 4 }, '020000000000', /multiple of four/],
    ['a DOUBLE that is not a number', { type: T.DOUBLE }, '000000000000f87f', /NaN/],
    ['an infinite FLOAT', { type: T.FLOAT }, '0000807f', /Infinity/],
    ['a type that is not known', { type: 200 }, '', /type 200/],
    ['a collation that is not known', { type: T.VARCHAR, meta: 1, collation: 9999 }, '00', /collation 9999/],
  ])('%s', (_name, column, bytes, message) => {
    expect(() => written(column, bytes)).toThrow(message);
  });
});

describe('a COMPRESSED column of MariaDB', () => {
  const column = { type: T.BLOB_COMPRESSED, meta: 2, collation: 45 };
  const sized = (...parts: Buffer[]): Buffer => {
    const payload = Buffer.concat(parts);
    const length = Buffer.alloc(2);
    length.writeUInt16LE(payload.length);
    return Buffer.concat([length, payload]);
  };
  const long = Buffer.from('x'.repeat(300));

  test('is inflated, with and without the zlib wrapper, or stored as it is', () => {
    expect(written(column, sized())).toBe('""');
    expect(written(column, sized(Buffer.of(0), Buffer.from('abc')))).toBe('"abc"');
    expect(written(column, sized(Buffer.of(0x82, 1, 44), deflateSync(long)))).toBe(`"${long}"`);
    expect(written(column, sized(Buffer.of(0x8a, 1, 44), deflateRawSync(long)))).toBe(`"${long}"`);
  });

  test.each([
    ['an unknown method', Buffer.of(0x92, 1, 44)],
    ['a length that the bytes cannot hold', Buffer.concat([Buffer.of(0x84, 255, 255, 255, 255), deflateSync(long)])],
    ['a length that is too small', Buffer.concat([Buffer.of(0x81, 44), deflateSync(long)])],
    ['a length that is too large', Buffer.concat([Buffer.of(0x82, 2, 0), deflateSync(long)])],
    ['damaged bytes', Buffer.concat([Buffer.of(0x82, 1, 44), Buffer.from('damage')])],
    ['a header without its length', Buffer.of(0x84, 1)],
  ])('is refused with %s', (_name, payload) => {
    expect(() => written(column, sized(payload))).toThrow(/COMPRESSED/);
  });
});

describe('text', () => {
  test('that is no UTF-8 has a ? for each byte of no character', () => {
    const column = { type: T.VARCHAR, meta: 100, collation: 45 };
    expect(written(column, '0661ff62c3a4ed')).toBe('"a?bä?"');
    expect(written(column, '04f09f9880')).toBe('"😀"');
    expect(written(column, '03eda080')).toBe('"???"');
  });

  test('of half a surrogate pair, which only UCS2 can store, has a ?', () => {
    expect(written({ type: T.VARCHAR, meta: 100, collation: 35 }, '060061d8000062')).toBe('"a?b"');
  });

  test('of a multi-byte character set has a ? for each byte of no character, and goes on behind it', () => {
    expect(decodeText(Buffer.from('61ff62', 'hex'), 'gbk')).toBe('a?b');
    expect(decodeText(Buffer.from('6181', 'hex'), 'gbk')).toBe('a?');
    expect(decodeText(Buffer.from('81308130', 'hex'), 'gb18030')).toBe('\u0080');
    expect(decodeText(Buffer.from('fe39fe3961', 'hex'), 'gb18030')).toBe('?a');
    expect(decodeText(Buffer.from('8130ff', 'hex'), 'gb18030')).toBe('?0?');
    expect(decodeText(Buffer.from('8fa1', 'hex'), 'ujis')).toBe('??');
  });

  test('in a character set that is not known is an error', () => {
    expect(() => decodeText(Buffer.from('a'), 'ebcdic')).toThrow(/ebcdic/);
  });
});
