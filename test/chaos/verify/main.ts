import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { startLocalServer } from '../../../src/local/mysql/server.ts';
import { begin, reportPath, SIBLING, whole } from '../command.ts';
import { VerifyRun, type VerifyRunResult } from './verify-run.ts';

/** `npm run chaos:verify`: verifies of a copy that changes, and of one with planted faults. */

const options = new Command('chaos:verify')
  .option('--seed <n>', 'seed of the first run', whole, 1)
  .option('--runs <n>', 'number of runs, half of them on each server', whole, 50)
  .option('--verifies <n>', 'verifies of the sound copy in each run', whole, 20)
  .option('--flavor <name>', 'mysql, mariadb or both', 'both')
  .option('--minutes <n>', 'begin no run after this time', whole, 600)
  .option('--report <file>', 'path of the JSON report', reportPath('chaos-verify-report.json'))
  .parse()
  .opts<{ seed: number; runs: number; verifies: number; flavor: string; minutes: number; report: string }>();

const { directory, signal } = await begin(options);
const flavors = (['mysql', 'mariadb'] as const).filter((name) => options.flavor === name || options.flavor === 'both');
const results: VerifyRunResult[] = [];
const end = Date.now() + options.minutes * 60_000;
const servers = await Promise.all(flavors.map((flavor) => startLocalServer({ flavor, report: () => {} })));
try {
  // One run at a time on each server, all servers at once.
  await Promise.all(
    flavors.map(async (flavor, i) => {
      for (let n = i; n < options.runs && !signal.aborted && Date.now() < end; n += flavors.length) {
        const seed = options.seed + n;
        const runDirectory = join(directory, String(seed));
        mkdirSync(runDirectory);
        const { verifies } = options;
        const server = servers[i] as (typeof servers)[0];
        const result = await new VerifyRun({
          ...{ seed, server, flavor, directory: runDirectory, entry: SIBLING, verifies, signal },
        }).run();
        results.push(result);
        const { problems, changed, verifies: done, planted, found, repaired, kills, format, minimal } = result;
        const facts = `${done} verifies, ${changed} rows changed, ${found} of ${planted} plants found, ${repaired} repaired, ${kills} kills`;
        const kind = `${flavor} ${format}${minimal ? ' MINIMAL' : ''}`;
        console.log(`${problems.length === 0 ? 'ok' : 'FAILED'} seed ${seed} ${kind}: ${facts}`);
        for (const problem of problems) console.log(`  ${problem}`);
      }
    }),
  );
} finally {
  await Promise.all(servers.map((server) => server.stop()));
}
const sum = (pick: (result: VerifyRunResult) => number): number => results.reduce((all, one) => all + pick(one), 0);
const failed = results.filter(({ problems }) => problems.length > 0);
const report = {
  ok: failed.length === 0,
  ...{ seed: options.seed, runs: results.length, failed: failed.length },
  verifies: sum(({ verifies }) => verifies),
  rows: sum(({ rows }) => rows),
  changed: sum(({ changed }) => changed),
  planted: sum(({ planted }) => planted),
  found: sum(({ found }) => found),
  repaired: sum(({ repaired }) => repaired),
  kills: sum(({ kills }) => kills),
  results: failed,
};
writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
console.log(JSON.stringify({ ...report, results: undefined }));
if (report.ok) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
process.exit(report.ok ? 0 : 1);
