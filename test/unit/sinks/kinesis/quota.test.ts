import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SHARD_QUOTA, ShardPacer } from '../../../../src/sinks/kinesis/quota.ts';

interface Sent {
  at: number;
  bytes: number;
}

/** Sends records as soon as the pacer lets them, and sees each wait through. */
function sendAll(sizes: readonly number[], pauses: readonly number[] = []): Sent[] {
  const pacer = new ShardPacer(SHARD_QUOTA);
  let now = 1_000_000;
  return sizes.map((bytes, i) => {
    now += pauses[i] ?? 0;
    for (let wait = pacer.admit('a', bytes, now); wait > 0; wait = pacer.admit('a', bytes, now)) now += wait;
    return { at: now, bytes };
  });
}

/** Whether a bucket of one second's quota, filled at the quota's rate, ever lacks something. */
function overflows(sent: readonly Sent[]): boolean {
  const room = { records: SHARD_QUOTA.records, bytes: SHARD_QUOTA.bytes, at: sent[0]?.at ?? 0 };
  return sent.some(({ at, bytes }) => {
    const seconds = (at - room.at) / 1_000;
    room.records = Math.min(SHARD_QUOTA.records, room.records + seconds * SHARD_QUOTA.records) - 1;
    room.bytes = Math.min(SHARD_QUOTA.bytes, room.bytes + seconds * SHARD_QUOTA.bytes) - bytes;
    room.at = at;
    return room.records < -1e-6 || room.bytes < -1e-6;
  });
}

describe('a shard', () => {
  test('never gets more than its bucket holds, whatever the sizes and pauses', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: SHARD_QUOTA.bytes }));
    const pause = fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3_000) });
    fc.assert(
      fc.property(fc.array(fc.tuple(size, pause), { minLength: 1, maxLength: 2_000 }), (records) => {
        const sent = sendAll(
          records.map(([bytes]) => bytes),
          records.map(([, wait]) => wait),
        );
        expect(overflows(sent)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ['records', 100, 5_000, 5],
    ['bytes', 10_000, 1_000, (1_000 * 10_000) / SHARD_QUOTA.bytes],
    ['bytes of the largest records', SHARD_QUOTA.bytes, 10, 10],
  ])('gets its whole quota of %s', (_, bytes, count, seconds) => {
    const sent = sendAll(new Array<number>(count).fill(bytes));
    const took = ((sent.at(-1)?.at ?? 0) - (sent[0]?.at ?? 0)) / 1_000;
    expect(took).toBeLessThanOrEqual(seconds * 1.02);
    expect(took).toBeGreaterThanOrEqual(seconds * 0.7);
  });

  test('gets records that wait together at once, a quarter of a second of them', () => {
    const pacer = new ShardPacer(SHARD_QUOTA);
    const admitted = Array.from({ length: 1_000 }, () => pacer.admit('a', 100, 5_000)).filter((wait) => wait === 0);
    expect(admitted).toHaveLength(250);
  });

  test('does not wait for another one', () => {
    const pacer = new ShardPacer(SHARD_QUOTA);
    expect(pacer.admit('a', SHARD_QUOTA.bytes, 0)).toBe(0);
    expect(pacer.admit('a', SHARD_QUOTA.bytes, 0)).toBe(1_000);
    expect(pacer.admit('b', SHARD_QUOTA.bytes, 0)).toBe(0);
  });

  test('takes a record of ten seconds, and then nothing for ten seconds', () => {
    const pacer = new ShardPacer(SHARD_QUOTA);
    expect(pacer.admit('a', 10 * SHARD_QUOTA.bytes, 0)).toBe(0);
    expect(pacer.admit('a', 1, 0)).toBeGreaterThan(9_700);
    expect(pacer.admit('a', 1, 10_000)).toBe(0);
  });

  test('that is closed is forgotten', () => {
    const pacer = new ShardPacer(SHARD_QUOTA);
    pacer.admit('a', SHARD_QUOTA.bytes, 0);
    pacer.keep(new Set(['b']));
    expect(pacer.admit('a', SHARD_QUOTA.bytes, 0)).toBe(0);
  });
});
