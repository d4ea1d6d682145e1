import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson, formatRawObject, parseRawObject } from '../../../src/runtime/raw-json.ts';

describe('parseRawObject', () => {
  test('returns the raw text of every value, whatever it contains', () => {
    const anything = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 3 }));
    const blanks = fc.constantFrom(undefined, 1, '\t');
    fc.assert(
      fc.property(anything, blanks, (value, indent) => {
        const found = parseRawObject(JSON.stringify(value, null, indent));
        const expected = Object.entries(value).map(([name, item]) => [name, JSON.stringify(item)]);
        expect([...found].map(([name, raw]) => [name, JSON.stringify(JSON.parse(raw))])).toEqual(expected);
      }),
    );
  });

  test('keeps the digits of numbers, and a member named __proto__', () => {
    const text = '{"__proto__":18446744073709551615,"d":1.10,"s":"a\\\\","e":"\\"}"}';
    expect(formatRawObject(parseRawObject(text))).toBe(text);
  });

  test('throws for incomplete text', () => {
    for (const incomplete of ['[1]', '{"a', '{"a":1', '{"a":"x', ''])
      expect(() => parseRawObject(incomplete)).toThrow(SyntaxError);
  });
});

test('canonical JSON has no white space and one form of strings, and its numbers are unchanged', () => {
  expect(canonicalJson('{"a": 1.0, "b c": ["\\u00e9\\/", 1e2]}')).toBe('{"a":1.0,"b c":["é/",1e2]}');
});
