import { quoteIdentifier } from '../../model/identifier.ts';
import { BINARY_COLLATION, type Column, ColumnType as T } from '../../model/table.ts';
import { formatRawObject, parseRawObject } from '../../runtime/raw-json.ts';

/** A key column of the events of a table. */
export interface KeyTextColumn extends Column {
  /** CHARACTER_SET_NAME and COLLATION_NAME of information_schema; null for a column that is no text. */
  charset: string | null;
  collationName: string | null;
  /** A column rule has replaced the values. */
  isHashed: boolean;
}

/** The options that the values of a key were written with: `values` of the configuration, and what `format` changes. */
export interface KeyValues {
  bigint: 'number' | 'string';
  decimal: 'string' | 'number';
  binary: 'base64' | 'hex';
  temporal: 'iso' | 'mysql' | 'epoch_micros';
  zero_dates: 'text' | 'null';
  boolean: readonly ('tinyint1' | 'bit1')[];
  set: 'text' | 'array';
}

/** Format maxwell decides some of the options itself. */
export function keyValues(format: 'debezium' | 'flat' | 'maxwell', values: Omit<KeyValues, 'set'>): KeyValues {
  if (format !== 'maxwell') return { ...values, set: 'text' };
  return { ...values, temporal: 'mysql', decimal: 'number', set: 'array' };
}

/** A value in SQL: what the column is compared with, or a whole condition. */
type Term = { literal: string } | { condition: string };
type ToTerm = (raw: string) => Term | undefined;

/** A key column and how its values become SQL. */
interface Operand {
  name: string;
  /** What is compared with a literal. */
  expression: string;
  toTerm: ToTerm;
}

/**
 * The condition that selects the rows with one of these keys, in parentheses. It finds every row whose event has one of
 * them as its key, and can find others, whose keys the server takes for equal: `a` and `A`, for example.
 *
 * It has no parameters, and is right under any sql_mode. The session needs the time zone +00:00, and a sql_mode without
 * NO_ZERO_DATE and NO_ZERO_IN_DATE, but with ALLOW_INVALID_DATES, as the sessions of a backfill have.
 *
 * @param columns the columns of the key, in key order
 * @param keys the JSON text of the key of an event each, exactly as the event has it
 * @returns undefined if one of the keys cannot be turned back: see `keyCondition`
 */
export function keyPredicate(
  columns: readonly KeyTextColumn[],
  keys: readonly string[],
  values: KeyValues,
): { sql: string } | undefined {
  const operands = operandsOf(columns, values);
  if (operands === undefined || keys.length === 0) return undefined;
  const terms: Term[][] = [];
  for (const key of keys) {
    const found = termsOf(operands, key);
    if (found === undefined) return undefined;
    terms.push(found);
  }
  const [only] = operands;
  if (operands.length > 1 || only === undefined) {
    return { sql: anyOf(terms.map((term) => allOf(operands, term))) };
  }
  const literals: string[] = [];
  const conditions: string[] = [];
  for (const [term] of terms) {
    if (term !== undefined && 'literal' in term) literals.push(term.literal);
    else if (term !== undefined) conditions.push(term.condition);
  }
  if (literals.length > 0) conditions.unshift(`${only.expression} IN (${literals.join(', ')})`);
  return { sql: anyOf(conditions) };
}

/**
 * The same for one key. Undefined if it cannot be turned back: a column is hashed or a floating-point number, has a
 * type without an order or labels that cannot be read; or the text is not what an event of this table has as its key
 * now.
 */
export function keyCondition(
  columns: readonly KeyTextColumn[],
  key: string,
  values: KeyValues,
): { sql: string } | undefined {
  return keyPredicate(columns, [key], values);
}

/** Why no key of a table can be turned back, as `column k is …`; undefined if its columns allow it. */
export function whyNoPredicate(columns: readonly KeyTextColumn[], values: KeyValues): string | undefined {
  for (const column of columns) {
    if (operandOf(column, values) !== undefined) continue;
    if (column.isHashed) return `a rule under columns: replaces the values of column ${column.name}`;
    if (column.type === T.FLOAT || column.type === T.DOUBLE) return `column ${column.name} is a floating-point number`;
    return `column ${column.name} has a type whose values cannot be looked up`;
  }
  return undefined;
}

