import { describe, expect, test, vi } from 'vitest';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  transaction,
  useVirtualTime,
  withCoordinates,
} from './delivery-harness.ts';

useVirtualTime();

describe('rows of a backfill between two transactions', () => {
  test('are delivered with everything before them, and leave the position alone', async () => {
    const harness = new DeliveryHarness();
    const onDelivered = vi.fn();
    harness.lines('a1').commit(1).lines('b2').delivery.commitSnapshot(onDelivered);
    expect(harness.deliveredText).toBe('');
    await advanceMs(100);
    expect(onDelivered).not.toHaveBeenCalled();
    await harness.acceptAll();
    expect(onDelivered).toHaveBeenCalledOnce();
    expect(harness.deliveredText).toBe('1');
    harness.delivery.assertCounters();
  });

  test('count at once if a chunk has none and nothing is waiting', () => {
    const harness = new DeliveryHarness();
    const onDelivered = vi.fn();
    harness.delivery.commitSnapshot(onDelivered);
    expect(onDelivered).toHaveBeenCalledOnce();
    expect(harness.moves).toHaveLength(1);
  });

  test('wait for pending transactions although their chunk has none', async () => {
    const harness = new DeliveryHarness();
    const onDelivered = vi.fn();
    harness.lines('a1').commit(1).delivery.commitSnapshot(onDelivered);
    await advanceMs(100);
    expect(onDelivered).not.toHaveBeenCalled();
    await harness.acceptAll();
    expect(onDelivered).toHaveBeenCalledOnce();
  });

  test('are no part of the transaction behind them: its rollback leaves them', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').delivery.commitSnapshot();
    harness.lines('b2').delivery.rollback();
    harness.commit(1);
    await harness.acceptRounds(2);
    expect(harness.sink.stored).toEqual(['a1']);
    harness.delivery.assertCounters();
  });

  test('hold back the position of later transactions without rows, which count with them', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').delivery.commitSnapshot();
    harness.commit(1).commit(2);
    expect(harness.deliveredText).toBe('');
    await harness.acceptRounds(2);
    expect(harness.deliveredText).toBe('1-2');
  });

  test('are delivered while an XA transaction holds the position', async () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates() });
    const onDelivered = vi.fn();
    harness.delivery.xaPrepared(transaction(1));
    harness.lines('a2').commit(2).lines('b3').delivery.commitSnapshot(onDelivered);
    await advanceMs(100);
    expect(onDelivered).not.toHaveBeenCalled();
    await harness.acceptAll();
    expect(onDelivered).toHaveBeenCalledOnce();
    expect(harness.deliveredText).toBe('4');
    harness.commit(4, transaction(1));
    await advanceMs(100);
    expect(harness.deliveredText).toBe('500');
  });

  test('are only appended between two transactions', () => {
    const { delivery } = new DeliveryHarness();
    expect(delivery.isBetweenTransactions).toBe(true);
    delivery.savepoint('s');
    expect(delivery.isBetweenTransactions).toBe(false);
    delivery.commit(transaction(1));
    expect(delivery.isBetweenTransactions).toBe(true);
    const harness = new DeliveryHarness().lines('a1');
    expect(harness.delivery.isBetweenTransactions).toBe(false);
    harness.commit(1);
    expect(harness.delivery.isBetweenTransactions).toBe(true);
  });

  test('are repeated until the sink has taken them', async () => {
    const harness = new DeliveryHarness();
    const onDelivered = vi.fn();
    harness.lines('a1').delivery.commitSnapshot(onDelivered);
    await advanceMs(100);
    await harness.sink.answerOldest({ kind: 'unknown', reason: 'time-out' });
    expect(onDelivered).not.toHaveBeenCalled();
    await harness.sink.answerRounds(10, () => ACCEPTED);
    expect(onDelivered).toHaveBeenCalledOnce();
  });
});
