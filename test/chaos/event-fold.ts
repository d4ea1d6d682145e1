/** The event of a key with the highest `seq` so far. */
export interface Folded {
  seq: string;
  version: number;
  /** JSON text of the row in the event, or the hash of a long row. Undefined after a delete. */
  row: string | undefined;
  call: number;
}

/** Folds events by key and highest `seq` while they arrive. It shares no code with src/lake. */
export class EventFold {
  readonly #tables = new Map<string, Map<string, Folded>>();
  readonly #truncated = new Map<string, string>();

  apply(table: string, key: string, event: Folded): void {
    let rows = this.#tables.get(table);
    if (rows === undefined) this.#tables.set(table, (rows = new Map()));
    const known = rows.get(key);
    if (known === undefined || known.seq < event.seq) rows.set(key, event);
  }

  truncate(table: string, seq: string): void {
    if ((this.#truncated.get(table) ?? '') < seq) this.#truncated.set(table, seq);
  }

  /** The current rows. */
  rows(table: string): Map<string, Folded & { row: string }> {
    const truncated = this.#truncated.get(table) ?? '';
    const present = new Map<string, Folded & { row: string }>();
    for (const [key, event] of this.#tables.get(table) ?? []) {
      if (event.row !== undefined && event.seq > truncated) present.set(key, event as Folded & { row: string });
    }
    return present;
  }

  has(table: string, key: string): boolean {
    return this.#tables.get(table)?.has(key) ?? false;
  }

  /** Forgets deleted rows. Call it only while nobody sends older events. */
  prune(): void {
    for (const [table, rows] of this.#tables) {
      const truncated = this.#truncated.get(table) ?? '';
      for (const [key, { row, seq }] of rows) if (row === undefined || seq <= truncated) rows.delete(key);
    }
  }
}