const anyOf = (conditions: readonly string[]): string => `(${conditions.join(' OR ')})`;

const allOf = (operands: readonly Operand[], terms: readonly Term[]): string =>
  `(${operands
    .map(({ expression }, i) => {
      const term = terms[i] as Term;
      return 'literal' in term ? `${expression} = ${term.literal}` : term.condition;
    })
    .join(' AND ')})`;

function operandsOf(columns: readonly KeyTextColumn[], values: KeyValues): Operand[] | undefined {
  const operands: Operand[] = [];
  for (const column of columns) {
    const operand = operandOf(column, values);
    if (operand === undefined) return undefined;
    operands.push(operand);
  }
  return operands.length === 0 ? undefined : operands;
}

/** The terms of a key; undefined unless it is exactly what an event has. Another spelling would be another key. */
function termsOf(operands: readonly Operand[], key: string): Term[] | undefined {
  let members: [string, string][];
  try {
    JSON.parse(key);
    members = [...parseRawObject(key)];
  } catch {
    return undefined;
  }
  if (members.length !== operands.length || formatRawObject(members) !== key) return undefined;
  const terms: Term[] = [];
  for (const [i, [name, raw]] of members.entries()) {
    const operand = operands[i] as Operand;
    const term = operand.name === name ? operand.toTerm(raw) : undefined;
    if (term === undefined) return undefined;
    terms.push(term);
  }
  return terms;
}

function operandOf(column: KeyTextColumn, values: KeyValues): Operand | undefined {
  const { name, isHashed, nullable, type } = column;
  const quoted = quoteIdentifier(name);
  const toTerm = isHashed ? undefined : termOf(column, quoted, values);
  if (toTerm === undefined) return undefined;
  // With `zero_dates: null`, a null can be a date too, and several rows can have the same key.
  const isNullExact = nullable && (values.zero_dates === 'text' || !DATES.has(type));
  const nullTerm: Term | undefined = isNullExact ? { condition: `${quoted} IS NULL` } : undefined;
  return {
    name,
    expression: type === T.SET ? setNumber(column, quoted) : quoted,
    toTerm: (raw) => (raw === 'null' ? nullTerm : toTerm(raw)),
  };
}

const DATES: ReadonlySet<number> = new Set([T.DATE, T.DATETIME, T.DATETIME2, T.TIMESTAMP, T.TIMESTAMP2]);

/** The server compares the 64th member as the sign of a number. */
const setNumber = ({ labels }: KeyTextColumn, quoted: string): string =>
  labels.length === 64 ? `(CAST(${quoted} AS UNSIGNED) | 0)` : quoted;

function termOf(column: KeyTextColumn, quoted: string, values: KeyValues): ToTerm | undefined {
  const { type, meta, labels } = column;
  switch (type) {
    case T.TINY:
    case T.SHORT:
    case T.INT24:
    case T.LONG:
    case T.YEAR:
      return integerTerm(false);
    case T.TINY1:
      return orBooleanTerm(integerTerm(false), values.boolean.includes('tinyint1'));
    case T.LONGLONG:
      return integerTerm(values.bigint === 'string');
    case T.BIT:
      return orBooleanTerm(
        integerTerm(values.bigint === 'string' && meta > 53),
        meta === 1 && values.boolean.includes('bit1'),
      );
    case T.NEWDECIMAL:
      return decimalTerm(meta & 0xff, values.decimal === 'string');
    case T.DATE:
    case T.DATETIME:
    case T.DATETIME2:
    case T.TIMESTAMP:
    case T.TIMESTAMP2:
      return dateTerm(column, values.temporal);
    case T.TIME:
    case T.TIME2:
      return timeTerm(meta, values.temporal === 'epoch_micros');
    case T.ENUM:
      return labels.length === 0 ? undefined : enumTerm(labels, quoted);
    case T.SET:
      return labels.length === 0 ? undefined : setTerm(labels, values.set === 'array');
    case T.UUID:
    case T.INET4:
    case T.INET6:
      return patternTerm(/^"[0-9a-f.:-]+"$/);
    case T.STRING:
    case T.VARCHAR:
    case T.VAR_STRING:
    case T.VARCHAR_COMPRESSED:
    case T.BLOB:
    case T.TINY_BLOB:
    case T.MEDIUM_BLOB:
    case T.LONG_BLOB:
    case T.BLOB_COMPRESSED:
      break;
    default:
      // FLOAT and DOUBLE: the text of a value is not the value in SQL. The others have no order.
      return undefined;
  }
  const { collation, charset, collationName } = column;
  if (collation === BINARY_COLLATION || charset === 'binary') return binaryTerm(values.binary);
  if (charset === null || collationName === null) return undefined;
  return textTerm(quoted, charset, collationName);
}

