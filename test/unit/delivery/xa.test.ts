import { describe, expect, test } from 'vitest';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  ONE_PER_RECORD,
  THROTTLED,
  transaction,
  useVirtualTime,
  withCoordinates,
} from './delivery-harness.ts';

useVirtualTime();

describe('a prepared XA transaction', () => {
  test('stays out of the GTID set until its XA COMMIT has arrived, while other transactions enter it', async () => {
    const harness = new DeliveryHarness();
    const prepared = transaction(1);
    harness.delivery.xaPrepared(prepared);
    harness.lines('a2').commit(2);
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.deliveredText).toBe('2');
    harness.lines('b1').commit(3, prepared);
    expect(harness.deliveredText).toBe('2');
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.deliveredText).toBe('1-3');
  });

  test('without GTIDs keeps the position before it until no transaction is prepared', async () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates() });
    const [first, second] = [transaction(2), transaction(4)];
    harness.lines('a1').commit(1);
    harness.delivery.xaPrepared(first);
    harness.lines('a3').commit(3);
    harness.delivery.xaPrepared(second);
    harness.lines('b2').commit(5, first);
    await harness.acceptRounds(2);
    expect(harness.delivery.bufferedBytes).toBe(0);
    expect(harness.deliveredText).toBe('200');
    harness.delivery.heartbeat({ file: 'binlog.000001', position: 9999 }, 1);
    expect(harness.deliveredText).toBe('200');
    // An XA ROLLBACK: no event has to arrive.
    harness.commit(6, second);
    expect(harness.deliveredText).toBe('700');
  });

  test('without GTIDs keeps the position until the events between PREPARE and COMMIT have arrived too', async () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates(), aggregation: ONE_PER_RECORD });
    const prepared = transaction(1);
    harness.delivery.xaPrepared(prepared);
    harness.lines('a2', 'b2').commit(2).commit(3, prepared);
    await advanceMs(100);
    await harness.sink.answerOldest([ACCEPTED, THROTTLED]);
    expect(harness.deliveredText).toBe('4');
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.deliveredText).toBe('400');
  });
});
