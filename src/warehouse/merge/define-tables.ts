import type { ValueOptions } from '../../config/schema.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import type { Delivered } from '../dialect.ts';
import { assignNames, STATE_SCHEMA, type TableNames, type TableShape, tableId } from '../names.ts';
import { alterTable, shapeOf } from '../statements/alter-table.ts';
import { stateDefinition, tableDefinition, viewDefinition } from '../statements/table-definition.ts';
import type { LandedTable } from '../tables/landed-table.ts';
import type { MergeTarget } from './merge-target.ts';

/**
 * Makes the tables and views of the target, or changes them to what the source has now. Returns their names.
 * @throws CdcError if a table or view of such a name is there that is not of cdc, or the key of a table has changed
 */
export async function defineTables(
  target: MergeTarget,
  delivered: Delivered,
  values: ValueOptions,
): Promise<Map<LandedTable, TableNames>> {
  const { dialect } = target;
  for (const sql of stateDefinition(dialect, delivered)) await target.query(sql);
  const shapes = await readShapes(target);
  const names = assignNames(delivered.tables, dialect, shapes);
  const columnsOf = await readColumns(target, [...new Set([...names.values()].map(({ schema }) => schema))]);
  for (const [table, own] of names) {
    const hasView = columnsOf(own.schema, own.view).length > 0;
    const wanted = shapeOf(table, own, dialect);
    const existing = columnsOf(own.schema, own.state);
    const known = shapes.get(tableId(table));
    if (known !== undefined && existing.length > 0) {
      assertUnchanged(table, own, known, existing, target.location);
      if (!hasView || JSON.stringify(known) !== JSON.stringify(wanted))
        await change(target, table, own, known, wanted, values);
      continue;
    }
    if (existing.length > 0) throw foreignTable(table, own.schema, own.state, target.location, 'cdc did not make it');
    if (hasView) throw foreignTable(table, own.schema, own.view, target.location, 'cdc did not make it');
    await inTransaction(target, async () => {
      for (const sql of tableDefinition(table, own, dialect, delivered)) await target.query(sql);
      await target.query(viewDefinition(table, own, dialect));
      await saveShape(target, table, wanted);
    });
  }
  return names;
}

async function change(
  target: MergeTarget,
  table: LandedTable,
  names: TableNames,
  known: TableShape,
  wanted: TableShape,
  values: ValueOptions,
): Promise<void> {
  const { dialect } = target;
  if (known.identity !== wanted.identity) {
    const state = `${dialect.quote(names.schema)}.${dialect.quote(names.state)}`;
    const name = formatTableName(table.schema, table.table);
    throw new CdcError(`the key of ${name} has changed`, {
      why: `its rows in ${target.location} are found by ${known.identity}, and those of the source by ${wanted.identity}`,
      hint: `drop ${state} there, delete its row of ${STATE_SCHEMA}.tables, run cdc backfill ${name}, then cdc merge`,
    });
  }
  await target.query(`DROP VIEW IF EXISTS ${dialect.quote(names.schema)}.${dialect.quote(names.view)}`);
  // DuckDB changes a table once in a transaction.
  for (const { sql, shape } of alterTable(table, names, known, dialect, values)) {
    await inTransaction(target, async () => {
      for (const statement of sql) await target.query(statement);
      await saveShape(target, table, shape);
    });
  }
  await inTransaction(target, async () => {
    await target.query(viewDefinition(table, names, dialect));
    await saveShape(target, table, wanted);
  });
}

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
  const { textType } = target.dialect;
  await target.query(
    `CREATE TABLE IF NOT EXISTS ${STATE_SCHEMA}.shapes (table_id ${textType} NOT NULL, shape ${textType} NOT NULL)`,
  );
  const rows = await target.query(`SELECT table_id, shape FROM ${STATE_SCHEMA}.shapes`);
  return new Map(rows.map(([id, shape]) => [String(id), JSON.parse(String(shape)) as TableShape]));
}

async function saveShape(target: MergeTarget, table: LandedTable, shape: TableShape): Promise<void> {
  const { literal } = target.dialect;
  const id = literal(tableId(table));
  await target.query(`DELETE FROM ${STATE_SCHEMA}.shapes WHERE table_id = ${id}`);
  await target.query(
    `INSERT INTO ${STATE_SCHEMA}.shapes (table_id, shape) VALUES (${id}, ${literal(JSON.stringify(shape))})`,
  );
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
