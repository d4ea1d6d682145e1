import type { Column } from '../../model/table.ts';
import type { KeyTextColumn } from './key-predicate.ts';
import type { ReadSession } from './session.ts';

/** CHARACTER_SET_NAME and COLLATION_NAME of a column; null for a column that is no text. */
export interface ColumnCharset {
  charset: string | null;
  collation: string | null;
}

/** The character sets of the columns of a table, by name. */
export async function readCharsets(
  session: Pick<ReadSession, 'query'>,
  { schema, name }: { schema: string; name: string },
): Promise<(column: string) => ColumnCharset> {
  const rows = await session.query(
    `SELECT COLUMN_NAME, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
    [schema, name],
  );
  const textOrNull = (cell: unknown): string | null => (cell == null ? null : String(cell));
  return (column) => {
    const [, charset, collation] = rows.find((row) => row[0] === column) ?? [];
    return { charset: textOrNull(charset), collation: textOrNull(collation) };
  };
}

/**
 * The key columns of the events of a table, for `keyPredicate`.
 * @param key the indexes of the columns, in key order
 * @param isHashed whether a column rule replaces the values of a column
 */
export async function readKeyTextColumns(
  session: Pick<ReadSession, 'query'>,
  table: { schema: string; name: string; columns: readonly Column[] },
  key: readonly number[],
  isHashed: (column: string) => boolean,
): Promise<KeyTextColumn[]> {
  const charsetOf = await readCharsets(session, table);
  return key.map((index) => {
    const column = table.columns[index];
    if (column === undefined) throw new Error(`the key of ${table.schema}.${table.name} has a column that it lacks`);
    const { charset, collation } = charsetOf(column.name);
    return { ...column, charset, collationName: collation, isHashed: isHashed(column.name) };
  });
}
