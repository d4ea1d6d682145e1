import type { ValueOptions } from '../../config/schema.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { asCdcError, CdcError, withContext } from '../../runtime/error.ts';
import type { Delivered, Dialect } from '../dialect.ts';
import { assignNames, STATE_SCHEMA, type TableNames, type TableShape, tableId } from '../names.ts';
import { alterTable, shapeOf } from '../statements/alter-table.ts';
import {
  commentStatements,
  shapeStatements,
  stateDefinition,
  tableDefinition,
  viewDefinition,
} from '../statements/table-definition.ts';
import type { LandedTable } from '../tables/landed-table.ts';
import type { MergeTarget } from './merge-target.ts';

/** The tables that can be merged, with their names, and those that cannot. */
export interface DefinedTables {
  names: Map<LandedTable, TableNames>;
  /** Tables that are not touched, each with the reason and what to do. */
  stopped: { name: string; why: string; hint: string }[];
}

/**
 * Makes the tables and views of the target, or changes them to what the source has now. A table that cannot be made or
 * changed stops no other one.
 * @throws CdcError if the target fails
 */
export async function defineTables(
  target: MergeTarget,
  delivered: Delivered,
  values: ValueOptions,
): Promise<DefinedTables> {
  const { dialect } = target;
  for (const sql of stateDefinition(dialect, delivered)) await target.query(sql);
  const shapes = await readShapes(target);
  const names = assignNames(delivered.tables, dialect, shapes);
  const columnsOf = await readColumns(target, [...new Set([...names.values()].map(({ schema }) => schema))]);
  const stopped: DefinedTables['stopped'] = [];
  for (const [table, own] of names) {
    try {
      const known = shapes.get(tableId(table));
      const existing = { state: columnsOf(own.schema, own.state), view: columnsOf(own.schema, own.view) };
      await defineTable(target, delivered, values, { table, names: own, known, existing });
    } catch (error) {
      const { message, why, hint } = asCdcError(error);
      names.delete(table);
      const name = formatTableName(table.schema, table.table);
      stopped.push({ name, why: [message, why].filter(Boolean).join(': '), hint: hint ?? 'run cdc merge again' });
    }
  }
  return { names, stopped };
}

interface TableState {
  table: LandedTable;
  names: TableNames;
  known: TableShape | undefined;
  /** The columns that are there; none where there is no table or view. */
  existing: { state: readonly string[]; view: readonly string[] };
}

async function defineTable(
  target: MergeTarget,
  delivered: Delivered,
  values: ValueOptions,
  { table, names, known, existing }: TableState,
): Promise<void> {
  const { dialect, location } = target;
  const wanted = shapeOf(table, names, dialect, delivered.pipeline);
  if (known !== undefined && existing.state.length > 0) {
    if (known.pipeline !== delivered.pipeline) throw otherPipeline(table, known, location);
    assertUnchanged(table, names, known, existing.state, location);
    const isSame = existing.view.length > 0 && JSON.stringify(known) === JSON.stringify(wanted);
    if (!isSame) await change(target, { table, names, known, wanted, values });
    return;
  }
  const taken = existing.state.length > 0 ? names.state : existing.view.length > 0 ? names.view : undefined;
  if (taken !== undefined) throw foreignTable(table, names.schema, taken, location, 'cdc did not make it');
  await inTransaction(target, async () => {
    const definition = [
      ...tableDefinition(table, names, dialect, delivered),
      ...commentStatements(table, names, dialect),
      viewDefinition(table, names, dialect),
      ...shapeStatements(table, wanted, dialect),
    ];
    for (const sql of definition) await target.query(sql);
  });
}

async function change(
  target: MergeTarget,
  {
    table,
    names,
    known,
    wanted,
    values,
  }: Omit<TableState, 'known' | 'existing'> & { known: TableShape; wanted: TableShape; values: ValueOptions },
): Promise<void> {
  const { dialect, location } = target;
  if (known.identity !== wanted.identity) throw otherKey(table, names, known, wanted, target);
  const steps = alterTable(table, names, known, dialect, values).map(({ sql, shape }) => [
    ...sql,
    ...shapeStatements(table, shape, dialect),
  ]);
  const view = viewDefinition(table, names, dialect);
  const last = [...commentStatements(table, names, dialect), view, ...shapeStatements(table, wanted, dialect)];
  // PostgreSQL changes no column that a view has.
  const first = dialect.altersInTransaction && !isOnlyLonger(known, wanted) ? [dropView(names, dialect)] : [];
  const transactions = dialect.altersInTransaction ? [[...first, ...steps.flat(), ...last]] : [...steps, last];
  try {
    for (const statements of transactions) {
      await inTransaction(target, async () => {
        for (const sql of statements) await target.query(sql);
      });
    }
  } catch (error) {
    throw withContext(
      error,
      (message) => `${formatTableName(table.schema, table.table)} cannot be changed in ${location}: ${message}`,
      `if other views use ${names.schema}.${names.view}, drop them, run cdc merge, and create them again`,
    );
  }
}

