import { expect, test } from 'vitest';
import { CRASH_POINTS } from './crash-point.ts';
import type { CrashReport } from './report.ts';
import { runForReport } from './run-command.ts';

test('every promise is kept when the daemon is killed at each of the named points', async () => {
  const points = Object.keys(CRASH_POINTS);
  const words = ['--kills-per-point', '1', '--points-per-check', `${points.length}`];
  const found = await runForReport<CrashReport>('crash-points', '--seed', '3', ...words);
  expect(found.violations).toEqual([]);
  expect(found.points.map(({ point, kills }) => [point, kills])).toEqual(points.map((point) => [point, 1]));
  expect(found.checkpointsChecked).toBeGreaterThan(points.length);
  expect(found.rowsCompared).toBeGreaterThan(100);
}, 400_000);
