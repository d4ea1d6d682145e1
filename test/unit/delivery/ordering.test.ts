import { describe, expect, test, vi } from 'vitest';
import { seededRandom } from '../../../src/local/demo/random.ts';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  eventsPerRecord,
  ONE_PER_RECORD,
  repeatText,
  THROTTLED,
  UNKNOWN,
  useVirtualTime,
} from './delivery-harness.ts';

useVirtualTime();

describe('the order of a key', () => {
  test('survives partial failures and answers in any order', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed);
      const harness = new DeliveryHarness({ aggregation: { maxBytes: 40, maxEvents: 5 }, lingerMs: 10 });
      const expected: Record<string, string[]> = {};
      for (let number = 1; number <= 60; number++) {
        for (let row = 0; row < 5; row++) {
          const key = String.fromCharCode(97 + random.below(12));
          const line = `${key}${number}.${row}`;
          expected[key] = [...(expected[key] ?? []), line];
          harness.lines(line);
        }
        harness.commit(number);
        if (random.chance(0.4)) await advanceMs(random.below(30));
        const { open } = harness.sink;
        const request = open[random.below(open.length)];
        request?.answer(
          request.records.map(() => (random.chance(0.6) ? ACCEPTED : random.chance(0.5) ? THROTTLED : UNKNOWN)),
        );
      }
      for (let i = 0; i < 300 && harness.delivery.bufferedBytes > 0; i++) {
        await advanceMs(200);
        for (const request of [...harness.sink.open].reverse()) {
          request.answer(request.records.map(() => (random.chance(0.8) ? ACCEPTED : THROTTLED)));
        }
      }
      const stored: Record<string, string[]> = {};
      for (const line of harness.sink.stored) {
        const key = line[0] as string;
        stored[key] = [...(stored[key] ?? []), line];
      }
      expect(stored).toEqual(expected);
      expect(harness.deliveredText).toBe('1-60');
    }
  });

  test('is kept by one slice in flight for each lane, however long the answer takes', async () => {
    const harness = new DeliveryHarness({ aggregation: eventsPerRecord(2) });
    harness.lines('a1', 'a2', 'a3').commit(1);
    await advanceMs(100);
    harness.lines('a4').commit(2);
    await advanceMs(1000);
    expect(harness.sink.open.map((request) => request.records)).toEqual([[['a1', 'a2']]]);
    await harness.sink.answerOldest(ACCEPTED);
    await advanceMs(100);
    expect(harness.sink.open.map((request) => request.records)).toEqual([[['a3', 'a4']]]);
  });
});

describe('a failed record', () => {
  test('delays the lanes that are in it and no other lane', async () => {
    const harness = new DeliveryHarness({ aggregation: ONE_PER_RECORD });
    harness.lines('a1', 'b1').commit(1);
    await advanceMs(100);
    harness.sink.oldest.answer([THROTTLED, ACCEPTED]);
    const failed = harness.sink.stored[0] === 'b1' ? 'a' : 'b';
    const other = failed === 'a' ? 'b' : 'a';
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    for (let i = 2; i < 6; i++) {
      harness.lines(`a${i}`, `b${i}`).commit(i);
      await advanceMs(100);
      await harness.sink.answerAll(({ records }) =>
        records.map(([line]) => (line?.[0] === failed ? THROTTLED : ACCEPTED)),
      );
    }
    expect(harness.sink.stored.filter((line) => line[0] === other)).toHaveLength(5);
    expect(harness.sink.stored.filter((line) => line[0] === failed)).toHaveLength(0);
    expect(harness.deliveredText).toBe('');
  });

  test('is sent again with the same bytes and the newer events, after a backoff of at most 10 s', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.9999);
    const harness = new DeliveryHarness();
    harness.lines('a1', 'a2').commit(1);
    await advanceMs(100);
    const waits: number[] = [];
    for (let i = 0; i < 10; i++) {
      harness.sink.oldest.answer(i < 4 ? UNKNOWN : THROTTLED);
      const from = Date.now();
      while (harness.sink.open.length === 0) await advanceMs(1);
      waits.push(Math.ceil((Date.now() - from) / 10) * 10);
      expect(harness.sink.oldest.records).toEqual([repeatText(2 + i, (n) => `a${n + 1}`)]);
      harness.lines(`a${i + 3}`).commit(i + 2);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    expect(harness.delivery.counters.retries).toBe(10);
  });

  test('is also a record without an outcome in the answer: it is sent again', async () => {
    const harness = new DeliveryHarness({ aggregation: ONE_PER_RECORD });
    harness.lines('a1', 'b1').commit(1);
    await advanceMs(100);
    const [, second] = harness.sink.oldest.records;
    harness.sink.oldest.answer([ACCEPTED]);
    await advanceMs(200);
    expect(harness.deliveredText).toBe('');
    expect(harness.sink.oldest.records).toEqual([second]);
  });
});

test('without a linger time, an unanswered request leaves no timer running', async () => {
  const harness = new DeliveryHarness({ lingerMs: 0 });
  harness.lines('a1').commit(1);
  await advanceMs(1);
  harness.lines('a2').commit(2);
  await advanceMs(10);
  const timers = vi.getTimerCount();
  expect(timers).toBe(0);
});

test('each stream gets its own events, and a stream without answers does not stop the other', async () => {
  const harness = new DeliveryHarness();
  harness.lines('a1', '~a1').commit(1);
  await advanceMs(100);
  expect(harness.sink.oldest.records).toEqual([['a1']]);
  expect(harness.secondSink.oldest.records).toEqual([['~a1']]);
  harness.sink.oldest.answer(ACCEPTED);
  for (let i = 2; i < 6; i++) {
    harness.lines(`a${i}`, `~a${i}`).commit(i);
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
  }
  expect(harness.sink.stored).toHaveLength(5);
  expect(harness.deliveredText).toBe('');
  harness.secondSink.oldest.answer(ACCEPTED);
  await advanceMs(100);
  expect(harness.deliveredText).toBe('1');
  await harness.secondSink.answerOldest(ACCEPTED);
  expect(harness.deliveredText).toBe('1-5');
});
