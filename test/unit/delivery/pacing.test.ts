import { describe, expect, test } from 'vitest';
import { ACCEPTED, advanceMs, DeliveryHarness, lineOfKey, repeatText, useVirtualTime } from './delivery-harness.ts';

useVirtualTime();

/** A sink that takes 5 ms to shrink a record to this share of its bytes. */
const shrinkingTo = (share: number) => async (buffers: readonly Buffer[]) => {
  const whole = Buffer.concat(buffers);
  await new Promise((done) => setTimeout(done, 5));
  return [whole.subarray(0, whole.length * share)];
};

describe('the quota', () => {
  test.each([
    ['without encoding', undefined, 3000],
    ['encoded to the same size', 1, 3000],
    ['encoded to half the size', 0.5, 1500],
  ])('of bytes spaces requests, and no request exceeds the bytes of a second: %s', async (_, share, least) => {
    const harness = new DeliveryHarness({
      quota: { bytes: 1000, requests: 1e6, records: 1e6 },
      limits: { maxRecordBytes: 200 },
      aggregation: { maxEvents: 500, maxBytes: 200 },
      requestsInFlight: 10,
      encodeRecord: share === undefined ? undefined : shrinkingTo(share),
    });
    const begin = Date.now();
    harness.lines(...repeatText(40, (i) => lineOfKey(i, 'x'.repeat(98)))).commit(1);
    await advanceMs(100);
    const sent: [number, number][] = [];
    for (let i = 0; i < 400; i++) {
      await harness.sink.answerAll(({ sizes }) => {
        sent.push([Date.now() - begin, sizes.reduce((a, b) => a + b)]);
        return ACCEPTED;
      });
      await advanceMs(10);
    }
    expect(harness.delivery.counters.events).toBe(40);
    for (const [, size] of sent) expect(size).toBeLessThanOrEqual(1000);
    // 4,000 bytes: the last request can go after the three seconds of those before it.
    expect(sent.at(-1)?.[0]).toBeGreaterThanOrEqual(least);
    expect(sent.at(-1)?.[0]).toBeLessThan(least + 1000);
    // At any moment the quota up to then and one more request were sent at most.
    let bytesSent = 0;
    for (const [at, size] of sent) {
      expect(bytesSent).toBeLessThanOrEqual(at);
      bytesSent += size;
    }
  });

  test.each([
    ['requests', { requests: 2, records: 1e6, bytes: 1e9 }, 2500],
    ['records', { requests: 1e6, records: 2, bytes: 1e9 }, 2500],
  ])('of %s spaces requests', async (_, quota, after) => {
    const harness = new DeliveryHarness({
      quota,
      lingerMs: 1,
      limits: { maxRecords: 1 },
      aggregation: 'off',
      requestsInFlight: 9,
    });
    harness.lines('a1', 'b1', 'c1', 'd1', 'e1', 'f1').commit(1);
    await advanceMs(1);
    const begin = Date.now();
    while (harness.sink.requests < 6 && Date.now() - begin < 10_000) await advanceMs(10);
    expect(Date.now() - begin).toBeGreaterThanOrEqual(after - 10);
    expect(Date.now() - begin).toBeLessThanOrEqual(after + 20);
  });
});
