import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import type { TableNames, TableShape } from '../names.ts';
import type { LandedColumn, LandedTable } from '../tables/landed-table.ts';
import { hasOwnKey } from './merge-statements.ts';

/** What the definition of the table makes. */
export function shapeOf(table: LandedTable, names: TableNames, dialect: Dialect): TableShape {
  const { schema, view, state, cells, seq, deleted, key } = names;
  const columns = table.columns.map(({ name: source, kind, isNullable }, i) => ({
    ...{ source, name: names.columns[i] as string },
    ...{ type: dialect.columnType(kind).type, isNullable },
  }));
  const keyNames = table.key.map((i) => table.columns[i]?.name).join(', ');
  return {
    names: { schema, view, state, cells, seq, deleted, key },
    columns,
    identity: hasOwnKey(table, dialect) ? `the text of ${keyNames}` : keyNames,
  };
}

/** A change of a table, and the shape that it has afterwards. */
export interface Alteration {
  sql: string[];
  shape: TableShape;
}

/** The changes of the table of the current state from what it was made of to what the source has now. */
export function alterTable(
  table: LandedTable,
  names: TableNames,
  known: TableShape,
  dialect: Dialect,
  values: ValueOptions,
): Alteration[] {
  const state = `${dialect.quoteInDefinition(names.schema)}.${dialect.quoteInDefinition(names.state)}`;
  const wanted = shapeOf(table, names, dialect);
  const alterations: Alteration[] = [];
  let columns = known.columns;
  const add = (sql: string[], changed: TableShape['columns']): void => {
    columns = changed;
    alterations.push({ sql, shape: { ...known, columns } });
  };
  for (const { name } of known.columns) {
    if (wanted.columns.some((column) => column.name === name)) continue;
    const others = columns.filter((column) => column.name !== name);
    add([`ALTER TABLE ${state} DROP COLUMN ${dialect.quoteInDefinition(name)}`], others);
  }
  for (const [i, column] of wanted.columns.entries()) {
    const { name, type, isNullable } = column;
    const before = known.columns.find((one) => one.name === name);
    const changed = [...columns.filter((one) => one.name !== name), column];
    if (before === undefined) {
      const { kind, fill, zero } = table.columns[i] as LandedColumn;
      const text = fill ?? zero;
      const value = text === undefined ? undefined : dialect.value(dialect.literal(text), kind, values);
      add(dialect.addColumn(state, dialect.quoteInDefinition(name), type, value), changed);
      continue;
    }
    // A column that becomes NOT NULL can still have NULL in rows that were merged before.
    if (isNullable && !before.isNullable && dialect.hasNotNull) {
      const nullable = [...columns.filter((one) => one.name !== name), { ...before, isNullable }];
      add(dialect.dropNotNull(state, dialect.quoteInDefinition(name)), nullable);
    }
    if (before.type !== type) add(dialect.alterType(state, dialect.quoteInDefinition(name), type), changed);
  }
  return alterations;
}
