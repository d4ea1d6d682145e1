import type { Connection, RowDataPacket } from 'mysql2/promise';
import { hasUncertainLabels, labelsOf } from '../../model/enum-labels.ts';
import { quoteIdentifier } from '../../model/identifier.ts';
import { type IndexPart, indexPart, SHOW_GENERATED_KEY, serverPrimaryKey } from '../../model/row-key.ts';
import { BINARY_COLLATION, type Column, ColumnType as T } from '../../model/table.ts';
import { readExactLabels } from './exact-labels.ts';

/** A table as INFORMATION_SCHEMA describes it now. */
export interface InformationSchemaTable {
  columns: InformationSchemaColumn[];
  /** Column indexes of the key that the server takes for the primary key, in key order. */
  primaryKey: number[];
  /** Whether that key is PRIMARY, which no other key can displace. */
  hasPrimaryKey: boolean;
  /** The columns of all indexes, in the order of the server. */
  indexParts: IndexPart[];
  /** `BASE TABLE`, `VIEW`, `SYSTEM VERSIONED` … */
  tableType: string;
  /** Columns of row images that INFORMATION_SCHEMA does not list, behind the others (MariaDB). */
  hidden: {
    /** Whether the table is system-versioned. Its period columns are hidden unless they were declared. */
    versioned: boolean;
    /** The number of UNIQUE keys that MariaDB keeps as a hash of their columns: over TEXT or BLOB, or USING HASH. */
    hashes: number;
  };
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
  /** Labels of ENUM and SET; undefined if they cannot be read exactly. */
  labels: readonly string[] | undefined;
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
  key: string,
  charset: string | null,
  collationName: string | null,
];

