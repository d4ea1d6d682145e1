import { describe, expect, test } from 'vitest';
import { type BinlogObservation, FRESH_MS, LagTracker, type ReadProgress } from '../../../src/model/lag.ts';

const NOW = 1_000_000_000;
const at = (position: number, file = 'binlog.000002') => ({ file, position });
const answer = (end: ReturnType<typeof at>, changed: Partial<BinlogObservation> = {}): BinlogObservation => ({
  ...{ at: NOW, clockAheadMs: 0, end, files: undefined, retentionSeconds: 1_000 },
  ...changed,
});
const progress = (changed: Partial<ReadProgress> = {}): ReadProgress => ({
  ...{ delivered: at(100), read: at(100), oldestCommittedAt: undefined, lastCommittedAt: undefined },
  ...changed,
});

describe('seconds', () => {
  test('are those since the checkpoint was saved, before the server has answered', () => {
    expect(new LagTracker(NOW - 5_000).seconds(progress(), NOW)).toBe(5);
    expect(new LagTracker(undefined).seconds(progress(), NOW)).toBe(null);
  });

  test('are the age of the oldest transaction that is not delivered', () => {
    const lag = new LagTracker(NOW);
    lag.observed(answer(at(900)), progress());
    const waiting = progress({ read: at(900), oldestCommittedAt: NOW - 7_000, lastCommittedAt: NOW - 1_000 });
    expect(lag.seconds(waiting, NOW)).toBe(7);
    expect(lag.seconds(waiting, NOW + 3_000)).toBe(10);
  });

  test('are by the clock of the server', () => {
    const lag = new LagTracker(NOW);
    lag.observed(answer(at(900), { clockAheadMs: 3_600_000 }), progress());
    expect(lag.seconds(progress({ oldestCommittedAt: NOW + 3_600_000 - 2_000 }), NOW)).toBe(2);
  });

  test('are never less than 0, if clocks disagree', () => {
    expect(new LagTracker(NOW).seconds(progress({ oldestCommittedAt: NOW + 5_000 }), NOW)).toBe(0);
  });

  test('are 0 if the stream names a place before what is delivered, as MariaDB makes it after a start', () => {
    const lag = new LagTracker(NOW - 90_000);
    const started = progress({ delivered: at(900), read: at(300) });
    lag.observed(answer(at(900)), started);
    expect(lag.seconds(started, NOW + 1_000)).toBe(0);
    expect(lag.bytes(started)).toBe(0);
  });

  test.each([
    ['far in the past', NOW - 1e11],
    ['in the future', NOW + 1e11],
  ])('do not follow a commit time %s, as SET TIMESTAMP makes it on MariaDB', (_, committedAt) => {
    const lag = new LagTracker(NOW - 90_000);
    lag.observed(answer(at(100)), progress());
    const stuck = progress({ read: at(200), oldestCommittedAt: committedAt, lastCommittedAt: committedAt });
    expect(lag.seconds(stuck, NOW + 1_000)).toBeLessThanOrEqual(1);
    expect(lag.seconds(stuck, NOW + 11_000)).toBeGreaterThanOrEqual(10);
    expect(lag.seconds(stuck, NOW + 11_000)).toBeLessThanOrEqual(11);
    const done = progress({ read: at(200), delivered: at(200), lastCommittedAt: committedAt });
    expect(lag.seconds(done, NOW + 1_200)).toBe(0);
  });

  test('are 0 on a server that has nothing new, however old its last transaction is', () => {
    const lag = new LagTracker(NOW - 1e9);
    lag.observed(answer(at(100)), progress({ lastCommittedAt: NOW - 1e9 }));
    expect(lag.seconds(progress({ lastCommittedAt: NOW - 1e9 }), NOW + 1_000)).toBe(0);
  });

  test('grow from its last answer on, if it does not answer any more', () => {
    const lag = new LagTracker(NOW - 1e9);
    lag.observed(answer(at(100)), progress());
    expect(lag.seconds(progress(), NOW + FRESH_MS - 1)).toBe(0);
    expect(lag.seconds(progress(), NOW + 60_000)).toBe(60);
  });

  test('count from when the stream was at the end of the binlog, if the server has more that was not read', () => {
    const lag = new LagTracker(NOW - 1e9);
    lag.observed(answer(at(100)), progress());
    lag.observed(answer(at(5_000), { at: NOW + 2_000 }), progress());
    expect(lag.seconds(progress(), NOW + 2_500)).toBe(2.5);
  });

  test('follow the transactions that are read from a backlog', () => {
    const lag = new LagTracker(NOW - 1e9);
    lag.observed(answer(at(5_000)), progress());
    expect(lag.seconds(progress({ lastCommittedAt: NOW - 50_000 }), NOW)).toBe(50);
    expect(lag.seconds(progress({ lastCommittedAt: NOW - 20_000 }), NOW)).toBe(20);
  });

  test('are 0 again as soon as all is read that the server had', () => {
    const lag = new LagTracker(NOW - 1e9);
    lag.observed(answer(at(5_000)), progress());
    const done = progress({ read: at(5_000), delivered: at(5_000), lastCommittedAt: NOW });
    expect(lag.seconds(done, NOW + 500)).toBe(0);
  });
});

describe('bytes', () => {
  test('are not known before the server has answered', () => {
    expect(new LagTracker(NOW).bytes(progress())).toBe(null);
  });

  test('are what the server has beyond what is delivered', () => {
    const lag = new LagTracker(NOW);
    lag.observed(answer(at(900)), progress());
    expect(lag.bytes(progress({ read: at(900), oldestCommittedAt: NOW }))).toBe(800);
    // Nothing waits: what was read is done, and what follows of the file is of no captured table.
    expect(lag.bytes(progress({ read: at(900) }))).toBe(0);
    expect(lag.bytes(progress({ read: undefined }))).toBe(800);
  });

  test('go over files, by their sizes', () => {
    const lag = new LagTracker(NOW);
    const files = [
      at(1_000, 'binlog.000001'),
      at(2_000, 'binlog.000002'),
      at(3_000, 'binlog.000003'),
      at(40, 'binlog.000004'),
    ];
    lag.observed(answer(at(40, 'binlog.000004'), { files }), progress());
    expect(lag.bytes(progress())).toBe(1_900 + 3_000 + 40);
    // Of a file that is gone, the rest of the binlog is left.
    expect(lag.bytes(progress({ delivered: at(7, 'binlog.000000'), read: undefined }))).toBe(6_040);
    lag.observed(answer(at(40, 'binlog.000004')), progress());
    expect(lag.bytes(progress())).toBe(null);
  });
});