/** Whether columns were only added at the end, so that the view can be replaced where it is. */
const isOnlyLonger = (known: TableShape, wanted: TableShape): boolean =>
  known.columns.every(({ name, type }, i) => wanted.columns[i]?.name === name && wanted.columns[i]?.type === type);

const dropView = ({ schema, view }: TableNames, { quote }: Dialect): string =>
  `DROP VIEW IF EXISTS ${quote(schema)}.${quote(view)}`;

function otherKey(
  table: LandedTable,
  names: TableNames,
  known: TableShape,
  wanted: TableShape,
  { dialect, location }: MergeTarget,
): CdcError {
  const { quote, literal } = dialect;
  const id = literal(tableId(table));
  const name = formatTableName(table.schema, table.table);
  const statements = [
    dropView(names, dialect),
    `DROP TABLE ${quote(names.schema)}.${quote(names.state)}`,
    `DROP TABLE ${STATE_SCHEMA}.${quote(names.cells)}`,
    `DELETE FROM ${STATE_SCHEMA}.shapes WHERE table_id = ${id}`,
    `DELETE FROM ${STATE_SCHEMA}.tables WHERE table_id = ${id}`,
  ];
  return new CdcError(`the key of ${name} has changed`, {
    why: `its rows in ${location} are found by ${known.identity}, and those of the source by ${wanted.identity}`,
    hint: `run there: ${statements.join('; ')}; then run cdc backfill ${name}, and cdc merge`,
  });
}

const otherPipeline = (table: LandedTable, { pipeline }: TableShape, location: string): CdcError =>
  new CdcError(`${location} has ${formatTableName(table.schema, table.table)} of another pipeline`, {
    why: `it is that of the configuration with name: ${pipeline}`,
    hint: 'merge into another database, or rename the schema of one source',
  });

async function inTransaction(target: MergeTarget, work: () => Promise<void>): Promise<void> {
  await target.query('BEGIN');
  try {
    await work();
    await target.query('COMMIT');
  } catch (error) {
    await target.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** The shapes as cdc made them, by the id of the table. */
async function readShapes(target: MergeTarget): Promise<Map<string, TableShape>> {
  const rows = await target.query(`SELECT table_id, shape FROM ${STATE_SCHEMA}.shapes`);
  return new Map(rows.map(([id, shape]) => [String(id), JSON.parse(String(shape)) as TableShape]));
}

/** The columns of every table and view in the schemas, in one query: it is slow. */
async function readColumns(
  target: MergeTarget,
  schemas: readonly string[],
): Promise<(schema: string, table: string) => string[]> {
  const columns = new Map<string, string[]>();
  if (schemas.length > 0) {
    const rows = await target.query(
      `SELECT table_schema, table_name, column_name FROM information_schema.columns
       WHERE table_schema IN (${schemas.map(target.dialect.literal).join(', ')})`,
    );
    for (const [schema, table, column] of rows) {
      const id = `${schema}\0${table}`;
      columns.set(id, [...(columns.get(id) ?? []), String(column)]);
    }
  }
  return (schema, table) => columns.get(`${schema}\0${table}`) ?? [];
}

/** Columns that somebody added are theirs; a column that is missing is not. */
function assertUnchanged(
  table: LandedTable,
  { schema, state }: TableNames,
  known: TableShape,
  existing: readonly string[],
  location: string,
): void {
  const missing = known.columns.find(({ name }) => !existing.includes(name));
  if (missing === undefined) return;
  throw foreignTable(table, schema, state, location, `it lacks the column ${missing.name}, which cdc gave it`);
}

const foreignTable = (table: LandedTable, schema: string, name: string, location: string, why: string): CdcError =>
  new CdcError(`${location} has another ${schema}.${name}`, {
    why: `${why}, and the merge of ${formatTableName(table.schema, table.table)} needs the name`,
    hint: 'rename or drop it, or merge into another database',
  });
