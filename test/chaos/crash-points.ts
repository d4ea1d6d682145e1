import { Command } from 'commander';
import { hasMinimalMetadata, reportPath, runCommand, TEST_BED_DEFAULTS, whole } from './command.ts';
import { CRASH_POINTS } from './crash-point.ts';
import { runCrashes } from './crash-run.ts';

/** `npm run chaos:points`: kills the daemon at each named point many times. Exit code 0: every promise was kept. */

const program = new Command('crash-points')
  .option('--seed <n>', 'seed of the workload and of the passes at which the daemon crashes', whole, 1)
  .option('--kills-per-point <n>', 'kills at each point', whole, 50)
  .option('--points-per-check <n>', 'points between two complete comparisons', whole, 1)
  .option('--point <text...>', 'only points whose names contain this text')
  .option('--report <file>', 'path of the JSON report', reportPath('crash-report.json'))
  .option('--keep', 'keep the folder of the run even if no promise was broken', false);

const { point, ...options } = program.parse().opts<{
  seed: number;
  killsPerPoint: number;
  pointsPerCheck: number;
  point?: string[];
  report: string;
  keep: boolean;
}>();

const points = Object.keys(CRASH_POINTS).filter((name) => point?.some((text) => name.includes(text)) ?? true);
await runCommand(options, (run) =>
  runCrashes({
    ...TEST_BED_DEFAULTS,
    rate: 300,
    clients: 3,
    bulkRows: 500,
    fatRows: 40,
    oversize: 0.5,
    minimalMetadata: hasMinimalMetadata(options.seed),
    ...options,
    ...run,
    points,
  }),
);
