import type { Tx } from './expected-changes.ts';
import { contains, type GtidIntervals } from './gtid-intervals.ts';
import { SCHEMA } from './tables.ts';
import type { Report } from './violation.ts';

/** What a statement does to the rows of a captured table without row events. */
export interface RowsWithoutEvents {
  table: string;
  /** `rewritten`: no event shows it, so the table needs another copy. `emptied`: the event of a TRUNCATE shows it. */
  effect: 'rewritten' | 'emptied';
  /** The rows that are gone without an event: keys and versions. */
  gone: readonly { key: string; version: number }[];
}

/** The tables that the checkpoint names as those that need another copy. */
export type StoredMarks = readonly { schema: string; table: string; why: string }[];

/**
 * The statements that change rows without row events, in the order of their commits: all of one table are of one
 * client.
 */
export class IncompleteMarks {
  readonly #statements = new Map<string, (RowsWithoutEvents & { tx: Tx })[]>();

  plan(tx: Tx, statement: RowsWithoutEvents): void {
    const ofTable = this.#statements.get(statement.table) ?? [];
    this.#statements.set(statement.table, [...ofTable.filter(({ tx }) => tx.state !== 'absent'), { ...statement, tx }]);
  }

  /** Whether this row of a table has gone without an event since the table was emptied. */
  isGone(table: string, key: string, version: number): boolean {
    const committed = (this.#statements.get(table) ?? []).filter(({ tx }) => tx.state === 'committed');
    const since = committed.slice(committed.findLastIndex(({ effect }) => effect === 'emptied') + 1);
    return since.some(({ gone }) => gone.some((row) => row.key === key && row.version === version));
  }

  /**
   * Checks `incompleteMarked` in a checkpoint with these transactions. The daemon has perhaps read more of the binlog
   * than the checkpoint contains, and has the marks of that.
   */
  check(marks: StoredMarks, gtids: GtidIntervals, report: Report): void {
    for (const { schema, table, why } of marks) {
      if (schema === SCHEMA && this.#statements.has(table) && why !== '') continue;
      report({ promise: 'incompleteMarked', what: 'a table is marked without a reason', evidence: { schema, table } });
    }
    for (const [table, statements] of this.#statements) {
      const possible = statements.filter(({ tx }) => tx.state !== 'absent');
      const last = possible.findLastIndex(({ tx }) => contains(gtids, tx.gtid));
      const later = possible.slice(last + 1);
      const effect = possible[last]?.effect ?? 'emptied';
      if (later.some((other) => other.effect !== effect)) continue;
      const isMarked = marks.some((mark) => mark.table === table);
      if (isMarked === (effect === 'rewritten')) continue;
      report({
        promise: 'incompleteMarked',
        what: isMarked
          ? 'a table that an event has emptied is still marked as one that needs another copy'
          : 'a table whose rows a statement changed without row events is not marked as one that needs another copy',
        evidence: { table, by: possible[last]?.tx.gtid, later: later.map(({ tx }) => tx.gtid) },
      });
    }
  }
}
