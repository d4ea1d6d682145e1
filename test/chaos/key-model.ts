/** One key of one table: whether its row is there, with which version, and the next version that was never used. */
export interface KeyState {
  row: number | undefined;
  next: number;
}

const NEW: KeyState = { row: undefined, next: 1 };

/**
 * The keys that one client owns, as committed. A draft lays its changes over them, and they become true when the server has committed.
 * Versions that were used by something rolled back stay used.
 */
export class KeyModel {
  readonly #keys = new Map<string, KeyState>();

  get(table: string, k: number): KeyState {
    return this.#keys.get(`${table} ${k}`) ?? NEW;
  }

  apply(overlay: ReadonlyMap<string, KeyState>): void {
    for (const [id, state] of overlay) this.#keys.set(id, state);
  }

  /** The rows stay as they were, the versions are gone. */
  skipVersions(overlay: ReadonlyMap<string, KeyState>): void {
    for (const [id, { next }] of overlay) this.#keys.set(id, { row: this.#keys.get(id)?.row, next });
  }

  /** All rows of a table are gone. */
  truncate(table: string): void {
    for (const [id, { next }] of this.#keys) {
      // A TRUNCATE makes no event of a row, yet the next insert must be later than any delete could have been.
      if (id.startsWith(`${table} `)) this.#keys.set(id, { row: undefined, next: next + 1 });
    }
  }
}

/** Changes laid over a model; snapshots serve savepoints. */
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

  /** The row is written with a new version, which is returned. */
  write(table: string, k: number): number {
    const { next } = this.get(table, k);
    this.#overlay.set(`${table} ${k}`, { row: next, next: next + 1 });
    return next;
  }

  /** The row is deleted; the delete's version is the one after the row's. */
  remove(table: string, k: number): number {
    const { row = 0, next } = this.get(table, k);
    this.#overlay.set(`${table} ${k}`, { row: undefined, next: Math.max(next, row + 2) });
    return row + 1;
  }

  snapshot(): ReadonlyMap<string, KeyState> {
    return new Map(this.#overlay);
  }

  /** Rows are as at the snapshot; the versions that were used since are not used again. */
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
