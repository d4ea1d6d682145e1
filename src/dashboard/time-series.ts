import type { History } from '../admin/daemon-status.ts';

/** What is plotted. Times are milliseconds since 1970, the oldest first; null is a gap. */
export interface TimeSeries {
  at: number[];
  lagSeconds: (number | null)[];
  eventsPerSecond: (number | null)[];
  bytesPerSecond: (number | null)[];
}

export type PlottedValue = Exclude<keyof TimeSeries, 'at'>;

/** As long as the daemon keeps it. */
const KEPT_MS = 3_600_000;
/** Samples that are further apart than so many intervals have a gap between them. */
const GAP_INTERVALS = 2.5;

export const EMPTY_SERIES: TimeSeries = { at: [], lagSeconds: [], eventsPerSecond: [], bytesPerSecond: [] };

/** The series with the samples that are newer. A daemon that was started again leaves a gap. */
export function extendSeries(series: TimeSeries, history: History): TimeSeries {
  const next: TimeSeries = {
    at: [...series.at],
    lagSeconds: [...series.lagSeconds],
    eventsPerSecond: [...series.eventsPerSecond],
    bytesPerSecond: [...series.bytesPerSecond],
  };
  const append = (at: number, lag: number | null, events: number | null, bytes: number | null): void => {
    next.at.push(at);
    next.lagSeconds.push(lag);
    next.eventsPerSecond.push(events);
    next.bytesPerSecond.push(bytes);
  };
  const gapMs = history.intervalSeconds * 1000 * GAP_INTERVALS;
  for (const [i, at] of history.at.entries()) {
    const last = next.at.at(-1);
    if (last !== undefined && at <= last) continue;
    if (last !== undefined && at - last > gapMs) append(last + 1, null, null, null);
    append(at, history.lagSeconds[i] ?? null, history.eventsPerSecond[i] ?? null, history.bytesPerSecond[i] ?? null);
  }
  return dropBefore(next, (next.at.at(-1) ?? 0) - KEPT_MS);
}

function dropBefore(series: TimeSeries, start: number): TimeSeries {
  const from = series.at.findIndex((at) => at >= start);
  if (from <= 0) return series;
  return {
    at: series.at.slice(from),
    lagSeconds: series.lagSeconds.slice(from),
    eventsPerSecond: series.eventsPerSecond.slice(from),
    bytesPerSecond: series.bytesPerSecond.slice(from),
  };
}

/** The last value and the greatest one since `start`; null if there is none. */
export function currentAndGreatest(
  series: TimeSeries,
  value: PlottedValue,
  start: number,
): { current: number | null; greatest: number | null } {
  const values = series[value];
  let greatest: number | null = null;
  for (let i = values.length - 1; i >= 0 && (series.at[i] ?? 0) >= start; i--) {
    const one = values[i] ?? null;
    if (one !== null && (greatest === null || one > greatest)) greatest = one;
  }
  return { current: values.at(-1) ?? null, greatest };
}
