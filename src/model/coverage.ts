import { COPY_BEGUN, type IncompleteTable, IncompleteTables } from './incomplete-tables.ts';
import {
  differingRows,
  type ReportedTable,
  type VerifiedRows,
  type VerifiedTable,
  VerifiedTables,
} from './verified-tables.ts';

/** Why the copy of a table in the lake is complete. */
export const COMPLETE_BECAUSE = ['created', 'emptied', 'backfilled'] as const;

/** Tables that were dropped of which the checkpoint still says that they were complete. */
export const DROPPED_TABLES_MAX = 100;

/** A table whose every row is in the lake: the events that were delivered fold to it. */
export interface CompleteTable {
  schema: string;
  table: string;
  /** Since when, ISO 8601. */
  since: string;
  /** The stream has seen its CREATE, or the statement that emptied it, or a backfill has copied it. */
  why: (typeof COMPLETE_BECAUSE)[number];
}

/** Whether the lake holds the whole table. `since` is null if that moment is not known. */
export interface TableCoverage {
  complete: boolean;
  since: string | null;
  why: string;
}

/** What a checkpoint keeps of it. */
export interface SavedCoverage {
  /**
   * Whether the lake can have no row of a table from before: no earlier checkpoint was lost or moved away, and `tables`
   * of the configuration has not changed since. False if that is not known.
   */
  fresh?: boolean;
  /** `tables` of the configuration; undefined before the first start. */
  tables?: readonly string[] | undefined;
  /** When the stream began, ISO 8601; null if an earlier version wrote the checkpoint. */
  followedSince: string | null;
  complete: readonly CompleteTable[];
  /**
   * Tables that were complete when they were dropped, the last one at the end. CREATE TABLE IF NOT EXISTS does not show
   * whether it made the table, so one of these is complete as soon as it has rows again.
   */
  dropped?: readonly CompleteTable[];
  /** The last result of `cdc verify` of each table. */
  verified?: readonly VerifiedTable[];
  incomplete: readonly IncompleteTable[];
}

/**
 * Which tables the lake holds completely. A table is complete from the moment at which the stream saw it empty, or a
 * backfill copied its last row, until a statement changes its rows without row events, or `cdc verify` finds a row that
 * differs.
 */
export class Coverage {
  readonly followedSince: string | null;
  #fresh: boolean;
  #tables: readonly string[] | undefined;
  readonly #complete = new Map<string, CompleteTable>();
  readonly #dropped = new Map<string, CompleteTable>();
  readonly #verified: VerifiedTables;
  readonly #incomplete: IncompleteTables;

  constructor(saved: SavedCoverage) {
    const { followedSince, complete, incomplete, fresh = false, tables, dropped = [], verified } = saved;
    this.followedSince = followedSince;
    this.#fresh = fresh;
    this.#tables = tables;
    for (const table of complete) this.#complete.set(keyOf(table.schema, table.table), table);
    for (const table of dropped) this.#dropped.set(keyOf(table.schema, table.table), table);
    this.#verified = new VerifiedTables(verified);
    this.#incomplete = new IncompleteTables(incomplete);
  }

  get incomplete(): IncompleteTable[] {
    return this.#incomplete.list;
  }

