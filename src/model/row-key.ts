/**
 * Makes INFORMATION_SCHEMA and SHOW KEYS list a generated invisible primary key, which is in the binlog too. Only MySQL
 * since 8.0.30 knows the variable.
 */
export const SHOW_GENERATED_KEY = 'SET SESSION show_gipk_in_create_table_and_information_schema = ON';

/** A column of an index, as SHOW KEYS lists it. */
export interface IndexPart {
  index: string;
  unique: boolean;
  /** Null for an expression. */
  column: string | null;
  /** Whether the index has only the beginning of the values. */
  isPrefix: boolean;
}

/** The columns of a row of SHOW KEYS, by position: the names differ in case between servers. */
export const indexPart = (row: readonly unknown[]): IndexPart => ({
  unique: Number(row[1]) === 0,
  index: String(row[2]),
  column: row[4] == null ? null : String(row[4]),
  isPrefix: row[7] != null,
});

/**
 * The key that the server takes for the primary key of a table, in key order. That is PRIMARY, or the first unique key
 * whose columns are NOT NULL and whole. `binlog_row_metadata=FULL` names this key, so it is the key of the events in
 * all other cases too.
 *
 * The server marks the columns of this key with COLUMN_KEY = 'PRI', and SHOW KEYS lists the keys in its own order
 * (MySQL: sort_keys in sql_table.cc, and open_table_def in table.cc).
 *
 * @param marked the columns with COLUMN_KEY = 'PRI'
 * @param parts the rows of SHOW KEYS in the order of the server
 */
export function serverPrimaryKey(marked: readonly string[], parts: readonly IndexPart[]): string[] {
  if (marked.length <= 1) return [...marked];
  const keys = new Map<string, (string | null)[]>();
  for (const { index, unique, column } of parts) {
    if (unique) keys.set(index, [...(keys.get(index) ?? []), column]);
  }
  const isMarked = (columns: readonly (string | null)[]): boolean =>
    columns.length === marked.length && columns.every((column) => column !== null && marked.includes(column));
  const found = keys.get('PRIMARY') ?? [...keys.values()].find(isMarked);
  return found !== undefined && isMarked(found) ? (found as string[]) : [...marked];
}
