import type { ValueOptions } from '../../config/schema.ts';
import type { ColumnRule } from '../../model/column-rules.ts';
import { FLAT_FIELDS } from '../../model/flat-fields.ts';
import type { Table } from '../../model/table.ts';
import { type ConnectField, type ConnectType, columnType } from './column-type.ts';

/** How the messages of a table are written. */
export interface SchemaOptions {
  format: 'debezium' | 'flat';
  flatPrefix: string;
  values: ValueOptions;
  /** The rule of a column, where it has one. */
  columnRule: (schema: string, table: string, column: string) => ColumnRule | undefined;
}

/**
 * Which columns a message has: all; those that were logged, with the key; or none that it must have, as the TRUNCATE of
 * format flat.
 */
export type Completeness = 'full' | 'partial' | 'none';

/** The schema of the key of a table's messages. Only of a table with a key. */
export function keySchema(table: Table, schemaName: string, options: SchemaOptions): ConnectType {
  const fields = table.key.map((index) => columnField(table, index, options));
  return { type: 'struct', fields, optional: false, name: `${schemaName}.Key` };
}

/** The schema of the value of a table's messages. */
export function valueSchema(
  table: Table,
  schemaName: string,
  options: SchemaOptions,
  completeness: Completeness,
): ConnectType {
  const columns = rowFields(table, options, completeness);
  if (options.format === 'flat') {
    const fields = [...columns, ...flatFields(options.flatPrefix)];
    return { type: 'struct', fields, optional: false, name: `${schemaName}.Value` };
  }
  const row: ConnectType = { type: 'struct', fields: columns, optional: true, name: `${schemaName}.Value` };
  // Debezium's fields first, in its order; then those that only our events have.
  const fields: ConnectField[] = [
    { ...row, field: 'before' },
    { ...row, field: 'after' },
    SOURCE,
    field('op', 'string'),
    optional(field('ts_ms', 'int64')),
    ...(table.key.length === 0 ? [] : [{ ...optional(keySchema(table, schemaName, options)), field: 'key' }]),
    field('seq', 'string'),
    optional(field('partial', 'boolean')),
  ];
  return { type: 'struct', fields, optional: false, name: `${schemaName}.Envelope`, version: 2 };
}

function rowFields(table: Table, options: SchemaOptions, completeness: Completeness): ConnectField[] {
  return table.columns.flatMap(({ name }, index) => {
    // A hidden column has no name, and is in no event.
    if (name === '' || options.columnRule(table.schema, table.name, name)?.kind === 'drop') return [];
    const column = columnField(table, index, options);
    const present = completeness === 'full' || (completeness === 'partial' && table.key.includes(index));
    return [present ? column : optional(column)];
  });
}

function columnField(table: Table, index: number, { values, columnRule }: SchemaOptions): ConnectField {
  const column = table.columns[index] as Table['columns'][number];
  return { ...columnType(column, values, columnRule(table.schema, table.name, column.name)), field: column.name };
}

const field = (name: string, type: ConnectType['type']): ConnectField => ({ type, optional: false, field: name });
const optional = <T extends ConnectType>(type: T): T => ({ ...type, optional: true });

/** Of each metadata field of format flat. */
const FLAT_TYPES: Readonly<Record<(typeof FLAT_FIELDS)[number], ConnectType['type']>> = {
  op: 'string',
  seq: 'string',
  deleted: 'boolean',
  ts_ms: 'int64',
  db: 'string',
  table: 'string',
  partial: 'boolean',
};

const flatFields = (prefix: string): ConnectField[] =>
  FLAT_FIELDS.map((name) => {
    const each = field(prefix + name, FLAT_TYPES[name]);
    return name === 'partial' ? optional(each) : each;
  });

/** The members of `source` that our events have, typed as in Debezium's. */
const SOURCE: ConnectField = {
  type: 'struct',
  fields: [
    field('connector', 'string'),
    field('name', 'string'),
    field('ts_ms', 'int64'),
    {
      type: 'string',
      optional: true,
      name: 'io.debezium.data.Enum',
      version: 1,
      parameters: { allowed: 'true,false' },
      field: 'snapshot',
    },
    field('db', 'string'),
    optional(field('table', 'string')),
    field('server_id', 'int64'),
    optional(field('gtid', 'string')),
    field('file', 'string'),
    field('pos', 'int64'),
    field('row', 'int32'),
  ],
  optional: false,
  name: 'io.debezium.connector.mysql.Source',
  version: 1,
  field: 'source',
};
