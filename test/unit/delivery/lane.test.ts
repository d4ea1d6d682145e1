import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lane } from '../../../src/delivery/lane.ts';

type Action =
  | { append: number }
  | { commit: true }
  | { savepoint: true }
  | { takeBack: number }
  | { take: number }
  | { settle: true };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ append: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(3_000)) }) },
  { weight: 3, arbitrary: fc.constant({ commit: true as const }) },
  { weight: 1, arbitrary: fc.constant({ savepoint: true as const }) },
  { weight: 1, arbitrary: fc.record({ takeBack: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 100_000 }) }) },
  { weight: 2, arbitrary: fc.constant({ settle: true as const }) },
);

interface Line {
  bytes: Buffer;
  number: number;
}

describe('a lane', () => {
  test('gives its events in order, whole, within the limits, and keeps what is in flight as it was', () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 100, maxLength: 1500, size: 'max' }), (actions) => {
        const lane = new Lane();
        const committed: Line[] = [];
        let open: Line[] = [];
        let number = 1;
        let flight: { bytes: Buffer; copy: Buffer; events: number } | undefined;
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
            expect(lane.takeBack(from)).toBe(gone.reduce((sum, { bytes }) => sum + bytes.length, 0));
          } else if ('take' in each) {
            if (lane.inFlight || lane.waitingEvents === 0) continue;
            const { bytes, events } = lane.take(each.take, 5);
            expect(events).toBeLessThanOrEqual(5);
            expect(bytes.length <= each.take || events === 1).toBe(true);
            expect(bytes.equals(Buffer.concat(committed.slice(0, events).map((line) => line.bytes)))).toBe(true);
            flight = { bytes, copy: Buffer.from(bytes), events };
          } else if (flight !== undefined) {
            expect(flight.bytes.equals(flight.copy)).toBe(true);
            expect(lane.settle()).toBe(flight.copy.length);
            committed.splice(0, flight.events);
            flight = undefined;
          }
          const waiting = committed.slice(flight?.events ?? 0);
          expect(lane.waitingEvents).toBe(waiting.length);
          expect(lane.waitingBytes).toBe(waiting.reduce((sum, { bytes }) => sum + bytes.length, 0));
          expect(lane.openEvents).toBe(open.length);
          expect(lane.oldestTransaction).toBe([...committed, ...open][0]?.number ?? Number.POSITIVE_INFINITY);
        }
        if (flight !== undefined) expect(flight.bytes.equals(flight.copy)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
