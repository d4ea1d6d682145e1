import { copyFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import type { RunReport } from './report.ts';

/** The daemon that was compiled together with this file. Another build does not change it during a run. */
export const SIBLING = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** The default path of a report: `build/chaos`, which git ignores. */
export const reportPath = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

const PACKAGE = fileURLToPath(new URL('../../../../package.json', import.meta.url));

/** Defaults of the test bed. */
export const TEST_BED_DEFAULTS = {
  fatRows: 12,
  sink: 'firehose' as const,
  brokers: 1 as const,
  routes: false,
  ledger: false,
  entry: SIBLING,
  preload: undefined,
  stopAtFirst: false,
  healWithinMs: 180_000,
};

/** What a command passes to its run. */
export interface Started {
  directory: string;
  print: (line: string) => void;
  signal: AbortSignal;
}

/** Every third seed runs without column names in the binlog. */
export const hasMinimalMetadata = (seed: number): boolean => seed % 3 === 0;

export const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
};

/** Creates the folder of a run, and the signal that ends the run early. */
export async function begin({ seed }: { seed: number }): Promise<Started> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  // The daemon reads its version from the parent folder of its own.
  copyFileSync(PACKAGE, join(dirname(SIBLING), '..', 'package.json'));
  const directory = await mkdtemp(join(tmpdir(), 'cdc-chaos-'));
  console.log(`seed ${seed}, in ${directory}`);
  return { directory, print: (line) => console.log(line), signal: interrupted.signal };
}

/** Writes the report and sets the exit code. Removes the folder of the run if no promise was broken. */
export async function runCommand(
  options: { seed: number; report: string; keep: boolean },
  run: (started: Started) => Promise<RunReport>,
): Promise<void> {
  const started = await begin(options);
  const report = await run(started);
  writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
  if (report.ok && !options.keep) await rm(started.directory, { recursive: true, force: true, maxRetries: 3 });
  console.log(`${report.ok ? 'every promise was kept' : 'BROKEN PROMISES'}; the report is in ${options.report}`);
  process.exitCode = report.ok ? 0 : 1;
}
