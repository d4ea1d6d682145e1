import { deflateRawSync, deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeText } from '../../../../src/codec/charset/charset.ts';
import { ColumnType as T } from '../../../../src/model/table.ts';
import { written } from './written-value.ts';

// The type oracle compares every value that its servers can write. These tests cover the other and the damaged values.

describe('TIMESTAMP', () => {
  test('a TIMESTAMP above 2^31 seconds is unsigned, so it is in 2038 and not in 1901', () => {
    expect(written({ type: T.TIMESTAMP2 }, '80000000')).toBe('"2038-01-19T03:14:08Z"');
    expect(written({ type: T.TIMESTAMP2 }, 'ffffffff')).toBe('"2106-02-07T06:28:15Z"');
    expect(written({ type: T.TIMESTAMP }, 'ffffffff', { temporal: 'epoch_micros' })).toBe('4294967295000000');
  });

  test('a TIMESTAMP with only a fraction is not the zero timestamp', () => {
    expect(written({ type: T.TIMESTAMP2, meta: 6 }, '00000000000001')).toBe('"1970-01-01T00:00:00.000001Z"');
    expect(written({ type: T.TIMESTAMP2, meta: 6 }, '00000000000000')).toBe('"0000-00-00T00:00:00.000000Z"');
  });
});

describe('the formats before MySQL 5.6', () => {
  test('a TIME or DATETIME is read from the decimal digits of an integer', () => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(20261231235958n);
    expect(written({ type: T.DATETIME }, bytes)).toBe('"2026-12-31T23:59:58"');
    expect(written({ type: T.TIME }, '5dd6ff')).toBe('"-01:06:59"');
  });

  test('a TIME or DATETIME out of range is an error, because the column can have a hidden fraction', () => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(20261331000000n);
    expect(() => written({ type: T.DATETIME }, bytes)).toThrow(/out of range/);
    bytes.writeBigUInt64LE(20261231240000n);
    expect(() => written({ type: T.DATETIME }, bytes)).toThrow(/out of range/);
    expect(() => written({ type: T.TIME }, 'd9e5ff')).toThrow(/out of range/);
  });
});

describe('values that are longer than their event', () => {
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
  ])('a %s that is longer than its event is an error', (_name, column, bytes) => {
    expect(() => written(column, bytes)).toThrow(/longer than its event/);
  });
});

describe('impossible values', () => {
  test.each([
    [
      'an ENUM index beyond the labels',
      { type: T.ENUM, meta: 1, labels: ['a'] },
      '02',
      /index 2, but the column has 1 labels/,
    ],
    [
      'a SET member beyond the labels',
      { type: T.SET, meta: 1, labels: ['a'] },
      '02',
      /member 1, but the column has 1 labels/,
    ],
    ['a VECTOR with half a float', { type: T.VECTOR, meta: 4 }, '020000000000', /multiple of four/],
    ['a DOUBLE that is not a number', { type: T.DOUBLE }, '000000000000f87f', /NaN/],
    ['an infinite FLOAT', { type: T.FLOAT }, '0000807f', /Infinity/],
    ['an unknown type', { type: 200 }, '', /type 200/],
    ['an unknown collation', { type: T.VARCHAR, meta: 1, collation: 9999 }, '00', /collation 9999/],
  ])('%s is an error', (_name, column, bytes, message) => {
    expect(() => written(column, bytes)).toThrow(message);
  });
});

describe('COMPRESSED columns of MariaDB', () => {
  const column = { type: T.BLOB_COMPRESSED, meta: 2, collation: 45 };
  const sized = (...parts: Buffer[]): Buffer => {
    const payload = Buffer.concat(parts);
    const length = Buffer.alloc(2);
    length.writeUInt16LE(payload.length);
    return Buffer.concat([length, payload]);
  };
  const long = Buffer.from('x'.repeat(300));

  test('a value is inflated with and without the zlib wrapper, and a stored value is copied', () => {
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
  ])('a value with %s is an error', (_name, payload) => {
    expect(() => written(column, sized(payload))).toThrow(/COMPRESSED/);
  });
});

describe('text', () => {
  test('each byte that is not UTF-8 becomes a question mark', () => {
    const column = { type: T.VARCHAR, meta: 100, collation: 45 };
    expect(written(column, '0661ff62c3a4ed')).toBe('"a?bä?"');
    expect(written(column, '04f09f9880')).toBe('"😀"');
    expect(written(column, '03eda080')).toBe('"???"');
  });

  test('half a surrogate pair, which only UCS2 can store, becomes a question mark', () => {
    expect(written({ type: T.VARCHAR, meta: 100, collation: 35 }, '060061d8000062')).toBe('"a?b"');
  });

  test('a byte that belongs to no multi-byte character becomes a question mark, and decoding continues after it', () => {
    expect(decodeText(Buffer.from('61ff62', 'hex'), 'gbk')).toBe('a?b');
    expect(decodeText(Buffer.from('6181', 'hex'), 'gbk')).toBe('a?');
    expect(decodeText(Buffer.from('81308130', 'hex'), 'gb18030')).toBe('\u0080');
    expect(decodeText(Buffer.from('fe39fe3961', 'hex'), 'gb18030')).toBe('?a');
    expect(decodeText(Buffer.from('8130ff', 'hex'), 'gb18030')).toBe('?0?');
    expect(decodeText(Buffer.from('8fa1', 'hex'), 'ujis')).toBe('??');
  });

  test('an unknown character set is an error', () => {
    expect(() => decodeText(Buffer.from('a'), 'ebcdic')).toThrow(/ebcdic/);
  });
});
