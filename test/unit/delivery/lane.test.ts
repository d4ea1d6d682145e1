import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkPool } from '../../../src/delivery/chunk-pool.ts';
import { Lane } from '../../../src/delivery/lane.ts';
import { CHUNK_BYTES } from '../../../src/delivery/limits.ts';
import type { RecordBuffers } from '../../../src/sinks/sink.ts';
import { encodedEvent } from '../../encoded-event.ts';

const TABLE = { schema: 'shop', name: 'orders', columns: [], key: [] };

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
  key: string;
  number: number;
}

describe('a lane', () => {
  test.each([
    ['with keys', true],
    ['without keys', false],
  ])('%s gives its events in order, whole and within the limits, and keeps what is in flight unchanged', (_, keyed) => {
    const pool = new ChunkPool();
    fc.assert(
      fc.property(fc.array(action, { minLength: 100, maxLength: 800, size: 'max' }), (actions) => {
        const lane = new Lane(pool, keyed);
        // What another lane gets of the pool must not be what this one still holds.
        const other = new Lane(pool, keyed);
        const committed: Line[] = [];
        let open: Line[] = [];
        let isOpen = false;
        let number = 1;
        let flight: { pieces: RecordBuffers; copy: Buffer; lines: Line[] } | undefined;
        let fill = 0;
        for (const each of actions) {
          if ('append' in each) {
            const bytes = Buffer.alloc(each.append, ++fill & 255);
            const key = `key ${fill}`.repeat(fill % 4);
            const source = Buffer.concat([Buffer.of(1, 2), bytes, Buffer.from(key), Buffer.of(3)]);
            const to = 2 + bytes.length;
            const isFirst = lane.append(
              {
                op: 'c',
                table: TABLE,
                bytes: source,
                from: 2,
                to,
                keyFrom: to,
                keyTo: to + key.length,
                keyHash: 0,
                isPartial: false,
                locateKey() {},
              },
              number,
            );
            expect(isFirst).toBe(!isOpen);
            isOpen = true;
            open.push({ bytes, key, number });
          } else if ('commit' in each) {
            lane.makeSendable();
            isOpen = false;
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
            expect(lane.oldestEvents(lane.inFlightEvents)?.map(({ key }) => String(key))).toEqual(
              keyed ? lines.map(({ key }) => key) : undefined,
            );
            expect(lane.oldestEvent().equals(lines[0]?.bytes ?? Buffer.of())).toBe(true);
            flight = { pieces, copy, lines };
          } else if (flight !== undefined) {
            expect(Buffer.concat(flight.pieces).equals(flight.copy)).toBe(true);
            const settled = committed.splice(0, Math.min(each.settle, flight.lines.length));
            expect(lane.settle(settled.length)).toBe(settled.reduce((sum, { bytes }) => sum + bytes.length, 0));
            flight = undefined;
            other.append(encodedEvent('~'.repeat(60_000), '~'.repeat(100)), number);
            other.makeSendable();
            if (other.waitingEvents > 20) {
              other.startFlight(1e9, 1e9);
              other.settle(other.inFlightEvents);
            }
          }
          const waiting = committed.slice(flight?.lines.length ?? 0);
          expect(lane.waitingEvents).toBe(waiting.length);
          expect(lane.waitingBytes).toBe(waiting.reduce((sum, { bytes }) => sum + bytes.length, 0));
          expect(lane.openEvents).toBe(open.length);
          expect(lane.oldestSegment).toBe([...committed, ...open][0]?.number ?? Number.POSITIVE_INFINITY);
        }
        if (flight !== undefined) expect(Buffer.concat(flight.pieces).equals(flight.copy)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test('finds its oldest event after a chunk whose rest was discarded', () => {
    const lane = new Lane(new ChunkPool(), false);
    const append = (length: number, fill: string, number: number): void => {
      lane.append(encodedEvent(fill.repeat(length)), number);
    };
    append(10, 'a', 1);
    lane.makeSendable();
    append(10, 'b', 2);
    lane.startFlight(100, 1);
    lane.settle(1);
    lane.discardFrom(2);
    append(CHUNK_BYTES, 'c', 2);
    lane.makeSendable();
    expect(lane.oldestEvent().equals(Buffer.alloc(CHUNK_BYTES, 'c'))).toBe(true);
  });

  /** A lane with so many committed events, `e0` first. */
  function laneOf(events: number): Lane {
    const lane = new Lane(new ChunkPool(), false);
    for (let i = 0; i < events; i++) lane.append(encodedEvent(`e${i}`), 1);
    lane.makeSendable();
    return lane;
  }

  test('has one slice in flight at most, and sends nothing while it backs off', () => {
    const lane = laneOf(3);
    lane.startFlight(1000, 2);
    expect(lane.isSendable).toBe(false);
    expect(() => lane.startFlight(1000, 2)).toThrow('in flight');
    expect(() => lane.backOff(1, 'timed out')).toThrow('in flight');
    lane.settle(0);
    lane.backOff(1, 'timed out');
    expect(lane.isSendable).toBe(false);
    expect(() => lane.startFlight(1000, 2)).toThrow('backing off');
    expect(() => lane.settle(1)).toThrow('backing off');
    lane.endBackoff();
    expect([lane.isSendable, lane.isDue, lane.attempts]).toEqual([true, true, 1]);
    lane.startFlight(1000, 3);
    lane.settle(3);
    expect([lane.isSendable, lane.attempts]).toEqual([false, 0]);
    expect(() => lane.startFlight(1000, 1)).toThrow('without events');
    expect(() => lane.endBackoff()).toThrow('ready');
  });

  test('is isolated by halves until the events that were rejected with it have settled', () => {
    const lane = laneOf(9);
    lane.startFlight(1000, 8);
    lane.settle(0);
    lane.isolate(8, true);
    expect(lane.isolationBatchSize).toBe(4);
    lane.startFlight(1000, 4);
    lane.settle(4);
    expect(lane.isolationBatchSize).toBe(4);
    lane.startFlight(1000, 4);
    lane.settle(0);
    lane.isolate(4, true);
    expect(lane.isolationBatchSize).toBe(2);
    lane.startFlight(1000, 2);
    lane.settle(2);
    lane.startFlight(1000, 2);
    lane.settle(2);
    expect(lane.isolationBatchSize).toBe(0);
    expect(lane.waitingEvents).toBe(1);
  });
});
