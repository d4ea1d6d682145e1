import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson, formatRawObject, parseRawObject } from '../../../src/runtime/raw-json.ts';

describe('members of a JSON object', () => {
  test('are the raw texts of its values, whatever they hold', () => {
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

  test('keep the digits of numbers, and a column named __proto__', () => {
    const text = '{"__proto__":18446744073709551615,"d":1.10,"s":"a\\\\","e":"\\"}"}';
    expect(formatRawObject(parseRawObject(text))).toBe(text);
  });

  test('are not made up from text that is torn', () => {
    for (const torn of ['[1]', '{"a', '{"a":1', '{"a":"x', '']) expect(() => parseRawObject(torn)).toThrow(SyntaxError);
  });
});

test('normalized text has no blanks and one spelling of strings, and its numbers are untouched', () => {
  expect(canonicalJson('{"a": 1.0, "b c": ["\\u00e9\\/", 1e2]}')).toBe('{"a":1.0,"b c":["é/",1e2]}');
});
