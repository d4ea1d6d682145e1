import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import { shortened } from '../names.ts';
import { queueLanding } from './queue-landing.ts';
import { DECIMAL_DIGITS_MAX, doubleQuoted, NOTES, quotedText, wordsAsNumbers } from './sql-text.ts';

/** The limits are those of Redshift's Database Developer Guide: Names and identifiers, Character types, VARBYTE. */
const NAME_BYTES_MAX = 127;
const TEXT_BYTES_MAX = 65_535;
const BINARY_BYTES_MAX = 1_024_000;

/** Amazon Redshift, provisioned or serverless. */
export const redshift: Dialect = {
  name: 'redshift',
  title: 'Amazon Redshift',
  textType: `VARCHAR(${TEXT_BYTES_MAX})`,
  booleanType: 'BOOLEAN',
  tableSuffix: () => '',
  primaryKey: 'informational',
  hasNotNull: true,
  comments: 'statements',
  mergesTablesOnly: true,
  // Trailing blanks of texts can be without meaning.
  keyKinds: new Set(['integer', 'decimal']),
  session: ['SET enable_case_sensitive_identifier TO TRUE', 'SET enable_case_sensitive_super_attribute TO TRUE'],
  begin: 'BEGIN',
  now: 'GETDATE()',
  hasTemporaryViews: false,
  timestampType: 'TIMESTAMP',
  dayText: (time, days) => `TO_CHAR(${time} - INTERVAL '${days} day', 'YYYY/MM/DD')`,
  landing: queueLanding({
    text: `VARCHAR(${TEXT_BYTES_MAX})`,
    json: 'SUPER',
    boolean: 'BOOLEAN',
    quote: doubleQuoted,
    member: (column, name) => `${column}.${doubleQuoted(name)}::VARCHAR(${TEXT_BYTES_MAX})`,
    object: (pairs) => `OBJECT(${pairs.flatMap(([name, value]) => [quotedText(name), value]).join(', ')})`,
    legalName: (name) => redshift.legalName(name),
  }),
  quote: doubleQuoted,
  quoteInDefinition: doubleQuoted,
  // A backslash escapes, and two quotes are one.
  literal: (text) => quotedText(text.replaceAll('\\', '\\\\')),
  legalName: (name) => (Buffer.byteLength(name) > NAME_BYTES_MAX ? shortened(name, name, NAME_BYTES_MAX) : name),
  columnType(kind) {
    switch (kind.kind) {
      case 'integer':
        return integerType(kind.bits, kind.unsigned);
      case 'decimal':
        if (kind.precision > DECIMAL_DIGITS_MAX) return { type: `VARCHAR(${TEXT_BYTES_MAX})`, note: NOTES.decimal };
        return { type: `DECIMAL(${kind.precision}, ${kind.scale})` };
      case 'float':
        return { type: 'REAL' };
      case 'double':
        return { type: 'DOUBLE PRECISION' };
      case 'date':
        return { type: 'DATE', note: NOTES.date };
      case 'datetime':
        return { type: 'TIMESTAMP', note: NOTES.date };
      case 'timestamp':
        return { type: 'TIMESTAMPTZ', note: NOTES.date };
      case 'time':
        return { type: 'VARCHAR(32)', note: NOTES.time };
      case 'text':
        return {
          type: `VARCHAR(${Math.min(Math.max(kind.bytes, 1), TEXT_BYTES_MAX)})`,
          ...(kind.bytes > TEXT_BYTES_MAX && { note: `a longer value than ${TEXT_BYTES_MAX} bytes is NULL` }),
        };
      case 'binary':
        return {
          type: `VARBYTE(${Math.min(Math.max(kind.bytes, 1), BINARY_BYTES_MAX)})`,
          ...(kind.bytes > BINARY_BYTES_MAX && { note: `a longer value than ${BINARY_BYTES_MAX} bytes is NULL` }),
        };
      case 'json':
        return { type: 'SUPER', note: 'numbers with more than 38 digits are rounded' };
    }
  },
  value(text, kind, values) {
    const { type } = redshift.columnType(kind);
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
        return text;
      case 'text':
        return text;
      case 'binary': {
        const bytes = `TO_VARBYTE(${text}, ${quotedText(values.binary)})`;
        return kind.bytes > BINARY_BYTES_MAX
          ? `CASE WHEN LEN(${bytes}) <= ${BINARY_BYTES_MAX} THEN ${bytes} END`
          : bytes;
      }
      case 'json':
        return `CASE WHEN CAN_JSON_PARSE(${text}) THEN JSON_PARSE(${text}) END`;
    }
  },
  lengthText: (text) => `CAST(LEN(${text}) AS VARCHAR(10))`,
  addColumn: (table, column, type, value) => [
    `ALTER TABLE ${table} ADD COLUMN ${column} ${type}`,
    ...(value === undefined ? [] : [`UPDATE ${table} SET ${column} = ${value} WHERE true`]),
  ],
  altersInTransaction: true,
  // Redshift drops no constraint of a column.
  dropNotNull: (table, column, type) => redshift.alterType(table, column, type),
  // Redshift changes only the length of a VARCHAR.
  alterType: (table, column, type) => {
    const next = doubleQuoted('cdc_next_type');
    return [
      `ALTER TABLE ${table} ADD COLUMN ${next} ${type}`,
      `UPDATE ${table} SET ${next} = TRY_CAST(CAST(${column} AS VARCHAR(${TEXT_BYTES_MAX})) AS ${type})`,
      `ALTER TABLE ${table} DROP COLUMN ${column}`,
      `ALTER TABLE ${table} RENAME COLUMN ${next} TO ${column}`,
    ];
  },
  members(row, wanted) {
    return {
      select: wanted.flatMap(({ name, isDocument }, i) => {
        const member = `${row}.${doubleQuoted(name)}`;
        return [
          `${isDocument ? documentText(member) : scalarText(member)} AS v${i}`,
          `JSON_TYPEOF(${member}) AS p${i}`,
        ];
      }),
      from: '',
      text: (i) => `v${i}`,
      isPresent: (i) => `p${i} IS NOT NULL`,
    };
  },
  eachMember: (row) => ({
    from: `, UNPIVOT ${row} AS m_value AT m_name`,
    name: `CAST(m_name AS VARCHAR(${TEXT_BYTES_MAX}))`,
    text: scalarText('m_value'),
  }),
};

