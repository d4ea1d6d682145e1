import { Nemesis, noFaults } from './nemesis.ts';
import { type ChaosReport, summaryLine } from './report.ts';
import { type StageOptions, TestBed } from './test-bed.ts';

export interface ChaosOptions extends StageOptions {
  /** The run ends when both are reached, at the end of a round. */
  kills: number;
  changes: number;
  killsPerRound: number;
  maxRssMb: number;
}

/** Rounds of villainy; at the end of each everything has to heal, and is checked. */
export function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  return TestBed.run(options, (stage) => play(options, stage));
}

async function play(options: ChaosOptions, stage: TestBed): Promise<ChaosReport> {
  const { kills, changes, killsPerRound, maxRssMb, print } = options;
  const { judge, daemon, workload, server, firehose, proxies, signal } = stage;
  const begin = Date.now();
  const counts = noFaults();
  const villain = new Nemesis({
    seed: options.seed,
    daemon,
    server,
    firehose,
    proxies,
    counts,
    afterKill: () => judge.checkCheckpoint(),
    neededBinlog: () => judge.neededBinlog((isDelivered) => workload.binlogOfPrepared(isDelivered)),
    report: judge.report,
  });
  let rounds = 0;
  const result = (): ChaosReport => reportOf(options, stage, counts, rounds, begin);
  const progress = setInterval(() => print(progressLine(result())), 10_000);

  const memory = setInterval(() => {
    daemon.sampleMemory();
    if (daemon.peakRssMb <= maxRssMb) return;
    clearInterval(memory);
    const evidence = { start: daemon.starts, runs: Date.now() - daemon.startedAt };
    judge.report({
      promise: 'boundedMemory',
      what: `the daemon used ${daemon.peakRssMb} MB, more than ${maxRssMb}`,
      evidence,
    });
  }, 500);

  async function round(): Promise<void> {
    rounds++;
    const from = Date.now();
    workload.start();
    const left = Math.max(1, kills - counts.kills);
    await villain.round(Math.min(killsPerRound, left), signal);
    await workload.stop();
    // From here on nobody touches anything.
    const healedMs = await stage.healAndCheck();
    if (healedMs === undefined) return;
    await stage.endOfRound();
    print(summaryLine(rounds, Date.now() - from, healedMs, result()));
    daemon.start();
    await daemon.untilFollowing(30_000);
  }

  try {
    await stage.startDaemon();
    judge.checkCheckpoint();
    while (!signal.aborted && (counts.kills < kills || judge.intents.changes < changes)) await round();
  } finally {
    clearInterval(progress);
    clearInterval(memory);
  }
  return result();
}

function reportOf(
  options: ChaosOptions,
  { judge, daemon, server, trouble }: TestBed,
  villain: ChaosReport['villain'],
  rounds: number,
  begin: number,
): ChaosReport {
  const { seed, kills, changes, killsPerRound, rate, clients, bulkRows, oversize, routes, mutant, directory } = options;
  const { intents } = judge;
  return {
    seed,
    options: { kills, changes, killsPerRound, rate, clients, bulkRows, oversize, routes, mutant: mutant ?? null },
    seconds: Math.round((Date.now() - begin) / 1000),
    rounds,
    server: server.version,
    workload: {
      changes: intents.changes,
      outstanding: intents.outstanding,
      transactions: intents.transactions,
      rolledBack: intents.rolledBack,
      trouble,
    },
    villain,
    daemonStarts: daemon.starts,
    peakRssMb: daemon.peakRssMb,
    files: { directory },
    ...judge.findings,
  };
}

function progressLine(report: ChaosReport): string {
  const { seconds, villain, workload, sink, events, peakRssMb, violationCounts } = report;
  const violations = Object.values(violationCounts).reduce((sum, count) => sum + count, 0);
  return (
    `${seconds} s: ${villain.kills} kills, ${workload.changes} changes (${workload.outstanding} under way), ${sink.calls} calls (${sink.faulty} faulty), ` +
    `${villain.cuts} cuts, ${events.repeats} repeats, ${peakRssMb} MB, ${violations} violations`
  );
}
