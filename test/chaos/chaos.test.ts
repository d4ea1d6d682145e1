import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChaosReport } from './report.ts';

const BUILD = resolve('build/chaos');
const directory = mkdtempSync(join(tmpdir(), 'cdc-chaos-test-'));
const run = promisify(execFile);

beforeAll(async () => {
  const compiler = resolve('node_modules/typescript/bin/tsc');
  await run(process.execPath, [compiler, '-p', 'tsconfig.bench.json', '--outDir', BUILD]);
}, 120_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** `npm run chaos` with these words. */
async function chaos(...words: string[]): Promise<ChaosReport> {
  const file = join(directory, 'report.json');
  const main = join(BUILD, 'test', 'chaos', 'main.js');
  await run(process.execPath, [main, '--report', file, ...words]).catch(() => {});
  return JSON.parse(readFileSync(file, 'utf8'));
}

test('every promise is kept under 25 kills, sink faults, network cuts and restarts of the server', async () => {
  const report = await chaos('--seed', '20', '--kills', '25', '--kills-per-round', '13', '--bulk-rows', '3000');
  expect(report.violations).toEqual([]);
  expect(report.ok).toBe(true);
  // A run in which little happened proves little.
  expect(report.villain.kills).toBeGreaterThanOrEqual(25);
  expect(report.workload.changes).toBeGreaterThan(3_000);
  expect(report.sink.faulty).toBeGreaterThan(200);
  expect(report.villain.cuts).toBeGreaterThan(3);
  expect(report.checkpointsChecked).toBeGreaterThan(25);
  expect(report.rowsCompared).toBeGreaterThan(500);
}, 400_000);
