import { createHash } from 'node:crypto';
import type { ExpectedChanges } from './expected-changes.ts';
import { difference, formatGtids, type GtidIntervals, gtidsOf, parseGtids } from './gtid-intervals.ts';
import type { StoredMarks } from './incomplete-marks.ts';
import type { Report } from './violation.ts';

export interface SeenCheckpoint {
  gtids: GtidIntervals;
  file: string;
  position: number;
}

/**
 * Checks `checkpointNotAhead` after every kill: the checkpoint file is whole, its GTID set never shrinks, and every
 * event of each transaction in it was stored and answered. Checks `incompleteMarked` too.
 * Returns the checkpoint for the next comparison.
 */
export function checkCheckpoint(
  text: string,
  before: SeenCheckpoint | undefined,
  expectedChanges: ExpectedChanges,
  isOurs: (source: string) => boolean,
  report: Report,
): SeenCheckpoint | undefined {
  const broken = (what: string, evidence: Record<string, unknown> = {}): undefined => {
    report({ promise: 'checkpointNotAhead', what, evidence: { ...evidence, checkpoint: text.slice(0, 1_000) } });
  };
  let file: { gtids: string; file: string; position: number; incomplete: StoredMarks; checksum: string };
  try {
    file = JSON.parse(text);
  } catch (error) {
    return broken('the checkpoint file is not whole', { error: (error as Error).message });
  }
  const { checksum, ...content } = file;
  const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
  if (digest !== checksum) return broken('the checksum of the checkpoint does not match');
  const gtids = parseGtids(file.gtids);
  if (before) {
    const gone = difference(before.gtids, gtids);
    if (gone.size > 0) broken('the checkpoint went back', { gone: formatGtids(gone) });
    // The coordinates can go back: a prepared transaction is not in the set and is read again at its old position.
  }
  for (const gtid of gtidsOf(before ? difference(gtids, before.gtids) : gtids)) {
    if (!isOurs(gtid.slice(0, gtid.lastIndexOf(':')))) continue;
    const tx = expectedChanges.find(gtid);
    if (tx === undefined || tx.state === 'absent') {
      broken('the checkpoint contains a transaction that was never committed', { gtid });
    } else if (tx.unacknowledged > 0) {
      broken('the checkpoint is ahead of what was acknowledged', {
        gtid,
        unacknowledged: tx.unacknowledged,
        changes: tx.changes.slice(0, 10),
      });
    }
  }
  expectedChanges.marks.check(file.incomplete, gtids, report);
  return { gtids, file: file.file, position: file.position };
}

/** The lag: the transactions that the server has executed and the checkpoint does not contain. */
export function lagOf(checkpoint: string, executed: string): GtidIntervals {
  try {
    return difference(parseGtids(executed), parseGtids((JSON.parse(checkpoint) as { gtids: string }).gtids));
  } catch {
    return parseGtids(executed);
  }
}
