import { copyFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import type { RunReport } from './report.ts';

/** The daemon that was compiled together with this file, so that no other build changes it in the middle of a run. */
export const SIBLING = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** The default place of a report: beside the compiled harness, `build/chaos`, which git ignores. */
export const reportPath = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

const PACKAGE = fileURLToPath(new URL('../../../../package.json', import.meta.url));

/** What the stage is like unless told otherwise. */
export const TEST_BED_DEFAULTS = {
  fatRows: 12,
  routes: false,
  ledger: false,
  entry: SIBLING,
  mutant: undefined,
  stopAtFirst: false,
  healWithinMs: 180_000,
};

/** What a run is given by the command that starts it. */
export interface Started {
  directory: string;
  print: (line: string) => void;
  signal: AbortSignal;
}

export const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
};

/** A folder for the run, and the signal that ends it before its time. */
export async function begin({ seed }: { seed: number }): Promise<Started> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  // The daemon reads its version from the folder above its own.
  copyFileSync(PACKAGE, join(dirname(SIBLING), '..', 'package.json'));
  const directory = await mkdtemp(join(tmpdir(), 'cdc-chaos-'));
  console.log(`seed ${seed}, in ${directory}`);
  return { directory, print: (line) => console.log(line), signal: interrupted.signal };
}

/** Writes the report and sets the exit code. The folder of the run stays only if something was found. */
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
