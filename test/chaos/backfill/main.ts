import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { startLocalServer } from '../../../src/local/mysql/server.ts';
import { begin, reportPath, SIBLING, whole } from '../command.ts';
import { BackfillRun, type BackfillRunResult } from './backfill-run.ts';

/** `npm run chaos:backfill`: backfills while writers, kills, cuts and a broken sink work against them. */

const options = new Command('chaos:backfill')
  .option('--seed <n>', 'seed of the first run', whole, 1)
  .option('--runs <n>', 'number of runs, half of them on each server', whole, 300)
  .option('--flavor <name>', 'mysql, mariadb or both', 'both')
  .option('--minutes <n>', 'begin no run after this time', whole, 600)
  .option('--report <file>', 'path of the JSON report', reportPath('chaos-backfill-report.json'))
  .parse()
  .opts<{ seed: number; runs: number; flavor: string; minutes: number; report: string }>();

const { directory, signal } = await begin(options);
const flavors = (['mysql', 'mariadb'] as const).filter((name) => options.flavor === name || options.flavor === 'both');
const results: BackfillRunResult[] = [];
const end = Date.now() + options.minutes * 60_000;
const servers = await Promise.all(
  flavors.map((flavor) => startLocalServer({ flavor, report: () => {}, settings: ['--max-connections=300'] })),
);
try {
  // One run at a time on each server, all servers at once.
  await Promise.all(
    flavors.map(async (flavor, i) => {
      for (let n = i; n < options.runs && !signal.aborted && Date.now() < end; n += flavors.length) {
        const seed = options.seed + n;
        const runDirectory = join(directory, String(seed));
        mkdirSync(runDirectory);
        const server = servers[i] as (typeof servers)[0];
        const common = { seed, server, flavor, directory: runDirectory, entry: SIBLING, preload: undefined, signal };
        const result = await new BackfillRun(common).run();
        results.push(result);
        const { problems, changed, copied, kills, cuts, minimal } = result;
        const facts = `${changed} rows changed, ${copied} copied, ${kills} kills, ${cuts} cuts${minimal ? ', MINIMAL' : ''}`;
        console.log(`${problems.length === 0 ? 'ok' : 'FAILED'} seed ${seed} ${flavor}: ${facts}`);
        for (const problem of problems) console.log(`  ${problem}`);
      }
    }),
  );
} finally {
  await Promise.all(servers.map((server) => server.stop()));
}
const sum = (pick: (result: BackfillRunResult) => number): number => results.reduce((all, one) => all + pick(one), 0);
const failed = results.filter(({ problems }) => problems.length > 0);
const report = {
  ok: failed.length === 0,
  ...{ seed: options.seed, runs: results.length, failed: failed.length },
  changed: sum(({ changed }) => changed),
  events: sum(({ events }) => events),
  copied: sum(({ copied }) => copied),
  repeats: sum(({ repeats }) => repeats),
  kills: sum(({ kills }) => kills),
  cuts: sum(({ cuts }) => cuts),
  requests: sum(({ requests }) => requests),
  results: failed,
};
writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
console.log(JSON.stringify({ ...report, results: undefined }));
if (report.ok) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
process.exit(report.ok ? 0 : 1);
