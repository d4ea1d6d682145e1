import { describe, expect, test } from 'vitest';
import type { RecordOutcome } from '../../../src/sinks/sink.ts';
import { lineOf } from '../../encoded-event.ts';
import {
  ACCEPTED,
  advanceMs,
  DeliveryHarness,
  eventsPerRecord,
  lineOfKey,
  RECORD_REJECTED,
  REQUEST_REJECTED,
  type Request,
  repeatText,
  STREAM_REJECTED,
  THROTTLED,
  UNKNOWN,
  useVirtualTime,
} from './delivery-harness.ts';

useVirtualTime();

/** Answers as a stream that rejects `line`: the whole request that has it, or only its record. */
const rejecting =
  (line: string, rejection: RecordOutcome) =>
  ({ records }: Request): RecordOutcome | RecordOutcome[] => {
    const affected = records.map((lines) => lines.includes(line));
    if (rejection === REQUEST_REJECTED) return affected.includes(true) ? rejection : ACCEPTED;
    return affected.map((is) => (is ? rejection : ACCEPTED));
  };

describe('a rejected event', () => {
  test.each([
    ['a rejected request', REQUEST_REJECTED, eventsPerRecord(500)],
    ['a rejected record', RECORD_REJECTED, eventsPerRecord(500)],
    ['a rejected request of single events', REQUEST_REJECTED, 'off' as const],
    ['a rejected record of a single event', RECORD_REJECTED, 'off' as const],
  ])('is found in %s and moved to the dead letters; all others arrive in order', async (_, rejection, aggregation) => {
    const harness = new DeliveryHarness({ aggregation });
    const lines = repeatText(40, (i) => `a${i}`);
    harness.lines(...lines, 'b1', 'c1').commit(1);
    const requests = await harness.sink.answerRounds(100, rejecting('a17', rejection));
    expect(harness.deadLettered).toEqual([['a17', 'refused by Firehose: not valid']]);
    // With one event per record, the records after the rejected one are repeated.
    const stored = [...new Set(harness.sink.stored)];
    expect(stored.filter((line) => line[0] === 'a')).toEqual(lines.filter((line) => line !== 'a17'));
    expect(stored).toHaveLength(41);
    expect(harness.deliveredText).toBe('1');
    expect(harness.delivery.counters).toMatchObject({ events: 41, deadLetters: 1 });
    // The event is found by halves, not one by one.
    expect(requests).toBeLessThan(20);
  });

  test('is a fatal error after 20 in a row, because then the stream is the cause', async () => {
    const harness = new DeliveryHarness();
    harness.lines('z1').commit(1);
    await advanceMs(100);
    harness.sink.oldest.answer(ACCEPTED);
    harness.lines(...repeatText(60, (i) => lineOfKey(i, '1'))).commit(2);
    await harness.sink.answerRounds(2000, () => REQUEST_REJECTED);
    expect(harness.deadLettered).toHaveLength(20);
    expect(harness.fatalErrors[0]).toBe('Firehose rejected the events of the stream first');
  });

  test('is a fatal error and no dead letter if the stream has never accepted an event', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1', 'b1').commit(1);
    await harness.sink.answerRounds(2000, () => REQUEST_REJECTED);
    expect(harness.deadLettered).toEqual([]);
    expect(harness.fatalErrors[0]).toBe('Firehose rejected the events of the stream first');
  });
});

