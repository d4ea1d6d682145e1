import { configSchema, type ValueOptions } from '../../../src/config/schema.ts';
import { implicitValue } from '../../../src/warehouse/tables/column-fill.ts';
import { columnKind } from '../../../src/warehouse/tables/column-kind.ts';
import type { LandedColumn, LandedTable } from '../../../src/warehouse/tables/landed-table.ts';

export const VALUES: ValueOptions = configSchema.parse({
  source: { url: 'mysql://u@h' },
  firehose: { stream: 's' },
}).values;

export function landedColumn(
  name: string,
  columnType: string,
  more: Partial<LandedColumn> = {},
  values = VALUES,
): LandedColumn {
  const declared = { dataType: columnType.replace(/\W.*/, ''), columnType };
  const kind = columnKind(declared, undefined, values);
  if (kind === undefined) throw new Error(`no kind of ${columnType}`);
  const zero = more.isNullable === false ? implicitValue(declared, kind, values) : undefined;
  return { name, kind, sourceType: columnType, isNullable: true, comment: '', fill: undefined, zero, ...more };
}

/** A column of each type, and names that are hard to quote. */
export const EVERY_TYPE: Record<string, string> = {
  id: 'int',
  ub: 'bigint unsigned',
  tiny: 'tinyint(1)',
  dec: 'decimal(65,30)',
  dec2: 'decimal(12,2)',
  f: 'float',
  d: 'double',
  dt: 'date',
  dtm: 'datetime(6)',
  ts: 'timestamp',
  t: 'time(3)',
  y: 'year',
  bits: 'bit(64)',
  c: 'char(3)',
  v: 'varchar(255)',
  txt: 'longtext',
  bin: 'binary(3)',
  blob: 'longblob',
  e: "enum('a','b')",
  s: "set('x','y')",
  j: 'json',
  g: 'geometry',
  vec: 'vector(3)',
  seq: 'varchar(9)',
  op: 'int',
  key: 'int',
  after: 'int',
  _cdc_seq: 'int',
  'a.b"c`d\'e\\f': 'int',
  select: 'int',
  [`${'x'.repeat(60)}€xyz`]: 'int',
};

export function everyType(name: string, key: readonly string[], values = VALUES): LandedTable {
  const names = Object.keys(EVERY_TYPE);
  return {
    schema: 'shop',
    table: name,
    comment: `it's "${name}"`,
    key: key.map((column) => names.indexOf(column)),
    columns: names.map((column) =>
      landedColumn(
        column,
        EVERY_TYPE[column]!,
        {
          ...((column === 'op' || key.includes(column)) && { isNullable: false }),
          ...(column === 'op' && { comment: 'it\'s \\ a "comment"\nof two lines', fill: '7' }),
          ...(column === 'v' && { fill: "it's \\ x" }),
        },
        values,
      ),
    ),
  };
}
