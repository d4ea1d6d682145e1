import { COPY_BEGUN, type IncompleteTable, IncompleteTables } from './incomplete-tables.ts';

/** Why the copy of a table in the lake is complete. */
export const COMPLETE_BECAUSE = ['created', 'emptied', 'backfilled'] as const;

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
  incomplete: readonly IncompleteTable[];
}

/**
 * Which tables the lake holds completely. A table is complete from the moment at which the stream saw it empty, or a
 * backfill copied its last row, until a statement changes its rows without row events.
 */
export class Coverage {
  readonly followedSince: string | null;
  #fresh: boolean;
  #tables: readonly string[] | undefined;
  readonly #complete = new Map<string, CompleteTable>();
  readonly #incomplete: IncompleteTables;

  constructor({ followedSince, complete, incomplete, fresh = false, tables }: SavedCoverage) {
    this.followedSince = followedSince;
    this.#fresh = fresh;
    this.#tables = tables;
    for (const table of complete) this.#complete.set(keyOf(table.schema, table.table), table);
    this.#incomplete = new IncompleteTables(incomplete);
  }

  get incomplete(): IncompleteTable[] {
    return this.#incomplete.list;
  }

  get complete(): CompleteTable[] {
    return [...this.#complete.values()];
  }

  /** What a checkpoint keeps. */
  get saved(): SavedCoverage & { fresh: boolean; tables: readonly string[] } {
    const { followedSince, complete, incomplete } = this;
    return { fresh: this.#fresh, tables: this.#tables ?? [], followedSince, complete, incomplete };
  }

  /** Whether the lake can have rows of the table that are gone from the source without an event for them. */
  mayHaveStaleRows(schema: string, table: string): boolean {
    if (this.of(schema, table).complete) return false;
    return !this.#fresh || this.#incomplete.find(schema, table) !== undefined;
  }

  of(schema: string, table: string): TableCoverage {
    const complete = this.#complete.get(keyOf(schema, table));
    if (complete !== undefined) return { complete: true, since: complete.since, why: complete.why };
    const mark = this.#incomplete.find(schema, table);
    if (mark !== undefined) return { complete: false, since: mark.since, why: mark.why };
    return { complete: false, since: this.followedSince, why: 'only changes since then' };
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
    this.#complete.set(keyOf(table.schema, table.table), table);
    this.#incomplete.remove(table.schema, table.table);
    return true;
  }

  /** A statement changed rows of the table without row events. */
  rewritten(mark: IncompleteTable): void {
    this.#incomplete.add(mark);
    if (mark.table !== '*') this.#complete.delete(keyOf(mark.schema, mark.table));
    else for (const [key, { schema }] of this.#complete) if (schema === mark.schema) this.#complete.delete(key);
  }

  /**
   * Changes of tables that are not captured are not followed, so they do not stay complete.
   * @param tables `tables` of the configuration
   */
  follow(tables: readonly string[], isCaptured: (schema: string, table: string) => boolean): void {
    if (this.#tables !== undefined && JSON.stringify(this.#tables) !== JSON.stringify(tables)) this.#fresh = false;
    this.#tables = tables;
    for (const [key, { schema, table }] of this.#complete) if (!isCaptured(schema, table)) this.#complete.delete(key);
  }
}

const keyOf = (schema: string, table: string): string => `${schema}\0${table}`;
