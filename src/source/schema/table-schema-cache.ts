import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import type { Column } from '../../model/table.ts';
import type { ResolvedTableSchema } from '../../model/table-schema.ts';

/** Type, metadata and nullability of each column, as a TABLE_MAP has them. */
export const columnSignature = (columns: readonly Column[]): string =>
  columns.map(({ type, meta, nullable }) => `${type}.${meta}${nullable ? 'n' : ''}`).join(' ');

const DDL = /\b(?:ALTER|CREATE|DROP|RENAME|TRUNCATE)\b/i;

/**
 * Whether a statement may change what the columns of a table are. Not parsed: any statement of that kind in which the
 * table's name occurs counts, so it is never missed.
 */
export function mayAlter(sql: string, table: string): boolean {
  return DDL.test(sql) && sql.toLowerCase().replaceAll('``', '`').includes(table.toLowerCase());
}

/** The columns of tables that the stream does not name; kept with the checkpoint, so that old events keep theirs. */
export class TableSchemaCache {
  #tables: ResolvedTableSchema[];

  constructor(tables: readonly ResolvedTableSchema[]) {
    this.#tables = [...tables];
  }

  find(schema: string, table: string, shape: string, at: Coordinates): ResolvedTableSchema | undefined {
    return this.#tables.find(
      (known) =>
        known.schema === schema &&
        known.table === table &&
        known.shape === shape &&
        !isBefore(at, known.from) &&
        (known.until === null || isBefore(at, known.until)),
    );
  }

  add(table: ResolvedTableSchema): void {
    this.#tables.push(table);
  }

  /** A statement was read; what it may alter holds no longer. */
  ddl(sql: string, at: Coordinates): void {
    for (const known of this.#tables) {
      if (known.until === null && mayAlter(sql, known.table)) known.until = { ...at };
    }
  }

  /** What may still be asked for behind these coordinates; versions that ended before them are forgotten. */
  entriesFrom(delivered: Coordinates): ResolvedTableSchema[] {
    if (this.#tables.some(({ until }) => until !== null && isBefore(until, delivered))) {
      this.#tables = this.#tables.filter(({ until }) => until === null || !isBefore(until, delivered));
    }
    return this.#tables;
  }
}
