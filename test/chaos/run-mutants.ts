import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { runChaos } from './chaos-run.ts';
import { begin, reportPath, TEST_BED_DEFAULTS, whole } from './command.ts';
import { edited } from './edit.ts';
import { MUTANTS, type Mutant } from './mutants.ts';
import { mutantModule } from './preload.ts';
import type { MutantResult, MutantsReport } from './report.ts';

/** Runs the harness against each mutant of the daemon until it finds it. Exit code 0: all were found. */

const { bug: wanted, ...options } = new Command('run-mutants')
  .option('--seed <n>', 'of workload and villain', whole, 1)
  .option('--bug <text...>', 'only bugs whose names have this in them')
  .option('--within <s>', 'seconds until a bug must be found', whole, 180)
  .option('--report <file>', 'where the JSON report goes', reportPath('mutants-report.json'))
  .option('--keep', 'keep the folders of the runs', false)
  .parse()
  .opts<{ seed: number; bug?: string[]; within: number; report: string; keep: boolean }>();

const { directory, signal } = await begin(options);
const found: MutantResult[] = [];
for (const [name, bug] of Object.entries(MUTANTS)) {
  if (wanted && !wanted.some((text) => name.includes(text))) continue;
  if (signal.aborted) break;
  const result = await find(name, bug);
  found.push(result);
  console.log(`${result.caught ? 'caught' : 'NOT CAUGHT'}: ${name}, in ${result.seconds} s, by ${result.by}`);
}
const ok = found.length > 0 && found.every(({ caught }) => caught);
const report: MutantsReport = { ok, seed: options.seed, bugs: found };
writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
if (ok && !options.keep) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
process.exitCode = ok ? 0 : 1;

async function find(name: string, bug: Mutant): Promise<MutantResult> {
  // A mutant that cannot be made ends the daemon too, which must not be taken for what the mutant does.
  for (const edit of bug.edits)
    edited(readFileSync(new URL(`../../src/${edit.file}.js`, import.meta.url), 'utf8'), edit);
  const from = Date.now();
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), options.within * 1_000);
  signal.addEventListener('abort', () => end.abort(), { once: true, signal: end.signal });
  const report = await runChaos({
    ...TEST_BED_DEFAULTS,
    seed: options.seed,
    rate: 800,
    clients: 6,
    bulkRows: 1_000,
    oversize: 0,
    kills: 1_000,
    changes: 0,
    killsPerRound: 5,
    maxRssMb: 512,
    ...bug.options,
    mutant: mutantModule(name, bug.budgetBytes),
    stopAtFirst: true,
    directory: join(directory, name.replaceAll(/\W+/g, '-')),
    print: () => {},
    signal: end.signal,
  });
  clearTimeout(timer);
  end.abort();
  const [first] = report.violations;
  return {
    bug: name,
    caught: first !== undefined && bug.breaks.includes(first.promise),
    by: first ? `${first.promise}: ${first.what}` : 'nothing',
    seconds: Math.round((Date.now() - from) / 1000),
    kills: report.villain.kills,
    changes: report.workload.changes,
  };
}
