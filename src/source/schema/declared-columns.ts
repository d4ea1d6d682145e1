import type { Connection, RowDataPacket } from 'mysql2/promise';
import { type Column, ColumnType as T } from '../../model/table.ts';
import type { DeclaredTable } from './declared-table.ts';

/** A column as information_schema declares it, its types in lower case. */
export interface DeclaredColumn {
  name: string;
  dataType: string;
  columnType: string;
  isNullable: boolean;
  comment: string;
  /**
   * What rows have that were there before the column, as information_schema writes it; undefined if that is not known.
   */
  defaultText?: string;
}

/** Stands for the default of a generated column: its values follow from the others. */
export const GENERATED = '\0generated';
/** Stands for the default that a NOT NULL column without one has: zero, or an empty text. */
export const IMPLICIT = '\0implicit';

/** The columns of the table's events, as information_schema declares them. */
export async function readDeclaredColumns(
  connection: Connection,
  { schema, name, columns }: DeclaredTable,
): Promise<DeclaredColumn[]> {
  const text = (expression: string): string => `CONVERT(${expression} USING utf8mb4)`;
  const [rows] = await connection.query<RowDataPacket[][]>({
    sql: `SELECT ${text('COLUMN_NAME')}, ${text('LOWER(DATA_TYPE)')}, ${text('LOWER(COLUMN_TYPE)')},
        ${text('COLUMN_DEFAULT')}, ${text('LOWER(EXTRA)')}, ${text('IS_NULLABLE')},
        ${text('COLUMN_COMMENT')}
      FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
    values: [schema, name],
    rowsAsArray: true,
  });
  const declared = new Map((rows as unknown as (string | null)[][]).map((row) => [row[0] as string, row]));
  return columns.map((column) => {
    const [, dataType, columnType, defaultText, extra, nullable, comment] =
      declared.get(column.name) ?? hiddenColumn(column);
    const isGenerated = /\b(virtual|stored|persistent) generated|^(virtual|persistent|stored)$/.test(extra ?? '');
    const implicit = nullable === 'NO' ? IMPLICIT : undefined;
    const known = isGenerated ? GENERATED : (unquoted(defaultText ?? undefined) ?? implicit);
    return {
      name: column.name,
      dataType: dataType as string,
      columnType: columnType as string,
      isNullable: nullable !== 'NO',
      comment: comment ?? '',
      ...(known !== undefined && { defaultText: known }),
    };
  });
}

/** The columns of a period that MariaDB does not list. */
function hiddenColumn({ name, type }: Column): (string | null)[] {
  if (type === T.TIMESTAMP2 || type === T.TIMESTAMP) return [name, 'timestamp', 'timestamp(6)', null, '', 'NO', ''];
  return [name, 'bigint', 'bigint unsigned', null, '', 'NO', ''];
}

/** MariaDB quotes texts, and says NULL. */
function unquoted(text: string | undefined): string | undefined {
  if (text === undefined || text.toUpperCase() === 'NULL') return undefined;
  if (!/^'.*'$/s.test(text)) return text;
  return text
    .slice(1, -1)
    .replace(/''|\\(.)/gs, (_, escaped?: string) => ESCAPED[escaped ?? "'"] ?? (escaped as string));
}

const ESCAPED: Readonly<Record<string, string>> = { "'": "'", 0: '\0', n: '\n', r: '\r', t: '\t', Z: '\x1a' };
