import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { runChaos } from './chaos-run.ts';
import { hasMinimalMetadata, reportPath, runCommand, SIBLING, TEST_BED_DEFAULTS, whole } from './command.ts';
import { MUTANTS } from './mutants.ts';
import { mutantModule } from './preload.ts';
import { SINKS, type SinkName } from './transport-under-test.ts';

/** `npm run chaos`: kills, cuts and stalls the daemon and checks the promises. Exit code 0: every promise was kept. */

const program = new Command('chaos')
  .option('--seed <n>', 'seed of workload and nemesis', whole, Math.floor(Math.random() * 1e6))
  .option('--sink <name>', `the transport: ${SINKS.join(', ')}`, sinkName, 'firehose')
  .option('--brokers <n>', 'brokers of Kafka, 1 to 3', brokers, 3)
  .option('--kills <n>', 'least number of SIGKILLs of the daemon', whole, 200)
  .option('--changes <n>', 'least number of committed changes', whole, 0)
  .option('--kills-per-round <n>', 'kills between two complete comparisons', whole, 50)
  .option('--rate <n>', 'changes per second', whole, 800)
  .option('--clients <n>', 'connections that write', whole, 6)
  .option('--bulk-rows <n>', 'rows of a bulk transaction', whole, 10_000)
  .option('--oversize', 'also write events that exceed a Firehose record', false)
  .option(
    '--metadata <full|minimal>',
    'binlog_row_metadata of the server (default: minimal for every third seed)',
    metadata,
  )
  .option('--routes', 'deliver to several streams', false)
  .option('--ledger', 'write each call with its events to a ledger, synced before the answer', false)
  .option('--heal-within <s>', 'seconds until the lag must be zero after all faults have ended', whole, 180)
  .option('--max-rss <mb>', "limit of the daemon's memory", whole, 512)
  .option('--entry <file>', 'main.js of the daemon', SIBLING)
  .option('--mutant <name>', 'run a mutant of test/chaos/mutants.ts, with the options that it needs', mutantName)
  .option('--budget <kib>', "the daemon's byte budget; a small one causes backpressure", whole)
  .option('--stop-at-first', 'end at the first violation', false)
  .option('--report <file>', 'path of the JSON report', reportPath('chaos-report.json'))
  .option('--keep', 'keep the folder of the run even if no promise was broken', false);

const options = program.parse().opts<{
  seed: number;
  sink: SinkName;
  brokers: 1 | 2 | 3;
  kills: number;
  changes: number;
  killsPerRound: number;
  rate: number;
  clients: number;
  bulkRows: number;
  oversize: boolean;
  metadata?: 'full' | 'minimal';
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

const mutant = options.mutant === undefined ? undefined : MUTANTS[options.mutant];

await runCommand(options, (run) =>
  runChaos({
    ...TEST_BED_DEFAULTS,
    ...options,
    ...run,
    oversize: options.oversize ? 0.1 : 0,
    minimalMetadata: options.metadata ? options.metadata === 'minimal' : hasMinimalMetadata(options.seed),
    entry: resolve(options.entry),
    healWithinMs: options.healWithin * 1_000,
    maxRssMb: options.maxRss,
    ...mutant?.options,
    preload: mutantModule(options.mutant, options.budget ? options.budget * 1024 : mutant?.budgetBytes),
  }),
);

function mutantName(name: string): string {
  if (!(name in MUTANTS)) throw new InvalidArgumentError('test/chaos/mutants.ts has no such mutant.');
  return name;
}

function sinkName(name: string): SinkName {
  const found = SINKS.find((each) => each === name);
  if (found === undefined) throw new InvalidArgumentError(`It must be one of ${SINKS.join(', ')}.`);
  return found;
}

function brokers(text: string): 1 | 2 | 3 {
  const found = ([1, 2, 3] as const).find((each) => String(each) === text);
  if (found === undefined) throw new InvalidArgumentError('It must be 1, 2 or 3.');
  return found;
}

function metadata(value: string): 'full' | 'minimal' {
  if (value !== 'full' && value !== 'minimal') throw new InvalidArgumentError('It must be full or minimal.');
  return value;
}
