import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import { eventColumns, type LineReader } from './event-columns.ts';
import { LANDING_TABLE } from './queue-landing.ts';
import { DECIMAL_DIGITS_MAX, doubleQuoted, escapedText, NOTES, wordsAsNumbers } from './sql-text.ts';

const BINARY_BYTES_MAX = 8_388_608;

const member = (value: string, name: string): string => `GET(${value}, ${escapedText(name)})`;
const LINE: LineReader = {
  text: (...names) => `CAST(${names.reduce(member, 'l.content')} AS VARCHAR)`,
  isTrue: (text) => `COALESCE(${text} = 'true', FALSE)`,
  row: (name) => (name === undefined ? 'l.content' : member('l.content', name)),
};

/** Snowflake. Firehose writes each event into a VARIANT column. */
export const snowflake: Dialect = {
  name: 'snowflake',
  title: 'Snowflake',
  textType: 'VARCHAR',
  booleanType: 'BOOLEAN',
  tableSuffix: () => '',
  primaryKey: 'informational',
  hasNotNull: true,
  comments: { column: (text) => ` COMMENT ${text}`, table: (text) => `\nCOMMENT = ${text}` },
  mergesTablesOnly: false,
  keyKinds: new Set(['integer', 'decimal', 'text', 'binary']),
  notes: ['Firehose needs the data loading option VARIANT_CONTENT_MAPPING, and aggregate: off in cdc.yaml.'],
  begin: 'BEGIN TRANSACTION',
  now: 'SYSDATE()',
  hasTemporaryViews: false,
  timestampType: 'TIMESTAMP_NTZ',
  dayText: (time, days) => `TO_CHAR(DATEADD(day, -${days}, ${time}), 'YYYY/MM/DD')`,
  landing: {
    kind: 'queue',
    define: () => [`CREATE TABLE IF NOT EXISTS ${LANDING_TABLE} (content VARIANT)`],
    events: (delivered) => `SELECT e.*
FROM (
  SELECT ${eventColumns(delivered, LINE)}
  FROM ${LANDING_TABLE} l
) e
WHERE ${delivered.tables
      .map(({ schema, table }) => `(e.schema_name = ${escapedText(schema)} AND e.table_name = ${escapedText(table)})`)
      .join('\n  OR ')}`,
    remove: ({ format, flatPrefix }, batch) => {
      const seq = `CAST(${member('content', format === 'flat' ? `${flatPrefix}seq` : 'seq')} AS VARCHAR)`;
      return [`DELETE FROM ${LANDING_TABLE} WHERE ${seq} IN (SELECT seq FROM ${batch})`];
    },
  },
  quote: doubleQuoted,
  quoteInDefinition: doubleQuoted,
  literal: escapedText,
  legalName: (name) => name,
  columnType(kind) {
    switch (kind.kind) {
      case 'integer': {
        const digits = { 8: 3, 16: 5, 32: 10, 64: kind.unsigned ? 20 : 19 }[kind.bits];
        return { type: `NUMBER(${digits}, 0)` };
      }
      case 'decimal':
        if (kind.precision > DECIMAL_DIGITS_MAX) return { type: 'VARCHAR', note: NOTES.decimal };
        return { type: `NUMBER(${kind.precision}, ${kind.scale})` };
      case 'float':
        return { type: 'FLOAT', note: 'a double: the same digits, and another value in binary' };
      case 'double':
        return { type: 'FLOAT' };
      case 'date':
        return { type: 'DATE', note: NOTES.date };
      case 'datetime':
        return { type: `TIMESTAMP_NTZ(${kind.digits})`, note: NOTES.date };
      case 'timestamp':
        return { type: `TIMESTAMP_TZ(${kind.digits})`, note: NOTES.date };
      case 'time':
        return { type: 'VARCHAR', note: NOTES.time };
      case 'text':
        return { type: 'VARCHAR' };
      case 'binary':
        return {
          type: 'BINARY',
          ...(kind.bytes > BINARY_BYTES_MAX && { note: `longer values than ${BINARY_BYTES_MAX} bytes do not fit` }),
        };
      case 'json':
        return { type: 'VARIANT', note: 'numbers with more than 38 digits are rounded' };
    }
  },
  value(text, kind, values) {
    const { type } = snowflake.columnType(kind);
    switch (kind.kind) {
      case 'integer':
        return `TRY_CAST(${kind.words ? wordsAsNumbers(text) : text} AS ${type})`;
      case 'decimal':
        return kind.precision > DECIMAL_DIGITS_MAX ? text : `TRY_CAST(${text} AS ${type})`;
      case 'float':
      case 'double':
        return `TRY_TO_DOUBLE(${text})`;
      case 'date':
      case 'datetime':
      case 'timestamp':
        return temporal(text, type, values);
      case 'time':
      case 'text':
        return text;
      case 'binary':
        return `TRY_TO_BINARY(${text}, ${escapedText(values.binary.toUpperCase())})`;
      case 'json':
        return `TRY_PARSE_JSON(${text})`;
    }
  },
  lengthText: (text) => `CAST(LENGTH(${text}) AS VARCHAR)`,
  addColumn: (table, column, type, value) => [
    `ALTER TABLE ${table} ADD COLUMN ${column} ${type}`,
    ...(value === undefined ? [] : [`UPDATE ${table} SET ${column} = ${value} WHERE true`]),
  ],
  altersInTransaction: false,
  dropNotNull: (table, column) => [`ALTER TABLE ${table} ALTER COLUMN ${column} DROP NOT NULL`],
  alterType: (table, column, type) => {
    const next = doubleQuoted('cdc_next_type');
    return [
      `ALTER TABLE ${table} ADD COLUMN ${next} ${type}`,
      `UPDATE ${table} SET ${next} = TRY_CAST(CAST(${column} AS VARCHAR) AS ${type})`,
      `ALTER TABLE ${table} DROP COLUMN ${column}`,
      `ALTER TABLE ${table} RENAME COLUMN ${next} TO ${column}`,
    ];
  },
  members(row, wanted) {
    return {
      select: wanted.flatMap(({ name, isDocument }, i) => {
        const value = member(row, name);
        const document = `CASE WHEN IS_NULL_VALUE(${value}) THEN NULL ELSE TO_JSON(${value}) END`;
        return [`${isDocument ? document : `CAST(${value} AS VARCHAR)`} AS v${i}`, `${value} IS NOT NULL AS p${i}`];
      }),
      from: '',
      text: (i) => `v${i}`,
      isPresent: (i) => `p${i}`,
    };
  },
  eachMember: (row) => ({
    from: `, LATERAL FLATTEN(INPUT => ${row}) m`,
    name: 'm.key',
    text: 'CAST(m.value AS VARCHAR)',
  }),
};

function temporal(text: string, type: string, values: ValueOptions): string {
  if (values.temporal === 'epoch_micros') {
    const time = `TO_TIMESTAMP_NTZ(TRY_CAST(${text} AS NUMBER(20, 0)), 6)`;
    return type === 'DATE' ? `CAST(${time} AS DATE)` : `CAST(${time} AS ${type})`;
  }
  return type.startsWith('TIMESTAMP_TZ')
    ? `TRY_CAST(REPLACE(RTRIM(${text}, 'Z'), 'T', ' ') || ' +0000' AS ${type})`
    : `TRY_CAST(${text} AS ${type})`;
}
