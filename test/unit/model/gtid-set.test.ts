import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GtidSet } from '../../../src/model/gtid-set.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4e11fa47-71ca-11e1-9e33-c80aa9429562';

const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 });
const setOf = (gnos: number[], source = A): GtidSet => {
  const set = new GtidSet();
  for (const n of gnos) set.addRange(source, n, n);
  return set;
};

describe('a GTID set', () => {
  test.each([
    ['', ''],
    [`${A}:1-5`, `${A}:1-5`],
    [`${A.toUpperCase()}:1-5:6:9-11,\n ${B}:7`, `${A}:1-6:9-11,${B}:7`],
    [`${B}:1,${A}:2`, `${A}:2,${B}:1`],
    [`${A}:1-3:tag_b:5:tag_a:1-2`, `${A}:1-3:tag_a:1-2:tag_b:5`],
    [`${A}:only_tag:4`, `${A}:only_tag:4`],
  ])('%j is written as %j', (text, canonical) => {
    expect(GtidSet.parse(text).toString()).toBe(canonical);
  });

  test.each([
    'x:1',
    A,
    `${A}:0`,
    `${A}:5-4`,
    `${A}:1-`,
    `${A}:tag:`,
    `${A}:tag_a:tag_b:1`,
    `${A}:0x10`,
    `${A}:9007199254740993`,
  ])('%j is rejected', (text) => {
    expect(() => GtidSet.parse(text)).toThrow(/is not a valid part of a GTID set/);
  });

  test('contains the members that were added in any order, and its text parses to the same set', () => {
    fc.assert(
      fc.property(numbers, (gnos) => {
        const set = setOf(gnos);
        for (let n = 1; n <= 61; n++) expect(set.contains(A, n)).toBe(gnos.includes(n));
        expect(GtidSet.parse(set.toString()).toString()).toBe(set.toString());
        expect(set.contains(B, 1)).toBe(false);
      }),
    );
  });

  test('subtracts and contains as sets do, gaps included', () => {
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const difference = setOf(a).subtract(setOf(b));
        expect(difference.toString()).toBe(setOf(a.filter((n) => !b.includes(n))).toString());
        expect(setOf(a).containsAll(setOf(b))).toBe(b.every((n) => a.includes(n)));
        const union = setOf(a);
        union.addAll(setOf(b));
        expect(union.toString()).toBe(setOf([...new Set([...a, ...b])]).toString());
      }),
    );
  });

  test('a change of a clone does not change the original', () => {
    const set = GtidSet.parse(`${A}:1-5`);
    const copy = set.clone();
    copy.addRange(A, 6, 6);
    expect(set.toString()).toBe(`${A}:1-5`);
    expect(copy.toString()).toBe(`${A}:1-6`);
  });
});
