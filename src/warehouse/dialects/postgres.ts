import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import { STATE_SCHEMA, shortened } from '../names.ts';
import { queueLanding } from './queue-landing.ts';
import { doubleQuoted, NOTES, quotedText, wordsAsNumbers } from './sql-text.ts';

/** NAMEDATALEN - 1 (PostgreSQL: Lexical Structure, Identifiers). */
export const NAME_BYTES_MAX = 63;

/** Days that each year has, of which the pattern needs no calendar. */
const DAY = '(19|20)[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13578]|1[02])-(29|30|31)|(0[469]|11)-(29|30))';
const TIME = '([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?';
/** Texts that a type can read for certain, as nearly all are. */
const CERTAIN: readonly (readonly [type: string, pattern: string])[] = [
  ['smallint', '^-?[0-9]{1,4}$'],
  ['integer', '^-?[0-9]{1,9}$'],
  ['bigint', '^-?[0-9]{1,18}$'],
  ['real', '^-?[0-9]{1,9}([.][0-9]{1,9})?$'],
  ['double precision', '^-?[0-9]{1,18}([.][0-9]{1,18})?$'],
  ['date', `^${DAY}$`],
  ['timestamp', `^${DAY}[T ]${TIME}$`],
  ['timestamptz', `^${DAY}[T ]${TIME}[+]00$`],
];

const IS_CERTAIN = `value ~ (CASE type${CERTAIN.map(([type, pattern]) => ` WHEN '${type}' THEN '${pattern}'`).join('')} END)`;
/** With fewer digits than there is room for, rounding leaves room too. */
const IS_CERTAIN_NUMERIC = `CASE WHEN value ~ '^-?[0-9]+([.][0-9]+)?$' THEN length(split_part(ltrim(value, '-'), '.', 1)) <
      substring(type FROM '[(]([0-9]+)')::int - substring(type FROM ', ([0-9]+)')::int ELSE false END`;

/**
 * Whether a type can read a text. PostgreSQL has a function for it from 16 on. Before, only an attempt shows it, and
 * that is a transaction of its own. Patterns go before it: the planner puts those of the type into the query. Bodies
 * are in quotes, not in dollars, so that a client that splits scripts at semicolons keeps them whole.
 */
const IS_VALID = `DO ${quotedText(`
BEGIN
  IF current_setting('server_version_num')::int >= 160000 THEN
    CREATE OR REPLACE FUNCTION ${STATE_SCHEMA}.is_valid(value text, type text) RETURNS boolean
      LANGUAGE sql STABLE AS 'SELECT pg_input_is_valid(value, type)';
  ELSE
    CREATE OR REPLACE FUNCTION ${STATE_SCHEMA}.is_read(value text, type text) RETURNS boolean
      LANGUAGE plpgsql STABLE AS '
      BEGIN
        EXECUTE format(''SELECT %L::%s'', value, type);
        RETURN true;
      EXCEPTION WHEN data_exception THEN RETURN false;
      END';
    CREATE OR REPLACE FUNCTION ${STATE_SCHEMA}.is_valid(value text, type text) RETURNS boolean
      LANGUAGE sql STABLE AS ${quotedText(`SELECT CASE WHEN value IS NULL THEN NULL WHEN type LIKE 'numeric(%' THEN
      ${IS_CERTAIN_NUMERIC} OR ${STATE_SCHEMA}.is_read(value, type) WHEN ${IS_CERTAIN} THEN true
      ELSE ${STATE_SCHEMA}.is_read(value, type) END`)};
  END IF;
END`)}`;

