import { expect, test } from 'vitest';
import { runForReport } from '../run-command.ts';
import type { BlowName } from './blows.ts';
import type { StoreKind } from './store-under-test.ts';
import type { TakeoversReport } from './summary.ts';

/** A busy machine must not fail it. `npm run chaos:takeover` has the limit of 10 s. */
const WITHIN = '90000';

const RUNS: readonly [StoreKind, ...BlowName[]][] = [
  ['file', 'kill', 'stop'],
  ['mysql', 'kill', 'stop'],
  ['dynamodb', 'kill', 'stop'],
];

test('over each store another daemon takes over from a leader that was killed or stopped, and nothing is lost', async () => {
  const found = await Promise.all(
    RUNS.map(([store, ...blows]) => {
      const rounds = ['--store', store, '--rounds', String(blows.length), ...blows.flatMap((blow) => ['--blow', blow])];
      return runForReport<TakeoversReport>('takeover/main', '--seed', '2', '--within', WITHIN, ...rounds);
    }),
  );
  for (const { ok, reports } of found) {
    const [report] = reports;
    expect(report?.violations).toEqual([]);
    expect(ok).toBe(true);
    // A run without takeovers shows nothing.
    expect(report?.rounds.filter(({ takeover }) => takeover !== undefined).length).toBeGreaterThan(0);
    expect(report?.changes).toBeGreaterThan(100);
    expect(report?.checkpointsChecked).toBeGreaterThan(5);
    expect(report?.rowsCompared).toBeGreaterThan(50);
    expect(report?.leaders.puts).toBeGreaterThan(10);
    expect(report?.trouble).toEqual({});
  }
}, 400_000);
