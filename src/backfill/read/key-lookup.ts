import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import type { KeyTextColumn } from './key-predicate.ts';
import { CHUNK_BUFFER_BYTES } from './limits.ts';
import { readError } from './read-error.ts';
import type { ReconnectingSession } from './reconnecting-session.ts';
import type { HighWatermark, Processed } from './row-chunk.ts';
import { type CollectedRows, RowCollector } from './row-collector.ts';

/** All rows that a condition selects, as one SELECT has seen them. */
export type FoundRows = CollectedRows & { high: HighWatermark };

/** Reads rows of one table by their keys. */
export class KeyLookup {
  readonly table: DeclaredTable;
  /** The columns of the key of its events. */
  readonly key: readonly KeyTextColumn[];
  readonly #connection: ReconnectingSession;

  constructor(connection: ReconnectingSession, table: DeclaredTable, key: readonly KeyTextColumn[]) {
    this.#connection = connection;
    this.table = table;
    this.key = key;
  }

  /** The statement. A session reads it with the columns that `table` describes. */
  rowsSql(condition: string): string {
    return `SELECT ${this.table.select.join(', ')} FROM ${this.table.from} WHERE ${condition}`;
  }

  /**
   * Waits until `processed` is visible, reads the rows with one SELECT, then takes the high watermark. It gives all
   * rows or an error, because a row that is missing here counts as deleted.
   * @returns undefined if there are several rows, and they have more bytes than allowed
   */
  async read(condition: string, processed: Processed, maxBytes: number): Promise<FoundRows | undefined> {
    const { visibility, options } = this.#connection;
    const session = await this.#connection.open();
    const collector = new RowCollector(Math.min(CHUNK_BUFFER_BYTES, maxBytes));
    let isTooLarge = false;
    try {
      await visibility.open(session, processed, false);
      const statement = await session.prepare(this.rowsSql(condition));
      await session.execute(statement, [], collector, () => {
        if (collector.length <= maxBytes || collector.count < 2) return;
        isTooLarge = true;
        session.destroy();
      });
      const high = await visibility.high(session);
      await visibility.close(session);
      if (!isTooLarge) return { ...collector.rows(), high };
    } catch (error) {
      session.destroy();
      options.signal.throwIfAborted();
      if (!isTooLarge) {
        throw readError(error, {
          table: `${this.table.schema}.${this.table.name}`,
          connection: options.connection,
        });
      }
    }
    return undefined;
  }
}
