import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { ruledValueWriter } from '../../../../src/codec/values/column-rule-writer.ts';
import type { ColumnRule } from '../../../../src/model/column-rules.ts';
import { ColumnType as T } from '../../../../src/model/table.ts';
import {
  comparedColumns,
  packValues,
  readPacket,
  textOf,
  unpackValues,
} from '../../../../src/verify/source/source-row.ts';
import { comparedColumn, DEFAULT_VALUES, declared } from '../compared-table.ts';

/** What the codec writes under this rule for a value whose JSON is `json`. */
function codec(rule: ColumnRule, json: string): string {
  const out = new ByteWriter(8);
  const write = ruledValueWriter(rule, (_src, at, _end, to) => {
    to.copy(Buffer.from(json));
    return at;
  });
  write(Buffer.alloc(0), 0, 0, out);
  return out.bytes.toString('utf8', 0, out.at);
}

const text = (rule: ColumnRule | undefined, type: string, value: string | Buffer | null): string =>
  textOf(comparedColumn(declared('v', type), rule && { rule }), value === null ? null : Buffer.from(value));
const HASH: ColumnRule = { kind: 'hash', secret: 'SECRET' };
const mask = (keep: number): ColumnRule => ({ kind: 'mask', keep });

describe('the rules of columns', () => {
  test('a hash is that of the docs: the HMAC-SHA256 of the content of a string', () => {
    const hmac = createHmac('sha256', 'SECRET').update('ada@example.com').digest('hex');
    expect(text(HASH, 'varchar(40)', 'ada@example.com')).toBe(`"${hmac}"`);
  });

  test('NULL stays null under each of them, and so does a zero date that is written as null', () => {
    for (const rule of [HASH, mask(4)]) {
      expect(text(rule, 'varchar(9)', null)).toBe('null');
      const zero = comparedColumn(declared('v', 'date'), { rule, values: { zero_dates: 'null' } });
      expect(textOf(zero, Buffer.from('0000-00-00'))).toBe('null');
    }
  });

  test.each<[string, string | Buffer]>([
    ['varchar(40)', 'Zoë "☃😀" \\ \n\u0001'],
    ['varchar(40)', ''],
    ['decimal(8,2)', '-12.50'],
    ['bigint', '9007199254740993'],
    ['varbinary(9)', Buffer.of(0, 0xff)],
    ['datetime(3)', '2024-01-02 03:04:05.678'],
    ['json', '{"a": "ü"}'],
    ['point', Buffer.from('000000000101000000000000000000f03f0000000000000040', 'hex')],
  ])('give for a %s what the codec writes', (type, value) => {
    const json = text(undefined, type, value);
    for (const rule of [HASH, mask(0), mask(2), mask(4), mask(1_000)]) {
      expect(text(rule, type, value)).toBe(codec(rule, json));
    }
  });

  test('give for any text what the codec writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(50), (value, keep) => {
        const bytes = Buffer.from(value);
        for (const rule of [HASH, mask(keep)]) {
          expect(text(rule, 'text', bytes)).toBe(codec(rule, text(undefined, 'text', bytes)));
        }
      }),
    );
  });

  test('a dropped column is not compared', () => {
    const columns = [declared('id', 'int'), declared('secret', 'int'), declared('v', 'int')];
    const ruleOf = (name: string): ColumnRule | undefined => (name === 'secret' ? { kind: 'drop' } : undefined);
    const found = comparedColumns(columns, DEFAULT_VALUES, 'debezium', ruleOf);
    expect(found.map(({ memberName }) => memberName)).toEqual(['"id":', '"v":']);
  });
});

describe('a row packet', () => {
  const column = (type: number) => ({ type, unsigned: false });
  /** The payload of a row whose NULLs are the columns of these numbers. */
  function packet(columns: number, nulls: number[], ...values: Buffer[]): Buffer {
    const bitmap = Buffer.alloc((columns + 9) >> 3);
    for (const i of nulls) (bitmap[(i + 2) >> 3] as number) |= 1 << ((i + 2) & 7);
    return Buffer.concat([Buffer.of(0), bitmap, ...values]);
  }
  const short = (value: string): Buffer => Buffer.from(`${String.fromCharCode(value.length)}${value}`);
  const double = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return bytes;
  };
  const read = (types: number[], bytes: Buffer, before = 3): (string | null)[] =>
    readPacket(Buffer.concat([Buffer.alloc(before, 0xff), bytes]), before, types.map(column)).map((value) =>
      value === null ? null : value.toString(),
    );

  test('gives texts, NULLs, and the numbers behind them', () => {
    const types = [T.VAR_STRING, T.VAR_STRING, T.DOUBLE, T.VAR_STRING];
    expect(read(types, packet(4, [1], short('a'), double(1.5), short('')))).toEqual(['a', null, '1.5', '']);
  });

  test('has a bit for each of many columns', () => {
    for (let count = 1; count <= 20; count++) {
      const types = Array.from({ length: count }, () => T.VAR_STRING);
      const isNull = (i: number): boolean => [0, 5, 6, 13, 14, 19].includes(i);
      const nulls = types.flatMap((_, i) => (isNull(i) ? [i] : []));
      const values = types.flatMap((_, i) => (isNull(i) ? [] : [short(`v${i}`)]));
      const expected = types.map((_, i) => (isNull(i) ? null : `v${i}`));
      expect(read(types, packet(count, nulls, ...values))).toEqual(expected);
    }
  });

  test.each([
    [251, Buffer.of(0xfc, 251, 0)],
    [0xffff, Buffer.of(0xfc, 0xff, 0xff)],
    [0x10000, Buffer.of(0xfd, 0, 0, 1)],
    [0x1000000, Buffer.of(0xfe, 0, 0, 0, 1, 0, 0, 0, 0)],
  ])('gives a text of %i bytes, and what follows it', (length, head) => {
    const bytes = packet(2, [], head, Buffer.alloc(length, 'x'), short('end'));
    const [long, end] = read([T.BLOB, T.VAR_STRING], bytes);
    expect([long?.length, end]).toEqual([length, 'end']);
  });

  test.each([
    [0.1, '0.1'],
    [-0, '-0'],
    [1e25, '1e+25'],
    [5e-324, '5e-324'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
  ])('gives the double %d with all its digits', (value, expected) => {
    expect(read([T.DOUBLE], packet(1, [], double(value)))).toEqual([expected]);
  });

  test('passes the key columns, which have their own types', () => {
    const key = Buffer.concat([Buffer.alloc(1), Buffer.alloc(2), Buffer.alloc(4), Buffer.alloc(8), Buffer.alloc(4)]);
    const types = [T.TINY, T.SHORT, T.LONG, T.LONGLONG, T.FLOAT, T.VAR_STRING];
    expect(read(types, packet(6, [], key, short('end'))).at(-1)).toBe('end');
  });
});

test('packed values are those that were packed', () => {
  const value = fc.option(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)));
  fc.assert(
    fc.property(fc.array(value), (values) => {
      expect(unpackValues(packValues(values))).toEqual(values);
    }),
  );
});
