/** The column types of the binlog (MySQL: enum_field_types in field_types.h; 140 and 141 are MariaDB's). */
export const ColumnType = {
  DECIMAL: 0,
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  NULL: 6,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  VARCHAR: 15,
  BIT: 16,
  TIMESTAMP2: 17,
  DATETIME2: 18,
  TIME2: 19,
  BLOB_COMPRESSED: 140,
  VARCHAR_COMPRESSED: 141,
  VECTOR: 242,
  JSON: 245,
  NEWDECIMAL: 246,
  ENUM: 247,
  SET: 248,
  TINY_BLOB: 249,
  MEDIUM_BLOB: 250,
  LONG_BLOB: 251,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  GEOMETRY: 255,
  // Types that the binlog does not tell from others. The codes are cdc's own, for columns whose type was verified.
  // A signed TINYINT(1), which BOOLEAN stands for: the binlog has no display width.
  TINY1: 0x101,
  // MariaDB types that the binlog contains as BINARY.
  UUID: 0x1fe,
  INET4: 0x2fe,
  INET6: 0x3fe,
} as const;

/** The collation id of binary strings (BINARY, VARBINARY, BLOB). */
export const BINARY_COLLATION = 63;

/** The name of a hidden column of MariaDB: make_unique_invisible_field_name in sql_table.cc. */
export const HASH_COLUMN_NAME = /^DB_ROW_HASH_\d+$/;

export interface Column {
  /** Empty for a column that the server hides. It is in row images and in no event. */
  name: string;
  /** The real type: ENUM or SET, where the binlog has STRING. */
  type: number;
  /** The metadata of the type: length, precision << 8 | scale, fractional digits, length bytes, or bits. */
  meta: number;
  nullable: boolean;
  unsigned: boolean;
  /** The collation id of strings, ENUM and SET; otherwise 0. */
  collation: number;
  /** Labels of ENUM and SET, as text. */
  labels: readonly string[];
}

/** One version of a table, as it was at the time of the change. */
export interface Table {
  schema: string;
  name: string;
  columns: readonly Column[];
  /** Indexes of the key columns, in key order: the primary key, or the columns in `keys`. Empty if there is no key. */
  key: readonly number[];
}
