import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { StreamStatus } from '../../../src/model/stream-status.ts';
import type { Follower } from '../../../src/verify/follower.ts';
import { Landing, landingTimeMs } from '../../../src/verify/landing.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const status = (position: number, more: Partial<StreamStatus> = {}): StreamStatus => ({
  ...{ server: { flavor: 'mysql', identity: 'uuid-1', host: 'db:3306' }, epoch: 7 },
  ...{ delivered: { file: 'binlog.000009', position, gtids: null }, ...more },
});

/** The landing of a stream that is at these points, one after each question; it stays at the last. */
function landingOf(signal: AbortSignal, ...points: StreamStatus[]): Landing {
  const ask = async () => ({ stream: points.length > 1 ? points.shift() : points[0] });
  return new Landing({ status: ask } as unknown as Follower, status(0), 5_000, signal);
}
const never = new AbortController().signal;
const END = { file: 'binlog.000009', position: 100 };

/** The outcome of `work`, once virtual time has passed. */
async function outcomeAfter<T>(ms: number, work: Promise<T>): Promise<T | 'pending'> {
  let outcome: T | 'pending' = 'pending';
  work.then(
    (value) => {
      outcome = value;
    },
    () => {},
  );
  await vi.advanceTimersByTimeAsync(ms);
  return outcome;
}

describe('delivers', () => {
  test('says when everything before the point is delivered', async () => {
    const start = performance.now();
    const landing = landingOf(never, status(10), status(99), status(100));
    expect((await outcomeAfter(1_000, landing.delivers(END, start + 10_000))) as number).toBe(start + 400);
    expect(landing.delivered.position).toBe(100);
  });

  test('goes by the number of the file first', async () => {
    const later = status(4, { delivered: { file: 'binlog.000010', position: 4, gtids: null } });
    expect(await outcomeAfter(0, landingOf(never, later).delivers(END, 0))).toBe(performance.now());
    const earlier = status(0, { delivered: { file: 'binlog.000008', position: 5_000, gtids: null } });
    expect(await outcomeAfter(0, landingOf(never, earlier).delivers(END, 0))).toBeUndefined();
  });

  test('gives up at the deadline', async () => {
    const delivering = landingOf(never, status(99)).delivers(END, performance.now() + 1_000);
    expect(await outcomeAfter(900, delivering)).toBe('pending');
    expect(await outcomeAfter(200, delivering)).toBeUndefined();
  });

  test('gives up at the deadline if nothing answers', async () => {
    const stopped = { status: () => new Promise(() => {}) } as unknown as Follower;
    const landing = new Landing(stopped, status(0), 5_000, never);
    const delivering = landing.delivers(END, performance.now() + 1_000);
    expect(await outcomeAfter(900, delivering)).toBe('pending');
    expect(await outcomeAfter(200, delivering)).toBeUndefined();
  });

  test('waits for a month if it may', async () => {
    const start = performance.now();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const delivering = landingOf(never, status(99), status(100)).delivers(END, start + 31 * 86_400_000);
    expect(await outcomeAfter(1_000, delivering)).toBe(start + 200);
    // A longer timer ends at once.
    expect(Math.max(...timers.mock.calls.map(([, ms = 0]) => ms))).toBeLessThan(2 ** 31);
    timers.mockRestore();
  });

  test('waits without end where there is no deadline', async () => {
    const abort = new AbortController();
    const delivering = landingOf(abort.signal, status(99)).delivers(END, Number.POSITIVE_INFINITY);
    expect(await outcomeAfter(3_600_000, delivering)).toBe('pending');
    abort.abort(new Error('enough'));
    await expect(delivering).rejects.toThrow('enough');
  });
});

describe('a stream that is another one than at the start is an error that says so', () => {
  test.each<[string, Partial<StreamStatus>, string]>([
    ['its epoch', { epoch: 8 }, 'its epoch was 7 and is 8'],
    [
      'its server',
      { server: { flavor: 'mysql', identity: 'uuid-2', host: 'db:3306' } },
      'its server was uuid-1 and is uuid-2',
    ],
  ])('%s', async (_, more, why) => {
    await expect(landingOf(never, status(100, more)).delivers(END, 0)).rejects.toMatchObject({
      message: 'the stream continued on another server while verify ran',
      why: expect.stringContaining(why),
      hint: 'run cdc verify again',
    });
  });

  test('but not the same server at another address', async () => {
    const moved = status(100, { server: { flavor: 'mysql', identity: 'uuid-1', host: 'other:3306' } });
    await expect(landingOf(never, moved).status()).resolves.toBe(moved);
  });
});

describe('the time until an event is in the lake is that of the buffer and some more', () => {
  test.each([
    [0, false, 10_000],
    [5, false, 15_000],
    [30, false, 60_000],
    [300, false, 360_000],
    [900, false, 960_000],
    [0, true, 2_000],
    [5, true, 7_000],
  ])('a buffer of %i s, local: %s', (seconds, isLocal, expected) => {
    expect(landingTimeMs(seconds, isLocal)).toBe(expected);
  });
});
