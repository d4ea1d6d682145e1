import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonObjects } from '../../../../../src/local/firehose/redshift/json-objects.ts';

const read = (text: string | Buffer, invalid?: string) => [...jsonObjects(Buffer.from(text), invalid)];

test('any objects, with any white space or none between them, come out as they went in', () => {
  const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
  const objects = fc.array(fc.tuple(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), space, fc.boolean()));
  fc.assert(
    fc.property(objects, (parts) => {
      const texts = parts.map(([object, , pretty]) => JSON.stringify(object, null, pretty ? 2 : 0));
      const found = read(texts.map((text, i) => text + parts[i]![1]).join(''));
      expect(found.map((line) => ('text' in line ? line.text : line.problem))).toEqual(texts);
    }),
  );
});

test('lines are counted through objects of many lines', () => {
  expect(read('\n{"a":1}\n{\n"b":2\n}{"c":3}\n\n{"d":4}').map(({ line }) => line)).toEqual([2, 3, 5, 7]);
});

test.each([
  ['no object', 'no JSON object begins here'],
  ['[1]', 'no JSON object begins here'],
  ['{"a":"x', 'a text in it does not end'],
  ['{"a":{"b":1}', 'the JSON object does not end'],
  ['{"a":"\\"', 'a text in it does not end'],
])('after %s the next line counts', (bad, problem) => {
  // An object without an end takes the rest of the data for its own, so the last line is the second object.
  expect(read(`{"n":1}\n${bad}\n{"n":2}\n`)).toEqual([
    { line: 1, text: '{"n":1}' },
    { line: 2, problem },
    { line: 3, text: '{"n":2}' },
  ]);
});

test('bytes that are not UTF-8 are a problem, or replaced in their line only', () => {
  const bytes = Buffer.concat([
    Buffer.from('{"a":"\ufffd"}\n{"b":"'),
    Buffer.from([0xc3, 0x28, 0xff]),
    Buffer.from('"}'),
  ]);
  expect(read(bytes)).toEqual([
    { line: 1, text: '{"a":"\ufffd"}' },
    { line: 2, problem: 'it contains bytes that are not UTF-8' },
  ]);
  expect(read(bytes, '$')).toEqual([
    { line: 1, text: '{"a":"\ufffd"}' },
    { line: 2, text: '{"b":"$($"}' },
  ]);
});
