import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asRowImage } from '../../../../src/codec/bytes/row-packet.ts';

/** A row of the binary protocol: a header of 0, the NULL bitmap with an offset of two bits, and the values. */
function packetOf(nulls: readonly boolean[], values: Buffer): Buffer {
  const bitmap = Buffer.alloc((nulls.length + 9) >> 3);
  nulls.forEach((isNull, i) => {
    if (isNull) bitmap[(i + 2) >> 3] = (bitmap[(i + 2) >> 3] as number) | (1 << ((i + 2) & 7));
  });
  return Buffer.concat([Buffer.of(0), bitmap, values]);
}

const nullsOf = (image: Buffer, columns: number): boolean[] =>
  Array.from({ length: columns }, (_, i) => ((image[i >> 3] as number) & (1 << (i & 7))) !== 0);

describe('a row packet as a row image', () => {
  test('has the same NULLs before the same values, for any number of columns and at any place, also a second time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 70, size: 'max' }),
        fc.uint8Array({ maxLength: 9 }),
        fc.nat(9),
        (nulls, bytes, before) => {
          const values = Buffer.from(bytes);
          const packet = packetOf(nulls, values);
          const all = Buffer.concat([Buffer.alloc(before, 0xff), packet, Buffer.alloc(3, 0xff)]);
          const to = before + packet.length;
          const image = asRowImage(all, before, to, nulls.length);
          expect(asRowImage(all, before, to, nulls.length)).toBe(image);
          expect(nullsOf(all.subarray(image), nulls.length)).toEqual(nulls);
          expect(all.subarray(image + ((nulls.length + 7) >> 3), to)).toEqual(values);
          expect([...all.subarray(0, before), ...all.subarray(to)]).toEqual(Array(before + 3).fill(0xff));
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    ['an EOF', Buffer.of(0xfe, 0, 0, 2, 0)],
    ['nothing', Buffer.alloc(0)],
    ['shorter than its bitmap', Buffer.of(0, 0)],
  ])('that is %s is an error', (_, packet) => {
    expect(() => asRowImage(packet, 0, packet.length, 7)).toThrow('is not a row of the binary protocol');
  });
});
