import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HistoryRecorder } from '../../../src/admin/history.ts';
import { RecentWarnings } from '../../../src/admin/recent-warnings.ts';
import { RunTotals } from '../../../src/model/run-totals.ts';
import { countLine } from '../../../src/model/table-activity.ts';
import { encodedEvent } from '../../encoded-event.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('the history has a sample each two seconds, with rates, and no more than an hour', async () => {
  const totals = new RunTotals();
  let lagSeconds: number | null = null;
  const history = new HistoryRecorder(totals, { vitals: () => ({ lagSeconds, bufferedBytes: 7 }) }, () => {});
  for (let i = 0; i < 10; i++) countLine(totals.tables.of('shop', 'orders'), encodedEvent('line\n', '{}'));
  totals.delivery.counters.bytes = 1_000;
  await vi.advanceTimersByTimeAsync(2_000);
  lagSeconds = 3;
  await vi.advanceTimersByTimeAsync(2_000);
  const { intervalSeconds, at, rssBytes, ...values } = history.since(0);
  expect(intervalSeconds).toBe(2);
  expect((at[1] as number) - (at[0] as number)).toBe(2_000);
  expect(rssBytes.every((bytes) => bytes > 0)).toBe(true);
  expect(values).toEqual({
    lagSeconds: [null, 3],
    eventsPerSecond: [5, 0],
    bytesPerSecond: [500, 0],
    retriesPerSecond: [0, 0],
    bufferedBytes: [7, 7],
  });
  expect(history.since(at[0] as number)).toMatchObject({ at: [at[1]], lagSeconds: [3] });
  expect(history.since(at[1] as number)).toMatchObject({ at: [], lagSeconds: [] });
  await vi.advanceTimersByTimeAsync(2 * 3_600_000);
  const hour = history.since(0);
  for (const key of ['at', 'lagSeconds', 'eventsPerSecond', 'rssBytes'] as const) expect(hour[key]).toHaveLength(1_800);
  expect((hour.at.at(-1) as number) - (hour.at[0] as number)).toBe(1_799 * 2_000);
  history.close();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(history.since(0).at.at(-1)).toBe(hour.at.at(-1));
});

test('warnings that repeat are counted, and only the last ones are kept, the newest first', () => {
  const warnings = new RecentWarnings();
  const add = (message: string, at = '2026-01-31T12:00:00.000Z') =>
    warnings.add({ at, level: 'warn', message, why: null, hint: null });
  add('away');
  add('away', '2026-01-31T12:00:01.000Z');
  expect(warnings.list).toEqual([
    { at: '2026-01-31T12:00:01.000Z', level: 'warn', message: 'away', why: null, hint: null, times: 2 },
  ]);
  for (let i = 0; i < 200; i++) add(`other ${i}`);
  expect(warnings.list).toHaveLength(50);
  expect(warnings.list[0]?.message).toBe('other 199');
});