function integerType(bits: 8 | 16 | 32 | 64, unsigned: boolean): { type: string; note?: string } {
  if (bits === 8 || (bits === 16 && !unsigned)) return { type: 'SMALLINT' };
  if (bits === 16 || (bits === 32 && !unsigned)) return { type: 'INTEGER' };
  if (bits === 32 || !unsigned) return { type: 'BIGINT' };
  return { type: 'DECIMAL(20, 0)', note: NOTES.unsigned };
}

/** A cast of a number in SUPER to VARCHAR would be NULL, and a text that is too long for it an error. */
const scalarText = (member: string): string =>
  `CASE JSON_TYPEOF(${member}) WHEN 'null' THEN NULL WHEN 'string' THEN ${fitting(member, `CAST(${member} AS VARCHAR(${TEXT_BYTES_MAX}))`)} ELSE ${fitting(member, `JSON_SERIALIZE(${member})`)} END`;

const fitting = (member: string, text: string): string =>
  `CASE WHEN JSON_SIZE(${member}) <= ${TEXT_BYTES_MAX} THEN ${text} END`;

const documentText = (member: string): string =>
  `CASE JSON_TYPEOF(${member}) WHEN 'null' THEN NULL ELSE ${fitting(member, `JSON_SERIALIZE(${member})`)} END`;

function temporal(text: string, type: string, values: ValueOptions): string {
  if (values.temporal !== 'epoch_micros') {
    const zoned = type === 'TIMESTAMPTZ' ? `RTRIM(${text}, 'Z') || '+00'` : text;
    return `TRY_CAST(REPLACE(${zoned}, 'T', ' ') AS ${type})`;
  }
  const start = type === 'TIMESTAMPTZ' ? "TIMESTAMPTZ 'epoch'" : "TIMESTAMP 'epoch'";
  return `CAST(${start} + TRY_CAST(${text} AS BIGINT) * INTERVAL '1 microsecond' AS ${type})`;
}
