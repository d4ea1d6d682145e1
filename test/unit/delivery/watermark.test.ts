import { describe, expect, test } from 'vitest';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  ONE_PER_RECORD,
  UNKNOWN,
  useVirtualTime,
  withCoordinates,
} from './delivery-harness.ts';

useVirtualTime();

describe('the watermark', () => {
  test('never passes an event that has not arrived', async () => {
    const harness = new DeliveryHarness({ aggregation: ONE_PER_RECORD });
    harness.lines('a1').commit(1).lines('b2').commit(2).lines('c3').commit(3);
    await advanceMs(100);
    const { records } = harness.sink.oldest;
    await harness.sink.answerOldest(records.map(([line]) => (line === 'b2' ? UNKNOWN : ACCEPTED)));
    expect(harness.deliveredText).toBe('1');
    await advanceMs(200);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.deliveredText).toBe('1-3');
  });

  test('waits for the last of many slices of one transaction', async () => {
    const harness = new DeliveryHarness({ aggregation: ONE_PER_RECORD, requestsInFlight: 1 });
    harness.lines('a1', 'a2', 'a3').commit(1);
    for (let i = 0; i < 3; i++) {
      expect(harness.deliveredText).toBe('');
      await advanceMs(100);
      await harness.sink.answerOldest(ACCEPTED);
    }
    expect(harness.deliveredText).toBe('1');
  });

  test('passes a transaction without captured rows at once, but not before an earlier one with rows', async () => {
    const harness = new DeliveryHarness();
    harness.commit(1);
    expect(harness.deliveredText).toBe('1');
    harness.lines('a2').commit(2).commit(3);
    expect(harness.deliveredText).toBe('1');
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.deliveredText).toBe('1-3');
    expect(harness.moves).toEqual(['1', '1-3']);
  });

  test('moves to the end of an idle binlog only when nothing waits', async () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates() });
    harness.lines('a1').commit(1);
    harness.delivery.heartbeat({ file: 'binlog.000001', position: 777 }, 1);
    expect(harness.deliveredText).toBe('4');
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    harness.delivery.heartbeat({ file: 'binlog.000001', position: 777 }, 1);
    expect(harness.deliveredText).toBe('777');
  });

  test('passes a transaction that was partly sent early only after it has committed and arrived', async () => {
    const harness = new DeliveryHarness({ budgetBytes: 40, aggregation: ONE_PER_RECORD });
    harness.lines('a111', 'b222', 'c333', 'd444');
    await harness.acceptRounds(3);
    expect(harness.sink.stored.length).toBeGreaterThan(0);
    expect(harness.deliveredText).toBe('');
    harness.commit(1);
    await harness.acceptRounds(3);
    expect(harness.sink.stored.sort()).toEqual(['a111', 'b222', 'c333', 'd444']);
    expect(harness.deliveredText).toBe('1');
  });
});
