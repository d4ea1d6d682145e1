import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHUNK_BYTES, ChunkPool } from '../../../src/delivery/chunk-pool.ts';
import { Lane } from '../../../src/delivery/lane.ts';
import type { RecordBuffers } from '../../../src/sinks/sink.ts';

type Action =
  | { append: number }
  | { commit: true }
  | { savepoint: true }
  | { takeBack: number }
  | { take: number }
  /** At most so many events of those in flight. */
  | { settle: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      append: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(3_000), fc.constantFrom(40_000, 65_536, 70_000)),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ commit: true as const }) },
  { weight: 1, arbitrary: fc.constant({ savepoint: true as const }) },
  { weight: 1, arbitrary: fc.record({ takeBack: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 100_000 }) }) },
  { weight: 2, arbitrary: fc.record({ settle: fc.oneof({ weight: 3, arbitrary: fc.constant(9) }, fc.nat(4)) }) },
);

interface Line {
  bytes: Buffer;
  number: number;
}

describe('a lane', () => {
  test('gives its events in order, whole, within the limits, and keeps what is in flight as it was', () => {
    const pool = new ChunkPool();
    fc.assert(
      fc.property(fc.array(action, { minLength: 100, maxLength: 800, size: 'max' }), (actions) => {
        const lane = new Lane(pool);
        // What another lane gets of the pool must not be what this one still holds.
        const other = new Lane(pool);
        const committed: Line[] = [];
        let open: Line[] = [];
        let number = 1;
        let flight: { pieces: RecordBuffers; copy: Buffer; lines: Line[] } | undefined;
        let fill = 0;
        for (const each of actions) {
          if ('append' in each) {
            const bytes = Buffer.alloc(each.append, ++fill & 255);
            lane.append(Buffer.concat([Buffer.of(1, 2), bytes, Buffer.of(3)]), 2, 2 + bytes.length, number);
            open.push({ bytes, number });
          } else if ('commit' in each) {
            lane.commit();
            committed.push(...open);
            open = [];
            number++;
          } else if ('savepoint' in each) number++;
          else if ('takeBack' in each) {
            const from = number - each.takeBack;
            const gone = open.filter((line) => line.number >= from);
            open = open.filter((line) => line.number < from);
            expect(lane.discardFrom(from)).toBe(gone.reduce((sum, { bytes }) => sum + bytes.length, 0));
          } else if ('take' in each) {
            if (lane.inFlightEvents > 0 || lane.waitingEvents === 0) continue;
            const length = lane.startFlight(each.take, 5);
            const events = lane.inFlightEvents;
            expect(events).toBeLessThanOrEqual(5);
            expect(length <= each.take || events === 1).toBe(true);
            const lines = committed.slice(0, events);
            const pieces = lane.inFlightBuffers();
            const copy = Buffer.concat(pieces);
            expect(copy.length).toBe(length);
            expect(copy.equals(Buffer.concat(lines.map((line) => line.bytes)))).toBe(true);
            const single = lane.inFlightByEvent();
            expect(single.map((event) => event.length)).toEqual(lines.map((line) => line.bytes.length));
            expect(Buffer.concat(single).equals(copy)).toBe(true);
            expect(lane.oldestEvent().equals(lines[0]?.bytes ?? Buffer.of())).toBe(true);
            flight = { pieces, copy, lines };
          } else if (flight !== undefined) {
            expect(Buffer.concat(flight.pieces).equals(flight.copy)).toBe(true);
            const settled = committed.splice(0, Math.min(each.settle, flight.lines.length));
            expect(lane.settle(settled.length)).toBe(settled.reduce((sum, { bytes }) => sum + bytes.length, 0));
            flight = undefined;
            other.append(Buffer.alloc(60_000, 255), 0, 60_000, number);
            other.commit();
            if (other.waitingEvents > 20) {
              other.startFlight(1e9, 1e9);
              other.settle();
            }
          }
          const waiting = committed.slice(flight?.lines.length ?? 0);
          expect(lane.waitingEvents).toBe(waiting.length);
          expect(lane.waitingBytes).toBe(waiting.reduce((sum, { bytes }) => sum + bytes.length, 0));
          expect(lane.openEvents).toBe(open.length);
          expect(lane.oldestTransaction).toBe([...committed, ...open][0]?.number ?? Number.POSITIVE_INFINITY);
        }
        if (flight !== undefined) expect(Buffer.concat(flight.pieces).equals(flight.copy)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('finds its oldest event behind a chunk of which the rest was taken back', () => {
    const lane = new Lane(new ChunkPool());
    const append = (length: number, fill: string, number: number): void => {
      lane.append(Buffer.alloc(length, fill), 0, length, number);
    };
    append(10, 'a', 1);
    lane.commit();
    append(10, 'b', 2);
    lane.startFlight(100, 1);
    lane.settle();
    lane.discardFrom(2);
    append(CHUNK_BYTES, 'c', 2);
    lane.commit();
    expect(lane.oldestEvent().equals(Buffer.alloc(CHUNK_BYTES, 'c'))).toBe(true);
  });
});