  get complete(): CompleteTable[] {
    return [...this.#complete.values()];
  }

  /** The last result of `cdc verify` of each table. */
  get verified(): VerifiedTable[] {
    return this.#verified.list;
  }

  /** What a checkpoint keeps. */
  get saved(): SavedCoverage & { fresh: boolean; tables: readonly string[] } {
    const { followedSince, complete, verified, incomplete } = this;
    const dropped = [...this.#dropped.values()];
    return { fresh: this.#fresh, tables: this.#tables ?? [], followedSince, complete, dropped, verified, incomplete };
  }

  /** Whether the lake can have rows of the table that are gone from the source without an event for them. */
  mayHaveStaleRows(schema: string, table: string): boolean {
    if (this.of(schema, table).complete) return false;
    if (this.#differences(schema, table) !== undefined) return true;
    return !this.#fresh || this.#incomplete.find(schema, table) !== undefined;
  }

  /** Whether the table is complete but for what `cdc verify` has found. */
  isCopied(schema: string, table: string): boolean {
    return this.#completeTable(schema, table) !== undefined;
  }

  of(schema: string, table: string): TableCoverage {
    const result = this.#differences(schema, table);
    if (result !== undefined) {
      return { complete: false, since: result.at, why: `cdc verify found ${rowsThatDiffer(result)}` };
    }
    const complete = this.#completeTable(schema, table);
    if (complete !== undefined) return { complete: true, since: complete.since, why: complete.why };
    const mark = this.#incomplete.find(schema, table);
    if (mark !== undefined) return { complete: false, since: mark.since, why: mark.why };
    return { complete: false, since: this.followedSince, why: 'only changes since then' };
  }

  /** The coverage of a table, and what `cdc verify` has found last in the rows that it has. */
  statusOf(schema: string, table: string): { coverage: TableCoverage; verified: VerifiedRows | null } {
    const coverage = this.of(schema, table);
    const result = this.#verified.find(schema, table);
    if (result === undefined) return { coverage, verified: null };
    const { at, scope, rows, missing, extra, different } = result;
    return { coverage, verified: { at, scope, rows, missing, extra, different } };
  }

  /**
   * `cdc verify` has compared the table. Differences withdraw its coverage. A result of the whole table without any
   * gives it back, and so does the repair of all that was found.
   * @returns whether the result is kept
   */
  compared(result: ReportedTable): boolean {
    return this.#verified.record(result);
  }

  /**
   * The table has no rows any more and an event says so, or it begins here, or its last row was copied.
   *
   * Only its end makes a table complete whose copy has begun: after a crash the stream can give a TRUNCATE again that
   * was before the event with which the copy began, and that one hides the rows between them.
   * @returns whether the table is complete now
   */
  add(table: CompleteTable): boolean {
    const hasBegun = this.#incomplete.find(table.schema, table.table)?.why === COPY_BEGUN;
    if (hasBegun && table.why !== 'backfilled') return false;
    const result = this.#verified.find(table.schema, table.table);
    // A copy that did not empty the table first leaves rows that only the lake has.
    const keepsResult = table.why === 'backfilled' && !hasBegun && result !== undefined && result.extra > 0;
    if (!keepsResult) this.#verified.remove(table.schema, table.table);
    this.#complete.set(keyOf(table.schema, table.table), table);
    this.#dropped.delete(keyOf(table.schema, table.table));
    this.#incomplete.remove(table.schema, table.table);
    return true;
  }

  /** A statement changed rows of the table without row events. */
  rewritten(mark: IncompleteTable): void {
    const { schema, table } = mark;
    this.#incomplete.add(mark);
    this.#verified.remove(schema, table);
    if (table === '*') this.#keep((other) => other !== schema);
    else for (const tables of [this.#complete, this.#dropped]) tables.delete(keyOf(schema, table));
  }

  /** The table does not exist any more. Its marks stay: without an event that empties it, the lake has its rows. */
  dropped(schema: string, table: string): void {
    this.#verified.remove(schema, table);
    const key = keyOf(schema, table);
    const complete = this.#complete.get(key);
    if (complete === undefined) return;
    this.#complete.delete(key);
    this.#dropped.delete(key);
    this.#dropped.set(key, complete);
    const [oldest] = this.#dropped.keys();
    if (this.#dropped.size > DROPPED_TABLES_MAX && oldest !== undefined) this.#dropped.delete(oldest);
  }

  /** The stream has rows of the table: if it was dropped, it was created again. */
  exists(schema: string, table: string): void {
    const key = keyOf(schema, table);
    const complete = this.#dropped.get(key);
    if (complete === undefined) return;
    this.#dropped.delete(key);
    this.#complete.set(key, complete);
  }

  /**
   * Changes of tables that are not captured are not followed, so they do not stay complete.
   * @param tables `tables` of the configuration
   */
  follow(tables: readonly string[], isCaptured: (schema: string, table: string) => boolean): void {
    if (this.#tables !== undefined && JSON.stringify(this.#tables) !== JSON.stringify(tables)) this.#fresh = false;
    this.#tables = tables;
    this.#verified.keep(isCaptured);
    this.#keep(isCaptured);
  }

  #completeTable(schema: string, table: string): CompleteTable | undefined {
    const key = keyOf(schema, table);
    return this.#complete.get(key) ?? this.#dropped.get(key);
  }

  /** Only these tables stay complete. */
  #keep(isKept: (schema: string, table: string) => boolean): void {
    for (const tables of [this.#complete, this.#dropped]) {
      for (const [key, { schema, table }] of tables) if (!isKept(schema, table)) tables.delete(key);
    }
  }

  /** The last result of `cdc verify`, if it has differences. */
  #differences(schema: string, table: string): VerifiedTable | undefined {
    const result = this.#verified.find(schema, table);
    return result !== undefined && differingRows(result) > 0 ? result : undefined;
  }
}

/** Such as `3 rows that differ`. */
export function rowsThatDiffer(result: VerifiedRows): string {
  const count = differingRows(result);
  return count === 1 ? '1 row that differs' : `${count.toLocaleString('en-US')} rows that differ`;
}

const keyOf = (schema: string, table: string): string => `${schema}\0${table}`;
