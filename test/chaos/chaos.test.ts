import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CRASH_POINTS } from './crash-point.ts';
import { edited } from './edit.ts';
import { MUTANTS } from './mutants.ts';
import type { ChaosReport, CrashReport, MutantsReport } from './report.ts';

const BUILD = resolve('build/chaos');
const directory = mkdtempSync(join(tmpdir(), 'cdc-chaos-test-'));
const run = promisify(execFile);

beforeAll(async () => {
  const compiler = resolve('node_modules/typescript/bin/tsc');
  await run(process.execPath, [compiler, '-p', 'tsconfig.bench.json', '--outDir', BUILD]);
}, 120_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a command of the harness and returns its report. */
async function report<T>(command: string, ...words: string[]): Promise<T> {
  const file = join(directory, `${command}.json`);
  rmSync(file, { force: true });
  await run(process.execPath, [join(BUILD, 'test', 'chaos', `${command}.js`), '--report', file, ...words]).catch(
    () => {},
  );
  return JSON.parse(readFileSync(file, 'utf8'));
}

test('every promise is kept under 25 kills, sink faults, network cuts and restarts of the server', async () => {
  const words = ['--kills', '25', '--kills-per-round', '13', '--bulk-rows', '3000', '--budget', '512'];
  const found = await report<ChaosReport>('main', '--seed', '20', ...words);
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

test('every promise is kept when the daemon is killed at each of the named points', async () => {
  const points = Object.keys(CRASH_POINTS);
  const words = ['--kills-per-point', '1', '--points-per-check', `${points.length}`];
  const found = await report<CrashReport>('crash-points', '--seed', '3', ...words);
  expect(found.violations).toEqual([]);
  expect(found.points.map(({ point, kills }) => [point, kills])).toEqual(points.map((point) => [point, 1]));
  expect(found.checkpointsChecked).toBeGreaterThan(points.length);
  expect(found.rowsCompared).toBeGreaterThan(100);
}, 400_000);

describe('a mutant', () => {
  const edits = Object.entries(MUTANTS).flatMap(([mutant, { edits }]) => edits.map((edit) => ({ mutant, edit })));

  test.each(edits)('has an edit that applies: the daemon $mutant', ({ edit }) => {
    const source = readFileSync(join(BUILD, 'src', `${edit.file}.js`), 'utf8');
    expect(edited(source, edit)).not.toBe(source);
  });

  // `npm run chaos:bugs` runs all of them.
  test.each([
    'moves the watermark to the newest transaction',
    'spreads the events of a key over the lanes',
    'sends what XA ROLLBACK has undone',
  ])(
    'is found: the daemon %s',
    async (mutant) => {
      const found = await report<MutantsReport>('run-mutants', '--bug', mutant, '--within', '60');
      expect(found.mutants).toMatchObject([{ mutant, caught: true }]);
    },
    200_000,
  );
});
