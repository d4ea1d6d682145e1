import { describe, expect, test } from 'vitest';
import { GtidSet } from '../../../src/model/gtid-set.ts';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  ONE_PER_RECORD,
  transaction,
  UNKNOWN,
  UUID,
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

  test('gets GTIDs with the first file whose transactions have them, and in its order', async () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates(), aggregation: ONE_PER_RECORD });
    const gtids = (text: string) => GtidSet.parse(`${UUID}:${text}`);
    const delivered = () => harness.delivery.delivered.gtids?.toString().replace(`${UUID}:`, '');
    const anonymous = { ...transaction(11), gtid: '', gtidSource: '', gtidNumber: 0 };
    harness.delivery.gtidsBeforeFile(gtids('1-9'));
    harness.lines('a1');
    harness.delivery.commit(anonymous);
    harness.lines('b1').commit(12);
    harness.delivery.gtidsBeforeFile(gtids('1-12'));
    harness.lines('a2').commit(13);
    harness.commit(14).commit(15);
    harness.lines('c1').commit(16).commit(17);
    harness.delivery.gtidsBeforeFile(gtids('1-17'));
    harness.commit(18);
    expect(delivered()).toBeUndefined();
    await advanceMs(100);
    // The second event of its key waits for the first: the position is where the file with GTIDs begins.
    await harness.sink.answerOldest(ACCEPTED);
    expect(delivered()).toBe('1-12');
    expect(harness.delivery.delivered.position).toBe(1300);
    await harness.acceptRounds(2);
    expect(delivered()).toBe('1-18');
    expect(harness.delivery.delivered).toMatchObject({ position: 1900, fingerprint: { gtid: `${UUID}:18` } });
  });

  test('that has no GTIDs and nothing pending gets them at once', () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates() });
    harness.delivery.gtidsBeforeFile(GtidSet.parse(`${UUID}:1-9`));
    harness.commit(10);
    expect(harness.delivery.delivered.gtids?.toString()).toBe(`${UUID}:1-10`);
  });

  test('gets no GTIDs while an XA transaction is prepared, which only its coordinates keep out', async () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates() });
    const prepared = transaction(1);
    harness.delivery.xaPrepared(prepared);
    harness.delivery.gtidsBeforeFile(GtidSet.parse(`${UUID}:1`));
    harness.commit(2).commit(3, prepared);
    await harness.acceptRounds(1);
    expect(harness.delivery.delivered).toMatchObject({ gtids: undefined, position: 400 });
    harness.delivery.gtidsBeforeFile(GtidSet.parse(`${UUID}:1-3`));
    harness.commit(4);
    expect(harness.delivery.delivered.gtids?.toString()).toBe(`${UUID}:1-4`);
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
