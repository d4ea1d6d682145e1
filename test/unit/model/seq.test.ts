import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSeq, parseSeq, SEQ_LENGTH, type SeqParts } from '../../../src/model/seq.ts';

const parts = fc.record({
  epoch: fc.nat({ max: 0xffffffff }),
  file: fc.nat(0x7fffffff),
  position: fc.nat({ max: 2 ** 40 - 1 }),
  ordinal: fc.nat({ max: 2 ** 40 - 1 }),
});

const compare = (a: SeqParts, b: SeqParts): number =>
  a.epoch - b.epoch || a.file - b.file || a.position - b.position || a.ordinal - b.ordinal;

describe('seq', () => {
  test('its byte order is the order of epoch, file, position and ordinal', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [x, y] = [formatSeq(a), formatSeq(b)];
        expect(x).toHaveLength(SEQ_LENGTH);
        expect(Math.sign(Buffer.compare(Buffer.from(x), Buffer.from(y)))).toBe(Math.sign(compare(a, b)));
      }),
    );
  });

  test('parses into the parts that it was formatted from, and other texts do not parse', () => {
    fc.assert(fc.property(parts, (original) => void expect(parseSeq(formatSeq(original))).toEqual(original)));
    for (const text of ['', 'g'.repeat(36), '0'.repeat(35), '0'.repeat(37), 'A'.repeat(36)]) {
      expect(parseSeq(text)).toBeUndefined();
    }
  });

  test('a part that does not fit into its digits is an error', () => {
    expect(() => formatSeq({ epoch: 2 ** 32, file: 1, position: 4, ordinal: 0 })).toThrow(RangeError);
    expect(() => formatSeq({ epoch: 0, file: 1, position: 2 ** 40, ordinal: 0 })).toThrow(RangeError);
  });
});
