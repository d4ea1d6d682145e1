import { isUtf8 } from 'node:buffer';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { isBinaryCharset, labelsOf } from '../../model/enum-labels.ts';
import { quoteIdentifier } from '../../model/identifier.ts';

/** A column as INFORMATION_SCHEMA shows it. */
interface LabelledColumn {
  schema: string;
  table: string;
  column: string;
  columnType: string;
  charset: string | null;
}

/**
 * The labels of an ENUM or SET column, exact even where COLUMN_TYPE shows `?` for a character; undefined on a server
 * without recursive CTEs (before MySQL 8.0 and MariaDB 10.2), and for bytes that are no text.
 *
 * The columns of a recursive CTE have the types of its first SELECT. That one reads no row of the table, but gives the
 * second column the column's own type, so the numbers that the second SELECT puts there become labels.
 */
export async function readExactLabels(
  connection: Connection,
  { schema, table, column, columnType, charset }: LabelledColumn,
): Promise<string[] | undefined> {
  const labels = labelsOf(columnType);
  const isSet = /^set/i.test(columnType);
  const isBinary = isBinaryCharset(charset);
  const uncertain = labels.flatMap((label, i) => (isBinary || label.includes('?') ? [i] : []));
  const numbers = uncertain.map((i) => `SELECT ${i} AS i, ${isSet ? 1n << BigInt(i) : i + 1} AS number`);
  const [rows] = await connection
    .query<RowDataPacket[]>({
      rowsAsArray: true,
      sql: `WITH RECURSIVE labels AS (
         SELECT -1 AS i, t.${quoteIdentifier(column)} AS label FROM (SELECT 1 AS one) one
           LEFT JOIN ${quoteIdentifier(schema)}.${quoteIdentifier(table)} t ON FALSE
         UNION ALL
         SELECT numbers.i, numbers.number FROM labels JOIN (${numbers.join(' UNION ALL ')}) numbers WHERE labels.i = -1
       ) SELECT i, HEX(${isBinary ? 'label' : 'CONVERT(label USING utf8mb4)'}) FROM labels WHERE i >= 0`,
    })
    .catch((error: { code?: string }) => {
      if (error.code === 'ER_PARSE_ERROR') return [undefined];
      throw error;
    });
  if (rows === undefined) return undefined;
  for (const [i, hex] of rows as unknown as [number | string, string][]) {
    const bytes = Buffer.from(hex, 'hex');
    if (!isUtf8(bytes)) return undefined;
    labels[Number(i)] = bytes.toString();
  }
  return labels;
}
