import { createHash } from 'node:crypto';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { quoteIdentifier } from '../../model/identifier.ts';
import { type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import {
  type InformationSchemaTable,
  mergeColumns,
  presentColumns,
  readInformationSchema,
  withHiddenColumns,
} from './information-schema.ts';

/**
 * What a session needs so that a prepared SELECT returns the bytes that the codec expects: times in UTC, strings in the
 * character set of their column, CHAR without padding.
 */
export const SNAPSHOT_SESSION = "SET SESSION time_zone = '+00:00', character_set_results = NULL, sql_mode = ''";

/** A table as it is declared now, and how to select its rows so that they become the same events as in the stream. */
export interface DeclaredTable {
  schema: string;
  name: string;
  kind: 'table' | 'view';
  /** The columns as the stream has them, without those that are in no event. Empty for a view. */
  columns: Column[];
  /** Column indexes of the key that the server takes for the primary key, in key order. */
  primaryKey: number[];
  /** The name of the index of that key. */
  keyIndex: string | undefined;
  /** Whether that index has only the beginning of a column, so that it does not order the rows by the key. */
  isPrefixKey: boolean;
  /** The SQL expression of each column in a row packet. */
  select: string[];
  /** The table in a FROM clause. It includes the history of a system-versioned table, as the stream does. */
  from: string;
  /** Changes with the columns, their order and the key. */
  signature: string;
}

/**
 * Reads a table from INFORMATION_SCHEMA. Returns undefined if it does not exist or the account cannot see it.
 * @throws CdcError for a column whose type cdc does not know
 */
export async function readDeclaredTable(
  connection: Connection,
  schema: string,
  name: string,
): Promise<DeclaredTable | undefined> {
  const listed = await readInformationSchema(connection, schema, name);
  if (listed === undefined) return undefined;
  const table = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
  const named = { schema, name, from: listed.hidden.versioned ? `${table} FOR SYSTEM_TIME ALL` : table };
  if (/VIEW/.test(listed.tableType)) {
    const none = { columns: [], primaryKey: [], select: [], keyIndex: undefined, isPrefixKey: false };
    return { ...named, kind: 'view', ...none, signature: '' };
  }
  const hiddenPeriod = listed.hidden.versioned && !(await declaresPeriod(connection, schema, name));
  const declared = hiddenPeriod ? withHiddenColumns(listed, listed.columns.length + 2 + listed.hidden.hashes) : listed;
  const columns = columnsOf(declared, schema, name);
  const { primaryKey } = declared;
  const index = keyIndexOf(listed);
  return {
    ...named,
    kind: 'table',
    columns,
    primaryKey,
    keyIndex: index,
    isPrefixKey: listed.indexParts.some((part) => part.index === index && part.isPrefix),
    select: columns.map(selectExpression),
    signature: createHash('sha256')
      .update(JSON.stringify([columns, primaryKey]))
      .digest('hex'),
  };
}

/** Whether a system-versioned table (MariaDB) names the columns of its period. They are listed like others then. */
async function declaresPeriod(connection: Connection, schema: string, name: string): Promise<boolean> {
  const [rows] = await connection.query<RowDataPacket[]>({
    sql: `SELECT 1 FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND GENERATION_EXPRESSION = 'ROW END'`,
    values: [schema, name],
    rowsAsArray: true,
  });
  return rows.length > 0;
}

function columnsOf(declared: InformationSchemaTable, schema: string, name: string): Column[] {
  const present = presentColumns(declared);
  const columns = typeof present === 'string' ? present : mergeColumns(present, declared);
  if (typeof columns !== 'string') return columns.filter((column) => column.name !== '');
  throw new CdcError(`the columns of ${schema}.${name} cannot be read`, {
    exitCode: 4,
    why: columns,
    hint: 'exclude the table from `tables`, or change the column',
  });
}

/** The index of the key. Of several unique indexes, the server takes the first whose columns are whole. */
function keyIndexOf({ columns, primaryKey, hasPrimaryKey, indexParts }: InformationSchemaTable): string | undefined {
  if (primaryKey.length === 0) return undefined;
  if (hasPrimaryKey) return 'PRIMARY';
  const key = primaryKey.map((column) => columns[column]?.name);
  const unique = new Map<string, (string | null)[]>();
  for (const { index, column, isPrefix, unique: isUnique } of indexParts) {
    if (isUnique) unique.set(index, [...(unique.get(index) ?? []), isPrefix ? null : column]);
  }
  const isKey = (parts: (string | null)[]): boolean =>
    parts.length === key.length && parts.every((part, i) => part === key[i]);
  return [...unique].find(([, parts]) => isKey(parts))?.[0];
}

/**
 * The labels of ENUM and SET are written from their number, as in the stream. `| 0` makes it a BIGINT UNSIGNED on every
 * server (MariaDB gives the CAST of a short column as INT), and is exact for 64 members.
 */
function selectExpression({ name, type, collation }: Column): string {
  const column = quoteIdentifier(name);
  if (type === T.ENUM || type === T.SET) return `CAST(${column} AS UNSIGNED) | 0`;
  return UNKNOWN_TO_DRIVER.has(collation % 1024) ? `CAST(${column} AS BINARY)` : column;
}

/**
 * The collations of dec8, hp8, swe7, keybcs2, geostd8 and eucjpms. mysql2 decodes the name of a column with its
 * character set, and cannot with these. MariaDB adds 1024 for NO PAD; where another one has such a number, the bytes
 * are the same.
 */
const UNKNOWN_TO_DRIVER = new Set([3, 69, 6, 72, 10, 82, 37, 73, 92, 93, 97, 98]);
