import { expect, test } from 'vitest';
import type { ChaosReport } from './report.ts';
import { runForReport } from './run-command.ts';

test('every promise is kept under 25 kills, sink faults, network cuts and restarts of the server', async () => {
  const words = ['--kills', '25', '--kills-per-round', '13', '--bulk-rows', '3000', '--budget', '512'];
  const found = await runForReport<ChaosReport>('main', '--seed', '20', ...words);
  expect(found.violations).toEqual([]);
  expect(found.ok).toBe(true);
  // A run with few faults proves little.
  expect(found.nemesis.kills).toBeGreaterThanOrEqual(25);
  expect(found.workload.changes).toBeGreaterThan(3_000);
  expect(found.sink.faulty).toBeGreaterThan(200);
  expect(found.nemesis.cuts).toBeGreaterThan(3);
  expect(found.checkpointsChecked).toBeGreaterThan(25);
  expect(found.rowsCompared).toBeGreaterThan(500);
  expect(found.workload.trouble).toEqual({});
  for (const plan of ['savepoint', 'statement DML', 'harmless DDL', 'truncate', 'truncate partition', 'drop table']) {
    expect(found.workload.plans[plan], plan).toBeGreaterThan(0);
  }
}, 400_000);
