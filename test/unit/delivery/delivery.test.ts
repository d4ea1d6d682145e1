import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RecordOutcome } from '../../../src/sinks/sink.ts';
import {
  ACCEPTED,
  DeliveryHarness,
  RECORD_REJECTED,
  REQUEST_REJECTED,
  type Request,
  STREAM_REJECTED,
  THROTTLED,
  transaction,
  UNKNOWN,
  withCoordinates,
} from './delivery-harness.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const advanceMs = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const repeatText = (count: number, name: (i: number) => string) => Array.from({ length: count }, (_, i) => name(i));

/** A deterministic stream of numbers in [0, 1) (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('lines become records', () => {
  test('wait for the linger time, then travel together; the next ones get a linger time of their own', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1', 'b1').commit(1);
    await advanceMs(60);
    bench.lines('a2').commit(2);
    await advanceMs(39);
    expect(bench.sink.requests).toBe(0);
    await advanceMs(1);
    expect(bench.sink.open[0]?.records.flat().sort()).toEqual(['a1', 'a2', 'b1']);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(vi.getTimerCount()).toBe(0);
    bench.lines('c1').commit(3);
    await advanceMs(99);
    expect(bench.sink.requests).toBe(1);
    await advanceMs(1);
    expect(bench.sink.open[0]?.records).toEqual([['c1']]);
  });

  test('are not sent before their transaction commits', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1');
    await advanceMs(10_000);
    expect(bench.sink.requests).toBe(0);
  });

  test('of two million bytes go without waiting, and what is left behind goes after the linger time', async () => {
    const bench = new DeliveryHarness({ requestsInFlight: 1 });
    const long = 'x'.repeat(300_000);
    bench.lines(...repeatText(10, (i) => `${i}${long}`)).commit(1);
    await advanceMs(0);
    expect(bench.sink.requests).toBe(1);
    bench.lines('z1').commit(2);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(100);
    expect(bench.sink.open[0]?.records).toEqual([['z1']]);
  });

  test('over maxBytes travel alone, and no record holds more than maxBytes or maxEvents else', async () => {
    const bench = new DeliveryHarness({ aggregation: { maxBytes: 100, maxEvents: 4 } });
    const big = `b${'x'.repeat(150)}`;
    bench.lines('a1', 'b1', big, 'b2', ...repeatText(9, (i) => `c${i}`)).commit(1);
    bench.lines(...repeatText(9, (i) => `${String.fromCharCode(100 + i)}${'y'.repeat(40)}`)).commit(2);
    const records: string[][] = [];
    for (let i = 0; i < 10; i++) {
      await advanceMs(100);
      for (const request of [...bench.sink.open]) {
        records.push(...request.records);
        request.answer(ACCEPTED);
      }
    }
    expect(bench.sink.stored).toHaveLength(22);
    expect(records.filter((lines) => lines.includes(big))).toEqual([[big]]);
    for (const lines of records) {
      expect(lines.length).toBeLessThanOrEqual(4);
      if (lines[0] !== big) expect(lines.join('\n').length + 1).toBeLessThanOrEqual(100);
    }
    expect(bench.sink.stored.filter((line) => line[0] === 'b')).toEqual(['b1', big, 'b2']);
  });

  test('fill requests up to their limits and not beyond', async () => {
    const random = seeded(1);
    const limits = { maxRecords: 3, maxRecordBytes: 60, maxRequestBytes: 120 };
    const bench = new DeliveryHarness({ limits, aggregation: { maxBytes: 40, maxEvents: 100 }, requestsInFlight: 1 });
    bench.lines(...repeatText(60, (i) => `${String.fromCharCode(48 + i)}${'y'.repeat((i * 7) % 50)}`)).commit(1);
    let most = 0;
    for (let i = 0; i < 500 && bench.sink.stored.length < 60; i++) {
      await advanceMs(100);
      for (const request of [...bench.sink.open]) {
        expect(request.records.length).toBeLessThanOrEqual(3);
        expect(request.sizes.reduce((a, b) => a + b)).toBeLessThanOrEqual(120);
        most = Math.max(most, request.records.length);
        request.answer(request.records.map(() => (random() < 0.7 ? ACCEPTED : THROTTLED)));
      }
    }
    await advanceMs(0);
    expect(most).toBe(3);
    expect(bench.sink.stored).toHaveLength(60);
    expect(bench.deliveredText).toBe('1');
  });

  test('of every lane get their turn, however busy another lane is', async () => {
    const bench = new DeliveryHarness({
      limits: { maxRecords: 1 },
      aggregation: { maxEvents: 1, maxBytes: 524288 },
      requestsInFlight: 1,
      lingerMs: 1,
    });
    bench.lines('z1').commit(1);
    for (let i = 0; i < 70; i++) {
      bench.lines(`0${i}`, `0${i}+`).commit(i + 2);
      await advanceMs(1);
      bench.sink.open[0]?.answer(ACCEPTED);
      await advanceMs(0);
    }
    expect(bench.sink.stored).toContain('z1');
  });
});

describe('order and failures', () => {
  test('a key keeps its order under partial failures and acknowledgements in any order', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seeded(seed);
      const bench = new DeliveryHarness({ aggregation: { maxBytes: 40, maxEvents: 5 }, lingerMs: 10 });
      const expected: Record<string, string[]> = {};
      for (let number = 1; number <= 60; number++) {
        for (let row = 0; row < 5; row++) {
          const key = String.fromCharCode(97 + Math.floor(random() * 12));
          const line = `${key}${number}.${row}`;
          expected[key] = [...(expected[key] ?? []), line];
          bench.lines(line);
        }
        bench.commit(number);
        if (random() < 0.4) await advanceMs(Math.floor(random() * 30));
        const { open } = bench.sink;
        const request = open[Math.floor(random() * open.length)];
        request?.answer(request.records.map(() => (random() < 0.6 ? ACCEPTED : random() < 0.5 ? THROTTLED : UNKNOWN)));
      }
      for (let i = 0; i < 300 && bench.delivery.bufferedBytes > 0; i++) {
        await advanceMs(200);
        for (const request of [...bench.sink.open].reverse()) {
          request.answer(request.records.map(() => (random() < 0.8 ? ACCEPTED : THROTTLED)));
        }
      }
      const stored: Record<string, string[]> = {};
      for (const line of bench.sink.stored) {
        const key = line[0] as string;
        stored[key] = [...(stored[key] ?? []), line];
      }
      expect(stored).toEqual(expected);
      expect(bench.deliveredText).toBe('1-60');
    }
  });

  test('a lane has one slice in flight at most, however long it takes', async () => {
    const bench = new DeliveryHarness({ aggregation: { maxEvents: 2, maxBytes: 524288 } });
    bench.lines('a1', 'a2', 'a3').commit(1);
    await advanceMs(100);
    bench.lines('a4').commit(2);
    await advanceMs(1000);
    expect(bench.sink.open.map((request) => request.records)).toEqual([[['a1', 'a2']]]);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(100);
    expect(bench.sink.open.map((request) => request.records)).toEqual([[['a3', 'a4']]]);
  });

  test('a record that fails delays the lanes that are in it and no other', async () => {
    const bench = new DeliveryHarness({ aggregation: { maxEvents: 1, maxBytes: 524288 } });
    bench.lines('a1', 'b1').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.answer([THROTTLED, ACCEPTED]);
    const failed = bench.sink.stored[0] === 'b1' ? 'a' : 'b';
    const other = failed === 'a' ? 'b' : 'a';
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    for (let i = 2; i < 6; i++) {
      bench.lines(`a${i}`, `b${i}`).commit(i);
      await advanceMs(100);
      for (const request of [...bench.sink.open]) {
        request.answer(request.records.map(([line]) => (line?.[0] === failed ? THROTTLED : ACCEPTED)));
      }
      await advanceMs(0);
    }
    vi.restoreAllMocks();
    expect(bench.sink.stored.filter((line) => line[0] === other)).toHaveLength(5);
    expect(bench.sink.stored.filter((line) => line[0] === failed)).toHaveLength(0);
    expect(bench.deliveredText).toBe('');
  });

  test('an event is sent again with the same bytes, and what came since behind it, after a wait that grows to ten seconds and no further', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.9999);
    const bench = new DeliveryHarness();
    bench.lines('a1', 'a2').commit(1);
    await advanceMs(100);
    const waits: number[] = [];
    for (let i = 0; i < 10; i++) {
      bench.sink.open[0]?.answer(i < 4 ? UNKNOWN : THROTTLED);
      const from = Date.now();
      while (bench.sink.open.length === 0) await advanceMs(1);
      waits.push(Math.ceil((Date.now() - from) / 10) * 10);
      expect(bench.sink.open[0]?.records).toEqual([repeatText(2 + i, (n) => `a${n + 1}`)]);
      bench.lines(`a${i + 3}`).commit(i + 2);
    }
    vi.restoreAllMocks();
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    expect(bench.delivery.counters.retries).toBe(10);
  });

  test('an answer that says nothing of a record leaves it to be sent again', async () => {
    const bench = new DeliveryHarness({ aggregation: { maxEvents: 1, maxBytes: 524288 } });
    bench.lines('a1', 'b1').commit(1);
    await advanceMs(100);
    const [, second] = bench.sink.open[0]?.records ?? [];
    bench.sink.open[0]?.answer([ACCEPTED]);
    await advanceMs(200);
    expect(bench.deliveredText).toBe('');
    expect(bench.sink.open[0]?.records).toEqual([second]);
  });

  test('an outage with no linger time wakes nobody but the retries', async () => {
    const bench = new DeliveryHarness({ lingerMs: 0 });
    bench.lines('a1').commit(1);
    await advanceMs(1);
    bench.lines('a2').commit(2);
    await advanceMs(10);
    const timers = vi.getTimerCount();
    expect(timers).toBe(0);
  });

  test('a refusal is told and moves nothing', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.answer(STREAM_REJECTED);
    await advanceMs(60_000);
    expect(bench.fatalErrors).toEqual(['Firehose refused the events of the stream first']);
    expect(bench.deliveredText).toBe('');
    expect(bench.sink.requests).toBe(1);
  });

  test('a sink that breaks its promise and rejects is told, not swallowed', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.break(new Error('a bug'));
    await advanceMs(0);
    expect(bench.fatalErrors).toEqual(['a bug']);
    expect(bench.deliveredText).toBe('');
  });
});

describe('the watermark', () => {
  test('never passes an event that has not arrived', async () => {
    const bench = new DeliveryHarness({ aggregation: { maxEvents: 1, maxBytes: 524288 } });
    bench.lines('a1').commit(1).lines('b2').commit(2).lines('c3').commit(3);
    await advanceMs(100);
    const [request] = bench.sink.open;
    request?.answer(request.records.map(([line]) => (line === 'b2' ? UNKNOWN : ACCEPTED)));
    await advanceMs(0);
    expect(bench.deliveredText).toBe('1');
    await advanceMs(200);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('1-3');
  });

  test('waits for the last of many slices of one transaction', async () => {
    const bench = new DeliveryHarness({ aggregation: { maxEvents: 1, maxBytes: 524288 }, requestsInFlight: 1 });
    bench.lines('a1', 'a2', 'a3').commit(1);
    for (let i = 0; i < 3; i++) {
      expect(bench.deliveredText).toBe('');
      await advanceMs(100);
      bench.sink.open[0]?.answer(ACCEPTED);
      await advanceMs(0);
    }
    expect(bench.deliveredText).toBe('1');
  });

  test('passes transactions without captured rows at once, and behind others with them', async () => {
    const bench = new DeliveryHarness();
    bench.commit(1);
    expect(bench.deliveredText).toBe('1');
    bench.lines('a2').commit(2).commit(3);
    expect(bench.deliveredText).toBe('1');
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('1-3');
    expect(bench.moves).toEqual(['1', '1-3']);
  });

  test('takes the end of an idle binlog only when nothing waits', async () => {
    const bench = new DeliveryHarness({ delivered: withCoordinates() });
    bench.lines('a1').commit(1);
    bench.delivery.heartbeat({ file: 'binlog.000001', position: 777 });
    expect(bench.deliveredText).toBe('4');
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    bench.delivery.heartbeat({ file: 'binlog.000001', position: 777 });
    expect(bench.deliveredText).toBe('777');
  });

  test('counts a transaction of which a part was sent early only when it has committed and arrived', async () => {
    const bench = new DeliveryHarness({ budgetBytes: 40, aggregation: { maxEvents: 1, maxBytes: 524288 } });
    bench.lines('a111', 'b222', 'c333', 'd444');
    for (let i = 0; i < 3; i++) {
      await advanceMs(100);
      for (const request of [...bench.sink.open]) request.answer(ACCEPTED);
    }
    expect(bench.sink.stored.length).toBeGreaterThan(0);
    expect(bench.deliveredText).toBe('');
    bench.commit(1);
    for (let i = 0; i < 3; i++) {
      await advanceMs(100);
      for (const request of [...bench.sink.open]) request.answer(ACCEPTED);
    }
    await advanceMs(0);
    expect(bench.sink.stored.sort()).toEqual(['a111', 'b222', 'c333', 'd444']);
    expect(bench.deliveredText).toBe('1');
  });
});

describe('what did not happen', () => {
  test('a rollback takes everything back', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1').commit(1).lines('a2', 'b2');
    bench.delivery.rollback();
    bench.commit(2).lines('a3').commit(3);
    await advanceMs(100);
    expect(bench.sink.open[0]?.records).toEqual([['a1', 'a3']]);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.delivery.bufferedBytes).toBe(0);
    expect(bench.deliveredText).toBe('1-3');
  });

  test('a rollback to a savepoint takes back what came behind it, again and again', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1').delivery.savepoint('s');
    bench.lines('a2', 'b2').delivery.savepoint('t');
    bench.lines('c2').delivery.rollbackTo('t');
    bench.lines('c3').delivery.rollbackTo('s');
    bench.lines('a3').delivery.rollbackTo('s');
    bench.lines('a4', 'd4').delivery.savepoint('s');
    bench.lines('d5').delivery.rollbackTo('s');
    bench.lines('d6').commit(1);
    await advanceMs(100);
    expect(bench.sink.open[0]?.records.flat().sort()).toEqual(['a1', 'a4', 'd4', 'd6']);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.delivery.bufferedBytes).toBe(0);
    expect(bench.deliveredText).toBe('1');
  });

  test('a transaction of which a savepoint took all back counts as one without rows', () => {
    const bench = new DeliveryHarness();
    bench.delivery.savepoint('s');
    bench.lines('a1').delivery.rollbackTo('s');
    bench.commit(1);
    expect(bench.deliveredText).toBe('1');
    expect(bench.delivery.bufferedBytes).toBe(0);
  });

  test('savepoints end with their transaction', () => {
    const bench = new DeliveryHarness();
    bench.delivery.savepoint('s');
    bench.commit(1).lines('a2');
    expect(() => bench.delivery.rollbackTo('s')).toThrow('a savepoint s that it has not set');
  });

  test('a rollback of what was sent already stops, one of what was not does not', () => {
    const bench = new DeliveryHarness({ budgetBytes: 60 });
    bench.delivery.savepoint('early');
    bench.lines('a11111111111111111');
    bench.delivery.savepoint('late');
    bench.lines('b1').delivery.rollbackTo('late');
    expect(() => bench.delivery.rollbackTo('early')).toThrow('sent in part has been rolled back');
    expect(() => bench.delivery.rollback()).toThrow('sent in part has been rolled back');
    expect(() => bench.delivery.rollback()).toThrow(expect.objectContaining({ exitCode: 4 }));
  });
});

describe('prepared XA transactions', () => {
  test('stay out of the GTID set until the one that ends them has arrived; others pass them', async () => {
    const bench = new DeliveryHarness();
    const prepared = transaction(1);
    bench.delivery.xaPrepared(prepared);
    bench.lines('a2').commit(2);
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('2');
    bench.lines('b1').commit(3, prepared);
    expect(bench.deliveredText).toBe('2');
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('1-3');
  });

  test('hold a position without GTIDs before them until none is left', async () => {
    const bench = new DeliveryHarness({ delivered: withCoordinates() });
    const [first, second] = [transaction(2), transaction(4)];
    bench.lines('a1').commit(1);
    bench.delivery.xaPrepared(first);
    bench.lines('a3').commit(3);
    bench.delivery.xaPrepared(second);
    bench.lines('b2').commit(5, first);
    for (let i = 0; i < 2; i++) {
      await advanceMs(100);
      for (const request of [...bench.sink.open]) request.answer(ACCEPTED);
    }
    await advanceMs(0);
    expect(bench.delivery.bufferedBytes).toBe(0);
    expect(bench.deliveredText).toBe('200');
    bench.delivery.heartbeat({ file: 'binlog.000001', position: 9999 });
    expect(bench.deliveredText).toBe('200');
    // An XA ROLLBACK: nothing has to arrive.
    bench.commit(6, second);
    expect(bench.deliveredText).toBe('700');
  });

  test('hold it until the rows between have arrived too', async () => {
    const bench = new DeliveryHarness({
      delivered: withCoordinates(),
      aggregation: { maxEvents: 1, maxBytes: 524288 },
    });
    const prepared = transaction(1);
    bench.delivery.xaPrepared(prepared);
    bench.lines('a2', 'b2').commit(2).commit(3, prepared);
    await advanceMs(100);
    bench.sink.open[0]?.answer([ACCEPTED, THROTTLED]);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('4');
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('400');
  });
});

describe('pressure', () => {
  test('pauses the source above the budget and lets it go at half of it', async () => {
    const bench = new DeliveryHarness({
      budgetBytes: 1000,
      aggregation: { maxEvents: 1, maxBytes: 524288 },
      lingerMs: 1,
    });
    let number = 0;
    let most = 0;
    while (bench.backpressure.length === 0) {
      bench.lines(`${String.fromCharCode(48 + (number % 40))}${'x'.repeat(18)}`).commit(++number);
      most = Math.max(most, bench.delivery.bufferedBytes);
    }
    expect(bench.backpressure).toEqual([true]);
    expect(most).toBeLessThanOrEqual(1020);
    while (bench.backpressure.length === 1) {
      expect(bench.delivery.bufferedBytes).toBeGreaterThan(500);
      await advanceMs(1);
      bench.sink.open[0]?.answer(ACCEPTED);
      await advanceMs(0);
    }
    expect(bench.backpressure).toEqual([true, false]);
    expect(bench.delivery.bufferedBytes).toBeLessThanOrEqual(500);
  });

  test('a transaction larger than the budget flows through it', async () => {
    const bench = new DeliveryHarness({ budgetBytes: 1000, lingerMs: 1 });
    let paused = false;
    let appended = 0;
    let most = 0;
    for (let round = 0; round < 5000 && appended < 500; round++) {
      paused = bench.backpressure.at(-1) ?? false;
      if (!paused) bench.lines(`${String.fromCharCode(48 + (appended++ % 40))}${'x'.repeat(18)}`);
      else {
        await advanceMs(1);
        for (const request of [...bench.sink.open]) request.answer(ACCEPTED);
        await advanceMs(0);
      }
      most = Math.max(most, bench.delivery.bufferedBytes);
    }
    expect(appended).toBe(500);
    expect(most).toBeLessThanOrEqual(1020);
    expect(bench.deliveredText).toBe('');
    bench.commit(1);
    const drained = bench.delivery.drain();
    for (let i = 0; i < 20; i++) {
      for (const request of [...bench.sink.open]) request.answer(ACCEPTED);
      await advanceMs(1);
    }
    await drained;
    expect(bench.sink.stored).toHaveLength(500);
    expect(bench.deliveredText).toBe('1');
  });
});

describe('the end', () => {
  test('drain sends at once what is committed, drops what is not, and resolves when all has arrived', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const bench = new DeliveryHarness({
      lingerMs: 60_000,
      requestsInFlight: 1,
      aggregation: { maxEvents: 1, maxBytes: 524288 },
    });
    bench.lines('a1', 'a2', 'b1').commit(1).lines('a3');
    let drained = false;
    void bench.delivery.drain().then(() => {
      drained = true;
    });
    for (const outcome of [THROTTLED, ACCEPTED, ACCEPTED]) {
      await advanceMs(200);
      expect(drained).toBe(false);
      bench.sink.open[0]?.answer(outcome);
    }
    await advanceMs(0);
    vi.restoreAllMocks();
    expect(drained).toBe(true);
    expect(bench.sink.stored.sort()).toEqual(['a1', 'a2', 'b1']);
    expect(bench.deliveredText).toBe('1');
  });

  test('drain in the middle of a transaction that was sent in part does not wait for its rest', async () => {
    const bench = new DeliveryHarness({ budgetBytes: 40 });
    bench.lines('a1111111111', 'b2');
    let drained = false;
    void bench.delivery.drain().then(() => {
      drained = true;
    });
    await advanceMs(0);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(drained).toBe(true);
    expect(bench.sink.stored).toEqual(['a1111111111']);
    expect(bench.deliveredText).toBe('');
  });

  test('drain with nothing to deliver resolves at once', async () => {
    await new DeliveryHarness().delivery.drain();
  });

  test('stop sends nothing more, settles nothing more, leaves no timer, and ends a drain', async () => {
    const bench = new DeliveryHarness({ aggregation: { maxEvents: 1, maxBytes: 524288 } });
    // The jitter may be next to nothing, and the retry due at once.
    const jitter = vi.spyOn(Math, 'random').mockReturnValue(0.5);
    bench.lines('a1').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.answer(THROTTLED);
    bench.lines('b1').commit(2);
    const drained = bench.delivery.drain();
    await advanceMs(0);
    jitter.mockRestore();
    const [request] = bench.sink.open;
    expect(request?.records).toEqual([['b1']]);
    bench.delivery.stop();
    await drained;
    request?.answer(ACCEPTED);
    expect(vi.getTimerCount()).toBe(0);
    await advanceMs(60_000);
    expect(bench.sink.requests).toBe(2);
    expect(bench.deliveredText).toBe('');
  });
});

test('the counters count what arrived', async () => {
  const bench = new DeliveryHarness({ aggregation: { maxEvents: 2, maxBytes: 524288 } });
  bench.lines('a1', 'a2', 'b1').commit(1);
  await advanceMs(100);
  const [request] = bench.sink.open;
  request?.answer(request.records.map((lines) => (lines.length === 2 ? ACCEPTED : UNKNOWN)));
  await advanceMs(200);
  bench.sink.open[0]?.answer(ACCEPTED);
  await advanceMs(0);
  expect(bench.delivery.counters).toEqual({
    ...{ events: 3, records: 2, requests: 2, bytes: 9 },
    ...{ retries: 1, repeats: 1, deadLetters: 0 },
  });
});

describe('several streams', () => {
  test('each gets its own events, and one that is out does not stop the other', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1', '~a1').commit(1);
    await advanceMs(100);
    expect(bench.sink.open[0]?.records).toEqual([['a1']]);
    expect(bench.secondSink.open[0]?.records).toEqual([['~a1']]);
    bench.sink.open[0]?.answer(ACCEPTED);
    for (let i = 2; i < 6; i++) {
      bench.lines(`a${i}`, `~a${i}`).commit(i);
      await advanceMs(100);
      bench.sink.open[0]?.answer(ACCEPTED);
      await advanceMs(0);
    }
    expect(bench.sink.stored).toHaveLength(5);
    expect(bench.deliveredText).toBe('');
    bench.secondSink.open[0]?.answer(ACCEPTED);
    await advanceMs(100);
    expect(bench.deliveredText).toBe('1');
    bench.secondSink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('1-5');
  });

  test('what commits beyond a stream that is out is bounded, and goes on when it comes back', async () => {
    const bench = new DeliveryHarness({ budgetBytes: 100, lingerMs: 1 });
    bench.lines('~a1').commit(1);
    let number = 1;
    for (; bench.backpressure.at(-1) !== true && number < 1000; number++) {
      bench.lines(`b${'x'.repeat(8)}`).commit(number + 1);
      await advanceMs(1);
      bench.sink.open[0]?.answer(ACCEPTED);
      await advanceMs(0);
    }
    // Four budgets of ten bytes each, though all of them have arrived.
    expect(number).toBe(41);
    expect(bench.delivery.bufferedBytes).toBe(4);
    bench.secondSink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.backpressure).toEqual([true, false]);
    expect(bench.deliveredText).toBe(`1-${number}`);
  });
});

test('transactions beyond a stuck one are bounded by their number too, however small they are', async () => {
  const bench = new DeliveryHarness({ budgetBytes: 1e9, lingerMs: 1e6 });
  bench.lines('~a1').commit(1);
  let number = 1;
  while (bench.backpressure.length === 0 && number < 500_000) bench.lines('b').commit(++number);
  expect(bench.backpressure).toEqual([true]);
  // The stuck one is one of them.
  expect(number).toBe(400_001);
});

test('the source goes on after a transaction that was all there before its commit was read, however large', async () => {
  const bench = new DeliveryHarness({ budgetBytes: 1000, lingerMs: 1 });
  for (let i = 0; i < 6; i++) {
    // Each pauses the source, and goes on its way before the next.
    bench.lines(`a${'x'.repeat(1200)}`);
    await advanceMs(1);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.backpressure.at(-1)).toBe(false);
  }
  bench.commit(1);
  expect(bench.deliveredText).toBe('1');
  expect(bench.backpressure.at(-1)).toBe(false);
});

describe('each event a record', () => {
  const single = { aggregation: 'off' as const };

  test('a lane sends a run of records', async () => {
    const bench = new DeliveryHarness(single);
    bench.lines('a1', 'a2', 'b1', 'a3').commit(1);
    await advanceMs(100);
    expect(bench.sink.open[0]?.records.map(([line]) => line).sort()).toEqual(['a1', 'a2', 'a3', 'b1']);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deliveredText).toBe('1');
    expect(bench.delivery.counters).toMatchObject({ events: 4, records: 4, repeats: 0 });
  });

  test('a run is sent again from its first failure on, so that the last word on a key is the newest', async () => {
    const bench = new DeliveryHarness(single);
    bench.lines('a1', 'a2', 'a3').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.answer([ACCEPTED, THROTTLED, ACCEPTED]);
    await advanceMs(100);
    expect(bench.sink.open[0]?.records).toEqual([['a2'], ['a3']]);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.sink.stored).toEqual(['a1', 'a3', 'a2', 'a3']);
    expect(bench.deliveredText).toBe('1');
    expect(bench.delivery.counters).toMatchObject({ events: 3, records: 3, retries: 2, repeats: 1 });
  });

  test('requests hold no more records than the limit, and a run goes on where it was cut', async () => {
    const bench = new DeliveryHarness({ ...single, limits: { maxRecords: 2 }, requestsInFlight: 1 });
    bench.lines('a1', 'a2', 'a3', 'b1').commit(1);
    for (let i = 0; i < 4; i++) {
      await advanceMs(100);
      expect(bench.sink.open[0]?.records.length ?? 0).toBeLessThanOrEqual(2);
      bench.sink.open[0]?.answer(ACCEPTED);
    }
    await advanceMs(0);
    expect(bench.sink.stored.filter((line) => line[0] === 'a')).toEqual(['a1', 'a2', 'a3']);
    expect(bench.deliveredText).toBe('1');
  });
});

describe('events that Firehose does not take', () => {
  /** Answers as a stream that refuses `bad`: the whole request, or its record alone. */
  async function answerAll(bench: DeliveryHarness, bad: string, refusal: RecordOutcome): Promise<number> {
    let requests = 0;
    for (let i = 0; i < 100; i++) {
      await advanceMs(100);
      for (const request of [...bench.sink.open]) {
        requests++;
        const spoilt = request.records.map((lines) => lines.includes(bad));
        if (refusal === REQUEST_REJECTED) request.answer(spoilt.includes(true) ? refusal : ACCEPTED);
        else request.answer(spoilt.map((is) => (is ? refusal : ACCEPTED)));
      }
    }
    return requests;
  }

  test.each([
    ['a request', REQUEST_REJECTED, { maxEvents: 500, maxBytes: 524288 }],
    ['a record', RECORD_REJECTED, { maxEvents: 500, maxBytes: 524288 }],
    ['a request of single events', REQUEST_REJECTED, 'off' as const],
    ['a record of a single event', RECORD_REJECTED, 'off' as const],
  ])(
    '%s that is refused for one event: that one is set aside, all others arrive in order',
    async (_, refusal, aggregation) => {
      const bench = new DeliveryHarness({ aggregation });
      const lines = repeatText(40, (i) => `a${i}`);
      bench.lines(...lines, 'b1', 'c1').commit(1);
      const requests = await answerAll(bench, 'a17', refusal);
      expect(bench.deadLettered).toEqual([['a17', 'refused by Firehose: not valid']]);
      // A run repeats what stood behind the refused record.
      const stored = [...new Set(bench.sink.stored)];
      expect(stored.filter((line) => line[0] === 'a')).toEqual(lines.filter((line) => line !== 'a17'));
      expect(stored).toHaveLength(41);
      expect(bench.deliveredText).toBe('1');
      expect(bench.delivery.counters).toMatchObject({ events: 41, deadLetters: 1 });
      // It is found by halves, not one by one.
      expect(requests).toBeLessThan(20);
    },
  );

  test('an event over the record limit is set aside once it has committed, and not before', async () => {
    const bench = new DeliveryHarness({ limits: { maxRecordBytes: 20 }, aggregation: { maxEvents: 5, maxBytes: 20 } });
    const large = `a${'x'.repeat(30)}`;
    bench.lines('a1', large);
    await advanceMs(1000);
    expect(bench.deadLettered).toEqual([]);
    bench.delivery.rollback();
    bench.lines('a1', large, 'a2').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    await advanceMs(0);
    expect(bench.deadLettered).toEqual([[large, 'its 32 bytes are more than a Firehose record may have (20)']]);
    expect(bench.sink.stored).toEqual(['a1', 'a2']);
    expect(bench.deliveredText).toBe('1');
  });

  test('an event that the operator has named is set aside unsent; one that was rolled back is not', async () => {
    const bench = new DeliveryHarness({
      isDeadLettered: (bytes, from, to) => bytes.toString('utf8', from, to).includes('bad'),
    });
    bench.lines('a1', 'a2bad');
    bench.delivery.rollback();
    bench.lines('abad', 'a3', 'a4bad', 'a5').commit(1);
    for (let i = 0; i < 4; i++) {
      await advanceMs(100);
      bench.sink.open[0]?.answer(ACCEPTED);
    }
    await advanceMs(0);
    expect(bench.deadLettered.map(([line]) => line)).toEqual(['abad', 'a4bad']);
    expect(bench.sink.stored).toEqual(['a3', 'a5']);
    expect(bench.deliveredText).toBe('1');
  });

  test('nothing counts as delivered before the dead letter is written, and a failed write is told', async () => {
    let write: { done: () => void; failed: (error: Error) => void } | undefined;
    const bench = new DeliveryHarness({
      limits: { maxRecordBytes: 5 },
      deadLetter: () => new Promise((done, failed) => (write = { done, failed })),
    });
    bench.lines('a12345').commit(1);
    await advanceMs(100);
    expect(bench.deliveredText).toBe('');
    write?.done();
    await advanceMs(0);
    expect(bench.deliveredText).toBe('1');
    bench.lines('a12345').commit(2);
    await advanceMs(100);
    write?.failed(new Error('no space left'));
    await advanceMs(1000);
    expect(bench.fatalErrors).toEqual(['no space left']);
    expect(bench.deliveredText).toBe('1');
  });

  /** Answers until nothing is open any more, each request as `answer` says. */
  async function answerBy(
    bench: DeliveryHarness,
    answer: (request: Request) => RecordOutcome | RecordOutcome[],
  ): Promise<number> {
    let requests = 0;
    for (let i = 0; i < 2000; i++) {
      await advanceMs(100);
      for (const request of [...bench.sink.open]) {
        requests++;
        request.answer(answer(request));
      }
    }
    return requests;
  }

  test('a stream that has taken events and then refuses one after the other is told, not drained into dead letters', async () => {
    const bench = new DeliveryHarness();
    bench.lines('z1').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.answer(ACCEPTED);
    bench.lines(...repeatText(60, (i) => `${String.fromCharCode(48 + i)}1`)).commit(2);
    await answerBy(bench, () => REQUEST_REJECTED);
    expect(bench.deadLettered).toHaveLength(20);
    expect(bench.fatalErrors[0]).toBe('Firehose refused the events of the stream first');
  });

  test('a stream that has never taken an event makes no dead letters', async () => {
    const bench = new DeliveryHarness();
    bench.lines('a1', 'b1').commit(1);
    await answerBy(bench, () => REQUEST_REJECTED);
    expect(bench.deadLettered).toEqual([]);
    expect(bench.fatalErrors[0]).toBe('Firehose refused the events of the stream first');
  });

  test('an event that fails without a word is parted from the others, which arrive, and is told by itself', async () => {
    let told = '';
    const bench = new DeliveryHarness({ onRetry: ({ event }) => (told = event().toString()) });
    bench.lines(...repeatText(200, (i) => `a${i}`), 'b1').commit(1);
    const stuck = (lines: string[]): RecordOutcome => (lines.includes('a117') ? UNKNOWN : ACCEPTED);
    await answerBy(bench, ({ records }) => records.map(stuck));
    expect(bench.sink.stored).toEqual(expect.arrayContaining(['b1', 'a0', 'a116']));
    expect(told).toBe('a117\n');
    expect(bench.deadLettered).toEqual([]);
    expect(bench.deliveredText).toBe('');
  });

  test('a stream that throttles for long is not sent event by event', async () => {
    const bench = new DeliveryHarness();
    bench.lines(...repeatText(200, (i) => `a${i}`)).commit(1);
    let answers = 0;
    const requests = await answerBy(bench, () => (++answers > 12 ? ACCEPTED : THROTTLED));
    expect(requests).toBe(13);
    expect(bench.deliveredText).toBe('1');
  });

  test('what is encoded is judged by its encoded size', async () => {
    const bench = new DeliveryHarness({ limits: { maxRecordBytes: 20 }, aggregation: { maxEvents: 5, maxBytes: 20 } });
    const encodeRecord = async ([first]: Buffer[]): Promise<Buffer[]> => {
      const text = first?.toString() ?? '';
      return [text.startsWith('a') ? Buffer.from('small') : Buffer.from(text)];
    };
    Object.assign(bench.sink, { encodeRecord });
    bench.lines(`a${'x'.repeat(50)}`, `b${'x'.repeat(50)}`, 'c1').commit(1);
    await answerBy(bench, () => ACCEPTED);
    expect(bench.deadLettered).toEqual([
      [`b${'x'.repeat(50)}`, 'its 52 bytes are more than a Firehose record may have (20)'],
    ]);
    expect(bench.deliveredText).toBe('1');
  });

  test('trouble is told with the oldest event that waits for it', async () => {
    const told: string[] = [];
    const bench = new DeliveryHarness({
      onRetry: ({ stream, reason, attempts, event }) => told.push(`${stream} ${reason} ${attempts} ${event()}`),
    });
    bench.lines('a1', 'a2').commit(1);
    await advanceMs(100);
    bench.sink.open[0]?.answer(THROTTLED);
    await advanceMs(100);
    bench.sink.open[0]?.answer(UNKNOWN);
    await advanceMs(0);
    expect(told).toEqual(['first slow down 1 a1\n', 'first time-out 2 a1\n']);
  });
});