describe('dead letters', () => {
  test('receive an event over the record limit after its commit, not before', async () => {
    const harness = new DeliveryHarness({
      limits: { maxRecordBytes: 20 },
      aggregation: { maxEvents: 5, maxBytes: 20 },
    });
    const large = `a${'x'.repeat(30)}`;
    harness.lines('a1', large);
    await advanceMs(1000);
    expect(harness.deadLettered).toEqual([]);
    harness.delivery.rollback();
    harness.lines('a1', large, 'a2').commit(1);
    await advanceMs(100);
    harness.sink.oldest.answer(ACCEPTED);
    await advanceMs(100);
    await harness.sink.answerOldest(ACCEPTED);
    expect(harness.deadLettered).toEqual([[large, 'its 32 bytes are more than a Firehose record may have (20)']]);
    expect(harness.sink.stored).toEqual(['a1', 'a2']);
    expect(harness.deliveredText).toBe('1');
  });

  test('receive an event whose encoded size is over the record limit, not one that encodes to less', async () => {
    const harness = new DeliveryHarness({
      limits: { maxRecordBytes: 20 },
      aggregation: { maxEvents: 5, maxBytes: 20 },
      encodeRecord: async ([first]) => {
        const text = first?.toString() ?? '';
        return [text.startsWith('a') ? Buffer.from('small') : Buffer.from(text)];
      },
    });
    harness.lines(`a${'x'.repeat(50)}`, `b${'x'.repeat(50)}`, 'c1').commit(1);
    await harness.sink.answerRounds(2000, () => ACCEPTED);
    expect(harness.deadLettered).toEqual([
      [`b${'x'.repeat(50)}`, 'its 52 bytes are more than a Firehose record may have (20)'],
    ]);
    expect(harness.deliveredText).toBe('1');
  });

  test('receive an event that the operator has named; it is not sent, and a rolled back one is ignored', async () => {
    const harness = new DeliveryHarness({
      shouldDeadLetter: (event) => lineOf(event).includes('bad'),
    });
    harness.lines('a1', 'a2bad');
    harness.delivery.rollback();
    harness.lines('abad', 'a3', 'a4bad', 'a5').commit(1);
    await harness.acceptRounds(4);
    expect(harness.deadLettered.map(([line]) => line)).toEqual(['abad', 'a4bad']);
    expect(harness.sink.stored).toEqual(['a3', 'a5']);
    expect(harness.deliveredText).toBe('1');
  });

  test('hold back the watermark until they are written, and a failed write is fatal', async () => {
    let write: { done: () => void; failed: (error: Error) => void } | undefined;
    const harness = new DeliveryHarness({
      limits: { maxRecordBytes: 5 },
      deadLetter: () => new Promise((done, failed) => (write = { done, failed })),
    });
    harness.lines('a12345').commit(1);
    await advanceMs(100);
    expect(harness.deliveredText).toBe('');
    write?.done();
    await advanceMs(0);
    expect(harness.deliveredText).toBe('1');
    harness.lines('a12345').commit(2);
    await advanceMs(100);
    write?.failed(new Error('no space left'));
    await advanceMs(1000);
    expect(harness.fatalErrors).toEqual(['no space left']);
    expect(harness.deliveredText).toBe('1');
  });
});

describe('a failing stream', () => {
  test('that rejects everything is a fatal error, and nothing counts as delivered', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').commit(1);
    await advanceMs(100);
    harness.sink.oldest.answer(STREAM_REJECTED);
    await advanceMs(60_000);
    expect(harness.fatalErrors).toEqual(['Firehose rejected the events of the stream first']);
    expect(harness.deliveredText).toBe('');
    expect(harness.sink.requests).toBe(1);
  });

  test('whose sink breaks its contract and rejects the promise of send is a fatal error', async () => {
    const harness = new DeliveryHarness();
    harness.lines('a1').commit(1);
    await advanceMs(100);
    harness.sink.oldest.break(new Error('a bug'));
    await advanceMs(0);
    expect(harness.fatalErrors).toEqual(['a bug']);
    expect(harness.deliveredText).toBe('');
  });

  test('that never answers for one event gets it alone; the others arrive, the report names the event', async () => {
    let reported = '';
    const harness = new DeliveryHarness({ onRetry: ({ event }) => (reported = event().toString()) });
    harness.lines(...repeatText(200, (i) => `a${i}`), 'b1').commit(1);
    const stuck = (lines: string[]): RecordOutcome => (lines.includes('a117') ? UNKNOWN : ACCEPTED);
    await harness.sink.answerRounds(2000, ({ records }) => records.map(stuck));
    expect(harness.sink.stored).toEqual(expect.arrayContaining(['b1', 'a0', 'a116']));
    expect(reported).toBe('a117\n');
    expect(harness.deadLettered).toEqual([]);
    expect(harness.deliveredText).toBe('');
  });

  test('that throttles for long is not sent event by event', async () => {
    const harness = new DeliveryHarness();
    harness.lines(...repeatText(200, (i) => `a${i}`)).commit(1);
    let answers = 0;
    const requests = await harness.sink.answerRounds(2000, () => (++answers > 12 ? ACCEPTED : THROTTLED));
    expect(requests).toBe(13);
    expect(harness.deliveredText).toBe('1');
  });

  test('is reported with the oldest event that waits for it', async () => {
    const reports: string[] = [];
    const harness = new DeliveryHarness({
      onRetry: ({ stream, reason, attempts, event }) => reports.push(`${stream} ${reason} ${attempts} ${event()}`),
    });
    harness.lines('a1', 'a2').commit(1);
    await advanceMs(100);
    harness.sink.oldest.answer(THROTTLED);
    await advanceMs(100);
    await harness.sink.answerOldest(UNKNOWN);
    expect(reports).toEqual(['first slow down 1 a1\n', 'first time-out 2 a1\n']);
  });
});
