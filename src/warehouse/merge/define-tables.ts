import type { ValueOptions } from '../../config/schema.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import { STATE_SCHEMA, type TableNames } from '../names.ts';
import { alterTable, parseShape, shapeOf, type TableShape } from '../statements/alter-table.ts';
import { tableId } from '../statements/merge-statements.ts';
import { stateDefinition, tableDefinition, viewDefinition } from '../statements/table-definition.ts';
import type { LandedTable } from '../tables/landed-table.ts';
import type { MergeTarget } from './merge-target.ts';

/**
 * Makes the tables and views of the target, or changes them to what the source has now.
 * @throws CdcError if a table or view of such a name is there that is not of cdc, or the key of a table has changed
 */
export async function defineTables(
  target: MergeTarget,
  names: ReadonlyMap<LandedTable, TableNames>,
  values: ValueOptions,
): Promise<void> {
  const { dialect } = target;
  for (const sql of stateDefinition(dialect)) await target.query(sql);
  const shapes = await readShapes(target);
  for (const [table, own] of names) {
    const wanted = shapeOf(table, own, dialect);
    const existing = await columnsOf(target, own.schema, own.state);
    const known = shapes.get(tableId(table));
    if (known !== undefined && existing.length > 0) {
      assertUnchanged(table, own, known, existing, target.location);
      await change(target, table, own, known, wanted, values);
      continue;
    }
    if (existing.length > 0) throw foreignTable(table, own.schema, own.state, target.location, 'cdc did not make it');
    if ((await columnsOf(target, own.schema, own.view)).length > 0) {
      throw foreignTable(table, own.schema, own.view, target.location, 'cdc did not make it');
    }
    await target.query('BEGIN');
    for (const sql of tableDefinition(table, own, dialect)) await target.query(sql);
    await target.query(viewDefinition(table, own, dialect));
    await saveShape(target, table, wanted);
    await target.query('COMMIT');
  }
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
  if (JSON.stringify(known) === JSON.stringify(wanted)) return;
  if (known.key !== wanted.key) {
    const state = `${dialect.quote(names.schema)}.${dialect.quote(names.state)}`;
    const name = formatTableName(table.schema, table.table);
    throw new CdcError(`the key of ${name} has changed`, {
      why: `its rows in ${target.location} are found by ${known.key}, and those of the source by ${wanted.key}`,
      hint: `drop ${state} there, delete its row of ${STATE_SCHEMA}.tables, run cdc backfill ${name}, then cdc merge`,
    });
  }
  await target.query('BEGIN');
  await target.query(`DROP VIEW IF EXISTS ${dialect.quote(names.schema)}.${dialect.quote(names.view)}`);
  for (const sql of alterTable(table, names, known, dialect, values)) await target.query(sql);
  await target.query(viewDefinition(table, names, dialect));
  await saveShape(target, table, wanted);
  await target.query('COMMIT');
}

/** The shapes as cdc made them, by the id of the table. */
async function readShapes(target: MergeTarget): Promise<Map<string, TableShape>> {
  const { textType } = target.dialect;
  await target.query(
    `CREATE TABLE IF NOT EXISTS ${STATE_SCHEMA}.shapes (table_id ${textType} NOT NULL, shape ${textType} NOT NULL)`,
  );
  const rows = await target.query(`SELECT table_id, shape FROM ${STATE_SCHEMA}.shapes`);
  return new Map(rows.map(([id, shape]) => [String(id), parseShape(String(shape))]));
}

async function saveShape(target: MergeTarget, table: LandedTable, shape: TableShape): Promise<void> {
  const { literal } = target.dialect;
  const id = literal(tableId(table));
  await target.query(`DELETE FROM ${STATE_SCHEMA}.shapes WHERE table_id = ${id}`);
  await target.query(
    `INSERT INTO ${STATE_SCHEMA}.shapes (table_id, shape) VALUES (${id}, ${literal(JSON.stringify(shape))})`,
  );
}

async function columnsOf(target: MergeTarget, schema: string, table: string): Promise<string[]> {
  const { literal } = target.dialect;
  const rows = await target.query(
    `SELECT column_name FROM information_schema.columns
     WHERE table_schema = ${literal(schema)} AND table_name = ${literal(table)}`,
  );
  return rows.map(([name]) => String(name));
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
