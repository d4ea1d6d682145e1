import type { ValueOptions } from '../config/schema.ts';
import { quoteIdentifier } from '../model/identifier.ts';
import { CdcError } from '../runtime/error.ts';

/**
 * How a column of the source is SELECTed, so that the server itself writes its value, and how that becomes the JSON
 * text which the event contract promises. It shares no code with the codec: it is what the codec is checked against.
 */
export interface SourceColumn {
  name: string;
  /** DATA_TYPE and COLUMN_TYPE of information_schema, in lower case. */
  dataType: string;
  columnType: string;
}

export interface ColumnReader {
  name: string;
  select: string;
  toJson(value: Buffer): string;
  /** For numbers with many spellings; texts that are the same after normalization always are equal. */
  sameValue?(source: string, lake: string): boolean;
}

export function columnReader(column: SourceColumn, values: ValueOptions): ColumnReader {
  const c = quoteIdentifier(column.name);
  const { name, dataType } = column;
  const utf8 = `CONVERT(${c} USING utf8mb4)`;
  // "+ 0" and "* 1e0" drop ZEROFILL and display widths; "* 1e0" also widens a FLOAT, which the text protocol would round.
  switch (dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'year':
      return { name, select: `CAST(${c} + 0 AS CHAR)`, toJson: bare };
    case 'bigint':
    case 'bit': {
      const wide = dataType === 'bigint' || Number(/\d+/.exec(column.columnType)?.[0] ?? 1) > 53;
      return { name, select: `CAST(${c} + 0 AS CHAR)`, toJson: values.bigint === 'string' && wide ? quote : bare };
    }
    case 'decimal':
      return { name, select: `CAST(${c} + 0 AS CHAR)`, toJson: values.decimal === 'number' ? bare : quote };
    case 'float':
      return { name, select: `${c} * 1e0`, toJson: (v) => float32Text(Number(v)), sameValue: sameNumber(Math.fround) };
    case 'double':
      return { name, select: `${c} * 1e0`, toJson: (v) => numberText(Number(v)), sameValue: sameNumber(Number) };
    case 'date':
    case 'datetime':
    case 'timestamp':
    case 'time':
      return { name, select: `CAST(${c} AS CHAR)`, toJson: (value) => temporal(value.toString(), dataType, values) };
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return { name, select: c, toJson: (value) => JSON.stringify(value.toString(values.binary)) };
    case 'json':
      return {
        name,
        select: `CAST(${c} AS CHAR CHARACTER SET utf8mb4)`,
        toJson: values.json === 'nested' ? bare : quote,
      };
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geometrycollection':
    case 'geomcollection':
      return {
        name,
        select: c,
        toJson: (value) =>
          JSON.stringify({ srid: value.readUInt32LE(0), wkb: value.subarray(4).toString(values.binary) }),
      };
    case 'vector':
      return { name, select: c, toJson: vectorText, sameValue: sameVector };
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
    case 'enum':
    case 'set':
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return { name, select: utf8, toJson: quote };
    default:
      throw new CdcError(`column ${name} has the type ${column.columnType}, which cannot be compared`, {
        hint: 'leave its table out',
      });
  }
}

const bare = (value: Buffer): string => value.toString();
const quote = (value: Buffer): string => JSON.stringify(value.toString());

const numberText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** The shortest decimal that reads back as the same float32. */
function float32Text(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return numberText(shorter);
  }
  return numberText(Number(value.toPrecision(9)));
}

const sameNumber = (as: (value: number) => number) => (source: string, lake: string) =>
  isNumber(lake) && Object.is(as(Number(source)), as(Number(lake)));

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

function temporal(text: string, type: string, values: ValueOptions): string {
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