/** PostgreSQL, from 15 on, which has MERGE. */
export const postgres: Dialect = {
  name: 'postgres',
  title: 'PostgreSQL',
  textType: 'text COLLATE "C"',
  booleanType: 'boolean',
  tableSuffix: () => '',
  primaryKey: 'enforced',
  hasNotNull: true,
  comments: 'statements',
  mergesTablesOnly: false,
  keyKinds: new Set(['integer', 'decimal', 'text', 'binary']),
  helpers: [IS_VALID],
  begin: 'BEGIN',
  now: 'now()',
  hasTemporaryViews: false,
  timestampType: 'timestamptz',
  dayText: (time, days) => `to_char((${time} - interval '${days} day') AT TIME ZONE 'UTC', 'YYYY/MM/DD')`,
  landing: queueLanding({
    text: 'text',
    json: 'json',
    boolean: 'boolean',
    quote: doubleQuoted,
    member: (column, name) => `${column} ->> ${quotedText(name)}`,
    object: (pairs) => `json_build_object(${pairs.flatMap(([name, value]) => [quotedText(name), value]).join(', ')})`,
    legalName: (name) => postgres.legalName(name),
  }),
  quote: doubleQuoted,
  quoteInDefinition: doubleQuoted,
  literal: quotedText,
  legalName(name) {
    const legal = /^pg_/i.test(name) ? `_${name}` : name;
    return Buffer.byteLength(legal) > NAME_BYTES_MAX ? shortened(name, legal, NAME_BYTES_MAX) : legal;
  },
  columnType(kind) {
    switch (kind.kind) {
      case 'integer':
        return integerType(kind.bits, kind.unsigned);
      case 'decimal':
        return { type: `numeric(${kind.precision}, ${kind.scale})` };
      case 'float':
        return { type: 'real' };
      case 'double':
        return { type: 'double precision' };
      case 'date':
        return { type: 'date', note: NOTES.date };
      case 'datetime':
        return { type: 'timestamp', note: NOTES.date };
      case 'timestamp':
        return { type: 'timestamptz', note: NOTES.date };
      case 'time':
        return { type: 'interval' };
      case 'text':
        return { type: 'text', note: 'the character NUL, which no text can have here, is U+FFFD' };
      case 'binary':
        return { type: 'bytea' };
      case 'json':
        return { type: 'json' };
    }
  },
  value(text, kind, values) {
    const { type } = postgres.columnType(kind);
    switch (kind.kind) {
      case 'integer':
        return valid(kind.words ? `(${wordsAsNumbers(text)})` : text, type);
      case 'decimal':
      case 'float':
      case 'double':
      case 'json':
        return valid(text, type);
      case 'date':
      case 'datetime':
      case 'timestamp':
        return temporal(text, type, values);
      case 'time':
        if (values.temporal !== 'epoch_micros') return valid(text, type);
        return `CASE WHEN ${isWhole(text)} THEN (${text} || ' microseconds')::interval END`;
      case 'text':
        return text;
      case 'binary':
        return bytes(text, values);
    }
  },
  lengthText: (text) => `length(${text})::text`,
  addColumn: (table, column, type, value) => [
    `ALTER TABLE ${table} ADD COLUMN ${column} ${type}${value === undefined ? '' : ` DEFAULT ${value}`}`,
  ],
  altersInTransaction: true,
  dropNotNull: (table, column) => [`ALTER TABLE ${table} ALTER COLUMN ${column} DROP NOT NULL`],
  alterType: (table, column, type) => [
    `ALTER TABLE ${table} ALTER COLUMN ${column} DROP DEFAULT`,
    `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE ${type} USING ${valid(`${column}::text`, type)}`,
  ],
  members(row, wanted) {
    // A name that is too long for an identifier cannot be a column of the record.
    const fits = ({ name }: { name: string }): boolean => Buffer.byteLength(name) <= NAME_BYTES_MAX;
    const columns = wanted.filter(fits).map(({ name }) => `${doubleQuoted(name)} text`);
    const item = (member: { name: string }): string =>
      fits(member) ? `v.${doubleQuoted(member.name)}` : `${row} ->> ${quotedText(member.name)}`;
    return {
      select: [...wanted.map((member, i) => `${item(member)} AS v${i}`), ...(wanted.length > 0 ? [`${row} AS p`] : [])],
      // Its values are made once, while the planner would put an expression in each place that has its value.
      from: columns.length > 0 ? `CROSS JOIN LATERAL json_to_record(${row}) AS v(${columns.join(', ')})` : '',
      text: (i) => (wanted[i]?.isDocument ? `nullif(v${i}, 'null')` : `v${i}`),
      // The row is read again only where that is not known yet.
      isPresent: (i) => `(v${i} IS NOT NULL OR p -> ${quotedText(wanted[i]?.name ?? '')} IS NOT NULL)`,
    };
  },
  eachMember: (row) => ({ from: `CROSS JOIN LATERAL json_each_text(${row}) AS m`, name: 'm.key', text: 'm.value' }),
};

function integerType(bits: 8 | 16 | 32 | 64, unsigned: boolean): { type: string; note?: string } {
  if (bits === 8 || (bits === 16 && !unsigned)) return { type: 'smallint' };
  if (bits === 16 || (bits === 32 && !unsigned)) return { type: 'integer' };
  if (bits === 32 || !unsigned) return { type: 'bigint' };
  return { type: 'numeric(20, 0)', note: NOTES.unsigned };
}

/** The value if the type can read the text, and NULL otherwise. */
const valid = (text: string, type: string): string =>
  `CASE WHEN ${STATE_SCHEMA}.is_valid(${text}, ${quotedText(type)}) THEN (${text})::${type} END`;

const isWhole = (text: string): string => `${text} ~ '^-?[0-9]{1,18}$'`;

function temporal(text: string, type: string, values: ValueOptions): string {
  if (values.temporal !== 'epoch_micros') return valid(type === 'timestamptz' ? zoned(text) : text, type);
  const epoch = type === 'timestamptz' ? "timestamptz 'epoch'" : "timestamp 'epoch'";
  const time = `${epoch} + (${text} || ' microseconds')::interval`;
  return `CASE WHEN ${isWhole(text)} THEN (${time})${type === 'date' ? '::date' : ''} END`;
}

/** The default `temporal: mysql` writes no zone. */
const zoned = (text: string): string => `(rtrim(${text}, 'Z') || '+00')`;

const bytes = (text: string, { binary }: ValueOptions): string =>
  binary === 'hex'
    ? `CASE WHEN ${text} !~ '[^0-9a-f]' AND length(${text}) % 2 = 0 THEN decode(${text}, 'hex') END`
    : `CASE WHEN ${text} !~ '[^A-Za-z0-9+/=]' AND length(${text}) % 4 = 0 THEN decode(${text}, 'base64') END`;
