import type { DeliveryCounts } from './delivery-checker.ts';
import type { VillainCounts } from './nemesis.ts';
import type { Violation } from './violation.ts';

export interface SinkCounts {
  calls: number;
  /** Calls to which a fault was applied. */
  faulty: number;
  byFault: Record<string, number>;
}

/** What the judge has seen. */
export interface Findings {
  ok: boolean;
  sink: SinkCounts;
  events: DeliveryCounts;
  checkpointsChecked: number;
  rowsCompared: number;
  violationCounts: Record<string, number>;
  violations: Violation[];
}

/** What any run did and found; written as JSON. */
export interface RunReport extends Findings {
  seed: number;
  options: Record<string, unknown>;
  seconds: number;
  server: string;
  workload: {
    changes: number;
    /** Of the changes so many have not been acknowledged yet. */
    outstanding: number;
    transactions: number;
    rolledBack: number;
    /** Errors of the workload's own statements, which are no fault of the daemon, and how often. */
    trouble: Record<string, number>;
  };
  daemonStarts: number;
  peakRssMb: number;
  /** Where the daemon's log and the log of the calls lie. */
  files: { directory: string };
}

export interface ChaosReport extends RunReport {
  rounds: number;
  villain: VillainCounts;
}

export interface CrashReport extends RunReport {
  points: CrashedPoint[];
}

/** A named point, and what came of the kills there. */
export interface CrashedPoint {
  point: string;
  kills: number;
  /** Starts that did not come to it in time. */
  missed: number;
  seconds: number;
}

export interface MutantsReport {
  ok: boolean;
  seed: number;
  bugs: MutantResult[];
}

/** A mutant, and whether the harness has found it. */
export interface MutantResult {
  bug: string;
  caught: boolean;
  /** The first violation. */
  by: string;
  seconds: number;
  kills: number;
  changes: number;
}

export function summaryLine(round: number, ms: number, healedMs: number, report: ChaosReport): string {
  const { villain, workload, events, sink, rowsCompared, violations } = report;
  return (
    `round ${round}: ${Math.round(ms / 1000)} s, healed in ${(healedMs / 1000).toFixed(1)} s; so far ${villain.kills} kills, ` +
    `${workload.changes} changes, ${events.stored} events stored (${events.repeats} repeats), ${sink.faulty} of ${sink.calls} calls faulty, ` +
    `${villain.cuts} cuts, ${villain.serverKills + villain.serverRestarts} server restarts, ${rowsCompared} rows compared, ${violations.length} violations`
  );
}