const literalOf = (literal: string): Term => ({ literal });

/** The literal is the text between the quotes, which the pattern keeps free of quotes and backslashes. */
const patternTerm =
  (pattern: RegExp): ToTerm =>
  (raw) =>
    pattern.test(raw) ? literalOf(`'${raw.slice(1, -1)}'`) : undefined;

const unquotedIf = (isQuoted: boolean, raw: string): string | undefined => {
  if (!isQuoted) return raw;
  return raw.length > 2 && raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1) : undefined;
};

function numberTerm(pattern: RegExp, isQuoted: boolean): ToTerm {
  return (raw) => {
    const text = unquotedIf(isQuoted, raw);
    return text !== undefined && pattern.test(text) ? literalOf(text) : undefined;
  };
}

const integerTerm = (isQuoted: boolean): ToTerm => numberTerm(/^(?:0|-?[1-9]\d{0,19})$/, isQuoted);

const decimalTerm = (scale: number, isQuoted: boolean): ToTerm =>
  numberTerm(new RegExp(`^-?(?:0|[1-9]\\d{0,64})${scale > 0 ? `\\.\\d{${scale}}` : ''}$`), isQuoted);

function orBooleanTerm(toTerm: ToTerm, asBoolean: boolean): ToTerm {
  if (!asBoolean) return toTerm;
  return (raw) => {
    if (raw === 'true' || raw === 'false') return literalOf(raw === 'true' ? '1' : '0');
    return raw === '0' || raw === '1' ? undefined : toTerm(raw);
  };
}

function dateTerm({ type, meta }: KeyTextColumn, style: KeyValues['temporal']): ToTerm {
  const isDate = type === T.DATE;
  const utc = style !== 'mysql' && (type === T.TIMESTAMP || type === T.TIMESTAMP2);
  const clock = isDate
    ? ''
    : `${style === 'mysql' ? ' ' : 'T'}(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d${fractionOf(meta)}${utc ? 'Z' : ''}`;
  // The server has an error for a month that no date has.
  const pattern = new RegExp(`^"\\d{4}-(?:0\\d|1[0-2])-(?:[0-2]\\d|3[01])${clock}"$`);
  return (raw) => {
    if (pattern.test(raw)) return literalOf(`'${raw.slice(1, -1).replace('T', ' ').replace('Z', '')}'`);
    // With `epoch_micros`, only days that the calendar lacks are text.
    const micros = style === 'epoch_micros' ? microsOf(raw) : undefined;
    if (micros === undefined) return undefined;
    const seconds = micros / MILLION - (micros % MILLION < 0n ? 1n : 0n);
    const time = new Date(Number(seconds) * 1000);
    const text = Number.isNaN(time.getTime()) ? '' : time.toISOString();
    if (!/^\d{4}-/.test(text)) return undefined;
    const fraction = String(micros - seconds * MILLION).padStart(6, '0');
    if (isDate) return micros % (86_400n * MILLION) === 0n ? literalOf(`'${text.slice(0, 10)}'`) : undefined;
    return literalOf(`'${text.slice(0, 10)} ${text.slice(11, 19)}.${fraction}'`);
  };
}

const MILLION = 1_000_000n;

const fractionOf = (digits: number): string => (digits > 0 ? `\\.\\d{${digits}}` : '');

const microsOf = (raw: string): bigint | undefined => (/^(?:0|-?[1-9]\d{0,17})$/.test(raw) ? BigInt(raw) : undefined);

