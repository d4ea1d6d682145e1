import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { FLAT_FIELDS } from '../model/flat-fields.ts';
import { CdcError } from '../runtime/error.ts';
import { formatRawObject, parseRawObject } from '../runtime/raw-json.ts';
import { loadDuckdb } from './duckdb.ts';
import { globLiteral, jsonPointer, sqlLiteral } from './sql.ts';

/**
 * Folds the events of one stream into the tables that they describe. For each schema, table and key the event with the
 * highest `seq` wins. The DuckDB schema `cdc_lake` has the results: `events` has a row per landed line, `state` has a
 * row per current row. Both keep the text of the line, because DuckDB's JSON functions round numbers with a decimal
 * point.
 */
export interface FoldOptions {
  objects: readonly string[];
  format?: 'debezium' | 'flat';
  flatPrefix?: string;
  /** The key columns by table. Format flat requires them, because its events have no `key`. */
  keys?: readonly { schema: string; table: string; columns: readonly string[] }[];
  /** The database file to create. Default: in memory. */
  database?: string;
}

export interface FoldedTable {
  schema: string;
  table: string;
  events: number;
  rows: number;
  /** The reason why the events of this table cannot be folded to rows. */
  unfoldable?: string;
}

export interface Fold {
  connection: DuckDBConnection;
  format: 'debezium' | 'flat';
  flatPrefix: string;
  tables: FoldedTable[];
  /** The number of landed lines. */
  events: number;
  /** The number of lines that repeat the `seq` of another line. */
  repeats: number;
  /** The number of `seq` values with different contents. Repeats can differ only in the time of processing. */
  conflicts: number;
  close(): void;
}

/** A current row: column name to the raw JSON text of its value. */
export type LakeRow = Map<string, string>;

const KEY_MACRO = `CREATE MACRO cdc_lake.key_text(k) AS
  to_json(list_sort(map_entries(CAST(CAST(k AS JSON) AS MAP(VARCHAR, VARCHAR)))))::VARCHAR`;

