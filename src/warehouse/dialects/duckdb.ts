import type { ValueOptions } from '../../config/schema.ts';
import { jsonPointer } from '../../lake/sql.ts';
import type { Dialect, WantedMember } from '../dialect.ts';
import { DAY_PATTERN, eventColumns, type LineReader } from './event-columns.ts';
import { DECIMAL_DIGITS_MAX, DOUBLE_DIGITS, doubleQuoted, NOTES, quotedText, wordsAsNumbers } from './sql-text.ts';

const INTEGER_TYPES = { 8: 'TINYINT', 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' } as const;

const pointer = (names: readonly string[]): string => quotedText(jsonPointer(...names));

const LINE: LineReader = {
  text: (...names) => `json_extract_string(json, ${pointer(names)})`,
  isTrue: (text) => `coalesce(${text} = 'true', false)`,
  row: (name) => (name === undefined ? 'json' : `json_extract(json, ${pointer([name])})`),
};

/** DuckDB, from 1.4 on, which has MERGE. */
export const duckdb: Dialect = {
  name: 'duckdb',
  title: 'DuckDB',
  textType: 'VARCHAR',
  booleanType: 'BOOLEAN',
  tableSuffix: () => '',
  // Its index would hold every key in memory.
  primaryKey: 'none',
  hasNotNull: true,
  comments: 'statements',
  mergesTablesOnly: false,
  keyKinds: new Set(['integer', 'decimal', 'text', 'binary']),
  begin: 'BEGIN',
  now: "CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP)",
  hasTemporaryViews: true,
  timestampType: 'TIMESTAMP',
  dayText: (time, days) => `strftime(${time} - INTERVAL ${days} DAY, '%Y/%m/%d')`,
  landing: {
    kind: 'files',
    define: () => [],
    events: (delivered) => `SELECT ${eventColumns(delivered, LINE)},
  regexp_extract(filename, ${quotedText(DAY_PATTERN)}, 1) AS day
FROM read_json_objects(${quotedText(`${delivered.lake.replace(/\/+$/, '')}/**`)}, format = 'newline_delimited', filename = true,
  hive_partitioning = false, maximum_object_size = 67108864)`,
    remove: () => [],
  },
  quote: doubleQuoted,
  quoteInDefinition: doubleQuoted,
  literal: quotedText,
  legalName: (name) => name,
  columnType(kind) {
    switch (kind.kind) {
      case 'integer':
        return { type: `${kind.unsigned ? 'U' : ''}${INTEGER_TYPES[kind.bits]}` };
      case 'decimal':
        if (kind.precision > DECIMAL_DIGITS_MAX) return { type: 'VARCHAR', note: NOTES.decimal };
        return {
          type: `DECIMAL(${kind.precision}, ${kind.scale})`,
          ...(kind.precision > DOUBLE_DIGITS && { note: 'with decimal: number the JSON functions of DuckDB round it' }),
        };
      case 'float':
        return { type: 'FLOAT' };
      case 'double':
        return { type: 'DOUBLE' };
      case 'date':
        return { type: 'DATE', note: NOTES.date };
      case 'datetime':
        return { type: 'TIMESTAMP', note: NOTES.date };
      case 'timestamp':
        return { type: 'TIMESTAMPTZ', note: NOTES.date };
      case 'time':
        return { type: 'INTERVAL' };
      case 'text':
        return { type: 'VARCHAR' };
      case 'binary':
        return { type: 'BLOB' };
      case 'json':
        return { type: 'JSON' };
    }
  },
  value(text, kind, values) {
    const { type } = duckdb.columnType(kind);
    switch (kind.kind) {
      case 'integer':
        return `TRY_CAST(${kind.words ? wordsAsNumbers(text) : text} AS ${type})`;
      case 'decimal':
      case 'float':
      case 'double':
        return `TRY_CAST(${text} AS ${type})`;
      case 'date':
      case 'datetime':
      case 'timestamp':
        return temporal(text, type, values);
      case 'time':
        return values.temporal === 'epoch_micros'
          ? `to_microseconds(TRY_CAST(${text} AS BIGINT))`
          : `TRY_CAST(${text} AS INTERVAL)`;
      case 'text':
        return text;
      case 'binary':
        return values.binary === 'hex' ? `TRY(unhex(${text}))` : `TRY(from_base64(${text}))`;
      case 'json':
        return `TRY_CAST(${text} AS JSON)`;
    }
  },
  lengthText: (text) => `CAST(length(${text}) AS VARCHAR)`,
  addColumn: (table, column, type, value) => [
    `ALTER TABLE ${table} ADD COLUMN ${column} ${type}${value === undefined ? '' : ` DEFAULT ${value}`}`,
  ],
  altersInTransaction: false,
  dropNotNull: (table, column) => [`ALTER TABLE ${table} ALTER COLUMN ${column} DROP NOT NULL`],
  alterType: (table, column, type) => [
    `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE ${type} USING TRY_CAST(CAST(${column} AS VARCHAR) AS ${type})`,
  ],
  members(row, wanted) {
    const list = (members: readonly WantedMember[]): string =>
      `[${members.map(({ name }) => quotedText(jsonPointer(name))).join(', ')}]`;
    const items = wanted.length === 0 ? [] : [`json_extract_string(${row}, ${list(wanted)}) AS v`];
    if (wanted.some(({ isDocument }) => isDocument)) items.push(`json_extract(${row}, ${list(wanted)}) AS d`);
    if (wanted.length > 0) items.push(`${row} AS p`);
    return {
      select: items,
      from: '',
      text: (i) => (wanted[i]?.isDocument ? `NULLIF(CAST(d[${i + 1}] AS VARCHAR), 'null')` : `v[${i + 1}]`),
      // The row is read again only where that is not known yet.
      isPresent: (i) => `(v[${i + 1}] IS NOT NULL OR json_type(p, ${pointer([wanted[i]?.name ?? ''])}) IS NOT NULL)`,
    };
  },
  eachMember: (row) => ({
    from: `CROSS JOIN json_each(${row}) AS m`,
    name: 'm.key',
    text: "CASE m.type WHEN 'NULL' THEN NULL ELSE json_extract_string(m.value, '$') END",
  }),
};

function temporal(text: string, type: string, values: ValueOptions): string {
  if (values.temporal !== 'epoch_micros') {
    return type === 'TIMESTAMPTZ'
      ? `TRY_CAST(rtrim(${text}, 'Z') || '+00' AS ${type})`
      : `TRY_CAST(${text} AS ${type})`;
  }
  const time = `make_timestamp(TRY_CAST(${text} AS BIGINT))`;
  if (type === 'TIMESTAMP') return time;
  if (type === 'DATE') return `CAST(${time} AS DATE)`;
  return `CAST(CAST(${time} AS VARCHAR) || '+00' AS TIMESTAMPTZ)`;
}
