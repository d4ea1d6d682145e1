import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import type { Column } from '../../model/table.ts';
import type { ResolvedTableSchema } from '../../model/table-schema.ts';

/** Type, metadata and nullability of each column, as in a TABLE_MAP event. */
export const columnSignature = (columns: readonly Column[]): string =>
  columns.map(({ type, meta, nullable }) => `${type}.${meta}${nullable ? 'n' : ''}`).join(' ');

const DDL = /\b(?:ALTER|CREATE|DROP|RENAME|TRUNCATE)\b/i;

/**
 * Whether a statement can alter the columns of a table. The statement is not parsed: every DDL statement that contains
 * the name of the table counts, so none is missed.
 */
export function canAlter(sql: string, table: string): boolean {
  return DDL.test(sql) && sql.toLowerCase().replaceAll('``', '`').includes(table.toLowerCase());
}

/**
 * Resolved columns of tables whose columns the binlog does not name. They are saved in the checkpoint, so that a
 * restart decodes old events with the old columns.
 */
export class TableSchemaCache {
  #tables: ResolvedTableSchema[];

  constructor(tables: readonly ResolvedTableSchema[]) {
    this.#tables = [...tables];
  }

  find(schema: string, table: string, signature: string, at: Coordinates): ResolvedTableSchema | undefined {
    return this.#tables.find(
      (known) =>
        known.schema === schema &&
        known.table === table &&
        known.shape === signature &&
        !isBefore(at, known.from) &&
        (known.until === null || isBefore(at, known.until)),
    );
  }

  add(table: ResolvedTableSchema): void {
    this.#tables.push(table);
  }

  /** A statement was read: the columns of tables that it can alter are valid only before it. */
  ddl(sql: string, at: Coordinates): void {
    for (const known of this.#tables) {
      if (known.until === null && canAlter(sql, known.table)) known.until = { ...at };
    }
  }

  /** The entries that events after these coordinates can need. Entries that ended before are removed. */
  entriesFrom(delivered: Coordinates): ResolvedTableSchema[] {
    if (this.#tables.some(({ until }) => until !== null && isBefore(until, delivered))) {
      this.#tables = this.#tables.filter(({ until }) => until === null || !isBefore(until, delivered));
    }
    return this.#tables;
  }
}
