import { copyFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { runChaos } from './chaos-run.ts';

/** `npm run chaos`: kills, cuts and stalls, and checks what is promised. Exit code 0: every promise was kept. */

const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
};

/** The daemon that was compiled together with this file, so that no other build changes it in the middle of a run. */
const SIBLING = fileURLToPath(new URL('../../src/main.js', import.meta.url));

const PACKAGE = fileURLToPath(new URL('../../../../package.json', import.meta.url));

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
  .option('--plant <file>', 'module that is loaded before the daemon, to plant a bug')
  .option('--stop-at-first', 'end at the first violation', false)
  .option('--report <file>', 'where the JSON report goes', 'chaos-report.json')
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
  plant?: string;
  stopAtFirst: boolean;
  report: string;
  keep: boolean;
}>();

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

// The daemon reads its version from the folder above its own.
if (options.entry === SIBLING) copyFileSync(PACKAGE, join(dirname(SIBLING), '..', 'package.json'));
const directory = await mkdtemp(join(tmpdir(), 'cdc-chaos-'));
console.log(`seed ${options.seed}, in ${directory}`);
const report = await runChaos({
  ...options,
  fatRows: 12,
  plant: options.plant && pathToFileURL(resolve(options.plant)).href,
  entry: resolve(options.entry),
  healWithinMs: options.healWithin * 1_000,
  maxRssMb: options.maxRss,
  directory,
  print: (line) => console.log(line),
  signal: interrupted.signal,
});
writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
if (report.ok && !options.keep) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
console.log(`${report.ok ? 'every promise was kept' : 'BROKEN PROMISES'}; the report is in ${options.report}`);
process.exitCode = report.ok ? 0 : 1;
