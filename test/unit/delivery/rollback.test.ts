import { describe, expect, test } from 'vitest';
import { ACCEPTED, advanceMs, DeliveryHarness, useVirtualTime } from './delivery-harness.ts';

useVirtualTime();

describe('a rollback', () => {
  test('discards every line of its transaction', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').commit(1).lines('a2', 'b2');
    harness.delivery.rollback();
    harness.commit(2).lines('a3').commit(3);
    await advanceMs(100);
    expect(harness.sink.oldest.records).toEqual([['a1', 'a3']]);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.delivery.bufferedBytes).toBe(0);
    expect(harness.deliveredText).toBe('1-3');
  });

  test('to a savepoint discards the lines after the savepoint, each time', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').delivery.savepoint('s');
    harness.lines('a2', 'b2').delivery.savepoint('t');
    harness.lines('c2').delivery.rollbackTo('t');
    harness.lines('c3').delivery.rollbackTo('s');
    harness.lines('a3').delivery.rollbackTo('s');
    harness.lines('a4', 'd4').delivery.savepoint('s');
    harness.lines('d5').delivery.rollbackTo('s');
    harness.lines('d6').commit(1);
    await advanceMs(100);
    expect(harness.sink.oldest.records.flat().sort()).toEqual(['a1', 'a4', 'd4', 'd6']);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.delivery.bufferedBytes).toBe(0);
    expect(harness.deliveredText).toBe('1');
  });

  test('to a savepoint that leaves no line makes a transaction without rows', () => {
    const harness = new DeliveryHarness();
    harness.delivery.savepoint('s');
    harness.lines('a1').delivery.rollbackTo('s');
    harness.commit(1);
    expect(harness.deliveredText).toBe('1');
    expect(harness.delivery.bufferedBytes).toBe(0);
  });

  test('to a savepoint of an earlier transaction is an error, because savepoints end with their transaction', () => {
    const harness = new DeliveryHarness();
    harness.delivery.savepoint('s');
    harness.commit(1).lines('a2');
    expect(() => harness.delivery.rollbackTo('s')).toThrow('a savepoint s that it has not set');
  });

  test('is an error if it concerns lines that were already sent, and only then', () => {
    const harness = new DeliveryHarness({ budgetBytes: 60 });
    harness.delivery.savepoint('early');
    harness.lines('a11111111111111111');
    harness.delivery.savepoint('late');
    harness.lines('b1').delivery.rollbackTo('late');
    expect(() => harness.delivery.rollbackTo('early')).toThrow('rolled back after part of it had been sent');
    expect(() => harness.delivery.rollback()).toThrow('rolled back after part of it had been sent');
    expect(() => harness.delivery.rollback()).toThrow(expect.objectContaining({ exitCode: 4 }));
  });
});
