import type { BlowName } from './blows.ts';
import type { TakeoverReport } from './takeover-run.ts';

/** How long takeovers took, in milliseconds from the moment at which the leader was gone to the first accepted put. */
export interface TakeoverTimes {
  blow: BlowName;
  n: number;
  p50: number;
  max: number;
}

export interface StoreSummary {
  store: string;
  runs: number;
  rounds: number;
  violations: number;
  changes: number;
  events: number;
  repeats: number;
  mostRepeatsAtOnce: number;
  puts: number;
  overlaps: number;
  longestOverlapMs: number;
  leasesLost: number;
  checkpointsChecked: number;
  rowsCompared: number;
  copied: number;
  /** Of the rounds with a standby and without faults of the sink. */
  takeovers: TakeoverTimes[];
}

export interface TakeoversReport {
  ok: boolean;
  summary: StoreSummary[];
  reports: TakeoverReport[];
}

export function summaryOf(reports: readonly TakeoverReport[]): StoreSummary[] {
  const stores = [...new Set(reports.map(({ store }) => store))];
  return stores.map((store) =>
    summaryOfStore(
      store,
      reports.filter((report) => report.store === store),
    ),
  );
}

function summaryOfStore(store: string, reports: readonly TakeoverReport[]): StoreSummary {
  const sum = (of: (report: TakeoverReport) => number): number => reports.reduce((all, report) => all + of(report), 0);
  const most = (of: (report: TakeoverReport) => number): number => Math.max(...reports.map(of));
  return {
    store,
    runs: reports.length,
    rounds: sum(({ rounds }) => rounds.length),
    violations: sum(({ violations }) => violations.length),
    changes: sum(({ changes }) => changes),
    events: sum(({ events }) => events.stored),
    repeats: sum(({ events }) => events.repeats),
    mostRepeatsAtOnce: most(({ events }) => events.mostInOneGeneration),
    puts: sum(({ leaders }) => leaders.puts),
    overlaps: sum(({ leaders }) => leaders.overlaps),
    longestOverlapMs: most(({ leaders }) => leaders.longestOverlapMs),
    leasesLost: sum(({ leasesLost }) => leasesLost),
    checkpointsChecked: sum(({ checkpointsChecked }) => checkpointsChecked),
    rowsCompared: sum(({ rowsCompared }) => rowsCompared),
    copied: sum(({ backfill }) => backfill.copied),
    takeovers: timesOf(reports),
  };
}

function timesOf(reports: readonly TakeoverReport[]): TakeoverTimes[] {
  const times = new Map<BlowName, number[]>();
  for (const { blow, sinkFaults, hadNoStandby, takeover } of reports.flatMap(({ rounds }) => rounds)) {
    if (sinkFaults || hadNoStandby || takeover?.firstAccepted === undefined) continue;
    times.set(blow, [...(times.get(blow) ?? []), takeover.firstAccepted]);
  }
  return [...times].map(([blow, unsorted]) => {
    const all = unsorted.sort((a, b) => a - b);
    return { blow, n: all.length, p50: all[all.length >> 1] as number, max: all.at(-1) as number };
  });
}
