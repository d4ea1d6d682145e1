import { Nemesis, noFaults } from './nemesis.ts';
import { type ChaosReport, summaryLine } from './report.ts';
import { TestBed, type TestBedOptions } from './test-bed.ts';

export interface ChaosOptions extends TestBedOptions {
  /** The run ends at the end of the round in which both are reached. */
  kills: number;
  changes: number;
  killsPerRound: number;
  maxRssMb: number;
}

/** Runs rounds of faults. At the end of each round everything has to heal and is checked. */
export function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  return TestBed.run(options, (bed) => runRounds(options, bed));
}

async function runRounds(options: ChaosOptions, bed: TestBed): Promise<ChaosReport> {
  const { kills, changes, killsPerRound, maxRssMb, print } = options;
  const { checker, daemon, workload, server, transport, links, signal } = bed;
  const begin = Date.now();
  const counts = noFaults();
  const nemesis = new Nemesis({
    seed: options.seed,
    daemon,
    server,
    transport,
    links,
    counts,
    afterKill: () => bed.checkCheckpoint(),
    neededBinlog: () => checker.neededBinlog((isDelivered) => workload.binlogOfPrepared(isDelivered)),
    report: checker.report,
  });
  let rounds = 0;
  const result = (): ChaosReport => reportOf(options, bed, counts, rounds, begin);
  const progress = setInterval(() => print(progressLine(result())), 10_000);

  const memory = setInterval(() => {
    daemon.sampleMemory();
    if (daemon.peakRssMb <= maxRssMb) return;
    clearInterval(memory);
    const evidence = { start: daemon.starts, runs: Date.now() - daemon.startedAt };
    checker.report({
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
    await nemesis.round(Math.min(killsPerRound, left), signal);
    await workload.stop();
    // No fault is active and nobody writes from here on.
    const healedMs = await bed.healAndCheck();
    if (healedMs === undefined) return;
    await bed.endOfRound();
    print(summaryLine(rounds, Date.now() - from, healedMs, result()));
    daemon.start();
    await daemon.untilFollowing(30_000);
  }

  try {
    await bed.startDaemon();
    checker.checkCheckpoint();
    while (!signal.aborted && (counts.kills < kills || checker.expectedChanges.changes < changes)) await round();
  } finally {
    clearInterval(progress);
    clearInterval(memory);
  }
  return result();
}

function reportOf(
  options: ChaosOptions,
  { checker, daemon, server, plans, trouble, readBack }: TestBed,
  nemesis: ChaosReport['nemesis'],
  rounds: number,
  begin: number,
): ChaosReport {
  const { seed, sink, kills, changes, killsPerRound, rate, clients, bulkRows, oversize } = options;
  const { minimalMetadata, routes, preload, directory } = options;
  const { expectedChanges } = checker;
  return {
    seed,
    options: {
      sink,
      kills,
      changes,
      killsPerRound,
      rate,
      clients,
      bulkRows,
      oversize,
      minimalMetadata,
      routes,
      preload: preload ?? null,
    },
    seconds: Math.round((Date.now() - begin) / 1000),
    rounds,
    server: server.version,
    workload: {
      changes: expectedChanges.changes,
      outstanding: expectedChanges.outstanding,
      transactions: expectedChanges.transactions,
      rolledBack: expectedChanges.rolledBack,
      plans,
      trouble,
    },
    nemesis,
    daemonStarts: daemon.starts,
    peakRssMb: daemon.peakRssMb,
    files: { directory },
    readBack,
    ...checker.findings,
  };
}

function progressLine(report: ChaosReport): string {
  const { seconds, nemesis, workload, sink, events, peakRssMb, violationCounts } = report;
  const violations = Object.values(violationCounts).reduce((sum, count) => sum + count, 0);
  return (
    `${seconds} s: ${nemesis.kills} kills, ${workload.changes} changes (${workload.outstanding} outstanding), ` +
    `${sink.calls} calls (${sink.faulty} faulty), ${nemesis.cuts} cuts, ${events.repeats} repeats, ` +
    `${peakRssMb} MB, ${violations} violations`
  );
}
