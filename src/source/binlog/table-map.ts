import { type Column, HASH_COLUMN_NAME, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import type { ByteCursor } from './byte-cursor.ts';

/** A table as a TABLE_MAP event describes it. Without FULL metadata, names and labels are missing. */
export interface TableMap {
  schema: string;
  name: string;
  columns: readonly Column[];
  /** Whether the event has column names, as with binlog_row_metadata=FULL. */
  hasColumnNames: boolean;
  /** Column indexes of the primary key, in key order. */
  primaryKey: readonly number[];
}

/** Decodes the bytes of a label, in the character set of a collation id. */
export type DecodeText = (bytes: Buffer, collation: number) => string;

/** Optional metadata fields (MySQL: Table_map_event::Optional_metadata_field_type in rows_event.h). */
const Field = {
  SIGNEDNESS: 1,
  DEFAULT_CHARSET: 2,
  COLUMN_CHARSET: 3,
  COLUMN_NAME: 4,
  SET_LABELS: 5,
  ENUM_LABELS: 6,
  SIMPLE_PRIMARY_KEY: 8,
  PRIMARY_KEY_WITH_PREFIX: 9,
  ENUM_AND_SET_DEFAULT_CHARSET: 10,
  ENUM_AND_SET_COLUMN_CHARSET: 11,
} as const;

const NUMERIC: ReadonlySet<number> = new Set([
  T.DECIMAL,
  T.TINY,
  T.SHORT,
  T.INT24,
  T.LONG,
  T.LONGLONG,
  T.NEWDECIMAL,
  T.FLOAT,
  T.DOUBLE,
  T.YEAR,
]);
const CHARACTER: ReadonlySet<number> = new Set([
  T.VARCHAR,
  T.VAR_STRING,
  T.STRING,
  T.BLOB,
  T.TINY_BLOB,
  T.MEDIUM_BLOB,
  T.LONG_BLOB,
  T.BLOB_COMPRESSED,
  T.VARCHAR_COMPRESSED,
]);

/** The schema and table name, which follow the table id and flags. */
export function readTableName(cursor: ByteCursor): { schema: string; name: string } {
  const schema = cursor.text(cursor.u8());
  cursor.skip(1);
  const name = cursor.text(cursor.u8());
  cursor.skip(1);
  return { schema, name };
}

/**
 * The rest of a TABLE_MAP body: columns with their metadata
 * (MySQL: Table_map_event in rows_event.h; the optional metadata since 8.0, on MariaDB since 10.5).
 */
export function readTableMap(
  schema: string,
  name: string,
  cursor: ByteCursor,
  decode: DecodeText,
  mariadb: boolean,
): TableMap {
  const count = cursor.lenenc();
  const types = cursor.slice(count);
  const meta = cursor.subCursor(cursor.lenenc());
  const columns: Column[] = [];
  for (let i = 0; i < count; i++) columns.push(readColumn(types[i] as number, meta));
  const nullable = cursor.slice((count + 7) >> 3);
  columns.forEach((column, i) => {
    column.nullable = ((nullable[i >> 3] as number) & (1 << (i & 7))) !== 0;
  });
  const map = { schema, name, columns, hasColumnNames: false, primaryKey: [] as number[], mariadb };
  const labels: Buffer[][] = [];
  while (cursor.remaining > 0) {
    const field = cursor.u8();
    readField(field, cursor.subCursor(cursor.lenenc()), map, labels);
  }
  columns.forEach((column, i) => {
    if (labels[i]) column.labels = labels[i].map((bytes) => decode(bytes, column.collation));
  });
  if (mariadb) hideHashColumns(columns);
  if (map.primaryKey.some((i) => i >= count))
    throw new CdcError(`the table map of ${schema}.${name} names a key column that it does not have`);
  return map;
}

/**
 * MariaDB keeps a UNIQUE key over TEXT or BLOB as a hash of its columns, in a column behind all others. It is no column
 * of the table, and must not be in an event: a rule can drop the columns that it is a hash of.
 */
function hideHashColumns(columns: Column[]): void {
  for (const column of columns.toReversed()) {
    if (column.type !== T.LONGLONG || !column.unsigned || !HASH_COLUMN_NAME.test(column.name)) return;
    column.name = '';
  }
}

function readColumn(type: number, meta: ByteCursor): Column {
  const column: Column = { name: '', type, meta: 0, nullable: true, unsigned: false, collation: 0, labels: [] };
  switch (type) {
    case T.FLOAT:
    case T.DOUBLE:
    case T.BLOB:
    case T.BLOB_COMPRESSED:
    case T.GEOMETRY:
    case T.JSON:
    case T.VECTOR:
    case T.TIMESTAMP2:
    case T.DATETIME2:
    case T.TIME2:
      column.meta = meta.u8();
      break;
    case T.VARCHAR:
    case T.VARCHAR_COMPRESSED:
      column.meta = meta.u16();
      break;
    case T.BIT: {
      const bits = meta.u8();
      column.meta = meta.u8() * 8 + bits;
      break;
    }
    case T.NEWDECIMAL: {
      const precision = meta.u8();
      column.meta = (precision << 8) | meta.u8();
      break;
    }
    case T.STRING:
    case T.VAR_STRING:
    case T.ENUM:
    case T.SET: {
      const real = meta.u8();
      const length = meta.u8();
      if (real === T.ENUM || real === T.SET) {
        column.type = real;
        column.meta = length;
      } else {
        // CHAR of 256 bytes and more hides two bits of its length, inverted, in the type byte (Field_string).
        column.meta = (((real & 0x30) ^ 0x30) << 4) | length;
      }
      break;
    }
  }
  return column;
}

interface TableMapBuilder {
  columns: Column[];
  hasColumnNames: boolean;
  primaryKey: number[];
  mariadb: boolean;
}

function readField(field: number, cursor: ByteCursor, map: TableMapBuilder, labels: Buffer[][]): void {
  const { columns } = map;
  // Each server counts one more type among those that have a character set.
  const extraType = map.mariadb ? T.GEOMETRY : T.VECTOR;
  const hasCharset = ({ type }: Column): boolean => CHARACTER.has(type) || type === extraType;
  switch (field) {
    case Field.SIGNEDNESS: {
      const numeric = columns.filter((column) => NUMERIC.has(column.type));
      const bits = cursor.slice((numeric.length + 7) >> 3);
      numeric.forEach((column, i) => {
        column.unsigned = ((bits[i >> 3] as number) & (0x80 >> (i & 7))) !== 0;
      });
      break;
    }
    case Field.DEFAULT_CHARSET:
      return readDefaultCharset(cursor, columns.filter(hasCharset));
    case Field.COLUMN_CHARSET:
      return readCharsets(cursor, columns.filter(hasCharset));
    case Field.ENUM_AND_SET_DEFAULT_CHARSET:
      return readDefaultCharset(cursor, columns.filter(isLabelled));
    case Field.ENUM_AND_SET_COLUMN_CHARSET:
      return readCharsets(cursor, columns.filter(isLabelled));
    case Field.COLUMN_NAME:
      for (const column of columns) column.name = cursor.text(cursor.lenenc());
      map.hasColumnNames = true;
      break;
    case Field.SET_LABELS:
      return readLabels(cursor, columns, T.SET, labels);
    case Field.ENUM_LABELS:
      return readLabels(cursor, columns, T.ENUM, labels);
    case Field.SIMPLE_PRIMARY_KEY:
      while (cursor.remaining > 0) map.primaryKey.push(cursor.lenenc());
      break;
    case Field.PRIMARY_KEY_WITH_PREFIX:
      while (cursor.remaining > 0) {
        map.primaryKey.push(cursor.lenenc());
        cursor.lenenc(); // the prefix length: the key uses the whole column
      }
      break;
    default:
      // Geometry type, visibility, vector dimension and fields of later servers are not needed to read a row.
      break;
  }
}

const isLabelled = (column: Column): boolean => column.type === T.ENUM || column.type === T.SET;

function readDefaultCharset(cursor: ByteCursor, columns: Column[]): void {
  const collation = cursor.lenenc();
  for (const column of columns) column.collation = collation;
  while (cursor.remaining > 0) {
    const column = columns[cursor.lenenc()];
    const exception = cursor.lenenc();
    if (column) column.collation = exception;
  }
}

function readCharsets(cursor: ByteCursor, columns: Column[]): void {
  for (const column of columns) column.collation = cursor.lenenc();
}

function readLabels(cursor: ByteCursor, columns: Column[], type: number, labels: Buffer[][]): void {
  columns.forEach((column, i) => {
    if (column.type !== type) return;
    const columnLabels: Buffer[] = [];
    for (let left = cursor.lenenc(); left > 0; left--) columnLabels.push(cursor.slice(cursor.lenenc()));
    labels[i] = columnLabels;
  });
}
