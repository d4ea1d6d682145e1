import { quoteIdentifier } from '../../model/identifier.ts';
import { BINARY_COLLATION, type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import type { Parameter } from './execute-command.ts';
import { LISTED_MEMBERS_MAX } from './limits.ts';

/** What SHOW KEYS and INFORMATION_SCHEMA add to a column of a key. */
export interface KeyPart {
  /** The index holds the column from its largest value to its smallest. */
  descending: boolean;
  /** The index holds only the first characters of the column. */
  prefix: boolean;
  charset: string | null;
  collation: string | null;
}

/** A column of the key: how a value of a row packet returns to the server as a parameter. */
export interface KeyColumn extends KeyPart {
  name: string;
  /** The index of the column in the table and in the row packet. */
  index: number;
  kind: KeyKind;
  unsigned: boolean;
  /** The digits of the fraction of a DECIMAL. */
  scale: number;
  /** What is compared and sorted: the column itself, unless `isIndexed` is false. */
  expression: string;
  /** Whether the server compares the column with a parameter in the order of the index. */
  isIndexed: boolean;
  /** The labels of an ENUM, if they are few enough to be listed; otherwise 0. */
  members: number;
  /** The expression of one parameter that compares as `expression` does. */
  parameter: string;
  toParameter: (value: Buffer) => Parameter;
}

/** How the values of a key can be used apart from comparing them. */
export type KeyKind = 'integer' | 'decimal' | 'date' | 'bit' | 'bytes' | 'text' | 'other';

/** A parameter of a string, decimal or bytes has its length in front. */
export function lengthEncoded(value: Buffer): Buffer {
  const { length } = value;
  if (length < 0xfb) return Buffer.concat([Buffer.from([length]), value]);
  if (length <= 0xffff) return Buffer.concat([Buffer.from([0xfc, length & 0xff, length >> 8]), value]);
  return Buffer.concat([Buffer.from([0xfd, length & 0xff, (length >> 8) & 0xff, length >> 16]), value]);
}

const fixedParameter =
  (type: number, unsigned: boolean) =>
  (bytes: Buffer): Parameter => ({ type, unsigned, bytes });
const lengthEncodedParameter =
  (type: number) =>
  (value: Buffer): Parameter => ({ type, unsigned: false, bytes: lengthEncoded(value) });

/** A number without a fraction, of at most eight bytes. */
export function integerParameter(value: bigint, unsigned = false): Parameter {
  const bytes = Buffer.alloc(8);
  if (value < 0n) bytes.writeBigInt64LE(value);
  else bytes.writeBigUInt64LE(value);
  return { type: T.LONGLONG, unsigned: unsigned || value > 0x7fffffffffffffffn, bytes };
}

/** A BIT value is a string of bytes to the protocol. As a number it compares as the column does. */
const bitParameter = (value: Buffer): Parameter =>
  integerParameter(value.length === 0 ? 0n : BigInt(`0x${value.toString('hex')}`), true);

type ColumnKey = Pick<KeyColumn, 'kind' | 'parameter' | 'toParameter'> &
  Partial<Pick<KeyColumn, 'expression' | 'isIndexed'>>;

const plain = (kind: KeyKind, toParameter: KeyColumn['toParameter']): ColumnKey => ({
  kind,
  parameter: '?',
  toParameter,
});

/** @throws CdcError if the server cannot compare values of the type as parameters */
function columnKey(column: Column, name: string, { charset, collation }: KeyPart): ColumnKey {
  switch (column.type) {
    case T.TINY:
    case T.TINY1:
      return plain('integer', fixedParameter(T.TINY, column.unsigned));
    case T.SHORT:
      return plain('integer', fixedParameter(T.SHORT, column.unsigned));
    case T.LONG:
    case T.INT24:
      return plain('integer', fixedParameter(T.LONG, column.unsigned));
    case T.LONGLONG:
      return plain('integer', fixedParameter(T.LONGLONG, column.unsigned));
    case T.YEAR:
      return plain('other', fixedParameter(T.SHORT, true));
    case T.FLOAT:
      return plain('other', fixedParameter(T.FLOAT, false));
    case T.DOUBLE:
      return plain('other', fixedParameter(T.DOUBLE, false));
    case T.NEWDECIMAL:
      return plain('decimal', lengthEncodedParameter(T.NEWDECIMAL));
    case T.DATE:
      return plain('date', lengthEncodedParameter(T.DATE));
    case T.DATETIME:
    case T.DATETIME2:
    case T.TIMESTAMP:
    case T.TIMESTAMP2:
      return plain('date', lengthEncodedParameter(T.DATETIME));
    case T.TIME:
    case T.TIME2:
      return plain('other', lengthEncodedParameter(T.TIME));
    case T.BIT:
      return plain('bit', bitParameter);
    case T.ENUM:
    case T.SET:
      if (column.labels.length === 0) break;
      // The server compares the 64th member as the sign of a number, and the index does not.
      if (column.labels.length === 64) {
        const expression = `CAST(${name} AS UNSIGNED) | 0`;
        return { ...plain('other', fixedParameter(T.LONGLONG, true)), expression, isIndexed: false };
      }
      return plain('other', fixedParameter(T.LONGLONG, true));
    case T.UUID:
    case T.INET4:
    case T.INET6:
      return plain('other', lengthEncodedParameter(T.VAR_STRING));
    default:
      break;
  }
  if (column.type === T.ENUM || column.type === T.SET) {
    throw new CdcError(`the key column ${column.name} cannot be compared`, {
      why: 'its labels cannot be read exactly, so it is selected as text, which has another order than the key',
      hint: 'rename the labels that contain "?" or characters beyond the BMP',
    });
  }
  if (column.collation === BINARY_COLLATION || charset === null || charset === 'binary') {
    return plain('bytes', lengthEncodedParameter(T.BLOB));
  }
  // MariaDB's index has CHAR padded, and a comparison has it without: "a" is behind "a\t" in one and before it in the
  // other. Its sort takes "" and "\0" for equal. MySQL compares and sorts in the order of the index.
  if (column.type === T.STRING && /_nopad_/.test(collation ?? '')) {
    const toParameter = lengthEncodedParameter(T.BLOB);
    return { kind: 'other', expression: `HEX(${name})`, isIndexed: false, parameter: 'HEX(?)', toParameter };
  }
  return {
    kind: 'text',
    parameter: `CONVERT(? USING ${charset}) COLLATE ${collation}`,
    toParameter: lengthEncodedParameter(T.BLOB),
  };
}

const NOT_COMPARABLE: ReadonlySet<number> = new Set([T.JSON, T.GEOMETRY, T.VECTOR]);

export function keyColumn(column: Column, index: number, part: KeyPart): KeyColumn {
  if (NOT_COMPARABLE.has(column.type)) throw new CdcError(`column ${column.name} has no order, so it cannot be a key`);
  const { name, unsigned, type, meta, labels } = column;
  const scale = type === T.NEWDECIMAL ? meta & 0xff : 0;
  const expression = quoteIdentifier(name);
  const isIndexed = !part.prefix;
  const members = type === T.ENUM && labels.length <= LISTED_MEMBERS_MAX ? labels.length : 0;
  return {
    name,
    index,
    unsigned,
    scale,
    expression,
    isIndexed,
    members,
    ...part,
    ...columnKey(column, expression, part),
  };
}
