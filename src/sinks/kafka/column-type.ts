import type { ValueOptions } from '../../config/schema.ts';
import type { ColumnRule } from '../../model/column-rules.ts';
import { BINARY_COLLATION, type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';

/**
 * A schema of Kafka Connect. Its members have the order of Connect's JSON converter: the bytes of a key decide its
 * partition, and those of Debezium are written by it.
 */
export interface ConnectType {
  type: 'boolean' | 'int16' | 'int32' | 'int64' | 'float' | 'double' | 'bytes' | 'string' | 'array' | 'struct';
  items?: ConnectType;
  fields?: readonly ConnectField[];
  optional: boolean;
  name?: string;
  version?: number;
  parameters?: Readonly<Record<string, string>>;
}
export type ConnectField = ConnectType & { field: string };

/**
 * The type of a column's values, as Debezium's MySQL connector gives it where the values are the same. A semantic name
 * says how the text or number is to be read; it is left out where our text is not what it promises.
 */
export function columnType(column: Column, values: ValueOptions, rule: ColumnRule | undefined): ConnectType {
  const { type, items, fields, ...name } = rule === undefined ? plainType(column, values) : STRING;
  return {
    type,
    ...(items && { items }),
    ...(fields && { fields }),
    optional: column.nullable || isNullAsText(column, values),
    ...name,
  };
}

type PlainType = Omit<ConnectType, 'optional'>;
const STRING: PlainType = { type: 'string' };
const INT64: PlainType = { type: 'int64' };

function plainType(column: Column, values: ValueOptions): PlainType {
  const { type, meta, unsigned, collation, labels, name } = column;
  const binary: PlainType = { type: values.binary === 'hex' ? 'string' : 'bytes' };
  switch (type) {
    case T.TINY:
    case T.TINY1:
      return { type: 'int16' };
    case T.SHORT:
      return { type: unsigned ? 'int32' : 'int16' };
    case T.INT24:
      return { type: 'int32' };
    case T.LONG:
      return { type: unsigned ? 'int64' : 'int32' };
    case T.LONGLONG:
      return values.bigint === 'string' ? STRING : INT64;
    case T.BIT:
      if (meta === 1 && values.boolean.includes('bit1')) return { type: 'boolean' };
      return values.bigint === 'string' && meta > 53 ? STRING : INT64;
    case T.FLOAT:
      return { type: 'float' };
    case T.DOUBLE:
      return { type: 'double' };
    case T.YEAR:
      return named('int32', 'io.debezium.time.Year');
    case T.DATE:
    case T.DATETIME:
    case T.DATETIME2:
      return values.temporal === 'epoch_micros' ? named('int64', 'io.debezium.time.MicroTimestamp') : STRING;
    case T.TIMESTAMP:
    case T.TIMESTAMP2:
      if (values.temporal === 'epoch_micros') return named('int64', 'io.debezium.time.MicroTimestamp');
      return values.temporal === 'iso' ? named('string', 'io.debezium.time.ZonedTimestamp') : STRING;
    case T.TIME:
    case T.TIME2:
      return values.temporal === 'epoch_micros' ? named('int64', 'io.debezium.time.MicroTime') : STRING;
    case T.ENUM:
      return { ...named('string', 'io.debezium.data.Enum'), parameters: { allowed: allowed(labels) } };
    case T.SET:
      return { ...named('string', 'io.debezium.data.EnumSet'), parameters: { allowed: allowed(labels) } };
    case T.JSON:
      return named('string', 'io.debezium.data.Json');
    case T.GEOMETRY:
      return geometry(binary);
    case T.VECTOR:
      return { ...named('array', 'io.debezium.data.FloatVector'), items: { type: 'float', optional: false } };
    case T.STRING:
    case T.VARCHAR:
    case T.VAR_STRING:
    case T.VARCHAR_COMPRESSED:
    case T.TINY_BLOB:
    case T.MEDIUM_BLOB:
    case T.LONG_BLOB:
    case T.BLOB:
    case T.BLOB_COMPRESSED:
      return collation === BINARY_COLLATION ? binary : STRING;
    case T.NEWDECIMAL:
    case T.UUID:
    case T.INET4:
    case T.INET6:
      return STRING;
    default:
      throw new CdcError(`column ${name} has the binlog type ${type}, which has no type of Kafka Connect`, {
        hint: 'set schemas: false, or exclude the table from `tables`; and report the type',
      });
  }
}

function named(type: ConnectType['type'], name: string): PlainType {
  return { type, name, version: 1 };
}

/** Commas separate the labels, so a comma of a label has a backslash. */
const allowed = (labels: readonly string[]): string => labels.map((label) => label.replaceAll(',', '\\,')).join(',');

/** Every kind of geometry, POINT too: the coordinates are in the WKB only. In hex it is not what the name promises. */
function geometry(binary: PlainType): PlainType {
  const type: PlainType =
    binary.type === 'bytes' ? named('struct', 'io.debezium.data.geometry.Geometry') : { type: 'struct' };
  const fields: ConnectField[] = [
    { ...binary, optional: false, field: 'wkb' },
    { type: 'int32', optional: true, field: 'srid' },
  ];
  return { ...type, fields };
}

const DATES: ReadonlySet<number> = new Set([T.DATE, T.DATETIME, T.DATETIME2, T.TIMESTAMP, T.TIMESTAMP2]);

/** Whether a value that is not NULL can be written as null. */
const isNullAsText = ({ type }: Column, values: ValueOptions): boolean =>
  values.zero_dates === 'null' && DATES.has(type);
