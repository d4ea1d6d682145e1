import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import type { Column } from '../../model/table.ts';
import type { ResolvedTableSchema } from '../../model/table-schema.ts';
import type { LoggedDdl } from '../binlog/binlog-handler.ts';
import type { TableChange } from '../statement/statement.ts';

/** Type, metadata and nullability of each column, as in a TABLE_MAP event. */
export const columnSignature = (columns: readonly Column[]): string =>
  columns.map(({ type, meta, nullable }) => `${type}.${meta}${nullable ? 'n' : ''}`).join(' ');

/** Whether a change can give the table other columns or another row key. */
export const changesSchema = ({ effect }: TableChange): boolean => effect === 'columns' || effect === 'unique-key';

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

  /** A statement was read: the columns of the tables that it changes are valid only before it. */
  ddl({ changes, at }: LoggedDdl): void {
    for (const change of changes) if (changesSchema(change)) this.#end(change, at);
  }

  #end({ schema, table }: TableChange, at: Coordinates): void {
    for (const known of this.#tables) {
      const isChanged = known.schema === schema && (table === undefined || known.table === table);
      // After a restart a statement is read again. It changed nothing that was resolved after it.
      if (isChanged && known.until === null && isBefore(known.from, at)) known.until = { ...at };
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
