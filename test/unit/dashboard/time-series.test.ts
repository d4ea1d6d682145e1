import { expect, test } from 'vitest';
import type { History } from '../../../src/admin/daemon-status.ts';
import { currentAndGreatest, EMPTY_SERIES, extendSeries } from '../../../src/dashboard/time-series.ts';

/** Samples at these seconds, whose values are the seconds. */
function history(...seconds: number[]): History {
  const zeros = seconds.map(() => 0);
  return {
    intervalSeconds: 2,
    at: seconds.map((second) => second * 1_000),
    lagSeconds: seconds,
    eventsPerSecond: seconds,
    bytesPerSecond: seconds,
    ...{ retriesPerSecond: zeros, bufferedBytes: zeros, rssBytes: zeros },
  };
}

test('samples are appended once, whether the daemon repeats them or not', () => {
  const first = extendSeries(EMPTY_SERIES, history(10, 12, 14));
  const next = extendSeries(first, history(12, 14, 16));
  expect(next.at).toEqual([10_000, 12_000, 14_000, 16_000]);
  expect(next.lagSeconds).toEqual([10, 12, 14, 16]);
  expect(first.at).toHaveLength(3);
});

test('a pause is a gap, a late sample is none', () => {
  const series = extendSeries(EMPTY_SERIES, history(10, 14.5, 30));
  expect(series.lagSeconds).toEqual([10, 14.5, null, 30]);
  expect(series.at).toEqual([10_000, 14_500, 14_501, 30_000]);
});

test('a daemon that is started again continues behind a gap', () => {
  const before = extendSeries(EMPTY_SERIES, history(10, 12));
  expect(extendSeries(before, history(60, 62)).eventsPerSecond).toEqual([10, 12, null, 60, 62]);
});

test('an unknown lag is a gap in its plot only', () => {
  const unknown = { ...history(10, 12), lagSeconds: [null, 3] };
  const series = extendSeries(EMPTY_SERIES, unknown);
  expect(series.lagSeconds).toEqual([null, 3]);
  expect(series.eventsPerSecond).toEqual([10, 12]);
});

test('what is older than an hour is dropped', () => {
  const seconds = Array.from({ length: 2_500 }, (_, i) => i * 2);
  const series = extendSeries(EMPTY_SERIES, history(...seconds));
  expect(series.at[0]).toBe((seconds.at(-1) as number) * 1_000 - 3_600_000);
  expect(series.bytesPerSecond).toHaveLength(series.at.length);
});

test('the greatest value is the one of the span', () => {
  const series = extendSeries(EMPTY_SERIES, { ...history(10, 12, 14, 16), lagSeconds: [9, 5, null, 2] });
  expect(currentAndGreatest(series, 'lagSeconds', 0)).toEqual({ current: 2, greatest: 9 });
  expect(currentAndGreatest(series, 'lagSeconds', 12_000)).toEqual({ current: 2, greatest: 5 });
  expect(currentAndGreatest(EMPTY_SERIES, 'lagSeconds', 0)).toEqual({ current: null, greatest: null });
});
