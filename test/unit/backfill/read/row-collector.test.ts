import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PACKET_HEADER_LENGTH } from '../../../../src/backfill/read/row-chunk.ts';
import { RowCollector } from '../../../../src/backfill/read/row-collector.ts';

const PART = 0xffffff;

/** The packets of a payload: parts of at most 16 MiB - 1, the last one shorter. */
function packets(payload: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; at += PART) {
    const part = payload.subarray(at, at + PART);
    const header = Buffer.alloc(PACKET_HEADER_LENGTH);
    header.writeUIntLE(part.length, 0, 3);
    parts.push(header, part);
    if (part.length < PART) return Buffer.concat(parts);
  }
}

/** The last bytes of a column definition are what the collector reads: type, flags, decimals and filler. */
const definition = (type: number, flags: number): Buffer => Buffer.from([3, 100, 101, 102, type, flags, 0, 0, 0, 0]);
const EOF = packets(Buffer.from([0xfe, 0, 0, 2, 0]));
const HEAD = Buffer.concat([packets(Buffer.from([2])), packets(definition(3, 0x20)), packets(definition(252, 0)), EOF]);
const ERR = packets(Buffer.from([0xff, 0xd0, 0x0b, ...Buffer.from('#HY000killed')]));

function collect(
  bytes: Buffer,
  cuts: readonly number[],
  capacity = 1,
): { collector: RowCollector; rest: Buffer | undefined } {
  const collector = new RowCollector(capacity, 1);
  let rest: Buffer | undefined;
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < at.length; i++) rest = collector.take(bytes.subarray(at[i - 1], at[i]));
  return { collector, rest };
}

function payloads({ bytes, ends, count }: { bytes: Buffer; ends: Uint32Array; count: number }): Buffer[] {
  return Array.from({ length: count }, (_, i) =>
    bytes.subarray((i === 0 ? 0 : (ends[i - 1] as number)) + PACKET_HEADER_LENGTH, ends[i]),
  );
}

const row = fc.uint8Array({ maxLength: 80 }).map((body) => Buffer.from([0, ...body]));
const cutAt = (bytes: Buffer) => fc.array(fc.nat(bytes.length), { maxLength: 30 });

describe('RowCollector', () => {
  test('finds the same rows however the bytes are cut, and gives back what follows them', () => {
    const input = fc
      .tuple(fc.array(row, { maxLength: 30 }), fc.constantFrom(EOF, ERR))
      .map(([rows, end]) => ({ rows, end, bytes: Buffer.concat([HEAD, ...rows.map(packets), end]) }))
      .chain((one) => cutAt(one.bytes).map((cuts) => ({ ...one, cuts })));
    fc.assert(
      fc.property(input, ({ rows, end, bytes, cuts }) => {
        const { collector, rest } = collect(bytes, cuts);
        expect(rest).toEqual(end);
        expect(payloads(collector.rows())).toEqual(rows);
        expect(collector.columns).toEqual([
          { type: 3, unsigned: true },
          { type: 252, unsigned: false },
        ]);
        expect(collector.definitions).toEqual(HEAD.subarray(0, HEAD.length - EOF.length));
      }),
    );
  });

  test('rows that are given away or dropped at any moment leave the others whole', () => {
    const input = fc
      .tuple(
        fc.array(row, { minLength: 1, maxLength: 30 }),
        fc.infiniteStream(fc.constantFrom('keep', 'detach', 'clear')),
      )
      .map(([rows, actions]) => ({ rows, actions, bytes: Buffer.concat([HEAD, ...rows.map(packets), EOF]) }))
      .chain((one) => cutAt(one.bytes).map((cuts) => ({ ...one, cuts })));
    fc.assert(
      fc.property(input, ({ rows, actions, bytes, cuts }) => {
        const collector = new RowCollector(1, 1);
        const found: Buffer[] = [];
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        for (let i = 1; i < at.length; i++) {
          collector.take(bytes.subarray(at[i - 1], at[i]));
          const action = actions.next().value;
          if (action === 'detach') found.push(...payloads(collector.detach()).map((one) => Buffer.from(one)));
          if (action === 'clear') {
            found.push(...payloads(collector.rows()).map((one) => Buffer.from(one)));
            collector.clear();
          }
        }
        found.push(...payloads(collector.rows()));
        expect(found).toEqual(rows);
      }),
    );
  });

  test.each([PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 5])('a row of %s bytes loses its inner headers', (size) => {
    const big = Buffer.alloc(size, 'abcdefg');
    big[0] = 0;
    const small = Buffer.from([0, 1, 2]);
    const bytes = Buffer.concat([HEAD, packets(small), packets(big), packets(small), EOF]);
    const cuts = Array.from({ length: 600 }, (_, i) => i * 64_123).filter((cut) => cut < bytes.length);
    for (const cut of [cuts, [HEAD.length + 7 + 4 + PART, HEAD.length + 7 + 4 + PART + 2]]) {
      const { collector, rest } = collect(
        bytes,
        cut.filter((one) => one < bytes.length),
      );
      expect(rest).toEqual(EOF);
      const found = payloads(collector.rows());
      expect(found.map(({ length }) => length)).toEqual([3, size, 3]);
      expect(found[1]?.equals(big)).toBe(true);
      expect(found[2]).toEqual(small);
    }
  });

  test('an error instead of a result set has no rows', () => {
    const { collector, rest } = collect(ERR, [3]);
    expect(rest).toEqual(ERR);
    expect(collector.count).toBe(0);
  });

  test('uses a spare buffer of its capacity, and no other', () => {
    const bytes = Buffer.concat([HEAD, packets(Buffer.from([0, 7])), EOF]);
    const read = (spare: Buffer): RowCollector => {
      const collector = new RowCollector(100_000, 1, spare);
      collector.take(bytes);
      return collector;
    };
    const spare = Buffer.alloc(150_000, 0xff);
    expect(read(spare).bytes).toBe(spare);
    expect(payloads(read(spare).rows())).toEqual([Buffer.from([0, 7])]);
    for (const size of [0, 99_999, 200_001]) expect(read(Buffer.alloc(size)).bytes).toHaveLength(100_000);
  });
});
