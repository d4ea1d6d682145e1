import { expect, test } from 'vitest';
import { kafkaAvailability } from '../kafka/artifacts.ts';
import type { ChaosReport } from './report.ts';
import { runForReport } from './run-command.ts';

const short = ['--kills-per-round', '4', '--rate', '200', '--bulk-rows', '300', '--clients', '4'];

/** What every run of an ordered log has to show. */
function expectOrderedLog(found: ChaosReport): void {
  expect(found.violations).toEqual([]);
  expect(found.ok).toBe(true);
  expect(found.workload.trouble).toEqual({});
  // The whole log was read back.
  expect(found.readBack).toBe(found.events.stored);
  expect(found.readBack).toBeGreaterThan(500);
  expect(found.rowsCompared).toBeGreaterThan(500);
}

test.each([
  ['kinesis', '8'],
  ['kinesis-aggregated', '4'],
])(
  '%s: every promise is kept, in the log too, under kills, faults and reshards',
  async (sink, kills) => {
    const found = await runForReport<ChaosReport>('main', '--sink', sink, '--seed', '21', '--kills', kills, ...short);
    expectOrderedLog(found);
    expect(found.nemesis.kills).toBeGreaterThanOrEqual(Number(kills));
  },
  400_000,
);

const unavailable = await kafkaAvailability();

test.skipIf(unavailable)(
  `Kafka: every promise is kept, in the log too, under kills of daemon and broker${unavailable ? ` (skipped: ${unavailable})` : ''}`,
  async () => {
    const words = ['--sink', 'kafka', '--brokers', '1', '--seed', '22', '--kills', '8', ...short];
    const found = await runForReport<ChaosReport>('main', ...words);
    expectOrderedLog(found);
    expect(found.nemesis.kills).toBeGreaterThanOrEqual(8);
    // Within the life of a daemon nothing is stored twice.
    expect(found.events.afterFailedAnswer + found.events.afterLostAnswer + found.events.counted).toBe(0);
  },
  400_000,
);
