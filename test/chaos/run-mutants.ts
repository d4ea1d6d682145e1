import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { runChaos } from './chaos-run.ts';
import { begin, reportPath, SIBLING, TEST_BED_DEFAULTS, whole } from './command.ts';
import { edited } from './edit.ts';
import { MUTANTS, type Mutant } from './mutants.ts';
import { mutantModule } from './preload.ts';
import type { MutantResult, MutantsReport } from './report.ts';
import { TAKEOVER_MUTANTS, type TakeoverMutant } from './takeover/mutants.ts';
import { runTakeovers } from './takeover/takeover-run.ts';
import type { Violation } from './violation.ts';

/** Runs the chaos run against each mutant of the daemon until it finds the mutant. Exit code 0: all were found. */

const { bug: wanted, ...options } = new Command('run-mutants')
  .option('--seed <n>', 'seed of workload and nemesis', whole, 1)
  .option('--bug <text...>', 'only mutants whose names contain this text')
  .option('--within <s>', 'seconds until a mutant must be found', whole, 180)
  .option('--report <file>', 'path of the JSON report', reportPath('mutants-report.json'))
  .option('--keep', 'keep the folders of the runs', false)
  .parse()
  .opts<{ seed: number; bug?: string[]; within: number; report: string; keep: boolean }>();

const { directory, signal } = await begin(options);
const results: MutantResult[] = [];
for (const [name, mutant] of Object.entries({ ...MUTANTS, ...TAKEOVER_MUTANTS })) {
  if (wanted && !wanted.some((text) => name.includes(text))) continue;
  if (signal.aborted) break;
  const result = await find(name, mutant);
  results.push(result);
  console.log(`${result.caught ? 'caught' : 'NOT CAUGHT'}: ${name}, in ${result.seconds} s, by ${result.by}`);
}
const ok = results.length > 0 && results.every(({ caught }) => caught);
const report: MutantsReport = { ok, seed: options.seed, mutants: results };
writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
if (ok && !options.keep) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
// The client of DynamoDB can keep sockets for a while.
process.exit(ok ? 0 : 1);

async function find(name: string, mutant: Mutant | TakeoverMutant): Promise<MutantResult> {
  // An edit that no longer applies also ends the daemon. That must not count as an effect of the mutant.
  for (const edit of mutant.edits) {
    edited(readFileSync(new URL(`../../src/${edit.file}.js`, import.meta.url), 'utf8'), edit);
  }
  const from = Date.now();
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), options.within * 1_000);
  signal.addEventListener('abort', () => end.abort(), { once: true, signal: end.signal });
  const run = 'store' in mutant ? findAtTakeover : findInChaos;
  const { violations, kills, changes } = await run(name, mutant as Mutant & TakeoverMutant, end.signal);
  clearTimeout(timer);
  end.abort();
  const [first] = violations;
  return {
    mutant: name,
    caught: first !== undefined && mutant.breaks.includes(first.promise),
    by: first ? `${first.promise}: ${first.what}` : 'nothing',
    seconds: Math.round((Date.now() - from) / 1000),
    ...{ kills, changes },
  };
}

type Found = Pick<MutantResult, 'kills' | 'changes'> & { violations: readonly Violation[] };

function common(name: string, signal: AbortSignal) {
  return {
    ...{ seed: options.seed, stopAtFirst: true, print: () => {}, signal },
    directory: join(directory, name.replaceAll(/\W+/g, '-')),
  };
}

async function findAtTakeover(name: string, mutant: TakeoverMutant, signal: AbortSignal): Promise<Found> {
  const { violations, changes, rounds } = await runTakeovers({
    ...common(name, signal),
    ...{ store: mutant.store, blows: mutant.blows, rounds: 100, takeoverWithinMs: 10_000 },
    ...{ elsewhere: false, members: 2, capturesAll: false, rate: 250 },
    ...{ entry: SIBLING, preload: mutantModule(name, undefined) },
  });
  return { violations, changes, kills: rounds.length };
}

async function findInChaos(name: string, mutant: Mutant, signal: AbortSignal): Promise<Found> {
  const { violations, nemesis, workload } = await runChaos({
    ...TEST_BED_DEFAULTS,
    ...common(name, signal),
    rate: 800,
    clients: 6,
    bulkRows: 1_000,
    oversize: 0,
    minimalMetadata: false,
    kills: 1_000,
    changes: 0,
    killsPerRound: 5,
    maxRssMb: 512,
    ...mutant.options,
    preload: mutantModule(name, mutant.budgetBytes),
  });
  return { violations, kills: nemesis.kills, changes: workload.changes };
}
