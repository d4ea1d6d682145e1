import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import { DAY_PATTERN, flatNames } from './event-columns.ts';
import { catalogName } from './path-names.ts';
import { backticked, DECIMAL_DIGITS_MAX, escapedText, NOTES, wordsAsNumbers } from './sql-text.ts';

const NAME_BYTES_MAX = 255;
/**
 * Each hour of YYYY/MM/dd/HH/, or each object of YYYY/MM/dd/, also below a prefix for each table: Spark reads what is
 * directly in a folder. A slash and a star would begin a comment for spark-sql.
 */
const OBJECTS = '{,?*/?*/}????/??/??/?*';

/** Apache Spark with Iceberg tables. */
export const spark: Dialect = {
  name: 'spark',
  title: 'Apache Spark',
  textType: 'STRING',
  booleanType: 'BOOLEAN',
  tableSuffix: () => '\nUSING iceberg',
  primaryKey: 'none',
  hasNotNull: false,
  comments: { column: (text) => ` COMMENT ${text}`, table: (text) => `\nCOMMENT ${text}` },
  mergesTablesOnly: false,
  keyKinds: new Set(['integer', 'decimal', 'text', 'binary']),
  notes: [
    'It needs Spark 3.4 or later, and as spark.sql.defaultCatalog an Iceberg catalog that has views. Its statements',
    'have no common transaction. Each can run again after a failure; let one run end before the next begins.',
  ],
  // Times become texts and dates in the time zone of the session.
  session: ["SET TIME ZONE 'UTC'"],
  begin: '',
  now: 'current_timestamp()',
  hasTemporaryViews: true,
  // Each statement would read the lake again, and see other objects.
  cache: {
    keep: (view) => `CACHE TABLE ${view}`,
    release: (view) => `UNCACHE TABLE IF EXISTS ${view}`,
  },
  timestampType: 'TIMESTAMP',
  dayText: (time, days) => `date_format(${time} - INTERVAL ${days} DAY, 'yyyy/MM/dd')`,
  landing: {
    kind: 'files',
    define: () => [],
    events: ({ format, flatPrefix, lake }) => {
      const meta = flatNames(flatPrefix);
      const schema =
        format === 'flat'
          ? 'MAP<STRING, STRING>'
          : 'op STRING, seq STRING, partial STRING, key MAP<STRING, STRING>, after MAP<STRING, STRING>, source STRUCT<db: STRING, `table`: STRING>';
      const of = (name: string): string => `try_element_at(e.event, ${escapedText(name)})`;
      const columns =
        format === 'flat'
          ? `${of(meta.db)} AS schema_name, ${of(meta.table)} AS table_name, ${of(meta.op)} AS op,
  ${of(meta.seq)} AS seq, coalesce(${of(meta.partial)} = 'true', false) AS is_partial, e.event AS row_json`
          : `e.event.source.db AS schema_name, e.event.source.\`table\` AS table_name, e.event.op AS op,
  e.event.seq AS seq, coalesce(e.event.partial = 'true', false) AS is_partial,
  CASE e.event.op WHEN 'd' THEN e.event.key ELSE e.event.after END AS row_json`;
      return `SELECT ${columns}, e.day
FROM (
  SELECT from_json(l.value, ${escapedText(schema)}) AS event,
    regexp_extract(l._metadata.file_path, ${escapedText(DAY_PATTERN)}, 1) AS day
  FROM text.${backticked(`${lake.replace(/\/+$/, '')}/${OBJECTS}`)} l
) e`;
    },
    remove: () => [],
  },
  quote: backticked,
  quoteInDefinition: backticked,
  literal: escapedText,
  legalName: (name) => catalogName(name, NAME_BYTES_MAX, { lowerCase: true }),
  columnType(kind) {
    switch (kind.kind) {
      case 'integer':
        if (kind.bits < 32 || (kind.bits === 32 && !kind.unsigned)) return { type: 'INT' };
        if (kind.bits === 32 || !kind.unsigned) return { type: 'BIGINT' };
        return { type: 'DECIMAL(20, 0)', note: NOTES.unsigned };
      case 'decimal':
        if (kind.precision > DECIMAL_DIGITS_MAX) return { type: 'STRING', note: NOTES.decimal };
        return { type: `DECIMAL(${kind.precision}, ${kind.scale})` };
      case 'float':
        return { type: 'FLOAT' };
      case 'double':
        return { type: 'DOUBLE' };
      case 'date':
        return { type: 'DATE', note: NOTES.date };
      case 'datetime':
        return { type: 'TIMESTAMP_NTZ', note: NOTES.date };
      case 'timestamp':
        return { type: 'TIMESTAMP', note: NOTES.date };
      case 'time':
        return { type: 'STRING', note: NOTES.time };
      case 'text':
        return { type: 'STRING' };
      case 'binary':
        return { type: 'BINARY' };
      case 'json':
        return { type: 'STRING', note: NOTES.document };
    }
  },
  value(text, kind, values) {
    const { type } = spark.columnType(kind);
    switch (kind.kind) {
      case 'integer':
        return `try_cast(${kind.words ? wordsAsNumbers(text) : text} AS ${type})`;
      case 'decimal':
      case 'float':
      case 'double':
        return `try_cast(${text} AS ${type})`;
      case 'date':
      case 'datetime':
      case 'timestamp':
        return temporal(text, type, values);
      case 'time':
      case 'text':
      case 'json':
        return text;
      case 'binary':
        return `try_to_binary(${text}, ${escapedText(values.binary)})`;
    }
  },
  lengthText: (text) => `cast(length(${text}) AS STRING)`,
  addColumn: (table, column, type, value) => [
    `ALTER TABLE ${table} ADD COLUMNS (${column} ${type})`,
    ...(value === undefined ? [] : [`UPDATE ${table} SET ${column} = ${value} WHERE true`]),
  ],
  altersInTransaction: false,
  dropNotNull: () => [],
  // Iceberg only widens types: other changes need a new table.
  alterType: (table, column, type) => [`ALTER TABLE ${table} ALTER COLUMN ${column} TYPE ${type}`],
  members(row, wanted) {
    return {
      select: wanted.flatMap(({ name }, i) => [
        `try_element_at(${row}, ${escapedText(name)}) AS v${i}`,
        `map_contains_key(${row}, ${escapedText(name)}) AS p${i}`,
      ]),
      from: '',
      text: (i) => `v${i}`,
      isPresent: (i) => `p${i}`,
    };
  },
  eachMember: (row) => ({ from: `LATERAL VIEW explode(${row}) m AS name, value`, name: 'm.name', text: 'm.value' }),
};

function temporal(text: string, type: string, values: ValueOptions): string {
  if (values.temporal === 'epoch_micros') {
    return `cast(timestamp_micros(try_cast(${text} AS BIGINT)) AS ${type})`;
  }
  if (type === 'TIMESTAMP') return `try_cast(concat(rtrim('Z', ${text}), '+00:00') AS TIMESTAMP)`;
  return `try_cast(${text} AS ${type})`;
}
