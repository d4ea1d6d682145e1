import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { ruledValueWriter } from '../../../../src/codec/values/column-rule-writer.ts';
import type { ColumnRule } from '../../../../src/model/column-rules.ts';

/** The output of a rule for a value whose JSON is `json`. */
function ruled(rule: ColumnRule, json: string): string {
  const out = new ByteWriter(8);
  out.ascii('[');
  const write = ruledValueWriter(rule, (_src, at, _end, to) => {
    to.copy(Buffer.from(json));
    return at + 7;
  });
  expect(write(Buffer.alloc(0), 3, 9, out)).toBe(10);
  expect(out.bytes.toString('latin1', 0, 1)).toBe('[');
  return out.bytes.toString('utf8', 1, out.at);
}

const hash = (json: string, secret = 'k3y') => ruled({ kind: 'hash', secret }, json);
const mask = (keep: number, json: string) => ruled({ kind: 'mask', keep }, json);
const hmac = (text: string) => JSON.stringify(createHmac('sha256', 'k3y').update(text).digest('hex'));

describe('hash', () => {
  test('a string is hashed by its content, not by its JSON escapes, with HMAC-SHA256', () => {
    expect(hash('"a@b.de"')).toBe(hmac('a@b.de'));
    expect(hash('"a\\"b\\\\\\n\\u0001☃"')).toBe(hmac('a"b\\\n\u0001☃'));
    expect(hash('""')).toBe(hmac(''));
  });

  test('any other value is hashed by its JSON', () => {
    expect(hash('-12.50')).toBe(hmac('-12.50'));
    expect(hash('{"srid":0,"wkb":"AQ=="}')).toBe(hmac('{"srid":0,"wkb":"AQ=="}'));
  });

  test('another secret gives another hash', () => {
    expect(hash('"a"', 'one')).not.toBe(hash('"a"', 'two'));
  });
});

describe('mask', () => {
  test.each([
    [4, '"1234567"', '"***4567"'],
    [0, '"1234567"', '"*******"'],
    [2, '"€ß☃😀ü"', '"***😀ü"'],
    [1, '"a\\"\\""', '"**\\""'],
    [3, '"a\\n\\\\b"', '"*\\n\\\\b"'],
    [2, '-12.50', '"****50"'],
    [4, '"1234"', '"****"'],
    [5, '"1234"', '"****"'],
    [3, '""', '""'],
  ])('a mask that keeps %i characters of %s gives %s', (keep, json, expected) => {
    expect(mask(keep, json)).toBe(expected);
  });

  test('a mask keeps the last characters of any text and writes a star for each other character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), fc.integer({ min: 0, max: 90 }), (text, keep) => {
        const characters = [...Buffer.from(text).toString()];
        const stars = characters.length > keep ? characters.length - keep : characters.length;
        expect(JSON.parse(mask(keep, JSON.stringify(text)))).toBe('*'.repeat(stars) + characters.slice(stars).join(''));
      }),
    );
  });
});

test('drop writes nothing', () => {
  expect(ruled({ kind: 'drop' }, '"secret"')).toBe('');
});

test('a value that is written as null stays null', () => {
  expect(hash('null')).toBe('null');
  expect(mask(4, 'null')).toBe('null');
  expect(hash('"null"')).toBe(hmac('null'));
});
