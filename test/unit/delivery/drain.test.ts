import { describe, expect, test, vi } from 'vitest';
import { ACCEPTED, advanceMs, DeliveryHarness, ONE_PER_RECORD, THROTTLED, useVirtualTime } from './delivery-harness.ts';

useVirtualTime();

describe('drain', () => {
  test('sends committed lines at once, discards the others, and resolves after all have arrived', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const harness = new DeliveryHarness({ lingerMs: 60_000, requestsInFlight: 1, aggregation: ONE_PER_RECORD });
    harness.lines('a1', 'a2', 'b1').commit(1).lines('a3');
    let drained = false;
    void harness.delivery.drain().then(() => {
      drained = true;
    });
    for (const outcome of [THROTTLED, ACCEPTED, ACCEPTED]) {
      await advanceMs(200);
      expect(drained).toBe(false);
      harness.sink.oldest.answer(outcome);
    }
    await advanceMs(0);
    expect(drained).toBe(true);
    expect(harness.sink.stored.sort()).toEqual(['a1', 'a2', 'b1']);
    expect(harness.deliveredText).toBe('1');
  });

  test('does not wait for the rest of a transaction that was partly sent', async () => {
    const harness = new DeliveryHarness({ budgetBytes: 40 });
    harness.lines('a1111111111', 'b2');
    let drained = false;
    void harness.delivery.drain().then(() => {
      drained = true;
    });
    await advanceMs(0);
    await harness.sink.answerOldest(ACCEPTED);
    expect(drained).toBe(true);
    expect(harness.sink.stored).toEqual(['a1111111111']);
    expect(harness.deliveredText).toBe('');
  });

  test('resolves at once if nothing has to be delivered', async () => {
    await new DeliveryHarness().delivery.drain();
  });
});

test('stop sends nothing more, settles nothing more, leaves no timer, and ends a drain', async () => {
  const harness = new DeliveryHarness({ aggregation: ONE_PER_RECORD });
  // Without it the jitter can be almost zero, and the retry due at once.
  const jitter = vi.spyOn(Math, 'random').mockReturnValue(0.5);
  harness.lines('a1').commit(1);
  await advanceMs(100);
  harness.sink.oldest.answer(THROTTLED);
  harness.lines('b1').commit(2);
  const drained = harness.delivery.drain();
  await advanceMs(0);
  jitter.mockRestore();
  const request = harness.sink.oldest;
  expect(request.records).toEqual([['b1']]);
  harness.delivery.stop();
  await drained;
  request.answer(ACCEPTED);
  expect(vi.getTimerCount()).toBe(0);
  await advanceMs(60_000);
  expect(harness.sink.requests).toBe(2);
  expect(harness.deliveredText).toBe('');
});
