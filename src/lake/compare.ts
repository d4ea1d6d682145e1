import type { Connection } from 'mysql2';
import type { ValueOptions } from '../config/schema.ts';
import { CdcError } from '../runtime/error.ts';
import { canonicalJson, formatRawObject, parseRawObject } from '../runtime/raw-json.ts';
import { loadDuckdb } from './duckdb.ts';
import { type Fold, type LakeRow, rowOf, selectRows } from './fold.ts';
import type { ColumnReader } from './source-column.ts';
import { describeTable, readTable, type SourceRow, type SourceTable } from './source-table.ts';

export interface Difference {
  kind: 'missing' | 'extra' | 'different';
  /** The key as JSON text, such as `{"id":1}`. */
  key: string;
  /** The differing columns of a row that both have. `lake` is undefined where the lake's row lacks the column. */
  columns?: { name: string; source: string; lake: string | undefined }[];
}

export interface TableComparison {
  schema: string;
  table: string;
  sourceRows: number;
  lakeRows: number;
  /** Rows of the source that the lake lacks. */
  missing: number;
  /** Rows of the lake that the source lacks. */
  extra: number;
  different: number;
  /** Columns that only rows of the lake have, for example because the source has dropped them since. */
  lakeOnlyColumns: string[];
  /** The first differences, in key order. */
  samples: Difference[];
  /** The reason why the two cannot be compared. */
  incomparable?: string;
}

export interface CompareOptions {
  schema: string;
  table: string;
  values: ValueOptions;
  /** Key columns of a table without a primary key, as `keys` in the configuration names them. */
  keyColumns?: readonly string[];
  /** The maximum number of samples. Default: 20. */
  samples?: number;
}

export const isEqual = (result: TableComparison): boolean =>
  result.incomparable === undefined && result.missing + result.extra + result.different === 0;

/** Compares a source table with the folded lake row by row. The memory is bounded by a chunk of rows. */
export async function compareTable(source: Connection, fold: Fold, options: CompareOptions): Promise<TableComparison> {
  const { schema, table, keyColumns } = options;
  const described = await describeTable(source, schema, table, options.values, keyColumns);
  const folded = fold.tables.find((candidate) => candidate.schema === schema && candidate.table === table);
  const result: TableComparison = {
    schema,
    table,
    sourceRows: 0,
    lakeRows: folded?.rows ?? 0,
    missing: 0,
    extra: 0,
    different: 0,
    lakeOnlyColumns: [],
    samples: [],
  };
  const incomparable =
    described.key.length === 0
      ? 'the source table has no primary key, and no key columns were given'
      : folded?.unfoldable;
  if (incomparable !== undefined) return { ...result, incomparable };

  const { connection } = fold;
  await connection.run('CREATE OR REPLACE TEMP TABLE seen (key VARCHAR)');
  const lakeOnly = new Set<string>();
  const limit = options.samples ?? 20;
  const addDifference = (difference: Difference) => {
    result[difference.kind]++;
    if (result.samples.length < limit) result.samples.push(difference);
  };
  for await (const rows of readTable(source, described)) {
    result.sourceRows += rows.length;
    const keys = rows.map((row) => keyOf(described, row));
    const found = await findLines(fold, schema, table, keys);
    for (const [i, row] of rows.entries()) {
      const line = found.get(i);
      if (line === undefined) addDifference({ kind: 'missing', key: keys[i]! });
      else {
        const columns = differingColumns(described.columns, row, rowOf(fold, line), lakeOnly);
        if (columns.length > 0) addDifference({ kind: 'different', key: keys[i]!, columns });
      }
    }
  }
  await assertUniqueKeys(fold, described, result.sourceRows);
  for await (const line of unseenLines(fold, schema, table))
    addDifference({ kind: 'extra', key: keyOfLine(fold, described, line) });
  result.lakeOnlyColumns = [...lakeOnly].sort();
  return result;
}

const keyOf = (table: SourceTable, row: SourceRow): string =>
  formatRawObject(table.key.map((name) => [name, row.get(name) ?? 'null'] as const));

function keyOfLine(fold: Fold, table: SourceTable, line: string): string {
  const keyText = fold.format === 'debezium' ? parseRawObject(line).get('key') : undefined;
  const row = keyText === undefined ? rowOf(fold, line) : parseRawObject(keyText);
  return formatRawObject(
    keyText === undefined ? table.key.map((name) => [name, row.get(name) ?? 'null'] as const) : row,
  );
}

/** The lake's lines, by the index of their key. The same macro normalizes the keys of both sides. */
async function findLines(fold: Fold, schema: string, table: string, keys: string[]): Promise<Map<number, string>> {
  const { connection } = fold;
  const { LIST, listValue, VARCHAR } = await loadDuckdb();
  const list = [listValue(keys)];
  await connection.run(
    `CREATE OR REPLACE TEMP TABLE requested_keys AS
     SELECT cdc_lake.key_text(raw) AS key, i FROM (SELECT unnest($1) AS raw, generate_subscripts($1, 1) - 1 AS i)`,
    list,
    [LIST(VARCHAR)],
  );
  await connection.run('INSERT INTO seen SELECT key FROM requested_keys');
  const found = await selectRows(
    connection,
    'SELECT i, line FROM cdc_lake.state JOIN requested_keys USING (key) WHERE db = $1 AND tbl = $2',
    [schema, table],
  );
  return new Map(found.map(([i, line]) => [Number(i), line as string]));
}

async function* unseenLines(fold: Fold, schema: string, table: string): AsyncGenerator<string> {
  const sql = `SELECT line FROM (FROM cdc_lake.state WHERE db = $1 AND tbl = $2) s
    ANTI JOIN seen USING (key) ORDER BY key`;
  const result = await fold.connection.stream(sql, [schema, table]);
  for await (const rows of result.yieldRows()) for (const [line] of rows) yield line as string;
}

async function assertUniqueKeys(fold: Fold, table: SourceTable, rows: number): Promise<void> {
  const [counted] = await selectRows(fold.connection, 'SELECT count(DISTINCT key) FROM seen');
  if (Number(counted![0]) === rows) return;
  throw new CdcError(
    `the key columns ${table.key.join(', ')} of ${table.schema}.${table.table} do not identify its rows`,
    {
      why: `${rows} rows have only ${counted![0]} different keys`,
      hint: 'choose key columns that are unique together',
      exitCode: 2,
    },
  );
}

function differingColumns(
  columns: readonly ColumnReader[],
  row: SourceRow,
  lakeRow: LakeRow,
  lakeOnly: Set<string>,
): { name: string; source: string; lake: string | undefined }[] {
  const differing = [];
  for (const { name, sameValue } of columns) {
    const source = row.get(name)!;
    const lake = lakeRow.get(name);
    lakeRow.delete(name);
    if (lake !== undefined && (source === lake || canonicalJson(source) === canonicalJson(lake))) continue;
    if (lake !== undefined && source !== 'null' && sameValue?.(source, lake)) continue;
    differing.push({ name, source: truncateValue(source), lake: lake === undefined ? undefined : truncateValue(lake) });
  }
  for (const name of lakeRow.keys()) lakeOnly.add(name);
  return differing;
}

const truncateValue = (raw: string): string =>
  raw.length <= 200 ? raw : `${raw.slice(0, 200)}… (${raw.length} characters)`;
