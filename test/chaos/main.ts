import { resolve } from 'node:path';
import { Command } from 'commander';
import { runChaos } from './chaos-run.ts';
import { reportPath, runCommand, SIBLING, TEST_BED_DEFAULTS, whole } from './command.ts';
import { mutantModule } from './preload.ts';

/** `npm run chaos`: kills, cuts and stalls, and checks what is promised. Exit code 0: every promise was kept. */

const program = new Command('chaos')
  .option('--seed <n>', 'of workload and villain', whole, Math.floor(Math.random() * 1e6))
  .option('--kills <n>', 'SIGKILLs of the daemon, at least', whole, 200)
  .option('--changes <n>', 'committed changes, at least', whole, 0)
  .option('--kills-per-round <n>', 'kills between two complete comparisons', whole, 50)
  .option('--rate <n>', 'changes per second', whole, 800)
  .option('--clients <n>', 'connections that write', whole, 6)
  .option('--bulk-rows <n>', 'rows of the large transactions', whole, 10_000)
  .option('--oversize', 'also write events larger than a Firehose record may be', false)
  .option('--routes', 'deliver to several streams', false)
  .option('--ledger', 'keep every call with its events, synced before each answer', false)
  .option('--heal-within <s>', 'seconds until the lag must be zero after all faults', whole, 180)
  .option('--max-rss <mb>', "bound of the daemon's memory", whole, 512)
  .option('--entry <file>', 'main.js of the daemon', SIBLING)
  .option('--mutant <name>', 'a mutant by its name (mutants.ts), to see that it is found')
  .option('--budget <kib>', "the daemon's byte budget: a small one brings it under pressure", whole)
  .option('--stop-at-first', 'end at the first violation', false)
  .option('--report <file>', 'where the JSON report goes', reportPath('chaos-report.json'))
  .option('--keep', 'keep the folder of the run although nothing was found', false);

const options = program.parse().opts<{
  seed: number;
  kills: number;
  changes: number;
  killsPerRound: number;
  rate: number;
  clients: number;
  bulkRows: number;
  oversize: boolean;
  routes: boolean;
  ledger: boolean;
  healWithin: number;
  maxRss: number;
  entry: string;
  mutant?: string;
  budget?: number;
  stopAtFirst: boolean;
  report: string;
  keep: boolean;
}>();

await runCommand(options, (run) =>
  runChaos({
    ...TEST_BED_DEFAULTS,
    ...options,
    ...run,
    oversize: options.oversize ? 0.1 : 0,
    mutant: mutantModule(options.mutant, options.budget && options.budget * 1024),
    entry: resolve(options.entry),
    healWithinMs: options.healWithin * 1_000,
    maxRssMb: options.maxRss,
  }),
);
