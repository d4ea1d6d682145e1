import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseOwnedGtids } from '../../../../src/backfill/read/gtid-visibility.ts';
import { keyColumn } from '../../../../src/backfill/read/key-column.ts';
import { keyScale } from '../../../../src/backfill/read/key-scale.ts';
import { rangeCondition } from '../../../../src/backfill/read/range-sql.ts';
import { readKey } from '../../../../src/backfill/read/row-packet-key.ts';
import { ColumnType as T } from '../../../../src/model/table.ts';

const PART = { descending: false, prefix: false, charset: null, collation: null };
const column = (type: number, more: object = {}) =>
  keyColumn({ name: 'k', type, meta: 0, nullable: false, unsigned: false, collation: 0, labels: [], ...more }, 0, PART);

describe('the scale of a key', () => {
  test('returns a number to where it came from', () => {
    const scale = keyScale(column(T.LONGLONG, { unsigned: true }))!;
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const { bytes, unsigned } = scale.parameterAt(value);
        expect(scale.position(bytes)).toBe(value);
        expect(unsigned).toBe(value >= 2n ** 63n);
      }),
    );
  });

  test('has the digits of a DECIMAL, and its sign', () => {
    const scale = keyScale(column(T.NEWDECIMAL, { meta: (20 << 8) | 3 }))!;
    for (const text of ['0.001', '-0.001', '12345678901234567.890', '-1.000', '0.000']) {
      expect(
        scale
          .parameterAt(scale.position(Buffer.from(text)))
          .bytes.subarray(1)
          .toString(),
      ).toBe(text);
    }
  });

  test('keeps the order of dates, and returns them', () => {
    const scale = keyScale(column(T.DATETIME2))!;
    const date = Buffer.from([0xea, 7, 11, 26, 20, 45, 59, 0x3f, 0x42, 0x0f, 0]);
    expect(scale.parameterAt(scale.position(date)).bytes.subarray(1)).toEqual(date);
    expect(scale.position(date.subarray(0, 7))).toBeLessThan(scale.position(date));
    expect(scale.position(date.subarray(0, 4))).toBeLessThan(scale.position(date.subarray(0, 7)));
    expect(scale.position(Buffer.alloc(0))).toBe(0n);
  });

  test('takes the first bytes of bytes', () => {
    const scale = keyScale(column(T.STRING, { collation: 63 }))!;
    expect(scale.position(Buffer.from([1]))).toBe(2n ** 56n);
    expect(scale.parameterAt(2n ** 56n).bytes).toEqual(Buffer.from([8, 1, 0, 0, 0, 0, 0, 0, 0]));
  });
});

describe('the key of a row packet', () => {
  test('skips values of every length, and NULL', () => {
    const long = Buffer.alloc(300, 'x');
    const packet = Buffer.concat([
      // The NULL bitmap begins with two unused bits: the second column is NULL.
      Buffer.from([9, 9, 9, 9, 0, 0b1000]),
      Buffer.from([0xfc, 0x2c, 0x01]),
      long,
      Buffer.from([4, 0xea, 7, 1, 2]),
      Buffer.from([5, 0, 0, 0]),
      Buffer.from([2, 0x61, 0x62]),
    ]);
    const types = [T.BLOB, T.LONG, T.DATE, T.LONG, T.VAR_STRING].map((type) => ({ type, unsigned: false }));
    const [text, number, date] = readKey(packet, 4, types, [4, 3, 2]).map((value) => Buffer.from(value, 'base64'));
    expect(text?.toString()).toBe('ab');
    expect(number).toEqual(Buffer.from([5, 0, 0, 0]));
    expect(date).toEqual(Buffer.from([0xea, 7, 1, 2]));
  });
});

test('a range of an ENUM lists the numbers in it', () => {
  const key = [column(T.ENUM, { labels: ['a', 'b', 'c'] })];
  const at = (number: number): [string] => {
    const bytes = Buffer.alloc(8);
    bytes[0] = number;
    return [bytes.toString('base64')];
  };
  expect(rangeCondition(key, { after: at(1), upTo: at(3) }).sql).toBe('`k` IN (2, 3) AND `k` IN (0, 1, 2, 3)');
  expect(rangeCondition(key, { after: at(3), upTo: null }).sql).toBe('FALSE');
});

test('gtid_owned is read without its threads', () => {
  const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
  expect(parseOwnedGtids(`${uuid}:23#5:24#6:tag:7#8,\n${uuid.replace('3e', '4e')}:9#1`).toString()).toBe(
    `${uuid}:23-24:tag:7,${uuid.replace('3e', '4e')}:9`,
  );
  expect(parseOwnedGtids('').isEmpty).toBe(true);
});
