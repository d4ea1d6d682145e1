import type { ValueOptions } from '../config/schema.ts';
import { quoteIdentifier } from '../model/identifier.ts';
import { CdcError } from '../runtime/error.ts';

/**
 * Reads a source column as the JSON text that the event contract promises. The server itself converts the value in the
 * SELECT. This file shares no code with the codec, because the codec is checked against it.
 */
export interface SourceColumn {
  name: string;
  /** DATA_TYPE and COLUMN_TYPE of information_schema, in lower case. */
  dataType: string;
  columnType: string;
}

export interface ColumnReader {
  name: string;
  /** The SELECT expression of the column. */
  select: string;
  toJson(value: Buffer): string;
  /** Compares numbers that have several spellings. Texts that are equal after normalization are always equal. */
  sameValue?(source: string, lake: string): boolean;
}

const GEOMETRY_TYPES = new Set(
  'geometry point linestring polygon multipoint multilinestring multipolygon geometrycollection geomcollection'.split(
    ' ',
  ),
);
const BINARY_TYPES = new Set('binary varbinary tinyblob blob mediumblob longblob'.split(' '));
const TEXT_TYPES = new Set('char varchar tinytext text mediumtext longtext enum set uuid inet4 inet6'.split(' '));

/** @throws CdcError when the contract does not define the type */
export function createColumnReader(column: SourceColumn, values: ValueOptions): ColumnReader {
  const { name, dataType, columnType } = column;
  const quoted = quoteIdentifier(name);
  // "+ 0" and "* 1e0" remove ZEROFILL and display widths. "* 1e0" also widens a FLOAT, which the text protocol would
  // round.
  switch (dataType) {
    case 'tinyint': {
      const asBoolean = columnType === 'tinyint(1)' && values.boolean.includes('tinyint1');
      return { name, select: `CAST(${quoted} + 0 AS CHAR)`, toJson: asBoolean ? booleanText : plainText };
    }
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'year':
      return { name, select: `CAST(${quoted} + 0 AS CHAR)`, toJson: plainText };
    case 'bigint':
    case 'bit': {
      const wide = dataType === 'bigint' || Number(/\d+/.exec(columnType)?.[0] ?? 1) > 53;
      const asBoolean = columnType === 'bit(1)' && values.boolean.includes('bit1');
      const toJson = asBoolean ? booleanText : values.bigint === 'string' && wide ? jsonText : plainText;
      return { name, select: `CAST(${quoted} + 0 AS CHAR)`, toJson };
    }
    case 'decimal':
      return {
        name,
        select: `CAST(${quoted} + 0 AS CHAR)`,
        toJson: values.decimal === 'number' ? plainText : jsonText,
      };
    case 'float':
      return {
        name,
        select: `${quoted} * 1e0`,
        toJson: (value) => float32Text(Number(value)),
        sameValue: sameNumber(Math.fround),
      };
    case 'double':
      return {
        name,
        select: `${quoted} * 1e0`,
        toJson: (value) => numberText(Number(value)),
        sameValue: sameNumber(Number),
      };
    case 'date':
    case 'datetime':
    case 'timestamp':
    case 'time':
      return {
        name,
        select: `CAST(${quoted} AS CHAR)`,
        toJson: (value) => temporalJson(value.toString(), dataType, values),
      };
    case 'json':
      return {
        name,
        select: `CAST(${quoted} AS CHAR CHARACTER SET utf8mb4)`,
        toJson: values.json === 'nested' ? plainText : jsonText,
      };
    case 'vector':
      return { name, select: quoted, toJson: vectorText, sameValue: sameVector };
  }
  if (TEXT_TYPES.has(dataType)) return { name, select: `CONVERT(${quoted} USING utf8mb4)`, toJson: jsonText };
  if (BINARY_TYPES.has(dataType)) {
    return { name, select: quoted, toJson: (value) => JSON.stringify(value.toString(values.binary)) };
  }
  if (GEOMETRY_TYPES.has(dataType)) return { name, select: quoted, toJson: geometryJson(values.binary) };
  throw new CdcError(`column ${name} has the type ${columnType}, which cannot be compared`, {
    hint: 'do not compare its table',
  });
}

const geometryJson = (encoding: 'base64' | 'hex') => (value: Buffer) =>
  JSON.stringify({ srid: value.readUInt32LE(0), wkb: value.subarray(4).toString(encoding) });

const plainText = (value: Buffer): string => value.toString();
const booleanText = (value: Buffer): string => ({ 0: 'false', 1: 'true' })[value.toString()] ?? value.toString();
const jsonText = (value: Buffer): string => JSON.stringify(value.toString());

const numberText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** The shortest decimal that parses to the same float32. */
function float32Text(value: number): string {
  // `toPrecision` drops the sign of -0.
  if (value === 0) return numberText(value);
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return numberText(shorter);
  }
  return numberText(Number(value.toPrecision(9)));
}

const sameNumber = (round: (value: number) => number) => (source: string, lake: string) =>
  isNumber(lake) && Object.is(round(Number(source)), round(Number(lake)));

const isNumber = (raw: string): boolean => /^-?\d/.test(raw);

const vectorText = (value: Buffer): string =>
  `[${Array.from({ length: value.length / 4 }, (_, i) => float32Text(value.readFloatLE(i * 4))).join(',')}]`;

function sameVector(source: string, lake: string): boolean {
  if (!lake.startsWith('[')) return false;
  const ours: unknown[] = JSON.parse(source);
  const theirs: unknown[] = JSON.parse(lake);
  return (
    ours.length === theirs.length &&
    ours.every(
      (value, i) => typeof theirs[i] === 'number' && Object.is(Math.fround(value as number), Math.fround(theirs[i])),
    )
  );
}

const ZERO_DATE = /^(\d{4}-00-|\d{4}-\d\d-00)/;

function temporalJson(text: string, type: string, values: ValueOptions): string {
  if (type !== 'time' && values.zero_dates === 'null' && ZERO_DATE.test(text)) return 'null';
  if (values.temporal === 'epoch_micros' && !(type !== 'time' && ZERO_DATE.test(text))) return String(micros(text));
  if (values.temporal === 'mysql') return JSON.stringify(text);
  return JSON.stringify(text.replace(' ', 'T') + (type === 'timestamp' ? 'Z' : ''));
}

function micros(text: string): bigint {
  const [, sign, date, hours, minutes, seconds, fraction = ''] =
    /^(-?)(?:(\d{4}-\d\d-\d\d) ?)?(?:(\d+):(\d\d):(\d\d)(?:\.(\d+))?)?$/.exec(text)!;
  const days = date === undefined ? 0n : BigInt(Date.parse(date)) * 1000n;
  const clock = (BigInt(hours ?? 0) * 3600n + BigInt(minutes ?? 0) * 60n + BigInt(seconds ?? 0)) * 1_000_000n;
  const total = days + clock + BigInt(fraction.padEnd(6, '0'));
  return sign === '-' ? -total : total;
}
