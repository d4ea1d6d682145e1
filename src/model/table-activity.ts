import type { EncodedEvent } from './encoded-event.ts';
import type { RowOp } from './rows-event.ts';

/** Events of a table by `op`. */
export interface TableEvents {
  c: number;
  u: number;
  d: number;
  r: number;
  t: number;
}

/** What was written of one table since the process started. */
export interface TableActivity {
  schema: string;
  table: string;
  events: TableEvents;
  /** Lines written, and their bytes. */
  lines: number;
  bytes: number;
  /** When the last change was committed on the server, in milliseconds since 1970; 0 if there was none. */
  lastChangeAt: number;
}

/** Tables that are counted on their own. Names of new tables can come without end. */
export const ACTIVE_TABLES_MAX = 20_000;

/** Counts the events of each table, over all pipelines of a daemon. */
export class TablesActivity {
  readonly #tables = new Map<string, TableActivity>();
  /** All tables beyond `ACTIVE_TABLES_MAX` together; no table has this name. */
  #others: TableActivity | undefined;

  of(schema: string, table: string): TableActivity {
    const key = `${schema}\0${table}`;
    let activity = this.#tables.get(key);
    if (activity === undefined) {
      if (this.#tables.size >= ACTIVE_TABLES_MAX) return (this.#others ??= newActivity('', ''));
      activity = newActivity(schema, table);
      this.#tables.set(key, activity);
    }
    return activity;
  }

  find(schema: string, table: string): TableActivity | undefined {
    return this.#tables.get(`${schema}\0${table}`);
  }

  /** The events of all tables. */
  get total(): number {
    let total = this.#others?.lines ?? 0;
    for (const { lines } of this.#tables.values()) total += lines;
    return total;
  }
}

const newActivity = (schema: string, table: string): TableActivity => ({
  schema,
  table,
  events: { c: 0, u: 0, d: 0, r: 0, t: 0 },
  lines: 0,
  bytes: 0,
  lastChangeAt: 0,
});

/** A line was written. Called for each, so that it only adds. */
export function countLine(activity: TableActivity, { from, to }: EncodedEvent): void {
  activity.lines++;
  activity.bytes += to - from;
}

/**
 * The rows of a rows event were written.
 * @param lines how many lines they became: an update that changes the key is a `d` and a `c`
 */
export function countRows({ events }: TableActivity, op: RowOp, rows: number, lines: number): void {
  const keyChanges = op === 'u' ? lines - rows : 0;
  events[op] += rows - keyChanges;
  if (keyChanges === 0) return;
  events.d += keyChanges;
  events.c += keyChanges;
}
