import { createHash } from 'node:crypto';
import type { Dialect } from './dialect.ts';
import type { LandedTable } from './tables/landed-table.ts';

/** The schema of what cdc keeps for itself in the warehouse. */
export const STATE_SCHEMA = 'cdc_state';

/** The names of one table in a warehouse, not quoted. */
export interface TableNames {
  schema: string;
  /** The view of the current rows. It has the name of the source table. */
  view: string;
  /** The table of the current state, with the columns of cdc. */
  state: string;
  /** The table, in the schema of cdc, of columns that came without the rest of their row. */
  cells: string;
  /** The columns, as `columns` of the table. */
  columns: string[];
  /** The columns of cdc. `key` identifies a row where the key columns cannot. */
  seq: string;
  deleted: string;
  key: string;
}

/**
 * Gives each table names that the dialect can have and that nothing else has: in a case-insensitive warehouse two
 * tables of the source can have one name.
 */
export function assignNames(tables: readonly LandedTable[], dialect: Dialect): Map<LandedTable, TableNames> {
  const taken = new Set<string>();
  const names = new Map<LandedTable, TableNames>();
  // Tables go before what cdc adds, so that they keep their names.
  const views = tables.map(({ schema, table }) => {
    const legalSchema = legalSchemaName(dialect, schema);
    return { schema: legalSchema, view: unused(taken, dialect, table, `${legalSchema}\0`) };
  });
  for (const [i, table] of tables.entries()) {
    const { schema, view } = views[i] as { schema: string; view: string };
    const columnsTaken = new Set<string>();
    const columns = table.columns.map(({ name }) => unused(columnsTaken, dialect, name));
    names.set(table, {
      schema,
      view,
      state: unused(taken, dialect, `${table.table}__cdc`, `${schema}\0`),
      cells: unused(taken, dialect, `cells_${table.schema}_${table.table}`, `${STATE_SCHEMA}\0`),
      columns,
      seq: unused(columnsTaken, dialect, '_cdc_seq'),
      deleted: unused(columnsTaken, dialect, '_cdc_deleted'),
      key: unused(columnsTaken, dialect, '_cdc_key'),
    });
  }
  return names;
}

/** A legal name with a hash of the whole one, for a dialect that cannot have that. */
export function shortened(name: string, legal: string, bytesMax: number): string {
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
  let kept = legal;
  while (Buffer.byteLength(kept) > bytesMax - hash.length - 1) kept = [...kept].slice(0, -1).join('');
  return `${kept}_${hash}`;
}

function legalSchemaName(dialect: Dialect, schema: string): string {
  const legal = dialect.legalName(schema);
  return legal.toLowerCase() === STATE_SCHEMA ? `${legal}_` : legal;
}

/** Engines compare names without case, or fold them. */
function unused(taken: Set<string>, dialect: Dialect, name: string, scope = ''): string {
  let legal = dialect.legalName(name);
  for (let n = 2; taken.has(scope + legal.toLowerCase()); n++) legal = dialect.legalName(`${name}_${n}`);
  taken.add(scope + legal.toLowerCase());
  return legal;
}
