import { expect, test } from 'vitest';
import { replaceNul } from '../../../../src/warehouse/merge/replace-nul.ts';

test.each([
  ['{"a":"x\\u0000y"}', 'x\ufffdy'],
  ['{"a":"\\u0000\\u0000"}', '\ufffd\ufffd'],
  ['{"a":"\\\\u0000"}', '\\u0000'],
  ['{"a":"\\\\\\u0000"}', '\\\ufffd'],
  ['{"a":"\\u0001"}', '\u0001'],
])('%s has no NUL, and keeps its other characters', (line, expected) => {
  const before = Buffer.from(line);
  expect(JSON.parse(String(replaceNul(before))).a).toBe(expected);
  expect(String(before)).toBe(line);
});
