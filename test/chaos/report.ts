import type { DeliveryCounts } from './delivery-checker.ts';
import type { NemesisCounts } from './nemesis.ts';
import type { Violation } from './violation.ts';

export interface SinkCounts {
  calls: number;
  /** Calls to which a fault was applied. */
  faulty: number;
  byFault: Record<string, number>;
}

/** The findings of the checker. */
export interface Findings {
  ok: boolean;
  sink: SinkCounts;
  events: DeliveryCounts;
  checkpointsChecked: number;
  rowsCompared: number;
  violationCounts: Record<string, number>;
  violations: Violation[];
}

/** What a run did and found, as the JSON report has it. */
export interface RunReport extends Findings {
  seed: number;
  options: Record<string, unknown>;
  seconds: number;
  server: string;
  workload: {
    changes: number;
    /** Changes that are not acknowledged yet. */
    outstanding: number;
    transactions: number;
    rolledBack: number;
    /** The transactions that were committed, by the kind of their plan. */
    plans: Record<string, number>;
    /** Errors of the workload's own statements and their number. They are not the daemon's fault. */
    trouble: Record<string, number>;
  };
  daemonStarts: number;
  peakRssMb: number;
  /** The folder with the daemon's log and the log of the calls. */
  files: { directory: string };
}

export interface ChaosReport extends RunReport {
  rounds: number;
  /** Events that were read back from an ordered log. */
  readBack: number;
  nemesis: NemesisCounts;
}

export interface CrashReport extends RunReport {
  points: CrashedPoint[];
}

/** A crash point and its kills. */
export interface CrashedPoint {
  point: string;
  kills: number;
  /** Starts that did not reach the point in time. */
  missed: number;
  seconds: number;
}

export interface MutantsReport {
  ok: boolean;
  seed: number;
  mutants: MutantResult[];
}

/** A mutant and whether the harness found it. */
export interface MutantResult {
  mutant: string;
  caught: boolean;
  /** The first violation. */
  by: string;
  seconds: number;
  kills: number;
  changes: number;
}

export function summaryLine(round: number, ms: number, healedMs: number, report: ChaosReport): string {
  const { nemesis, workload, events, sink, rowsCompared, violations } = report;
  const serverRestarts = nemesis.serverKills + nemesis.serverRestarts;
  return (
    `round ${round}: ${Math.round(ms / 1000)} s, healed in ${(healedMs / 1000).toFixed(1)} s; ` +
    `so far ${nemesis.kills} kills, ${workload.changes} changes, ` +
    `${events.stored} events stored (${events.repeats} repeats), ${sink.faulty} of ${sink.calls} calls faulty, ` +
    `${nemesis.cuts} cuts, ${serverRestarts} server restarts, ${rowsCompared} rows compared, ` +
    `${violations.length} violations`
  );
}
