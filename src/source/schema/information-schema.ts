import type { Connection, RowDataPacket } from 'mysql2/promise';
import { BINARY_COLLATION, type Column, ColumnType as T } from '../../model/table.ts';

/** A table as INFORMATION_SCHEMA describes it now. */
export interface InformationSchemaTable {
  columns: InformationSchemaColumn[];
  /** Column indexes of the primary key, in key order. */
  primaryKey: number[];
}

export interface InformationSchemaColumn {
  name: string;
  /** `int`, `varchar`, `enum` …; `columnType` is the whole type, such as `int(10) unsigned`. */
  dataType: string;
  columnType: string;
  nullable: boolean;
  octetLength: number;
  precision: number;
  scale: number;
  /** Fractional digits of the seconds. */
  fraction: number;
  /** Collation id; 0 if the type has none. */
  collation: number;
}

type Row = [
  name: string,
  dataType: string,
  columnType: string,
  nullable: string,
  octets: string | number | null,
  precision: string | number | null,
  scale: string | number | null,
  fraction: string | number | null,
  collation: string | number | null,
];

const COLUMNS = `SELECT c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.IS_NULLABLE, c.CHARACTER_OCTET_LENGTH,
    c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.DATETIME_PRECISION, o.ID
  FROM information_schema.COLUMNS c LEFT JOIN information_schema.COLLATIONS o ON o.COLLATION_NAME = c.COLLATION_NAME
  WHERE c.TABLE_SCHEMA = ? AND c.TABLE_NAME = ? ORDER BY c.ORDINAL_POSITION`;
const KEY = `SELECT COLUMN_NAME FROM information_schema.STATISTICS
  WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX`;

/** Undefined if the table does not exist or the account cannot see it. */
export async function readInformationSchema(
  connection: Connection,
  schema: string,
  table: string,
): Promise<InformationSchemaTable | undefined> {
  const [columns] = await connection.query<RowDataPacket[]>(COLUMNS, [schema, table]);
  const [key] = await connection.query<RowDataPacket[]>(KEY, [schema, table]);
  const rows = columns as unknown as Row[];
  if (rows.length === 0) return undefined;
  const names = rows.map(([name]) => name);
  return {
    columns: rows.map(([name, dataType, columnType, nullable, octets, precision, scale, fraction, collation]) => ({
      name,
      dataType: dataType.toLowerCase(),
      columnType,
      nullable: nullable === 'YES',
      octetLength: Number(octets ?? 0),
      precision: Number(precision ?? 0),
      scale: Number(scale ?? 0),
      fraction: Number(fraction ?? 0),
      collation: Number(collation ?? 0),
    })),
    primaryKey: (key as unknown as [string][]).map(([name]) => names.indexOf(name)),
  };
}

/** The types and metadata that a TABLE_MAP event can have; several where servers or table versions differ. */
function expectedBinlogTypes({
  dataType,
  octetLength,
  precision,
  scale,
  fraction,
  columnType,
}: InformationSchemaColumn): [number, number][] {
  switch (dataType) {
    case 'tinyint':
      return [[T.TINY, 0]];
    case 'smallint':
      return [[T.SHORT, 0]];
    case 'mediumint':
      return [[T.INT24, 0]];
    case 'int':
      return [[T.LONG, 0]];
    case 'bigint':
      return [[T.LONGLONG, 0]];
    case 'float':
      return [[T.FLOAT, 4]];
    case 'double':
      return [[T.DOUBLE, 8]];
    case 'decimal':
      return [[T.NEWDECIMAL, (precision << 8) | scale]];
    case 'bit':
      return [[T.BIT, precision]];
    case 'year':
      return [[T.YEAR, 0]];
    case 'date':
      return [[T.DATE, 0]];
    // The formats before 5.6 have no fraction in their metadata; INFORMATION_SCHEMA knows the digits.
    case 'time':
      return [
        [T.TIME2, fraction],
        [T.TIME, 0],
      ];
    case 'datetime':
      return [
        [T.DATETIME2, fraction],
        [T.DATETIME, 0],
      ];
    case 'timestamp':
      return [
        [T.TIMESTAMP2, fraction],
        [T.TIMESTAMP, 0],
      ];
    case 'char':
    case 'binary':
      return [[T.STRING, octetLength]];
    case 'varchar':
    case 'varbinary':
      return [
        [T.VARCHAR, octetLength],
        [T.VARCHAR_COMPRESSED, octetLength + 1],
      ];
    case 'tinytext':
    case 'tinyblob':
      return [
        [T.BLOB, 1],
        [T.BLOB_COMPRESSED, 1],
      ];
    case 'text':
    case 'blob':
      return [
        [T.BLOB, 2],
        [T.BLOB_COMPRESSED, 2],
      ];
    case 'mediumtext':
    case 'mediumblob':
      return [
        [T.BLOB, 3],
        [T.BLOB_COMPRESSED, 3],
      ];
    case 'longtext':
    case 'longblob':
      return [
        [T.BLOB, 4],
        [T.BLOB_COMPRESSED, 4],
      ];
    case 'json':
      return [
        [T.JSON, 4],
        [T.BLOB, 4],
      ];
    case 'enum':
      return [[T.ENUM, labelsOf(columnType).length > 255 ? 2 : 1]];
    case 'set': {
      const bytes = Math.ceil(labelsOf(columnType).length / 8);
      return [[T.SET, bytes > 4 ? 8 : bytes]];
    }
    case 'vector':
      return [[T.VECTOR, 4]];
    case 'uuid':
    case 'inet6':
      return [[T.STRING, 16]];
    case 'inet4':
      return [[T.STRING, 4]];
    default:
      return GEOMETRIES.has(dataType) ? [[T.GEOMETRY, 4]] : [];
  }
}

