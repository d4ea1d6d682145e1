import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import { STATE_SCHEMA, type TableNames, type TableShape } from '../names.ts';
import type { LandedColumn, LandedTable } from '../tables/landed-table.ts';
import { hasOwnKey } from './merge-statements.ts';

/** What the definition of the table makes. */
export function shapeOf(table: LandedTable, names: TableNames, dialect: Dialect, pipeline: string): TableShape {
  const { schema, view, state, cells, seq, deleted, key } = names;
  const columns = table.columns.map(({ name: source, kind, isNullable, comment }, i) => ({
    ...{ source, name: names.columns[i] as string, kind: kind.kind },
    ...{ type: dialect.columnType(kind).type, isNullable, comment },
  }));
  const isOwn = hasOwnKey(table, dialect);
  const keys = table.key.map((i) => {
    const { name, kind } = table.columns[i] as LandedColumn;
    return isOwn ? name : `${name} (${kind.kind})`;
  });
  return {
    ...{ names: { schema, view, state, cells, seq, deleted, key }, pipeline, dialect: dialect.name, columns },
    identity: isOwn ? `the text of ${keys.join(', ')}` : keys.join(', '),
  };
}

/** Types that a value keeps its meaning in. Every other change of a type needs a new copy of the table. */
const KEPT: ReadonlySet<string> = new Set(['integer integer', 'integer decimal', 'decimal decimal', 'text text']);

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
  const { quoteInDefinition: quote } = dialect;
  const state = `${quote(names.schema)}.${quote(names.state)}`;
  const cells = `${STATE_SCHEMA}.${quote(names.cells)}`;
  const wanted = shapeOf(table, names, dialect, known.pipeline);
  const alterations: Alteration[] = [];
  let columns = known.columns;
  const add = (sql: string[], changed: TableShape['columns']): void => {
    columns = changed;
    alterations.push({ sql, shape: { ...known, columns } });
  };
  const others = (name: string): TableShape['columns'] => columns.filter((one) => one.name !== name);
  for (const { name, source } of known.columns) {
    if (wanted.columns.some((column) => column.name === name)) continue;
    // Its cells would come back with another column of the name.
    const forget = `DELETE FROM ${STATE_SCHEMA}.${dialect.quote(names.cells)} WHERE cell = ${dialect.literal(source)}`;
    add([forget, `ALTER TABLE ${state} DROP COLUMN ${quote(name)}`], others(name));
  }
  for (const [i, column] of wanted.columns.entries()) {
    const { name, type, isNullable } = column;
    const before = known.columns.find((one) => one.name === name);
    const changed = [...others(name), column];
    if (before === undefined) {
      const { kind, fill, zero } = table.columns[i] as LandedColumn;
      const text = fill ?? zero;
      const value = text === undefined ? undefined : dialect.value(dialect.literal(text), kind, values);
      add(dialect.addColumn(state, quote(name), type, value), changed);
      continue;
    }
    // A column that becomes NOT NULL can still have NULL in rows that were merged before.
    if ((isNullable || before.type !== type) && !before.isNullable && dialect.hasNotNull) {
      add(dialect.dropNotNull(state, quote(name), before.type), [...others(name), { ...before, isNullable: true }]);
    }
    if (before.type === type) continue;
    if (KEPT.has(`${before.kind} ${column.kind}`)) {
      const at = table.key.indexOf(i);
      const isIdentity = at >= 0 && !hasOwnKey(table, dialect);
      add(
        [
          ...dialect.alterType(state, quote(name), type),
          ...(isIdentity ? dialect.alterType(cells, `k${at}`, type) : []),
        ],
        changed,
      );
    } else {
      const without = others(name);
      add([`ALTER TABLE ${state} DROP COLUMN ${quote(name)}`], without);
      add(dialect.addColumn(state, quote(name), type, undefined), changed);
    }
  }
  return alterations;
}
