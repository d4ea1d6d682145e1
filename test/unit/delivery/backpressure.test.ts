import { describe, expect, test } from 'vitest';
import { ACCEPTED, advanceMs, DeliveryHarness, lineOfKey, ONE_PER_RECORD, useVirtualTime } from './delivery-harness.ts';

useVirtualTime();

/** The i-th of many lines of 20 bytes with their newline, in 40 lanes. */
const lineOf20Bytes = (i: number): string => lineOfKey(i % 40, 'x'.repeat(18));

describe('the byte budget', () => {
  test('pauses the source when it is exceeded, and resumes it when half of it is free', async () => {
    const harness = new DeliveryHarness({ budgetBytes: 1000, aggregation: ONE_PER_RECORD, lingerMs: 1 });
    let number = 0;
    let most = 0;
    while (harness.backpressure.length === 0) {
      harness.lines(lineOf20Bytes(number)).commit(++number);
      most = Math.max(most, harness.delivery.bufferedBytes);
    }
    expect(harness.backpressure).toEqual([true]);
    expect(most).toBeLessThanOrEqual(1020);
    while (harness.backpressure.length === 1) {
      expect(harness.delivery.bufferedBytes).toBeGreaterThan(500);
      await advanceMs(1);
      await harness.sink.answerOldest(ACCEPTED);
    }
    expect(harness.backpressure).toEqual([true, false]);
    expect(harness.delivery.bufferedBytes).toBeLessThanOrEqual(500);
  });

  test('is not exceeded by a transaction larger than it, which is sent before its commit', async () => {
    const harness = new DeliveryHarness({ budgetBytes: 1000, lingerMs: 1 });
    let paused = false;
    let appended = 0;
    let most = 0;
    for (let round = 0; round < 5000 && appended < 500; round++) {
      paused = harness.backpressure.at(-1) ?? false;
      if (!paused) harness.lines(lineOf20Bytes(appended++));
      else {
        await advanceMs(1);
        await harness.acceptAll();
      }
      most = Math.max(most, harness.delivery.bufferedBytes);
    }
    expect(appended).toBe(500);
    expect(most).toBeLessThanOrEqual(1020);
    expect(harness.deliveredText).toBe('');
    harness.commit(1);
    const drained = harness.delivery.drain();
    for (let i = 0; i < 20; i++) {
      await harness.acceptAll();
      await advanceMs(1);
    }
    await drained;
    expect(harness.sink.stored).toHaveLength(500);
    expect(harness.deliveredText).toBe('1');
  });
});

describe('backpressure', () => {
  test('bounds the bytes that are committed past a stuck stream, and ends when the stream recovers', async () => {
    const harness = new DeliveryHarness({ budgetBytes: 100, lingerMs: 1 });
    harness.lines('~a1').commit(1);
    let number = 1;
    for (; harness.backpressure.at(-1) !== true && number < 1000; number++) {
      harness.lines(`b${'x'.repeat(8)}`).commit(number + 1);
      await advanceMs(1);
      await harness.sink.answerOldest(ACCEPTED);
    }
    // Four budgets of ten transactions each, although all of these have arrived.
    expect(number).toBe(41);
    expect(harness.delivery.bufferedBytes).toBe(4);
    await harness.secondSink.answerOldest(ACCEPTED);
    expect(harness.backpressure).toEqual([true, false]);
    expect(harness.deliveredText).toBe(`1-${number}`);
  });

  test('bounds the number of transactions past a stuck one too, however small they are', async () => {
    const harness = new DeliveryHarness({ budgetBytes: 1e9, lingerMs: 1e6 });
    harness.lines('~a1').commit(1);
    let number = 1;
    while (harness.backpressure.length === 0 && number < 500_000) harness.lines('b').commit(++number);
    expect(harness.backpressure).toEqual([true]);
    // The stuck transaction counts too.
    expect(number).toBe(400_001);
  });

  test('ends after a large transaction whose events had all arrived before its commit was read', async () => {
    const harness = new DeliveryHarness({ budgetBytes: 1000, lingerMs: 1 });
    for (let i = 0; i < 6; i++) {
      // Each line pauses the source, and is sent before the next line.
      harness.lines(`a${'x'.repeat(1200)}`);
      await advanceMs(1);
      await harness.sink.answerOldest(ACCEPTED);
      expect(harness.backpressure.at(-1)).toBe(false);
    }
    harness.commit(1);
    expect(harness.deliveredText).toBe('1');
    expect(harness.backpressure.at(-1)).toBe(false);
  });
});
