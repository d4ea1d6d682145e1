import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineCutter } from '../../../src/lake/line-cutter.ts';

const lengths = fc.array(fc.oneof(fc.nat(300), fc.nat(200_000)), { maxLength: 30 });
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 600_000 })), {
  minLength: 1,
  maxLength: 4,
});

test('lines and pieces of any length give all bytes in whole lines, numbered from 1', () => {
  fc.assert(
    fc.property(lengths, sizes, fc.nat(1_000), (lines, pieces, half) => {
      const text = Buffer.concat([
        ...lines.map((length, i) => Buffer.concat([Buffer.alloc(length, 97 + (i % 26)), Buffer.from('\n')])),
        Buffer.alloc(half, 'z'),
      ]);
      const cutter = new LineCutter();
      const given: Buffer[] = [];
      let line = 1;
      const take = () => {
        for (let block = cutter.take(); block !== undefined; block = cutter.take()) {
          expect(block.firstLine).toBe(line);
          expect(block.bytes.at(-1)).toBe(10);
          line += block.bytes.toString('latin1').split('\n').length - 1;
          given.push(block.bytes);
        }
        expect(cutter.line).toBe(line);
      };
      for (let at = 0, i = 0; at < text.length; i++) {
        const size = pieces[i % pieces.length] as number;
        expect(cutter.add(text.subarray(at, at + size))).toBe(true);
        at += size;
        if (cutter.isFull) take();
      }
      take();
      expect(cutter.isWithinLine).toBe(half > 0);
      expect(Buffer.concat(given).equals(text.subarray(0, text.length - half))).toBe(true);
    }),
    { numRuns: 60 },
  );
});
