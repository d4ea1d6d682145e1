import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalJson,
  formatRawObject,
  parseRawObject,
  parseRawSpans,
  unescapeJson,
} from '../../../src/runtime/raw-json.ts';

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

describe('JSON in bytes, which can be too long for a string', () => {
  const json = fc.json({ maxDepth: 3 });
  const object = fc.dictionary(fc.string({ unit: 'binary' }), json, { maxKeys: 5 });
  const asText = (members: Record<string, string>): string =>
    `{ ${Object.entries(members)
      .map(([name, raw]) => `${JSON.stringify(name)} : ${raw}`)
      .join(' ,\n')} }`;

  test('has the same members as in a string', () => {
    fc.assert(
      fc.property(object, (members) => {
        const text = asText(members);
        const bytes = Buffer.from(`[${text}]`);
        const spans = parseRawSpans(bytes, { from: 1, to: bytes.length - 1 });
        const found = new Map([...spans].map(([name, { from, to }]) => [name, bytes.toString('utf8', from, to)]));
        expect(found).toEqual(parseRawObject(text));
      }),
    );
  });

  test('has the same strings', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (value, ascii) => {
        const raw = JSON.stringify(value);
        const escaped = ascii
          ? raw.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          : raw;
        const bytes = Buffer.from(escaped);
        const whole = Buffer.from(`x${escaped}"`);
        expect(unescapeJson(whole, { from: 1, to: bytes.length + 1 }).toString()).toBe(Buffer.from(value).toString());
      }),
    );
    expect(unescapeJson(Buffer.from('"\\/\\b\\f\\n\\r\\t\\"\\\\"'), { from: 0, to: 18 }).toString()).toBe(
      '/\b\f\n\r\t"\\',
    );
  });

  test.each(['', '[]', '{"a"', '{"a":1', '{"a" 1}', '{"a":"b}', '{"a":1 "b":2}', '{a:1}'])('%j is an error', (text) => {
    const bytes = Buffer.from(text);
    expect(() => parseRawSpans(bytes, { from: 0, to: bytes.length })).toThrow(SyntaxError);
  });
});
