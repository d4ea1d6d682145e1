import { createHash } from 'node:crypto';
import type { Dialect, DialectName } from './dialect.ts';
import type { ColumnKind, LandedTable } from './tables/landed-table.ts';

/** The schema of what cdc keeps for itself in the warehouse. */
export const STATE_SCHEMA = 'cdc_state';

/** The names of one table in a warehouse, not quoted. */
export interface TableNames {
  schema: string;
  /** The view of the current rows. It has the name of the source table, and its column names. */
  view: string;
  viewColumns: string[];
  /** The table of the current state, with the columns of cdc. */
  state: string;
  /** The columns of that table, as `columns` of the source table. */
  columns: string[];
  /** The table, in the schema of cdc, of columns that came without the rest of their row. */
  cells: string;
  /** The columns of cdc. `key` identifies a row where the key columns cannot. */
  seq: string;
  deleted: string;
  key: string;
}

/**
 * Gives each table names that the dialect can have and that nothing else has: in a case-insensitive warehouse two
 * tables of the source can have one name.
 * @param known the names that tables, by their `tableId`, have in the warehouse already: they keep them
 */
export function assignNames(
  tables: readonly LandedTable[],
  dialect: Dialect,
  known: ReadonlyMap<string, TableShape> = new Map(),
): Map<LandedTable, TableNames> {
  const taken = new Set<string>();
  for (const { names } of known.values()) {
    for (const name of [names.view, names.state]) taken.add(folded(`${names.schema}\0${name}`));
    taken.add(folded(`${STATE_SCHEMA}\0${names.cells}`));
  }
  const schemaOf = ({ schema }: LandedTable): string => legalSchemaName(dialect, schema);
  // Tables go before what cdc adds, so that they keep their names.
  const views = tables.map((table) => {
    const shape = known.get(tableId(table));
    return shape?.names.view ?? unused(taken, dialect, table.table, `${schemaOf(table)}\0`);
  });
  return new Map(
    tables.map((table, i) => {
      const shape = known.get(tableId(table));
      const schema = shape?.names.schema ?? schemaOf(table);
      const names = {
        schema,
        view: views[i] as string,
        state: shape?.names.state ?? unused(taken, dialect, `${table.table}__cdc`, `${schema}\0`),
        cells:
          shape?.names.cells ?? unused(taken, dialect, `cells_${table.schema}_${table.table}`, `${STATE_SCHEMA}\0`),
      };
      return [table, { ...names, ...columnNames(table, dialect, shape) }];
    }),
  );
}

/** Columns keep their names while others come and go. */
function columnNames(table: LandedTable, dialect: Dialect, shape: TableShape | undefined) {
  const inView = new Set<string>();
  const viewColumns = table.columns.map(({ name }) => unused(inView, dialect, name));
  const own = shape && { seq: shape.names.seq, deleted: shape.names.deleted, key: shape.names.key };
  const before = (source: string): string | undefined =>
    shape?.columns.find((column) => column.source === source)?.name;
  const taken = new Set([...(shape?.columns.map(({ name }) => name) ?? []), ...Object.values(own ?? {})].map(folded));
  const columns = table.columns.map(({ name }) => before(name) ?? unused(taken, dialect, name));
  const free = (name: string): string => unused(taken, dialect, name);
  return {
    viewColumns,
    columns,
    ...(own ?? { seq: free('_cdc_seq'), deleted: free('_cdc_deleted'), key: free('_cdc_key') }),
  };
}

/** The id of a table in the state of cdc. */
export const tableId = ({ schema, table }: Pick<LandedTable, 'schema' | 'table'>): string =>
  JSON.stringify([schema, table]);

/** What a table of the current state was made of, as plain data that is kept. */
export interface TableShape {
  names: Omit<TableNames, 'columns' | 'viewColumns'>;
  /** The pipeline, and the dialect. */
  pipeline: string;
  dialect: DialectName;
  /** The source columns, with their names and types in the warehouse. */
  columns: {
    source: string;
    name: string;
    kind: ColumnKind['kind'];
    type: string;
    isNullable: boolean;
    comment: string;
  }[];
  /** What finds a row. */
  identity: string;
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
  for (let n = 2; taken.has(folded(scope + legal)); n++) legal = dialect.legalName(`${name}_${n}`);
  taken.add(folded(scope + legal));
  return legal;
}

const folded = (name: string): string => name.toLowerCase();
