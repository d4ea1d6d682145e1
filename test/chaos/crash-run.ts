import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '../../src/local/demo/random.ts';
import { CRASH_POINTS, type CrashPoint } from './crash-point.ts';
import { crashModule } from './preload.ts';
import type { CrashedPoint, CrashReport } from './report.ts';
import { TestBed, type TestBedOptions } from './test-bed.ts';

export interface CrashOptions extends TestBedOptions {
  points: readonly string[];
  killsPerPoint: number;
  /** After this many points everything has to heal and is checked. */
  pointsPerCheck: number;
}

/** A start that has not reached its point in this time does not count. */
const REACH_WITHIN_MS = 30_000;

/**
 * Kills the daemon at each of the points, again and again, while the workload runs. The checkpoint is checked after
 * every kill. After every `pointsPerCheck` points everything has to heal and is checked.
 */
export function runCrashes(options: CrashOptions): Promise<CrashReport> {
  return TestBed.run(options, (bed) => runPoints(options, bed));
}

async function runPoints(options: CrashOptions, bed: TestBed): Promise<CrashReport> {
  const { points, print, seed, directory, killsPerPoint, pointsPerCheck, rate, clients } = options;
  const { checker, daemon, workload, transport, signal } = bed;
  const begin = Date.now();
  const crashed: CrashedPoint[] = [];
  await bed.startDaemon();
  await daemon.kill();
  for (const [i, name] of points.entries()) {
    const from = Date.now();
    const random = seededRandom(seed * 65_537 + Object.keys(CRASH_POINTS).indexOf(name));
    // The daemon retries all the time.
    transport.failSomeRecords(random);
    workload.start();
    const { kills, missed } = await crashRepeatedly(name, random, options, bed);
    await transport.endFaults();
    await workload.stop();
    if (signal.aborted) break;
    if ((i + 1) % pointsPerCheck === 0 || i === points.length - 1) {
      await bed.startDaemon();
      await bed.healAndCheck();
      await bed.endOfRound();
    }
    const seconds = Math.round((Date.now() - from) / 100) / 10;
    crashed.push({ point: name, kills, missed, seconds });
    print(`${name}: ${kills} kills in ${seconds} s${missed > 0 ? `; ${missed} starts did not reach it` : ''}`);
  }
  const { changes, outstanding, transactions, rolledBack } = checker.expectedChanges;
  return {
    seed,
    options: { killsPerPoint, rate, clients },
    seconds: Math.round((Date.now() - begin) / 1000),
    server: bed.server.version,
    points: crashed,
    workload: { changes, outstanding, transactions, rolledBack, plans: bed.plans, trouble: bed.trouble },
    daemonStarts: daemon.starts,
    peakRssMb: daemon.peakRssMb,
    files: { directory },
    ...checker.findings,
    // A point with too few kills proves nothing.
    ok: checker.findings.ok && crashed.every(({ kills }) => kills >= killsPerPoint),
  };
}

async function crashRepeatedly(
  name: string,
  random: Random,
  { killsPerPoint }: CrashOptions,
  { checker, daemon, signal }: TestBed,
): Promise<{ kills: number; missed: number }> {
  const point = CRASH_POINTS[name] as CrashPoint;
  let kills = 0;
  let missed = 0;
  while (kills < killsPerPoint && missed <= killsPerPoint && !signal.aborted) {
    // After each missed start an earlier pass is drawn.
    const pass = 1 + random.below(Math.ceil(point.passes / (1 + missed)));
    daemon.start(crashModule(name, pass));
    if (point.atEnd) {
      await daemon.untilFollowing(REACH_WITHIN_MS);
      await sleep(random.below(300));
    }
    const how = point.atEnd ? (await daemon.terminate()).how : await daemon.untilEnded(REACH_WITHIN_MS);
    if (how === 'SIGKILL' && daemon.lastWords.endsWith(`crash at ${name}`)) kills++;
    else if (how === undefined || how === '0') missed++;
    else {
      const evidence = { start: daemon.starts, lastWords: daemon.lastWords };
      checker.report({ promise: 'loudStop', what: `the daemon ended by itself: ${how}`, evidence });
    }
    if (daemon.running) await daemon.kill();
    checker.checkCheckpoint();
  }
  return { kills, missed };
}
