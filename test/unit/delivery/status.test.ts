import { describe, expect, test, vi } from 'vitest';
import type { DeliveryStatus } from '../../../src/model/delivery-status.ts';
import { DeliveryTotals } from '../../../src/model/delivery-totals.ts';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  ONE_PER_RECORD,
  THROTTLED,
  transaction,
  UNKNOWN,
  useVirtualTime,
  withCoordinates,
} from './delivery-harness.ts';

useVirtualTime();

const describeEvent = (line: Buffer) => ({ table: 'shop.orders', seq: line.toString().trim() });
const statusOf = ({ delivery }: DeliveryHarness): DeliveryStatus => delivery.status(describeEvent);
const streamOf = (harness: DeliveryHarness) => statusOf(harness).streams[0] as DeliveryStatus['streams'][number];

describe('whether a stream accepts', () => {
  test('it does while nothing is sent', async () => {
    const harness = new DeliveryHarness();
    await advanceMs(60_000);
    expect(streamOf(harness)).toMatchObject({ accepting: true, lastAcceptedAt: null, requestsInFlight: 0 });
  });

  test('it does not once a request hangs for 3 s, and does again with the first answer', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').commit(1);
    await advanceMs(100 + 2_900);
    expect(streamOf(harness)).toMatchObject({ accepting: true, requestsInFlight: 1, lanes: { inFlight: 1 } });
    await advanceMs(200);
    expect(streamOf(harness).accepting).toBe(false);
    await harness.sink.answerOldest(ACCEPTED);
    expect(streamOf(harness)).toMatchObject({ accepting: true, lastAcceptedAt: expect.any(String) });
    // What is idle afterwards is not held against it.
    await advanceMs(60_000);
    expect(streamOf(harness).accepting).toBe(true);
  });

  test('a sink that sends again by itself says what is in the way, once a request takes long', async () => {
    const onObstacle = vi.fn();
    const harness = new DeliveryHarness({ onObstacle });
    let reason: string | undefined = 'no broker';
    const since = Date.now();
    harness.sink.obstacle = () => (reason === undefined ? undefined : { reason, since });
    harness.lines('a1').commit(1);
    await advanceMs(100 + 2_900);
    expect(streamOf(harness).obstacle).toEqual({ reason: 'no broker', since: new Date(since).toISOString() });
    expect(onObstacle).not.toHaveBeenCalled();
    await advanceMs(100);
    expect(onObstacle.mock.calls).toEqual([[{ stream: 'first', reason: 'no broker' }]]);
    // Reported again and again: the log limits its lines.
    await advanceMs(3_000);
    expect(onObstacle).toHaveBeenCalledTimes(2);
    reason = undefined;
    await harness.sink.answerOldest(ACCEPTED);
    expect(streamOf(harness).obstacle).toBeNull();
    // It answers in time, or there is nothing in its way.
    harness.lines('a2').commit(2);
    await advanceMs(1_000);
    await harness.sink.answerOldest(ACCEPTED);
    harness.lines('a3').commit(3);
    await advanceMs(10_000);
    expect(onObstacle).toHaveBeenCalledTimes(2);
  });

  test('it does not while each try fails, however often one is made', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').commit(1);
    await harness.sink.answerRounds(20, () => THROTTLED);
    expect(streamOf(harness).accepting).toBe(true);
    await harness.sink.answerRounds(20, () => THROTTLED);
    expect(streamOf(harness)).toMatchObject({ accepting: false, lanes: { retrying: 1 } });
  });

  test('it does while others pass a lane that fails', async () => {
    const harness = new DeliveryHarness({ aggregation: ONE_PER_RECORD });
    harness.lines('a1').commit(1);
    for (let i = 2; i < 100; i++) {
      harness.lines(`b${i}`).commit(i);
      await harness.sink.answerRounds(1, ({ records }) =>
        records.map(([line]) => (line === 'a1' ? UNKNOWN : ACCEPTED)),
      );
    }
    expect(streamOf(harness)).toMatchObject({ accepting: true, lanes: { total: 64, retrying: 1 } });
  });

  test('requests that are still in flight begin to count with the last answer', async () => {
    const harness = new DeliveryHarness({ aggregation: ONE_PER_RECORD, limits: { maxRecords: 1 } });
    harness.lines('a1', 'b2').commit(1);
    await advanceMs(100 + 2_000);
    await harness.sink.answerOldest(ACCEPTED);
    await advanceMs(2_900);
    expect(streamOf(harness).accepting).toBe(true);
    await advanceMs(200);
    expect(streamOf(harness).accepting).toBe(false);
  });
});

