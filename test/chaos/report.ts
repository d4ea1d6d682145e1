import type { DeliveryCounts } from './delivery-check.ts';
import type { VillainCounts } from './villain.ts';
import type { Violation } from './violation.ts';

export interface SinkCounts {
  calls: number;
  /** Calls to which a fault was applied. */
  faulty: number;
  byFault: Record<string, number>;
}

/** What a run did and found; written as JSON. */
export interface ChaosReport {
  ok: boolean;
  seed: number;
  options: Record<string, unknown>;
  seconds: number;
  rounds: number;
  server: string;
  /** `trouble`: errors of the workload's own statements, which are no fault of the daemon, and how often. */
  workload: { changes: number; transactions: number; rolledBack: number; trouble: Record<string, number> };
  villain: VillainCounts;
  sink: SinkCounts;
  events: DeliveryCounts;
  checkpointsChecked: number;
  rowsCompared: number;
  daemonStarts: number;
  peakRssMb: number;
  violationCounts: Record<string, number>;
  violations: Violation[];
  files: Record<string, string>;
}

export function summaryLine(round: number, ms: number, healedMs: number, report: ChaosReport): string {
  const { villain, workload, events, sink, rowsCompared, violations } = report;
  return (
    `round ${round}: ${Math.round(ms / 1000)} s, healed in ${(healedMs / 1000).toFixed(1)} s; so far ${villain.kills} kills, ` +
    `${workload.changes} changes, ${events.stored} events stored (${events.repeats} repeats), ${sink.faulty} of ${sink.calls} calls faulty, ` +
    `${villain.cuts} cuts, ${villain.serverKills + villain.serverRestarts} server restarts, ${rowsCompared} rows compared, ${violations.length} violations`
  );
}
