import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import { STATE_SCHEMA } from '../names.ts';
import { DAY_PATTERN, eventColumns, type LineReader } from './event-columns.ts';
import { catalogName, pathStep } from './path-names.ts';
import { escapedText, NOTES, wordsAsNumbers } from './sql-text.ts';

const NAME_BYTES_MAX = 300;
const TEMPORAL_TYPES = { date: 'DATE', datetime: 'DATETIME', timestamp: 'TIMESTAMP' } as const;
/** NUMERIC has 29 digits before the point and 9 after it, BIGNUMERIC 38 and 38 (GoogleSQL: Data types). */
const NUMERIC = { whole: 29, scale: 9 };
const BIGNUMERIC = { whole: 38, scale: 38 };

const describedAs = (text: string): string => ` OPTIONS (description = ${text})`;
const path = (...names: string[]): string => escapedText(`$${names.map((name) => `.${pathStep(name)}`).join('')}`);
const LINE: LineReader = {
  text: (...names) => `JSON_VALUE(l.line, ${path(...names)})`,
  isTrue: (text) => `COALESCE(${text} = 'true', FALSE)`,
  row: () => 'l.line',
};
const json = (row: string): string => `SAFE.PARSE_JSON(${row}, wide_number_mode => 'round')`;

/** Google BigQuery, over objects that a transfer has copied to Cloud Storage. */
export const bigquery: Dialect = {
  name: 'bigquery',
  title: 'Google BigQuery',
  textType: 'STRING',
  booleanType: 'BOOL',
  tableSuffix: () => '',
  primaryKey: 'not enforced',
  hasNotNull: true,
  comments: { column: describedAs, table: (text) => `\n${describedAs(text).trimStart()}` },
  mergesTablesOnly: false,
  keyKinds: new Set(['integer', 'decimal', 'text', 'binary']),
  notes: [
    'Firehose does not write to Cloud Storage: a transfer of BigQuery or Storage Transfer Service copies the objects.',
    'Its statements have no common transaction. Each can run again; let one run end before the next begins.',
  ],
  begin: 'BEGIN TRANSACTION',
  now: 'CURRENT_TIMESTAMP()',
  hasTemporaryViews: false,
  timestampType: 'TIMESTAMP',
  dayText: (time, days) => `FORMAT_TIMESTAMP('%Y/%m/%d', TIMESTAMP_SUB(${time}, INTERVAL ${days} DAY), 'UTC')`,
  landing: {
    kind: 'files',
    // A JSON text has no control character, so a line is one field.
    define: ({ lake }) => [
      `CREATE EXTERNAL TABLE IF NOT EXISTS ${STATE_SCHEMA}.landing (
  line STRING
)
OPTIONS (
  format = 'CSV',
  field_delimiter = '\\x01',
  quote = '',
  uris = [${escapedText(`${lake.replace(/^s3:/, 'gs:').replace(/\/*$/, '')}/*`)}]
)`,
    ],
    events: (all) => `SELECT ${eventColumns(all, LINE)},
  COALESCE(REGEXP_EXTRACT(l._FILE_NAME, r'${DAY_PATTERN}'), '') AS day
FROM ${STATE_SCHEMA}.landing l`,
    remove: () => [],
  },
  quote: (name) => `\`${name}\``,
  quoteInDefinition: (name) => `\`${name}\``,
  literal: escapedText,
  legalName: (name) => catalogName(name, NAME_BYTES_MAX, { lowerCase: false }),
  columnType(kind) {
    switch (kind.kind) {
      case 'integer':
        if (kind.bits === 64 && kind.unsigned) return { type: 'NUMERIC', note: NOTES.unsigned };
        return { type: 'INT64' };
      case 'decimal': {
        const whole = kind.precision - kind.scale;
        if (whole <= NUMERIC.whole && kind.scale <= NUMERIC.scale) {
          return { type: `NUMERIC(${kind.precision}, ${kind.scale})` };
        }
        if (whole <= BIGNUMERIC.whole && kind.scale <= BIGNUMERIC.scale) {
          return { type: `BIGNUMERIC(${kind.precision}, ${kind.scale})` };
        }
        return { type: 'STRING', note: NOTES.decimal };
      }
      case 'float':
        return { type: 'FLOAT64', note: 'a double: the same digits, and another value in binary' };
      case 'double':
        return { type: 'FLOAT64' };
      case 'date':
        return { type: 'DATE', note: NOTES.date };
      case 'datetime':
        return { type: 'DATETIME', note: NOTES.date };
      case 'timestamp':
        return { type: 'TIMESTAMP', note: NOTES.date };
      case 'time':
        return { type: 'STRING', note: NOTES.time };
      case 'text':
        return { type: 'STRING' };
      case 'binary':
        return { type: 'BYTES' };
      case 'json':
        return { type: 'JSON', note: 'numbers that are no doubles are rounded' };
    }
  },
  value(text, kind, values) {
    switch (kind.kind) {
      case 'integer': {
        const type = kind.bits === 64 && kind.unsigned ? 'NUMERIC' : 'INT64';
        return `SAFE_CAST(${kind.words ? wordsAsNumbers(text) : text} AS ${type})`;
      }
      case 'decimal': {
        const whole = kind.precision - kind.scale;
        if (whole <= NUMERIC.whole && kind.scale <= NUMERIC.scale) return `SAFE_CAST(${text} AS NUMERIC)`;
        return whole <= BIGNUMERIC.whole && kind.scale <= BIGNUMERIC.scale ? `SAFE_CAST(${text} AS BIGNUMERIC)` : text;
      }
      case 'float':
      case 'double':
        return `SAFE_CAST(${text} AS FLOAT64)`;
      case 'date':
      case 'datetime':
      case 'timestamp':
        return temporal(text, TEMPORAL_TYPES[kind.kind], values);
      case 'time':
      case 'text':
        return text;
      case 'binary':
        return `SAFE.FROM_${values.binary.toUpperCase()}(${text})`;
      case 'json':
        return json(text);
    }
  },
  lengthText: (text) => `CAST(LENGTH(${text}) AS STRING)`,
  addColumn: (table, column, type, value) => [
    `ALTER TABLE ${table} ADD COLUMN ${column} ${type}`,
    ...(value === undefined ? [] : [`UPDATE ${table} SET ${column} = ${value} WHERE true`]),
  ],
  altersInTransaction: false,
  dropNotNull: (table, column) => [`ALTER TABLE ${table} ALTER COLUMN ${column} DROP NOT NULL`],
  // BigQuery only widens types: other changes need a new column.
  alterType: (table, column, type) => [`ALTER TABLE ${table} ALTER COLUMN ${column} SET DATA TYPE ${type}`],
  members(row, wanted, format) {
    const paths = (name: string): string[] =>
      format === 'flat' ? [path(name)] : [path('after', name), path('key', name)];
    return {
      select: wanted.flatMap(({ name, isDocument }, i) => {
        const texts = paths(name).map((one) =>
          isDocument ? `NULLIF(JSON_QUERY(${row}, ${one}), 'null')` : `JSON_VALUE(${row}, ${one})`,
        );
        return [
          `${texts.length === 1 ? texts[0] : `COALESCE(${texts.join(', ')})`} AS v${i}`,
          `JSON_QUERY(${json(row)}, ${paths(name)[0]}) IS NOT NULL AS p${i}`,
        ];
      }),
      from: '',
      text: (i) => `v${i}`,
      isPresent: (i) => `p${i}`,
    };
  },
  eachMember(row, format) {
    const object = format === 'flat' ? json(row) : `JSON_QUERY(${json(row)}, ${path('after')})`;
    const value = `${object}[m_name]`;
    return {
      from: `CROSS JOIN UNNEST(JSON_KEYS(${object}, 1)) AS m_name`,
      name: 'm_name',
      text: `CASE JSON_TYPE(${value}) WHEN 'null' THEN NULL ELSE COALESCE(JSON_VALUE(${value}), TO_JSON_STRING(${value})) END`,
    };
  },
};

function temporal(text: string, type: 'DATE' | 'DATETIME' | 'TIMESTAMP', values: ValueOptions): string {
  if (values.temporal === 'epoch_micros') {
    const time = `TIMESTAMP_MICROS(SAFE_CAST(${text} AS INT64))`;
    return type === 'TIMESTAMP' ? time : `${type}(${time}, 'UTC')`;
  }
  return type === 'TIMESTAMP'
    ? `SAFE_CAST(CONCAT(RTRIM(${text}, 'Z'), '+00') AS TIMESTAMP)`
    : `SAFE_CAST(${text} AS ${type})`;
}
