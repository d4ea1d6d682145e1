import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2';
import type { ValueOptions } from '../config/schema.ts';
import { quoteIdentifier } from '../model/identifier.ts';
import { indexPart, SHOW_GENERATED_KEY, serverPrimaryKey } from '../model/row-key.ts';
import { CdcError } from '../runtime/error.ts';
import { type ColumnReader, createColumnReader } from './source-column.ts';

/** A source table with its columns and the columns that identify a row. */
export interface SourceTable {
  schema: string;
  table: string;
  columns: ColumnReader[];
  key: string[];
}

/** Column name to the JSON text that the contract promises for its value. */
export type SourceRow = Map<string, string>;

type Cells = (Buffer | null)[];

/** Connects with a session that returns values as in the contract (UTC, UTF-8) and allows a long comparison. */
export async function connectSource(options: ConnectionOptions): Promise<Connection> {
  const connection = createConnection({ ...options, charset: 'utf8mb4' });
  try {
    await query(connection, "SET time_zone = '+00:00', sql_mode = '', net_write_timeout = 3600");
  } catch (error) {
    connection.destroy();
    throw new CdcError('cannot connect to the source', { why: (error as Error).message, kind: 'retry', cause: error });
  }
  return connection;
}

/** @throws CdcError when the table does not exist or the contract does not define the type of a column */
export async function describeTable(
  connection: Connection,
  schema: string,
  table: string,
  values: ValueOptions,
  keyColumns?: readonly string[],
): Promise<SourceTable> {
  // Other servers do not know the variable, and do not hide the key.
  await queryTexts(connection, SHOW_GENERATED_KEY, []).catch(() => {});
  const columns = await queryTexts(
    connection,
    `SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE), COLUMN_KEY FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    [schema, table],
  );
  if (columns.length === 0) {
    throw new CdcError(`the source has no table ${schema}.${table}, or this user lacks privileges on it`, {
      exitCode: 4,
    });
  }
  const marked = columns.filter(([, , , key]) => key === 'PRI').map(([name]) => name!);
  const keys = await queryTexts(connection, `SHOW KEYS FROM ${quoteIdentifier(schema)}.${quoteIdentifier(table)}`, []);
  return {
    schema,
    table,
    columns: columns.map(([name, dataType, columnType]) =>
      createColumnReader({ name: name!, dataType: dataType!, columnType: columnType! }, values),
    ),
    key: keyColumns ? [...keyColumns] : serverPrimaryKey(marked, keys.map(indexPart)),
  };
}

/** Reads a whole table in key order with one consistent read. It streams the rows in chunks of bounded size. */
export async function* readTable(connection: Connection, table: SourceTable): AsyncGenerator<SourceRow[]> {
  const sql =
    `SELECT ${table.columns.map((column) => column.select).join(', ')}` +
    ` FROM ${quoteIdentifier(table.schema)}.${quoteIdentifier(table.table)}` +
    (table.key.length > 0 ? ` ORDER BY ${table.key.map(quoteIdentifier).join(', ')}` : '');
  const rows = connection.query({ sql, rowsAsArray: true, typeCast: rawCell }).stream({ highWaterMark: 256 });
  let chunk: SourceRow[] = [];
  let bytes = 0;
  for await (const cells of rows as AsyncIterable<Cells>) {
    const row: SourceRow = new Map();
    for (const [i, column] of table.columns.entries()) {
      const cell = cells[i] ?? null;
      row.set(column.name, cell === null ? 'null' : column.toJson(cell));
      bytes += cell?.length ?? 0;
    }
    chunk.push(row);
    if (chunk.length < 20_000 && bytes < 32e6) continue;
    yield chunk;
    chunk = [];
    bytes = 0;
  }
  if (chunk.length > 0) yield chunk;
}

const rawCell = (field: { buffer(): Buffer | null }): Buffer | null => field.buffer();

async function queryTexts(connection: Connection, sql: string, values: string[]): Promise<(string | undefined)[][]> {
  const rows = await query(connection, sql, values);
  return rows.map((row) => row.map((cell) => cell?.toString()));
}

function query(connection: Connection, sql: string, values: string[] = []): Promise<Cells[]> {
  return new Promise((resolve, reject) => {
    connection.query<RowDataPacket[][]>({ sql, values, rowsAsArray: true, typeCast: rawCell }, (error, rows) =>
      error ? reject(error) : resolve(rows as unknown as Cells[]),
    );
  });
}
