import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Config } from '../../config/schema.ts';
import { quoteIdentifier } from '../../model/identifier.ts';
import { postgres } from '../../warehouse/dialects/postgres.ts';
import { mergeOnce, parseTarget, readTables } from '../../warehouse/merge/open-merge.ts';
import type { LandedColumn, LandedTable } from '../../warehouse/tables/landed-table.ts';
import { connectShop } from './workload.ts';

export interface WarehouseTable {
  table: string;
  sourceRows: number;
  warehouseRows: number;
  isEqual: boolean;
}

/** A client of the warehouse. */
interface PgClient {
  query(sql: { text: string; rowMode: 'array' }): Promise<{ rows: unknown[][] }>;
  end(): Promise<void>;
}

export async function connectWarehouse(url: string): Promise<PgClient> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

/** Makes the table that Firehose copies into, which must be there before the first COPY. */
export async function createLandingTable(url: string): Promise<void> {
  const client = await connectWarehouse(url);
  try {
    const delivered = { pipeline: 'shop', format: 'debezium', flatPrefix: '_', lake: '', tables: [] } as const;
    for (const text of ['CREATE SCHEMA IF NOT EXISTS cdc_state', ...postgres.landing.define(delivered)]) {
      await client.query({ text, rowMode: 'array' });
    }
  } finally {
    await client.end();
  }
}

/** Merges what Firehose has copied, as `cdc merge` does, and compares each table with MySQL row by row. */
export async function mergeAndCompare(config: Config, url: string, signal: AbortSignal): Promise<WarehouseTable[]> {
  await mergeOnce({ config, wanted: [], into: parseTarget(url), from: 'landing', batchBytes: 0, signal });
  const { tables } = await readTables(config, [], signal);
  const warehouse = await connectWarehouse(url);
  const source = await connectShop(config.source.url);
  try {
    await source.query("SET time_zone = '+00:00'");
    const compared: WarehouseTable[] = [];
    for (const table of tables) compared.push(await compareTable(table, source, warehouse));
    return compared;
  } finally {
    source.destroy();
    await warehouse.end();
  }
}

async function compareTable(table: LandedTable, source: Connection, warehouse: PgClient): Promise<WarehouseTable> {
  const expressions = table.columns.map(({ name, kind }) => {
    const column = quoteIdentifier(name);
    if (kind.kind === 'binary') return `HEX(${column})`;
    return `CAST(${kind.kind === 'integer' ? `${column} + 0` : column} AS CHAR CHARACTER SET utf8mb4)`;
  });
  const from = `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.table)}`;
  const sql = `SELECT ${expressions.join(', ')} FROM ${from}`;
  const [ours] = await source.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
  const { quote } = postgres;
  const texts = table.columns.map(({ name }) => `${quote(name)}::text`).join(', ');
  const text = `SELECT ${texts} FROM ${quote(table.schema)}.${quote(table.table)}`;
  const { rows: theirs } = await warehouse.query({ text, rowMode: 'array' });
  const canonical = (rows: readonly (readonly unknown[])[]): string[] =>
    rows.map((row) => JSON.stringify(table.columns.map((column, i) => canonicalText(column, row[i])))).sort();
  const [mysql, loaded] = [canonical(ours), canonical(theirs)];
  const isEqual = mysql.length === loaded.length && mysql.every((row, i) => row === loaded[i]);
  return { table: table.table, sourceRows: mysql.length, warehouseRows: loaded.length, isEqual };
}

/** MySQL and PostgreSQL write some values in other ways. */
function canonicalText({ kind }: LandedColumn, value: unknown): string | number | null {
  if (value === null || value === undefined) return null;
  const text = String(value);
  switch (kind.kind) {
    case 'float':
    case 'double':
      return Number(text);
    case 'binary':
      return text.replace(/^\\x/, '').toLowerCase();
    case 'datetime':
    case 'timestamp':
    case 'time':
      return text
        .replace(/\+00$/, '')
        .replace(/(\.\d*?)0+$/, '$1')
        .replace(/\.$/, '');
    default:
      return text;
  }
}
