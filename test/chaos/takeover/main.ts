import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { begin, reportPath, SIBLING, whole } from '../command.ts';
import { mutantModule } from '../preload.ts';
import { type BlowName, STRIKES } from './blows.ts';
import { TAKEOVER_MUTANTS } from './mutants.ts';
import { STORES, type StoreKind } from './store-under-test.ts';
import { summaryOf, type TakeoversReport } from './summary.ts';
import { runTakeovers, type TakeoverReport } from './takeover-run.ts';

/** `npm run chaos:takeover`: kills, stops and cuts off leaders over each store. Exit code 0: every promise was kept. */

const options = new Command('chaos:takeover')
  .option('--seed <n>', 'seed of the first run', whole, Math.floor(Math.random() * 1e6))
  .option('--store <name>', 'file, mysql, dynamodb or all', storeNames, [...STORES])
  .option('--rounds <n>', 'rounds over each store, one blow each', whole, 50)
  .option('--rounds-per-run <n>', 'rounds before everything begins again with the next seed', whole, 10)
  .option('--blow <name...>', 'only these blows, in this order', blowNames)
  .option('--rate <n>', 'changes per second', whole, 250)
  .option('--within <ms>', 'a takeover takes no longer', whole, 10_000)
  .option('--entry <file>', 'main.js of the daemon', SIBLING)
  .option('--mutant <name>', 'run a mutant of test/chaos/takeover/mutants.ts', mutantName)
  .option('--stop-at-first', 'end at the first violation', false)
  .option('--report <file>', 'path of the JSON report', reportPath('chaos-takeover-report.json'))
  .option('--keep', 'keep the folder of the run even if no promise was broken', false)
  .parse()
  .opts<{
    seed: number;
    store: StoreKind[];
    rounds: number;
    roundsPerRun: number;
    blow?: BlowName[];
    rate: number;
    within: number;
    entry: string;
    mutant?: string;
    stopAtFirst: boolean;
    report: string;
    keep: boolean;
  }>();

const { directory, print, signal } = await begin(options);
const reports: TakeoverReport[] = [];
for (const store of options.store) {
  for (let done = 0; done < options.rounds && !signal.aborted; done += options.roundsPerRun) {
    const seed = options.seed + Math.floor(done / options.roundsPerRun);
    const run = { seed, store, directory: join(directory, `${store}-${seed}`) };
    print(`${store}, seed ${seed}`);
    const report = await runTakeovers({
      ...run,
      rounds: Math.min(options.roundsPerRun, options.rounds - done),
      blows: options.blow,
      // Each combination is in two seeds of four.
      elsewhere: seed % 4 >= 2,
      members: seed % 3 === 0 ? 3 : 2,
      capturesAll: seed % 2 === 0,
      rate: options.rate,
      takeoverWithinMs: options.within,
      entry: resolve(options.entry),
      preload: mutantModule(options.mutant, undefined),
      stopAtFirst: options.stopAtFirst,
      print: (line) => print(`${store}-${seed} ${line}`),
      signal,
    });
    reports.push(report);
    if (report.ok && !options.keep) await rm(run.directory, { recursive: true, force: true, maxRetries: 3 });
    if (options.stopAtFirst && !report.ok) break;
  }
}
const summary = summaryOf(reports);
const report: TakeoversReport = { ok: reports.length > 0 && reports.every(({ ok }) => ok), summary, reports };
writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
if (report.ok && !options.keep) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
for (const line of summary) print(JSON.stringify(line));
print(`${report.ok ? 'every promise was kept' : 'BROKEN PROMISES'}; the report is in ${options.report}`);
// The client of DynamoDB and the servers can keep sockets for a while.
process.exit(report.ok ? 0 : 1);

function storeNames(name: string): StoreKind[] {
  if (name === 'all') return [...STORES];
  const found = STORES.find((store) => store === name);
  if (found === undefined) throw new InvalidArgumentError('It must be file, mysql, dynamodb or all.');
  return [found];
}

function blowNames(name: string, before: BlowName[] = []): BlowName[] {
  if (!(name in STRIKES)) throw new InvalidArgumentError(`It must be one of ${Object.keys(STRIKES).join(', ')}.`);
  return [...before, name as BlowName];
}

function mutantName(name: string): string {
  if (!(name in TAKEOVER_MUTANTS)) throw new InvalidArgumentError('test/chaos/takeover/mutants.ts has no such mutant.');
  return name;
}
