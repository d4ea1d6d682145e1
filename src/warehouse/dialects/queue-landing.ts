import type { Delivered, LandingSource } from '../dialect.ts';
import { STATE_SCHEMA } from '../names.ts';
import type { LandedTable } from '../tables/landed-table.ts';
import { flatNames } from './event-columns.ts';
import { quotedText } from './sql-text.ts';

/** The table that Firehose fills: DataTableName of its stream. */
export const LANDING_TABLE = `${STATE_SCHEMA}.landing`;

interface QueueWriter {
  /** Types. */
  text: string;
  json: string;
  boolean: string;
  quote(name: string): string;
  legalName(name: string): string;
  /** The text of a member of a JSON column. */
  member(column: string, name: string): string;
  object(pairs: readonly (readonly [name: string, value: string])[]): string;
}

/**
 * A table with a column for each member of an event, as COPY with JSON 'auto' fills it. Format debezium has one for all
 * tables of a stream. Format flat has one for each table, with its columns as text.
 */
export function queueLanding(writer: QueueWriter): LandingSource {
  return {
    kind: 'queue',
    define: (delivered) =>
      delivered.format === 'debezium'
        ? [debeziumTable(writer)]
        : delivered.tables.map((table) => flatTable(table, delivered, writer)),
    events: (delivered) =>
      delivered.format === 'debezium'
        ? debeziumEvents(delivered, writer)
        : delivered.tables.map((table) => flatEvents(table, delivered, writer)).join('\nUNION ALL\n'),
    remove: (delivered, batch) => {
      const seq = delivered.format === 'debezium' ? 'seq' : writer.quote(flatNames(delivered.flatPrefix).seq);
      return landingTables(delivered, writer).map(
        (landing) => `DELETE FROM ${landing} WHERE ${seq} IN (SELECT seq FROM ${batch})`,
      );
    },
  };
}

const landingTables = ({ format, tables }: Delivered, writer: QueueWriter): string[] =>
  format === 'debezium' ? [LANDING_TABLE] : tables.map((table) => flatLanding(table, writer));

const flatLanding = ({ schema, table }: LandedTable, { quote, legalName }: QueueWriter): string =>
  `${STATE_SCHEMA}.${quote(legalName(`landing_${schema}_${table}`))}`;

const debeziumTable = ({ text, json, boolean }: QueueWriter): string => `CREATE TABLE IF NOT EXISTS ${LANDING_TABLE} (
  op ${text},
  before ${json},
  after ${json},
  key ${json},
  seq ${text},
  source ${json},
  ts_ms bigint,
  partial ${boolean}
)`;

function debeziumEvents({ tables }: Delivered, { member }: QueueWriter): string {
  const [db, table] = [member('l.source', 'db'), member('l.source', 'table')];
  const wanted = tables.map((one) => `${db} = ${quotedText(one.schema)} AND ${table} = ${quotedText(one.table)}`);
  return `SELECT ${db} AS schema_name, ${table} AS table_name, l.op, l.seq, coalesce(l.partial, false) AS is_partial,
  CASE l.op WHEN 'd' THEN l.key ELSE l.after END AS row_json
FROM ${LANDING_TABLE} l
WHERE ${wanted.map((condition) => `(${condition})`).join('\n  OR ')}`;
}

function flatTable(table: LandedTable, { flatPrefix }: Delivered, writer: QueueWriter): string {
  const { text, boolean, quote } = writer;
  const { op, seq, deleted, ts_ms: tsMs, db, table: name, partial } = flatNames(flatPrefix);
  const columns = table.columns.map((column) => `${quote(column.name)} ${text}`);
  const meta = [
    ...[op, seq].map((field) => `${quote(field)} ${text}`),
    `${quote(deleted)} ${boolean}`,
    `${quote(tsMs)} bigint`,
    ...[db, name].map((field) => `${quote(field)} ${text}`),
    `${quote(partial)} ${boolean}`,
  ];
  return `CREATE TABLE IF NOT EXISTS ${flatLanding(table, writer)} (
  ${[...columns, ...meta].join(',\n  ')}
)`;
}

/** A column that is missing is NULL here, as one that is null: partial rows stay where they are. */
function flatEvents(table: LandedTable, { flatPrefix }: Delivered, writer: QueueWriter): string {
  const { quote, object } = writer;
  const { op, seq, db, table: name, partial } = flatNames(flatPrefix);
  const pairs = table.columns.map((column) => [column.name, `l.${quote(column.name)}`] as const);
  return `SELECT l.${quote(db)} AS schema_name, l.${quote(name)} AS table_name, l.${quote(op)} AS op, l.${quote(seq)} AS seq,
  false AS is_partial, ${object(pairs)} AS row_json
FROM ${flatLanding(table, writer)} l
WHERE l.${quote(db)} = ${quotedText(table.schema)} AND l.${quote(name)} = ${quotedText(table.table)} 
  AND (l.${quote(op)} = 'd' OR NOT coalesce(l.${quote(partial)}, false))`;
}
