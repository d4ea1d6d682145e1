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

type ColumnRow = [
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
  const rows = columns as unknown as ColumnRow[];
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

type BinlogType = readonly [type: number, meta: number];

const blob = (lengthBytes: number): readonly BinlogType[] => [
  [T.BLOB, lengthBytes],
  [T.BLOB_COMPRESSED, lengthBytes],
];
const fixed = (type: number, meta: number) => (): readonly BinlogType[] => [[type, meta]];
/** The formats before 5.6 have no fraction in their metadata; INFORMATION_SCHEMA knows the digits. */
const temporal =
  (type: number, oldType: number) =>
  ({ fraction }: InformationSchemaColumn): readonly BinlogType[] => [
    [type, fraction],
    [oldType, 0],
  ];
const character = ({ octetLength }: InformationSchemaColumn): readonly BinlogType[] => [[T.STRING, octetLength]];
const variableCharacter = ({ octetLength }: InformationSchemaColumn): readonly BinlogType[] => [
  [T.VARCHAR, octetLength],
  [T.VARCHAR_COMPRESSED, octetLength + 1],
];

/**
 * By DATA_TYPE: the types and metadata that a TABLE_MAP event can have; several where servers or table versions differ.
 */
const BINLOG_TYPES: Readonly<Record<string, (column: InformationSchemaColumn) => readonly BinlogType[]>> = {
  tinyint: fixed(T.TINY, 0),
  smallint: fixed(T.SHORT, 0),
  mediumint: fixed(T.INT24, 0),
  int: fixed(T.LONG, 0),
  bigint: fixed(T.LONGLONG, 0),
  float: fixed(T.FLOAT, 4),
  double: fixed(T.DOUBLE, 8),
  decimal: ({ precision, scale }) => [[T.NEWDECIMAL, (precision << 8) | scale]],
  bit: ({ precision }) => [[T.BIT, precision]],
  year: fixed(T.YEAR, 0),
  date: fixed(T.DATE, 0),
  time: temporal(T.TIME2, T.TIME),
  datetime: temporal(T.DATETIME2, T.DATETIME),
  timestamp: temporal(T.TIMESTAMP2, T.TIMESTAMP),
  char: character,
  binary: character,
  varchar: variableCharacter,
  varbinary: variableCharacter,
  tinytext: () => blob(1),
  tinyblob: () => blob(1),
  text: () => blob(2),
  blob: () => blob(2),
  mediumtext: () => blob(3),
  mediumblob: () => blob(3),
  longtext: () => blob(4),
  longblob: () => blob(4),
  json: () => [
    [T.JSON, 4],
    [T.BLOB, 4],
  ],
  enum: ({ columnType }) => [[T.ENUM, labelsOf(columnType).length > 255 ? 2 : 1]],
  set: ({ columnType }) => {
    const bytes = Math.ceil(labelsOf(columnType).length / 8);
    return [[T.SET, bytes > 4 ? 8 : bytes]];
  },
  vector: fixed(T.VECTOR, 4),
  uuid: fixed(T.STRING, 16),
  inet6: fixed(T.STRING, 16),
  inet4: fixed(T.STRING, 4),
};

function expectedBinlogTypes(column: InformationSchemaColumn): readonly BinlogType[] {
  if (GEOMETRIES.has(column.dataType)) return [[T.GEOMETRY, 4]];
  return BINLOG_TYPES[column.dataType]?.(column) ?? [];
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
/** Types that the binlog shows as another one, with the codec's own codes for them, by DATA_TYPE or COLUMN_TYPE. */
const LOGGED_AS_ANOTHER: Readonly<Record<string, number>> = {
  uuid: T.UUID,
  inet4: T.INET4,
  inet6: T.INET6,
  'tinyint(1)': T.TINY1,
};
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
      type: LOGGED_AS_ANOTHER[known.dataType] ?? LOGGED_AS_ANOTHER[known.columnType.toLowerCase()] ?? column.type,
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