describe('the quota', () => {
  test.each([
    ['as they are', undefined, 3000],
    ['encoded, no smaller', 1, 3000],
    ['encoded to a half', 0.5, 1500],
  ])('of bytes spaces requests, and no request is larger than that of a second: %s', async (_, factor, least) => {
    const bench = new DeliveryHarness({
      quota: { bytes: 1000, requests: 1e6, records: 1e6 },
      limits: { maxRecordBytes: 200 },
      aggregation: { maxEvents: 500, maxBytes: 200 },
      requestsInFlight: 10,
    });
    if (factor !== undefined) {
      Object.assign(bench.sink, {
        encodeRecord: async (pieces: Buffer[]) => {
          const whole = Buffer.concat(pieces);
          await new Promise((done) => setTimeout(done, 5));
          return [whole.subarray(0, whole.length * factor)];
        },
      });
    }
    const begin = Date.now();
    bench.lines(...repeatText(40, (i) => `${String.fromCharCode(48 + i)}${'x'.repeat(98)}`)).commit(1);
    await advanceMs(100);
    const sent: [number, number][] = [];
    for (let i = 0; i < 400; i++) {
      for (const request of [...bench.sink.open]) {
        sent.push([Date.now() - begin, request.sizes.reduce((a, b) => a + b)]);
        request.answer(ACCEPTED);
      }
      await advanceMs(10);
    }
    expect(bench.delivery.counters.events).toBe(40);
    for (const [, size] of sent) expect(size).toBeLessThanOrEqual(1000);
    // 4,000 bytes: the last of them may go when the three seconds for those before it are over.
    expect(sent.at(-1)?.[0]).toBeGreaterThanOrEqual(least);
    expect(sent.at(-1)?.[0]).toBeLessThan(least + 1000);
    // What has gone by any moment is what the quota allows until then, and one request more.
    let gone = 0;
    for (const [at, size] of sent) {
      expect(gone).toBeLessThanOrEqual(at);
      gone += size;
    }
  });

  test.each([
    ['requests', { requests: 2, records: 1e6, bytes: 1e9 }, 2500],
    ['records', { requests: 1e6, records: 2, bytes: 1e9 }, 2500],
  ])('of %s spaces them', async (_, quota, after) => {
    const bench = new DeliveryHarness({
      quota,
      lingerMs: 1,
      limits: { maxRecords: 1 },
      aggregation: 'off',
      requestsInFlight: 9,
    });
    bench.lines('a1', 'b1', 'c1', 'd1', 'e1', 'f1').commit(1);
    await advanceMs(1);
    const begin = Date.now();
    while (bench.sink.requests < 6 && Date.now() - begin < 10_000) await advanceMs(10);
    expect(Date.now() - begin).toBeGreaterThanOrEqual(after - 10);
    expect(Date.now() - begin).toBeLessThanOrEqual(after + 20);
  });
});

test('what a sink encodes is what is sent and counted', async () => {
  const bench = new DeliveryHarness();
  Object.assign(bench.sink, {
    encodeRecord: async (pieces: Buffer[]) => [Buffer.from(`<${Buffer.concat(pieces).toString().trim()}>\n`)],
  });
  bench.lines('a1').commit(1);
  await advanceMs(100);
  expect(bench.sink.open[0]?.records).toEqual([['<a1>']]);
  bench.sink.open[0]?.answer(ACCEPTED);
  await advanceMs(0);
  expect(bench.delivery.counters).toMatchObject({ events: 1, bytes: 5 });
  expect(bench.delivery.bufferedBytes).toBe(0);
});
