import type { ValueOptions } from '../../config/schema.ts';
import type { ColumnRule } from '../../model/column-rules.ts';
import type { ColumnKind } from './landed-table.ts';

/** The longest values in bytes (MySQL Reference Manual, String Type Storage Requirements). */
const TEXT_BYTES: Readonly<Record<string, number>> = {
  tiny: 255,
  '': 65_535,
  medium: 16_777_215,
  long: 4_294_967_295,
};
const BYTES_PER_CHARACTER = 4;
/** HMAC-SHA-256 in hex. */
const HASH_BYTES = 64;
/** A mask replaces any value by text. */
const MASK_BYTES = 65_535;
/** A label has at most 255 characters (MySQL Reference Manual, Limits on Table Column Count). */
const LABEL_BYTES = 255 * BYTES_PER_CHARACTER;
const SET_BYTES = 65_535;
const CANONICAL_BYTES = 64;

const INTEGER_BITS: Readonly<Record<string, 8 | 16 | 32 | 64>> = {
  tinyint: 8,
  smallint: 16,
  mediumint: 32,
  int: 32,
  bigint: 64,
};

/**
 * The kind of a column by its types of information_schema in lower case, with the `values` and the rule that wrote its
 * events. Undefined for a type that has no events.
 */
export function columnKind(
  { dataType, columnType }: { dataType: string; columnType: string },
  rule: ColumnRule | undefined,
  values: ValueOptions,
): ColumnKind | undefined {
  if (rule?.kind === 'hash') return { kind: 'text', bytes: HASH_BYTES };
  if (rule?.kind === 'mask') return { kind: 'text', bytes: MASK_BYTES };
  const [length = 0, scale = 0] = (/\(([\d, ]+)\)/.exec(columnType)?.[1] ?? '').split(',').map(Number);
  const unsigned = /\bunsigned\b|\bzerofill\b/.test(columnType);
  const bits = INTEGER_BITS[dataType];
  // TINYINT(1) with `boolean` can still be any number.
  if (bits !== undefined) {
    const words = columnType === 'tinyint(1)' && values.boolean.includes('tinyint1');
    return { kind: 'integer', bits, unsigned, words };
  }
  switch (dataType) {
    case 'year':
      return { kind: 'integer', bits: 16, unsigned: false, words: false };
    case 'bit':
      return {
        kind: 'integer',
        bits: 64,
        unsigned: length > 63,
        words: columnType === 'bit(1)' && values.boolean.includes('bit1'),
      };
    case 'decimal':
      return { kind: 'decimal', precision: length || 10, scale };
    case 'float':
    case 'double':
      return { kind: dataType };
    case 'date':
      return { kind: 'date' };
    case 'datetime':
    case 'timestamp':
    case 'time':
      return { kind: dataType, digits: length };
    case 'json':
      return { kind: 'json', isText: values.json === 'string' };
    case 'vector':
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geometrycollection':
    case 'geomcollection':
      return { kind: 'json', isText: false };
    case 'char':
    case 'varchar':
      return { kind: 'text', bytes: length * BYTES_PER_CHARACTER };
    case 'enum':
      return { kind: 'text', bytes: LABEL_BYTES };
    case 'set':
      return { kind: 'text', bytes: SET_BYTES };
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return { kind: 'text', bytes: CANONICAL_BYTES };
    case 'binary':
    case 'varbinary':
      return { kind: 'binary', bytes: length };
  }
  const [, size, kind] = /^(tiny|medium|long|)(text|blob)$/.exec(dataType) ?? [];
  if (size === undefined) return undefined;
  return { kind: kind === 'text' ? 'text' : 'binary', bytes: TEXT_BYTES[size] as number };
}
