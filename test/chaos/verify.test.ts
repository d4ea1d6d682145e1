import { expect, test } from 'vitest';
import { runForReport } from './run-command.ts';

interface VerifyReport {
  verifies: number;
  changed: number;
  planted: number;
  found: number;
  repaired: number;
  results: { problems: string[] }[];
}

test('a sound copy that changes alarms no verify, and planted faults are found and repaired', async () => {
  const words = ['--runs', '2', '--verifies', '3', '--seed', '5'];
  const found = await runForReport<VerifyReport>('verify/main', ...words);
  expect(found.results.flatMap(({ problems }) => problems)).toEqual([]);
  expect(found).toMatchObject({ ok: true, planted: 12, found: 12, repaired: 12 });
  // Idle tables prove little.
  expect(found.changed).toBeGreaterThan(500);
  expect(found.verifies).toBeGreaterThanOrEqual(16);
}, 600_000);