function timeTerm(digits: number, asMicros: boolean): ToTerm {
  if (!asMicros) return patternTerm(new RegExp(`^"-?\\d{2,3}:[0-5]\\d:[0-5]\\d${fractionOf(digits)}"$`));
  return (raw) => {
    const micros = microsOf(raw);
    if (micros === undefined) return undefined;
    const all = micros < 0n ? -micros : micros;
    const two = (value: bigint): string => String(value).padStart(2, '0');
    const seconds = all / MILLION;
    const clock = `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`;
    return literalOf(`'${micros < 0n ? '-' : ''}${clock}.${String(all % MILLION).padStart(6, '0')}'`);
  };
}

/** The text of a JSON string that is written as events write it; undefined for anything else. */
function textOf(raw: string): string | undefined {
  const value: unknown = raw.startsWith('"') ? JSON.parse(raw) : undefined;
  return typeof value === 'string' && JSON.stringify(value) === raw ? value : undefined;
}

function binaryTerm(encoding: 'base64' | 'hex'): ToTerm {
  return (raw) => {
    const text = textOf(raw);
    if (text === undefined) return undefined;
    const bytes = Buffer.from(text, encoding);
    return bytes.toString(encoding) === text ? literalOf(`x'${bytes.toString('hex')}'`) : undefined;
  };
}

/** Labels that are in no column any more are in no row. The empty text is also the number 0 (an invalid value). */
function enumTerm(labels: readonly string[], quoted: string): ToTerm {
  return (raw) => {
    const text = textOf(raw);
    if (text === undefined) return undefined;
    const numbers = ['', ...labels].flatMap((label, number) => (label === text ? [number] : []));
    if (numbers.length === 1) return literalOf(String(numbers[0]));
    return { condition: numbers.length === 0 ? 'FALSE' : `${quoted} IN (${numbers.join(', ')})` };
  };
}

/** The members are in the order of their numbers. The empty text is no member, so no label may be empty. */
function setTerm(labels: readonly string[], isArray: boolean): ToTerm | undefined {
  if (labels.includes('') || new Set(labels).size < labels.length) return undefined;
  return (raw) => {
    const members = isArray ? arrayOf(raw) : textOf(raw)?.split(',');
    if (members === undefined) return undefined;
    if (members.length === 0 || (!isArray && members[0] === '')) return members.length > 1 ? undefined : literalOf('0');
    const numbers = members.map((member) => labels.indexOf(member));
    if (numbers.includes(-1)) return { condition: 'FALSE' };
    if (numbers.some((number, i) => i > 0 && number <= (numbers[i - 1] as number))) return undefined;
    return literalOf(String(numbers.reduce((bits, number) => bits | (1n << BigInt(number)), 0n)));
  };
}

function arrayOf(raw: string): string[] | undefined {
  const value: unknown = raw.startsWith('[') ? JSON.parse(raw) : undefined;
  if (!Array.isArray(value) || JSON.stringify(value) !== raw) return undefined;
  return value.every((member) => typeof member === 'string') ? value : undefined;
}

/** Character sets in which each text has exactly one sequence of bytes. */
const EXACT_CHARSETS = /^(?:utf8|utf8mb3|utf8mb4|ucs2|utf16|utf16le|utf32|latin1)$/;
/** Characters that have one sequence of bytes in every character set, and that no other bytes become. */
const EXACT_TEXT = /^[0-9A-Za-z_ .:+-]*$/;
/** A replacement stands for bytes that are not known. A half of a pair is no character of UTF-8. */
const UNKNOWN_TEXT = /\ufffd|\p{Surrogate}/u;

function textTerm(quoted: string, charset: string, collation: string): ToTerm | undefined {
  if (!/^\w+$/.test(charset) || !/^\w+$/.test(collation)) return undefined;
  return (raw) => {
    const text = textOf(raw);
    if (text === undefined || UNKNOWN_TEXT.test(text)) return undefined;
    const hex = `_utf8mb4 x'${Buffer.from(text).toString('hex')}'`;
    if (EXACT_CHARSETS.test(charset) || EXACT_TEXT.test(text)) {
      return literalOf(`CONVERT(${hex} USING ${charset}) COLLATE ${collation}`);
    }
    // Several sequences of bytes can be this text: the server decodes what the column has. No index helps it.
    return { condition: `CONVERT(${quoted} USING utf8mb4) COLLATE utf8mb4_bin = ${hex}` };
  };
}
