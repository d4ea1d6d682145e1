import { describe, expect, test } from 'vitest';
import { KeyHasher } from '../../../../src/verify/lake/row-key.ts';

const ofObject = (names: string[], json: string): string | undefined => {
  const bytes = Buffer.from(`  ${json}  `);
  return new KeyHasher(names).ofObject(bytes, 2, bytes.length);
};
const ofValues = (names: string[], values: string[]): string => new KeyHasher(names).ofValues(values);

describe('the hash of a key', () => {
  test.each<[string, string[], string, string[]]>([
    ['a number', ['id'], '{"id":1}', ['1']],
    ['a number beside other columns', ['id'], '{"a":{"id":2},"id":1,"b":3}', ['1']],
    ['a text', ['k'], '{"k":"Ünï"}', ['"Ünï"']],
    ['a text with escapes', ['k'], '{"k":"a\\"b\\u0001\\n"}', ['"a\\"b\\u0001\\n"']],
    ['two columns in the order of the key', ['b', 'a'], '{"a":1,"b":"2"}', ['"2"', '1']],
    ['a name with an escape', ['a"b'], '{"a\\"b":1}', ['1']],
    ['NULL', ['k'], '{"k":null}', ['null']],
  ])('is that of the row of the source: %s', (_, names, json, values) => {
    expect(ofObject(names, json)).toBe(ofValues(names, values));
  });

  test('does not depend on the form of values.bigint', () => {
    expect(ofObject(['id'], '{"id":"12345678901234567890"}')).toBe(ofValues(['id'], ['12345678901234567890']));
  });

  test('differs for other values, also if the texts join to the same', () => {
    const hashes = [
      ['"ab"', '"c"'],
      ['"a"', '"bc"'],
      ['"abc"', '""'],
      ['""', '"abc"'],
    ].map((values) => ofValues(['x', 'y'], values));
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test('of NULL is not that of the text', () => {
    expect(ofObject(['k'], '{"k":null}')).not.toBe(ofObject(['k'], '{"k":"null"}'));
    expect(ofValues(['k'], ['null'])).not.toBe(ofValues(['k'], ['"null"']));
  });

  test('is not known if a column is missing', () => {
    expect(ofObject(['id', 'b'], '{"id":1}')).toBeUndefined();
  });

  test('of a long key', () => {
    const long = JSON.stringify('x'.repeat(100_000));
    expect(ofObject(['a', 'b'], `{"a":${long},"b":${long}}`)).toBe(ofValues(['a', 'b'], [long, long]));
  });
});
