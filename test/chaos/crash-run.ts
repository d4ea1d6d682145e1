import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '../../src/local/demo/random.ts';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';
import { CRASH_POINTS, type CrashPoint } from './crash-point.ts';
import { crashModule } from './preload.ts';
import type { CrashedPoint, CrashReport } from './report.ts';
import { type StageOptions, TestBed } from './test-bed.ts';

export interface CrashOptions extends StageOptions {
  points: readonly string[];
  killsPerPoint: number;
  /** After so many points everything has to heal, and is checked. */
  pointsPerCheck: number;
}

/** Its own retries are a part of the daemon's life. */
const FAULTS: FaultPlan['rules'] = [
  { fault: 'partial', records: 0.3, rate: 0.1 },
  { fault: 'partial', records: 0.3, code: 'InternalFailure', stored: 0.5, rate: 0.1 },
];
/** A start that has not come to its point by then is given up. */
const REACH_WITHIN_MS = 8_000;

/**
 * Kills the daemon at each of the points, again and again, while the workload goes on. The checkpoint is checked after every kill; once
 * some points are done, everything has to heal, and is checked.
 */
export function runCrashes(options: CrashOptions): Promise<CrashReport> {
  return TestBed.run(options, (stage) => play(options, stage));
}

async function play(options: CrashOptions, stage: TestBed): Promise<CrashReport> {
  const { points, print, seed, directory, killsPerPoint, pointsPerCheck, rate, clients } = options;
  const { judge, daemon, workload, firehose, signal } = stage;
  const begin = Date.now();
  const crashed: CrashedPoint[] = [];
  await stage.startDaemon();
  await daemon.kill();
  for (const [i, name] of points.entries()) {
    const from = Date.now();
    const random = seededRandom(seed * 65_537 + Object.keys(CRASH_POINTS).indexOf(name));
    firehose.setFaults({ seed: random.below(2 ** 31), rules: FAULTS });
    workload.start();
    const { kills, missed } = await crashAgainAndAgain(name, random, options, stage);
    firehose.setFaults(undefined);
    await workload.stop();
    if (signal.aborted) break;
    if ((i + 1) % pointsPerCheck === 0 || i === points.length - 1) {
      await stage.startDaemon();
      await stage.healAndCheck();
      await stage.endOfRound();
    }
    const seconds = Math.round((Date.now() - from) / 100) / 10;
    crashed.push({ point: name, kills, missed, seconds });
    print(`${name}: ${kills} kills in ${seconds} s${missed > 0 ? `; ${missed} starts did not come there` : ''}`);
  }
  const { changes, outstanding, transactions, rolledBack } = judge.intents;
  return {
    seed,
    options: { killsPerPoint, rate, clients },
    seconds: Math.round((Date.now() - begin) / 1000),
    server: stage.server.version,
    points: crashed,
    workload: { changes, outstanding, transactions, rolledBack, trouble: stage.trouble },
    daemonStarts: daemon.starts,
    peakRssMb: daemon.peakRssMb,
    files: { directory },
    ...judge.findings,
    // A point that is hardly ever reached proves nothing.
    ok: judge.findings.ok && crashed.every(({ kills }) => kills >= killsPerPoint),
  };
}

async function crashAgainAndAgain(
  name: string,
  random: Random,
  { killsPerPoint }: CrashOptions,
  { judge, daemon, signal }: TestBed,
): Promise<{ kills: number; missed: number }> {
  const point = CRASH_POINTS[name] as CrashPoint;
  let kills = 0;
  let missed = 0;
  while (kills < killsPerPoint && missed <= killsPerPoint && !signal.aborted) {
    // The more starts have not come there, the fewer passes are asked for.
    const pass = 1 + random.below(Math.ceil(point.passes / (1 + missed)));
    daemon.start(crashModule(name, pass));
    if (point.atEnd) {
      await daemon.untilFollowing(REACH_WITHIN_MS);
      await sleep(random.below(300));
    }
    const how = point.atEnd ? (await daemon.terminate()).how : await daemon.untilEnded(REACH_WITHIN_MS);
    if (how === 'SIGKILL' && daemon.lastWords.endsWith(`crash at ${name}`)) kills++;
    else if (how === undefined || how === '0') missed++;
    else
      judge.report({
        promise: 'loudStop',
        what: `the daemon ended by itself: ${how}`,
        evidence: { words: daemon.lastWords },
      });
    if (daemon.running) await daemon.kill();
    judge.checkCheckpoint();
  }
  return { kills, missed };
}
