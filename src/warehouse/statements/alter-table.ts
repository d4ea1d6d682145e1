import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import type { TableNames } from '../names.ts';
import type { LandedTable } from '../tables/landed-table.ts';
import { hasOwnKey } from './merge-statements.ts';
import { addColumn } from './table-definition.ts';

/** What a table of the current state was made of, as plain data that is kept. */
export interface TableShape {
  /** The source columns, by their names in the warehouse. */
  columns: { name: string; type: string; isNullable: boolean }[];
  /** The columns that find a row, with their types. */
  key: string;
}

export function shapeOf(table: LandedTable, names: TableNames, dialect: Dialect): TableShape {
  const columns = table.columns.map(({ kind, isNullable }, i) => ({
    name: names.columns[i] as string,
    type: dialect.columnType(kind).type,
    isNullable,
  }));
  const sourceKey = table.key.map((i) => names.columns[i] as string);
  return { columns, key: hasOwnKey(table, dialect) ? `the text of ${sourceKey.join(', ')}` : sourceKey.join(', ') };
}

export const parseShape = (text: string): TableShape => JSON.parse(text) as TableShape;

/** The statements that change the table of the current state from what it was made of to what the source has now. */
export function alterTable(
  table: LandedTable,
  names: TableNames,
  known: TableShape,
  dialect: Dialect,
  values: ValueOptions,
): string[] {
  const state = `${dialect.quote(names.schema)}.${dialect.quote(names.state)}`;
  const wanted = shapeOf(table, names, dialect);
  const statements: string[] = [];
  for (const { name } of known.columns) {
    if (!wanted.columns.some((column) => column.name === name)) {
      statements.push(`ALTER TABLE ${state} DROP COLUMN ${dialect.quote(name)}`);
    }
  }
  for (const [i, { name, type, isNullable }] of wanted.columns.entries()) {
    const before = known.columns.find((column) => column.name === name);
    const column = table.columns[i] as LandedTable['columns'][number];
    if (before === undefined) {
      statements.push(`ALTER TABLE ${state} ADD COLUMN ${addColumn(column, name, dialect, values)}`);
      continue;
    }
    // A column that becomes NOT NULL can still have NULL in rows that were merged before.
    if (isNullable && !before.isNullable && dialect.hasNotNull) {
      statements.push(...dialect.dropNotNull(state, dialect.quote(name)));
    }
    if (before.type !== type) statements.push(...dialect.alterType(state, dialect.quote(name), type));
  }
  return statements;
}