test('a lane that fails shows since when, how often, why, and its oldest event', async () => {
  const harness = new DeliveryHarness();
  harness.lines('a1', 'a2').commit(1);
  await advanceMs(100);
  const since = new Date().toISOString();
  await harness.sink.answerOldest(THROTTLED);
  await harness.sink.answerRounds(30, () => UNKNOWN);
  const { stuck, outcomes } = streamOf(harness);
  expect(stuck).toEqual([
    {
      lane: expect.any(Number),
      attempts: expect.any(Number),
      since,
      reason: UNKNOWN.kind === 'unknown' ? UNKNOWN.reason : '',
      events: 2,
      bytes: 6,
      oldest: { table: 'shop.orders', seq: 'a1' },
    },
  ]);
  expect(stuck[0]?.attempts).toBeGreaterThan(1);
  expect(outcomes).toMatchObject({ accepted: 0, throttled: 1 });
  expect(outcomes.unknown).toBeGreaterThan(0);
  await harness.sink.answerRounds(200, () => ACCEPTED);
  expect(streamOf(harness)).toMatchObject({ stuck: [], lanes: { waiting: 0, inFlight: 0, retrying: 0 } });
});

test('a stream that accepts nothing does not accept because the pipeline is started again', async () => {
  const totals = new DeliveryTotals();
  const first = new DeliveryHarness({ totals });
  first.lines('a1').commit(1);
  await first.sink.answerRounds(40, () => THROTTLED);
  expect(streamOf(first).accepting).toBe(false);
  first.delivery.stop();
  const second = new DeliveryHarness({ totals });
  expect(streamOf(second).accepting).toBe(false);
  second.lines('a1').commit(1);
  await advanceMs(100);
  await second.sink.answerOldest(ACCEPTED);
  expect(streamOf(second).accepting).toBe(true);
});

test('the oldest event of a lane that fails is read once, however often somebody looks', async () => {
  const harness = new DeliveryHarness();
  harness.lines('a1').commit(1);
  await harness.sink.answerRounds(10, () => THROTTLED);
  let reads = 0;
  const counting = (line: Buffer) => {
    reads++;
    return describeEvent(line);
  };
  for (let i = 0; i < 10; i++) harness.delivery.status(counting);
  expect(reads).toBe(1);
  await harness.sink.answerRounds(200, () => ACCEPTED);
  harness.lines('a9').commit(2);
  await harness.sink.answerRounds(10, () => THROTTLED);
  expect(harness.delivery.status(counting).streams[0]?.stuck[0]?.oldest.seq).toBe('a9');
  expect(reads).toBe(2);
});

test('pipelines of one daemon add to the same totals', async () => {
  const totals = new DeliveryTotals();
  for (const gtid of [1, 2]) {
    const harness = new DeliveryHarness({ totals });
    harness.lines(`a${gtid}`).commit(gtid);
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    harness.delivery.stop();
    expect(statusOf(harness)).toMatchObject({
      counters: { events: gtid, records: gtid, requests: gtid },
      streams: [{ requests: gtid, outcomes: { accepted: gtid } }, { requests: 0 }],
    });
  }
});

test('backpressure shows, and how long it was', async () => {
  const harness = new DeliveryHarness({ budgetBytes: 100 });
  harness.lines('a'.repeat(200)).commit(1);
  expect(statusOf(harness)).toMatchObject({ backpressure: true, bufferedBytes: 201, budgetBytes: 100 });
  await advanceMs(1_000);
  expect(statusOf(harness).backpressureSeconds).toBeCloseTo(1, 1);
  await harness.sink.answerOldest(ACCEPTED);
  await advanceMs(5_000);
  const { backpressure, backpressureSeconds, bufferedBytes } = statusOf(harness);
  expect({ backpressure, bufferedBytes }).toEqual({ backpressure: false, bufferedBytes: 0 });
  expect(backpressureSeconds).toBeCloseTo(1, 1);
});

test('backpressure at the end of a pipeline counts once', async () => {
  const harness = new DeliveryHarness({ budgetBytes: 100 });
  harness.lines('a'.repeat(200)).commit(1);
  await advanceMs(1_000);
  harness.delivery.stop();
  expect(statusOf(harness).backpressureSeconds).toBeCloseTo(1, 1);
});

describe('the oldest transaction that is not delivered', () => {
  const committedAt = (at: number, gtid: number) => ({ ...transaction(gtid), committedAt: at });

  test('is the first with rows, whatever comes after it', async () => {
    const harness = new DeliveryHarness();
    expect(harness.delivery.oldestCommittedAt).toBeUndefined();
    harness.lines('a1');
    harness.delivery.commit(committedAt(5_000, 1));
    harness.delivery.commit(committedAt(6_000, 2));
    expect(harness.delivery.oldestCommittedAt).toBe(5_000);
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.delivery.oldestCommittedAt).toBeUndefined();
  });

  test('is found behind rows of a backfill, and behind a group of XA transactions', async () => {
    const harness = new DeliveryHarness({ delivered: withCoordinates() });
    harness.lines('r1');
    harness.delivery.commitSnapshot();
    expect(harness.delivery.oldestCommittedAt).toBeUndefined();
    harness.lines('a1');
    harness.delivery.commit(committedAt(7_000, 1));
    expect(harness.delivery.oldestCommittedAt).toBe(7_000);
  });
});