const COLUMNS = `SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION,
    NUMERIC_SCALE, DATETIME_PRECISION, COLUMN_KEY, CHARACTER_SET_NAME, COLLATION_NAME
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;
/** Not joined with the columns: that takes three times as long for each table. */
const COLLATIONS = 'SELECT COLLATION_NAME, ID FROM information_schema.COLLATIONS WHERE ID IS NOT NULL';

const TABLE = `SELECT TABLE_TYPE, ENGINE, VERSION() FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`;
/** MariaDB: the UCA 14.0.0 collations have an id per character set, and COLLATIONS lists none of them. */
const COLLATION_IDS = `SELECT FULL_COLLATION_NAME, ID FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY
  WHERE FULL_COLLATION_NAME IN (?)`;

/** The ids of the collations, by connection: a backfill reads many tables over one. */
const knownCollations = new WeakMap<Connection, Map<string, number>>();

/** Undefined if the table does not exist or the account cannot see it. */
export async function readInformationSchema(
  connection: Connection,
  schema: string,
  table: string,
): Promise<InformationSchemaTable | undefined> {
  const query = async <Row>(sql: string, values: unknown[] = []): Promise<Row[]> => {
    const [rows] = await connection.query<RowDataPacket[]>({ sql, values, rowsAsArray: true });
    return rows as unknown as Row[];
  };
  // Other servers do not know the variable, and do not hide the key.
  await query(SHOW_GENERATED_KEY).catch(() => {});
  const rows = await query<ColumnRow>(COLUMNS, [schema, table]);
  if (rows.length === 0) return undefined;
  const [[type, engine, version] = []] = await query<string[]>(TABLE, [schema, table]);
  const keys = await query<unknown[]>(`SHOW KEYS FROM ${quoteIdentifier(schema)}.${quoteIdentifier(table)}`);
  const names = rows.map(([name]) => name);
  const marked = rows.filter((row) => row[8] === 'PRI').map(([name]) => name);
  const indexParts = keys.map(indexPart);
  const primaryKey = serverPrimaryKey(marked, indexParts).map((name) => names.indexOf(name));
  const ids = knownCollations.get(connection) ?? new Map<string, number>();
  const addIds = async (sql: string, values: unknown[] = []): Promise<void> => {
    for (const [name, id] of await query<[string, string | number]>(sql, values)) ids.set(name, Number(id));
  };
  if (ids.size === 0) await addIds(COLLATIONS);
  knownCollations.set(connection, ids);
  const unlisted = rows.flatMap((row) => (row[10] !== null && !ids.has(row[10]) ? [row[10]] : []));
  if (unlisted.length > 0) await addIds(COLLATION_IDS, [unlisted]);
  const columns: InformationSchemaColumn[] = [];
  for (const row of rows) columns.push({ ...columnOf(row, ids), labels: await labels(connection, schema, table, row) });
  const isHashed = (key: unknown[]): boolean => indexPart(key).unique && key[10] === 'HASH' && engine !== 'MEMORY';
  const hashed = /mariadb/i.test(version ?? '') ? keys.filter(isHashed).map((key) => indexPart(key).index) : [];
  return {
    columns,
    primaryKey,
    hasPrimaryKey: indexParts.some(({ index }) => index === 'PRIMARY'),
    indexParts,
    tableType: type ?? '',
    hidden: { versioned: type === 'SYSTEM VERSIONED', hashes: new Set(hashed).size },
  };
}

function columnOf(row: ColumnRow, collationIds: ReadonlyMap<string, number>): InformationSchemaColumn {
  const [name, dataType, columnType, nullable, octets, precision, scale, fraction] = row;
  return {
    name,
    dataType: dataType.toLowerCase(),
    columnType,
    nullable: nullable === 'YES',
    octetLength: Number(octets ?? 0),
    precision: Number(precision ?? 0),
    scale: Number(scale ?? 0),
    fraction: Number(fraction ?? 0),
    collation: collationIds.get(row[10] ?? '') ?? 0,
    labels: [],
  };
}

async function labels(
  connection: Connection,
  schema: string,
  table: string,
  [column, dataType, columnType, , , , , , , charset]: ColumnRow,
): Promise<readonly string[] | undefined> {
  if (!/^(?:enum|set)$/i.test(dataType)) return [];
  if (!hasUncertainLabels(columnType, charset)) return labelsOf(columnType);
  return readExactLabels(connection, { schema, table, column, columnType, charset });
}

const NO_DETAILS = { octetLength: 0, precision: 0, scale: 0, fraction: 0, collation: 0, labels: [], nullable: false };
/** A period column of system versioning is a column: a deleted row only gets another row_end. */
const ROW_START = { ...NO_DETAILS, name: 'row_start', dataType: 'timestamp', columnType: 'timestamp(6)', fraction: 6 };
const ROW_END = { ...ROW_START, name: 'row_end' };
/** The hash of a UNIQUE key is no column: it has no name, and is in no event. */
const HASH = { ...NO_DETAILS, name: '', dataType: 'bigint', columnType: 'bigint unsigned' };

/**
 * The table with its hidden columns, if they explain why row images have `logged` columns. The server adds row_end to
 * the key of a system-versioned table.
 */
export function withHiddenColumns(table: InformationSchemaTable, logged: number): InformationSchemaTable {
  const { columns, primaryKey, hidden } = table;
  const hashes = Array.from({ length: hidden.hashes }, () => HASH);
  const period = hidden.versioned ? [ROW_START, ROW_END] : [];
  if (logged === columns.length + period.length + hashes.length && period.length > 0) {
    const key = primaryKey.length === 0 ? [] : [...primaryKey, columns.length + 1];
    return { ...table, columns: [...columns, ...period, ...hashes], primaryKey: key };
  }
  return logged === columns.length + hashes.length ? { ...table, columns: [...columns, ...hashes] } : table;
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

/** The columns as the binlog has them now, without what `mergeColumns` adds; or which type cdc does not know. */
export function presentColumns({ columns }: InformationSchemaTable): Column[] | string {
  const present: Column[] = [];
  for (const column of columns) {
    const [first] = expectedBinlogTypes(column);
    if (first === undefined) return `column ${column.name} has the unknown type ${column.columnType}`;
    const [type, meta] = first;
    present.push({ name: '', type, meta, nullable: column.nullable, unsigned: false, collation: 0, labels: [] });
  }
  return present;
}

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
    // A hash has the nullability of the columns of its key, and is not written.
    if (!matches || (known.nullable !== column.nullable && known.name !== '')) {
      return `column ${i + 1} has type ${column.type} (${column.meta}) in the binlog and is ${known.name} ${known.columnType} now`;
    }
    if (known.labels === undefined) {
      return `the labels of ${known.name} contain "?", and INFORMATION_SCHEMA shows every character beyond the BMP as "?"`;
    }
    const isBytes = known.collation === 0 && /binary|blob|^enum$|^set$/.test(known.dataType);
    merged.push({
      name: known.name,
      type: LOGGED_AS_ANOTHER[known.dataType] ?? LOGGED_AS_ANOTHER[known.columnType.toLowerCase()] ?? column.type,
      meta: OLD_TEMPORAL.has(column.type) ? known.fraction : column.meta,
      nullable: column.nullable,
      unsigned: /\b(unsigned|zerofill)\b/i.test(known.columnType.replace(/'.*'/gs, '')) || known.dataType === 'year',
      collation: isBytes ? BINARY_COLLATION : known.collation,
      labels: known.labels,
    });
  }
  return merged;
}
