import { quoteIdentifier } from '../../model/identifier.ts';
import { indexPart } from '../../model/row-key.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import { type KeyColumn, keyColumn } from './key-column.ts';
import { readCharsets } from './read-charsets.ts';
import type { ReadSession } from './session.ts';

/** SHOW KEYS: whether the index is descending, and how much of the column it holds. */
const COLLATION = 5;
const SUB_PART = 7;

/** The columns of the key in the order of its index; empty if the table has none. */
export async function readKeyColumns(session: ReadSession, table: DeclaredTable): Promise<KeyColumn[]> {
  if (table.keyIndex === undefined || table.primaryKey.length === 0) return [];
  const parts = await session.query(`SHOW KEYS FROM ${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`);
  const charsetOf = await readCharsets(session, table);
  return table.primaryKey.map((index) => {
    const column = table.columns[index];
    if (column === undefined) throw new Error(`the key of ${table.schema}.${table.name} has a column that it lacks`);
    const part = parts.find((row) => indexPart(row).index === table.keyIndex && indexPart(row).column === column.name);
    return keyColumn(column, index, {
      descending: part?.[COLLATION] === 'D',
      prefix: part?.[SUB_PART] != null,
      ...charsetOf(column.name),
    });
  });
}