const GEOMETRIES = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
  'geomcollection',
]);
/** MariaDB's types that the binlog shows as BINARY, with the codec's own codes for them. */
const LOGGED_AS_BINARY: Readonly<Record<string, number>> = { uuid: T.UUID, inet4: T.INET4, inet6: T.INET6 };
const OLD_TEMPORAL: ReadonlySet<number> = new Set([T.TIME, T.DATETIME, T.TIMESTAMP]);

/**
 * The columns of the binlog with the names, signs, character sets and labels of INFORMATION_SCHEMA; or the reason why
 * the two do not match. Count, types, metadata and nullability must all agree: a guess would give values wrong names.
 */
export function mergeColumns(logged: readonly Column[], declared: InformationSchemaTable): Column[] | string {
  if (logged.length !== declared.columns.length) {
    return `the table has ${logged.length} columns in the binlog and ${declared.columns.length} now`;
  }
  const merged: Column[] = [];
  for (const [i, column] of logged.entries()) {
    const known = declared.columns[i] as InformationSchemaColumn;
    const matches = expectedBinlogTypes(known).some(([type, meta]) => type === column.type && meta === column.meta);
    if (!matches || known.nullable !== column.nullable) {
      return `column ${i + 1} has type ${column.type} (${column.meta}) in the binlog and is ${known.name} ${known.columnType} now`;
    }
    const labelled = known.dataType === 'enum' || known.dataType === 'set';
    if (labelled && known.columnType.includes('?')) {
      return `the labels of ${known.name} contain "?", and INFORMATION_SCHEMA shows every character beyond the BMP as "?"`;
    }
    const isBytes = known.collation === 0 && /binary|blob/.test(known.dataType);
    merged.push({
      name: known.name,
      type: LOGGED_AS_BINARY[known.dataType] ?? column.type,
      meta: OLD_TEMPORAL.has(column.type) ? known.fraction : column.meta,
      nullable: column.nullable,
      unsigned: /\b(unsigned|zerofill)\b/i.test(known.columnType.replace(/'.*'/gs, '')) || known.dataType === 'year',
      collation: isBytes ? BINARY_COLLATION : known.collation,
      labels: labelled ? labelsOf(known.columnType) : [],
    });
  }
  return merged;
}

/** `enum('a','it''s','back\\slash')`: COLUMN_TYPE doubles quotes and escapes only backslash, NUL, LF and CR. */
function labelsOf(columnType: string): string[] {
  return [...columnType.matchAll(/'((?:[^'\\]|''|\\.)*)'/gs)].map(([, label]) =>
    (label as string).replace(/''|\\./gs, (sequence) => LABEL_ESCAPES[sequence] ?? sequence),
  );
}

const LABEL_ESCAPES: Readonly<Record<string, string>> = {
  "''": "'",
  '\\\\': '\\',
  '\\0': '\0',
  '\\n': '\n',
  '\\r': '\r',
};