/** @throws CdcError with exit code 4 when a line is not an event, with 1 when DuckDB is not installed */
export async function foldLake(options: FoldOptions): Promise<Fold> {
  const { format = 'debezium', flatPrefix = '_' } = options;
  const { DuckDBInstance } = await loadDuckdb();
  const instance = await DuckDBInstance.create(options.database ?? ':memory:');
  const connection = await instance.connect();
  const close = () => {
    connection.closeSync();
    instance.closeSync();
  };
  try {
    await connection.run('CREATE SCHEMA cdc_lake');
    await connection.run(KEY_MACRO);
    await connection
      .run(`CREATE TABLE cdc_lake.events AS ${eventsSql(options, format, flatPrefix)}`)
      .catch(throwUnreadable);
    await assertAllEvents(connection);
    await connection.run(STATE_SQL);
    await completePartialRows(connection, format);
    const [counts] = await selectRows(connection, countsSql(format, flatPrefix));
    const [events, repeats, conflicts] = counts!.map(Number) as [number, number, number];
    const tables = await describeTables(connection, format);
    return { connection, format, flatPrefix, tables, events, repeats, conflicts, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The rows of a folded table in no particular order. */
export async function* lakeRows(fold: Fold, schema: string, table: string): AsyncGenerator<LakeRow> {
  const sql = 'SELECT line FROM cdc_lake.state WHERE db = $1 AND tbl = $2';
  const result = await fold.connection.stream(sql, [schema, table]);
  for await (const chunk of result.yieldRows()) for (const [line] of chunk) yield rowOf(fold, line as string);
}

/** The row in a line of `state`. */
export function rowOf(fold: Pick<Fold, 'format' | 'flatPrefix'>, line: string): LakeRow {
  const row = parseRawObject(line);
  if (fold.format === 'debezium') return parseRawObject(row.get('after') ?? '{}');
  for (const name of metaFields(fold.flatPrefix)) row.delete(name);
  return row;
}

/** The metadata fields of a flat event. */
export const metaFields = (prefix: string): string[] => FLAT_FIELDS.map((name) => prefix + name);

/** Runs a query and returns all rows. */
export async function selectRows(
  connection: DuckDBConnection,
  sql: string,
  values?: DuckDBValue[],
): Promise<DuckDBValue[][]> {
  return (await connection.runAndReadAll(sql, values)).getRows();
}

function eventsSql({ objects, keys = [] }: FoldOptions, format: 'debezium' | 'flat', prefix: string): string {
  const member = (...names: string[]) => `json_extract_string(json, ${sqlLiteral(jsonPointer(...names))})`;
  const fields =
    format === 'debezium'
      ? {
          db: member('source', 'db'),
          tbl: member('source', 'table'),
          op: member('op'),
          seq: member('seq'),
          partial: member('partial'),
        }
      : {
          db: member(`${prefix}db`),
          tbl: member(`${prefix}table`),
          op: member(`${prefix}op`),
          seq: member(`${prefix}seq`),
          partial: member(`${prefix}partial`),
        };
  const flatKeys = keys.map(({ schema, table, columns }) => {
    const pairs = columns
      .map((name) => `${sqlLiteral(name)}, json_extract(json, ${sqlLiteral(jsonPointer(name))})`)
      .join(', ');
    const condition = `${fields.db} = ${sqlLiteral(schema)} AND ${fields.tbl} = ${sqlLiteral(table)}`;
    return `WHEN ${condition} THEN cdc_lake.key_text(json_object(${pairs}))`;
  });
  const debeziumKey =
    "CASE WHEN json_type(json, '/key') = 'OBJECT' THEN cdc_lake.key_text(json_extract(json, '/key')) END";
  const key =
    format === 'debezium' ? debeziumKey : flatKeys.length > 0 ? `CASE ${flatKeys.join(' ')} END` : 'NULL::VARCHAR';
  const lines =
    objects.length > 0
      ? `read_json_objects([${objects.map((path) => sqlLiteral(globLiteral(path))).join(', ')}],
           format = 'newline_delimited', filename = true, hive_partitioning = false, maximum_object_size = 33554432)`
      : "(SELECT NULL::JSON AS json, '' AS filename) WHERE false";
  return `SELECT ${fields.db} AS db, ${fields.tbl} AS tbl, ${fields.op} AS op, ${fields.seq} AS seq,
    coalesce(${fields.partial} = 'true', false) AS partial, ${key} AS key, json::VARCHAR AS line, filename
    FROM ${lines}`;
}

/** A current row is the last event of its key, unless the event is a delete or a later TRUNCATE emptied the table. */
const STATE_SQL = `
  CREATE TABLE cdc_lake.state AS
  WITH emptied AS (SELECT db, tbl, max(seq) AS seq FROM cdc_lake.events WHERE op = 't' GROUP BY db, tbl),
  latest AS (
    SELECT db, tbl, key, max(seq) AS seq,
      arg_max(op, seq) AS op, arg_max(partial, seq) AS partial, arg_max(line, seq) AS line
    FROM cdc_lake.events WHERE op <> 't' AND key IS NOT NULL GROUP BY db, tbl, key)
  SELECT latest.* EXCLUDE (op) FROM latest LEFT JOIN emptied USING (db, tbl)
  WHERE op <> 'd' AND (emptied.seq IS NULL OR latest.seq > emptied.seq)`;

/** Adds the columns that the last event of a key lacks (a partial row image) from the events before it. */
async function completePartialRows(connection: DuckDBConnection, format: 'debezium' | 'flat'): Promise<void> {
  const chains = await selectRows(
    connection,
    `WITH emptied AS (SELECT db, tbl, max(seq) AS seq FROM cdc_lake.events WHERE op = 't' GROUP BY db, tbl),
     history AS (
       SELECT e.db, e.tbl, e.key, e.op, e.seq, e.partial, e.line FROM cdc_lake.events e
       SEMI JOIN (FROM cdc_lake.state WHERE partial) s USING (db, tbl, key) LEFT JOIN emptied USING (db, tbl)
       WHERE emptied.seq IS NULL OR e.seq > emptied.seq),
     base AS (
       SELECT db, tbl, key, max(seq) FILTER (WHERE NOT partial OR op IN ('c', 'd')) AS seq
       FROM history GROUP BY db, tbl, key)
     SELECT db, tbl, key, list(line ORDER BY history.seq)
     FROM history JOIN base USING (db, tbl, key)
     WHERE op <> 'd' AND (base.seq IS NULL OR history.seq >= base.seq) GROUP BY db, tbl, key`,
  );
  for (const [db, tbl, key, lines] of chains) {
    const row = new Map<string, string>();
    for (const line of (lines as { items: string[] }).items) {
      const event = parseRawObject(line);
      const columns = format === 'debezium' ? parseRawObject(event.get('after') ?? '{}') : event;
      for (const [name, raw] of columns) row.set(name, raw);
    }
    const completed = format === 'debezium' ? `{"after":${formatRawObject(row)}}` : formatRawObject(row);
    const update = 'UPDATE cdc_lake.state SET line = $1 WHERE db = $2 AND tbl = $3 AND key = $4';
    await connection.run(update, [completed, db!, tbl!, key!]);
  }
}

function countsSql(format: 'debezium' | 'flat', prefix: string): string {
  const clock = format === 'debezium' ? ',"ts_ms":[0-9]+\\}\\s*$' : `"${prefix}ts_ms":[0-9]+`;
  return `SELECT count(*), count(*) - count(DISTINCT seq), (
      SELECT count(*) FROM (
        SELECT seq FROM (SELECT seq, line FROM cdc_lake.events QUALIFY count(*) OVER (PARTITION BY seq) > 1)
        GROUP BY seq HAVING count(DISTINCT regexp_replace(line, ${sqlLiteral(clock)}, '')) > 1))
    FROM cdc_lake.events`;
}

async function describeTables(connection: DuckDBConnection, format: 'debezium' | 'flat'): Promise<FoldedTable[]> {
  const found = await selectRows(
    connection,
    `WITH emptied AS (SELECT db, tbl, max(seq) AS seq FROM cdc_lake.events WHERE op = 't' GROUP BY db, tbl),
     seen AS (
       SELECT db, tbl, count(DISTINCT e.seq) AS events,
         count(*) FILTER (WHERE key IS NULL AND op <> 't' AND (emptied.seq IS NULL OR e.seq > emptied.seq)) AS keyless
       FROM cdc_lake.events e LEFT JOIN emptied USING (db, tbl) GROUP BY db, tbl)
     SELECT db, tbl, seen.events, keyless,
       (SELECT count(*) FROM cdc_lake.state s WHERE s.db = seen.db AND s.tbl = seen.tbl)
     FROM seen ORDER BY db, tbl`,
  );
  return found.map(([schema, table, events, keyless, rows]) => ({
    schema: String(schema),
    table: String(table),
    events: Number(events),
    rows: Number(rows),
    ...(Number(keyless) > 0 && { unfoldable: notFoldableReason(Number(keyless), format) }),
  }));
}

function notFoldableReason(events: number, format: 'debezium' | 'flat'): string {
  const reason = `${events} of its events have no key`;
  return format === 'debezium'
    ? `${reason}; add a primary key to the table, or name key columns under \`keys\` in the configuration`
    : `${reason}, because its key columns were not given`;
}

async function assertAllEvents(connection: DuckDBConnection): Promise<void> {
  const [invalid] = await selectRows(
    connection,
    `SELECT filename, left(line, 200) FROM cdc_lake.events
     WHERE op IS NULL OR op NOT IN ('c', 'u', 'd', 'r', 't') OR seq IS NULL OR db IS NULL OR tbl IS NULL LIMIT 1`,
  );
  if (!invalid) return;
  throw new CdcError(`a line in ${invalid[0]} is not a change event`, {
    why: `it begins with ${invalid[1]}`,
    hint: 'fold only the objects of one stream of cdc, in the format of its configuration',
    exitCode: 4,
  });
}

function throwUnreadable(error: Error): never {
  throw new CdcError('cannot read the objects of the lake', { why: error.message, cause: error, exitCode: 4 });
}
