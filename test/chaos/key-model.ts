/** One key of one table: the version of its row if the row exists, and the next unused version. */
export interface KeyState {
  row: number | undefined;
  next: number;
}

const NEW: KeyState = { row: undefined, next: 1 };

/**
 * The committed keys of one client. A draft overlays its changes, and they are applied after the commit. Versions of a
 * rolled back transaction are not used again.
 */
export class KeyModel {
  readonly #keys = new Map<string, KeyState>();

  get(table: string, k: number): KeyState {
    return this.#keys.get(`${table} ${k}`) ?? NEW;
  }

  apply(overlay: ReadonlyMap<string, KeyState>): void {
    for (const [id, state] of overlay) this.#keys.set(id, state);
  }

  /** The transaction was rolled back: rows stay as they were, and its versions are not used again. */
  skipVersions(overlay: ReadonlyMap<string, KeyState>): void {
    for (const [id, { next }] of overlay) this.#keys.set(id, { row: this.#keys.get(id)?.row, next });
  }

  /** The rows of a table. */
  rows(table: string): { k: number; version: number }[] {
    const rows: { k: number; version: number }[] = [];
    for (const [id, { row }] of this.#keys) {
      const [name, k] = id.split(' ');
      if (name === table && row !== undefined) rows.push({ k: Number(k), version: row });
    }
    return rows;
  }

  /** Removes rows of a table without a change of them. */
  lose(table: string, isLost: (k: number) => boolean = () => true): void {
    for (const [id, { next }] of this.#keys) {
      const [name, k] = id.split(' ');
      // No event is made for a row. The next insert still needs a higher version than a delete would have.
      if (name === table && isLost(Number(k))) this.#keys.set(id, { row: undefined, next: next + 1 });
    }
  }
}

/** Changes that overlay a model. Savepoints use snapshots. */
export class Draft {
  #overlay = new Map<string, KeyState>();
  readonly #model: KeyModel;

  constructor(model: KeyModel) {
    this.#model = model;
  }

  get overlay(): ReadonlyMap<string, KeyState> {
    return this.#overlay;
  }

  get(table: string, k: number): KeyState {
    return this.#overlay.get(`${table} ${k}`) ?? this.#model.get(table, k);
  }

  /** Writes the row with a new version, and returns the version. */
  write(table: string, k: number): number {
    const { next } = this.get(table, k);
    this.#overlay.set(`${table} ${k}`, { row: next, next: next + 1 });
    return next;
  }

  /** Deletes the row. The version of the delete is the one after the row's. */
  remove(table: string, k: number): number {
    const { row = 0, next } = this.get(table, k);
    this.#overlay.set(`${table} ${k}`, { row: undefined, next: Math.max(next, row + 2) });
    return row + 1;
  }

  snapshot(): ReadonlyMap<string, KeyState> {
    return new Map(this.#overlay);
  }

  /** Restores the rows of the snapshot. Versions that were used since are not used again. */
  rollBackTo(snapshot: ReadonlyMap<string, KeyState>): void {
    for (const [id, { next }] of this.#overlay) {
      const before = snapshot.get(id);
      if (before) this.#overlay.set(id, { row: before.row, next });
      else {
        const [table = '', k] = id.split(' ');
        this.#overlay.set(id, { row: this.#model.get(table, Number(k)).row, next });
      }
    }
  }
}
