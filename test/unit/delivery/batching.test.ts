import { describe, expect, test, vi } from 'vitest';
import { seededRandom } from '../../../src/local/demo/random.ts';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  eventsPerRecord,
  lineOfKey,
  ONE_PER_RECORD,
  repeatText,
  THROTTLED,
  UNKNOWN,
  useVirtualTime,
} from './delivery-harness.ts';

useVirtualTime();

describe('batching of lines into records', () => {
  test('lines that arrive within the linger time are sent together; later lines start a new linger time', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1', 'b1').commit(1);
    await advanceMs(60);
    harness.lines('a2').commit(2);
    await advanceMs(39);
    expect(harness.sink.requests).toBe(0);
    await advanceMs(1);
    expect(harness.sink.oldest.records.flat().sort()).toEqual(['a1', 'a2', 'b1']);
    await harness.sink.answerOldest(ACCEPTED);
    expect(vi.getTimerCount()).toBe(0);
    harness.lines('c1').commit(3);
    await advanceMs(99);
    expect(harness.sink.requests).toBe(1);
    await advanceMs(1);
    expect(harness.sink.oldest.records).toEqual([['c1']]);
  });

  test('lines are not sent before their transaction commits', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1');
    await advanceMs(10_000);
    expect(harness.sink.requests).toBe(0);
  });

  test('two million waiting bytes are sent without the linger time; the remaining lines wait for it', async () => {
    const harness = new DeliveryHarness({ requestsInFlight: 1 });
    const long = 'x'.repeat(300_000);
    harness.lines(...repeatText(10, (i) => `${i}${long}`)).commit(1);
    await advanceMs(0);
    expect(harness.sink.requests).toBe(1);
    harness.lines('z1').commit(2);
    await harness.sink.answerOldest(ACCEPTED);
    await advanceMs(100);
    expect(harness.sink.oldest.records).toEqual([['z1']]);
  });

  test('a line over maxBytes has its own record; no other record exceeds maxBytes or maxEvents', async () => {
    const harness = new DeliveryHarness({ aggregation: { maxBytes: 100, maxEvents: 4 } });
    const big = `b${'x'.repeat(150)}`;
    harness.lines('a1', 'b1', big, 'b2', ...repeatText(9, (i) => `c${i}`)).commit(1);
    harness.lines(...repeatText(9, (i) => `${String.fromCharCode(100 + i)}${'y'.repeat(40)}`)).commit(2);
    const records: string[][] = [];
    await harness.sink.answerRounds(10, (request) => {
      records.push(...request.records);
      return ACCEPTED;
    });
    expect(harness.sink.stored).toHaveLength(22);
    expect(records.filter((lines) => lines.includes(big))).toEqual([[big]]);
    for (const lines of records) {
      expect(lines.length).toBeLessThanOrEqual(4);
      if (lines[0] !== big) expect(lines.join('\n').length + 1).toBeLessThanOrEqual(100);
    }
    expect(harness.sink.stored.filter((line) => line[0] === 'b')).toEqual(['b1', big, 'b2']);
  });

  test('requests are filled up to their limits and never exceed them', async () => {
    const random = seededRandom(1);
    const limits = { maxRecords: 3, maxRecordBytes: 60, maxRequestBytes: 120 };
    const harness = new DeliveryHarness({ limits, aggregation: { maxBytes: 40, maxEvents: 100 }, requestsInFlight: 1 });
    harness.lines(...repeatText(60, (i) => lineOfKey(i, 'y'.repeat((i * 7) % 50)))).commit(1);
    let most = 0;
    for (let i = 0; i < 500 && harness.sink.stored.length < 60; i++) {
      await harness.sink.answerRounds(1, ({ records, sizes }) => {
        expect(records.length).toBeLessThanOrEqual(3);
        expect(sizes.reduce((a, b) => a + b)).toBeLessThanOrEqual(120);
        most = Math.max(most, records.length);
        return records.map(() => (random.chance(0.7) ? ACCEPTED : THROTTLED));
      });
    }
    expect(most).toBe(3);
    expect(harness.sink.stored).toHaveLength(60);
    expect(harness.deliveredText).toBe('1');
  });

  test('each lane gets its turn, even while another lane is always full', async () => {
    const harness = new DeliveryHarness({
      limits: { maxRecords: 1 },
      aggregation: ONE_PER_RECORD,
      requestsInFlight: 1,
      lingerMs: 1,
    });
    harness.lines('z1').commit(1);
    for (let i = 0; i < 70; i++) {
      harness.lines(`0${i}`, `0${i}+`).commit(i + 2);
      await advanceMs(1);
      await harness.sink.answerOldest(ACCEPTED);
    }
    expect(harness.sink.stored).toContain('z1');
  });
});

