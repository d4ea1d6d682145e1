import type { EncodedEvent } from './encoded-event.ts';

/** Recorded keys of one window, at most: the number, and their bytes. */
export const WINDOW_KEYS_MAX = 200_000;
export const WINDOW_BYTES_MAX = 16 * 1024 * 1024;

/** How the stream touched a key: with whole row images, or with partial ones, which lack columns. */
export type Touch = 'whole' | 'partial';

/**
 * The keys of a table that the stream touched while a chunk of it was read (DBLog: a watermark window). It opens and
 * closes between two transactions. Keys are compared by their bytes in the event, never by a hash.
 */
export class ChunkWindow {
  /** Why the chunk has to be read again; undefined while the window is sound. */
  invalid: string | undefined;
  /** The number of the last transaction that touched a key here. */
  lastTransaction = -1;
  /** Whether it is invalid because too many keys were touched. A smaller chunk has a shorter window. */
  isOvergrown = false;
  readonly #hasKey: boolean;
  readonly #keys = new Map<string, Touch>();
  #bytes = 0;
  /** The table was emptied: every row that was read before is gone, unless the stream has it again. */
  #emptied = false;

  /** @param hasKey whether the events of the table have a key */
  constructor(hasKey: boolean) {
    this.#hasKey = hasKey;
  }

  /** Whether the rows of the chunk have to be looked up. */
  get isTouched(): boolean {
    return this.#emptied || this.#keys.size > 0;
  }

  /** Whether the table was emptied. */
  get isEmptied(): boolean {
    return this.#emptied;
  }

  record(event: EncodedEvent, transaction: number): void {
    this.lastTransaction = transaction;
    if (this.invalid !== undefined || !this.#hasKey) return;
    const key = keyText(event);
    const known = this.#keys.get(key);
    if (known === undefined) this.#bytes += key.length;
    if (known !== 'partial') this.#keys.set(key, event.isPartial ? 'partial' : 'whole');
    if (this.#keys.size > WINDOW_KEYS_MAX || this.#bytes > WINDOW_BYTES_MAX) {
      this.invalid = 'too many rows changed while the chunk was read';
      this.isOvergrown = true;
      this.#keys.clear();
    }
  }

  emptied(transaction: number): void {
    this.lastTransaction = transaction;
    this.#emptied = true;
  }

  /** How the stream touched the row of this event; undefined if it did not. */
  touchOf(event: EncodedEvent): Touch | undefined {
    return this.#keys.get(keyText(event)) ?? (this.#emptied ? 'whole' : undefined);
  }
}

/** The key of an event, one character a byte: what windows compare. */
export function keyText(event: EncodedEvent): string {
  event.locateKey();
  return event.bytes.toString('latin1', event.keyFrom, event.keyTo);
}

/** The open windows of one table. */
export class TableWatch {
  readonly #windows = new Set<ChunkWindow>();
  readonly #watches: TableWatches;
  /** Whether events have to be recorded. */
  isOpen = false;

  constructor(watches: TableWatches) {
    this.#watches = watches;
  }

  /** An event of the table belongs to the open transaction. */
  touch(event: EncodedEvent): void {
    const watches = this.#watches;
    watches.isTransactionOpen = true;
    if (this.isOpen) for (const window of this.#windows) window.record(event, watches.transaction);
  }

  /** @param hasKey whether the events of the table have a key; without one, only statements are recorded */
  open(hasKey = true): ChunkWindow {
    const window = new ChunkWindow(hasKey);
    this.#windows.add(window);
    this.isOpen = true;
    return window;
  }

  close(window: ChunkWindow): void {
    this.#windows.delete(window);
    this.isOpen = this.#windows.size > 0;
  }

  get windows(): Iterable<ChunkWindow> {
    return this.#windows;
  }
}

/** The windows of all tables, and what the stream says that concerns them. */
export class TableWatches {
  /** Whether the stream has given an event of a transaction that has not ended. */
  isTransactionOpen = false;
  /** The number of the open transaction. */
  transaction = 0;
  readonly #tables = new Map<string, TableWatch>();

  of(schema: string, table: string): TableWatch {
    const key = `${schema}\0${table}`;
    let watch = this.#tables.get(key);
    if (watch === undefined) this.#tables.set(key, (watch = new TableWatch(this)));
    return watch;
  }

  /** The transaction ended: it committed, or nothing of it remains. */
  transactionEnded(): void {
    this.isTransactionOpen = false;
    this.transaction++;
  }

  /** Events that were recorded did not happen, so that the rows of a chunk may not be dropped for them. */
  rolledBack(): void {
    for (const { windows } of this.#tables.values()) {
      for (const window of windows) {
        if (window.lastTransaction === this.transaction) window.invalid = 'a transaction was rolled back';
      }
    }
  }

  /** A statement emptied the table. */
  emptied(schema: string, table: string): void {
    this.isTransactionOpen = true;
    for (const window of this.of(schema, table).windows) window.emptied(this.transaction);
  }

  /** A statement can have changed the columns or the rows of the table, or of all tables of the schema. */
  changed(schema: string, table: string | undefined, statement: string): void {
    // It counts as processed once its transaction has ended: a window that opens before would miss it.
    this.isTransactionOpen = true;
    this.invalidate(schema, table, `${statement} while the chunk was read`);
  }

  /** Rows of the table, or of all tables of the schema, that were read and not merged yet do not count. */
  invalidate(schema: string, table: string | undefined, why: string): void {
    for (const [key, { windows }] of this.#tables) {
      if (table === undefined ? !key.startsWith(`${schema}\0`) : key !== `${schema}\0${table}`) continue;
      for (const window of windows) window.invalid = why;
    }
  }
}