describe('aggregation off: one event per record', () => {
  const single = { aggregation: 'off' as const };

  test('several records of a lane share a request', async () => {
    const harness = new DeliveryHarness(single);
    harness.lines('a1', 'a2', 'b1', 'a3').commit(1);
    await advanceMs(100);
    expect(harness.sink.oldest.records.map(([line]) => line).sort()).toEqual(['a1', 'a2', 'a3', 'b1']);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.deliveredText).toBe('1');
    expect(harness.delivery.counters).toMatchObject({ events: 4, records: 4, repeats: 0 });
  });

  test('a failed record and all later ones of its lane are sent again, so the newest arrives last', async () => {
    const harness = new DeliveryHarness(single);
    harness.lines('a1', 'a2', 'a3').commit(1);
    await advanceMs(100);
    await harness.sink.answerOldest([ACCEPTED, THROTTLED, ACCEPTED]);
    await advanceMs(100);
    expect(harness.sink.oldest.records).toEqual([['a2'], ['a3']]);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.sink.stored).toEqual(['a1', 'a3', 'a2', 'a3']);
    expect(harness.deliveredText).toBe('1');
    expect(harness.delivery.counters).toMatchObject({ events: 3, records: 3, retries: 2, repeats: 1 });
  });

  test('a request holds at most maxRecords records; the next request continues with the next event', async () => {
    const harness = new DeliveryHarness({ ...single, limits: { maxRecords: 2 }, requestsInFlight: 1 });
    harness.lines('a1', 'a2', 'a3', 'b1').commit(1);
    for (let i = 0; i < 4; i++) {
      await advanceMs(100);
      expect(harness.sink.open[0]?.records.length ?? 0).toBeLessThanOrEqual(2);
      await harness.acceptAll();
    }
    expect(harness.sink.stored.filter((line) => line[0] === 'a')).toEqual(['a1', 'a2', 'a3']);
    expect(harness.deliveredText).toBe('1');
  });
});

test('the bytes that a sink encodes are the bytes that are sent and counted', async () => {
  const harness = new DeliveryHarness({
    encodeRecord: async (buffers) => [Buffer.from(`<${Buffer.concat(buffers).toString().trim()}>\n`)],
  });
  harness.lines('a1').commit(1);
  await advanceMs(100);
  expect(harness.sink.oldest.records).toEqual([['<a1>']]);
  await harness.sink.answerOldest(ACCEPTED);
  expect(harness.delivery.counters).toMatchObject({ events: 1, bytes: 5 });
  expect(harness.delivery.bufferedBytes).toBe(0);
});

test('the counters count what arrived, and the repeats and retries separately', async () => {
  const harness = new DeliveryHarness({ aggregation: eventsPerRecord(2) });
  harness.lines('a1', 'a2', 'b1').commit(1);
  await advanceMs(100);
  const { records } = harness.sink.oldest;
  harness.sink.oldest.answer(records.map((lines) => (lines.length === 2 ? ACCEPTED : UNKNOWN)));
  await advanceMs(200);
  await harness.sink.answerOldest(ACCEPTED);
  expect(harness.delivery.counters).toEqual({
    ...{ events: 3, records: 2, requests: 2, bytes: 9 },
    ...{ retries: 1, repeats: 1, deadLetters: 0 },
  });
});
