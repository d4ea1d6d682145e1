import type { ValueOptions } from '../config/schema.ts';
import { formatTableName } from '../model/table-filter.ts';
import { CdcError } from '../runtime/error.ts';
import type { Delivered, Dialect } from './dialect.ts';
import { assignNames, STATE_SCHEMA, type TableNames, type TableShape, tableId } from './names.ts';
import { alterTable, shapeOf } from './statements/alter-table.ts';
import { mergeSteps } from './statements/merge-statements.ts';
import {
  commentStatements,
  shapeStatements,
  stateDefinition,
  tableDefinition,
  viewDefinition,
} from './statements/table-definition.ts';
import type { LandedTable } from './tables/landed-table.ts';

export interface ScriptOptions {
  dialect: Dialect;
  delivered: Delivered;
  values: ValueOptions;
  /** What an earlier script made, by `tableId`. */
  known?: ReadonlyMap<string, TableShape>;
  /** Tables that are in no script, each with the reason. */
  leftOut: readonly { name: string; why: string }[];
}

/** Objects of so many days before the last complete merge are read again: one can land after one with a later name. */
const OVERLAP_DAYS = 2;

/** Begins the line of a comment that `readShapes` reads. */
const SHAPE_MARK = '-- cdc-table ';

/**
 * The whole SQL of a dialect as one text: what is delivered, the tables of the current state, the merge, the views.
 * Each part can run again: definitions do nothing where the table is there, and a merge over the same events changes
 * nothing.
 */
export function warehouseScript(options: ScriptOptions): string {
  const { dialect, delivered, leftOut, known = new Map() } = options;
  const names = assignNames(delivered.tables, dialect, known);
  const parts = [
    header(options),
    statements(dialect.session ?? []),
    ...leftOut.map(({ name, why }) => comment(`${oneLine(name)} is left out: ${oneLine(why)}.`)),
    section('What Firehose delivers, and what cdc remembers'),
    statements([...stateDefinition(dialect, delivered), ...dialect.landing.define(delivered)]),
    ...(dialect.landing.kind === 'files' ? [statements(filesState(dialect, delivered))] : []),
    ...[...names].map(([table, own]) => tablePart(table, own, options)),
    section('The merge: run this part again and again'),
    statements(dialect.session ?? []),
    ...mergePart(names, options),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

const otherKey = (table: LandedTable, before: TableShape, shape: TableShape): CdcError =>
  new CdcError(`the key of ${formatTableName(table.schema, table.table)} has changed`, {
    exitCode: 2,
    why: `its rows were found by ${before.identity}, and are now by ${shape.identity}`,
    hint: 'drop its table and view, leave out --since, and run cdc backfill for it',
  });

/** What the tables of an earlier script were made of, by `tableId`. */
export function readShapes(script: string): Map<string, TableShape> {
  const shapes = new Map<string, TableShape>();
  for (const line of script.split('\n')) {
    if (!line.startsWith(SHAPE_MARK)) continue;
    const { id, shape } = JSON.parse(line.slice(SHAPE_MARK.length)) as { id: string; shape: TableShape };
    shapes.set(id, shape);
  }
  return shapes;
}

function header({ dialect, delivered: { format, lake } }: ScriptOptions): string {
  return comment(
    `${dialect.title}: tables of the current rows, from events of cdc in format ${format}.`,
    dialect.landing.kind === 'queue'
      ? 'Firehose fills the landing table. The merge removes from it what it has merged.'
      : `The events are the objects of ${oneLine(lake)}. They stay there.`,
    ...(dialect.notes ?? []),
  );
}

function tablePart(
  table: LandedTable,
  names: TableNames,
  { dialect, delivered, values, known }: ScriptOptions,
): string {
  const shape = shapeOf(table, names, dialect, delivered.pipeline);
  const before = known?.get(tableId(table));
  if (before !== undefined && before.identity !== shape.identity) throw otherKey(table, before, shape);
  const notes = table.columns.flatMap(({ name, kind, sourceType }) => {
    const { type, note } = dialect.columnType(kind);
    return note === undefined ? [] : [`${oneLine(name)}: ${oneLine(sourceType)} is ${type}; ${note}`];
  });
  const changes = before === undefined ? [] : alterTable(table, names, before, dialect, values);
  return [
    section(oneLine(formatTableName(table.schema, table.table))),
    `${SHAPE_MARK}${JSON.stringify({ id: tableId(table), shape })}`,
    ...(notes.length > 0 ? [comment(...notes)] : []),
    statements([
      ...tableDefinition(table, names, dialect, delivered),
      ...(changes.length > 0
        ? [`DROP VIEW IF EXISTS ${dialect.quote(names.schema)}.${dialect.quote(names.view)}`]
        : []),
      ...changes.flatMap(({ sql }) => sql),
      ...commentStatements(table, names, dialect),
      viewDefinition(table, names, dialect),
      ...shapeStatements(table, shape, dialect),
    ]),
  ].join('\n');
}

function mergePart(names: ReadonlyMap<LandedTable, TableNames>, options: ScriptOptions): string[] {
  const { dialect, delivered, values } = options;
  const isQueue = dialect.landing.kind === 'queue';
  const batch = isQueue || dialect.hasTemporaryViews ? 'cdc_batch' : `${STATE_SCHEMA}.batch`;
  const source = { dialect, format: delivered.format, values, batch };
  const steps = [...names].flatMap(([table, own]) =>
    mergeSteps(table, own, source).map(
      ({ purpose, sql }) =>
        `${comment(`${oneLine(formatTableName(table.schema, table.table))}: ${purpose}`)}\n${statements(sql)}`,
    ),
  );
  if (!isQueue) {
    const ids = delivered.tables.map((table) => dialect.literal(tableId(table)));
    const begun = ids.map((id) => `(${id}, ${dialect.now}, false)`).join(', ');
    return [
      statements([
        `INSERT INTO ${RUNS} (table_id, started, is_done) VALUES ${begun}`,
        batchView(batch, ids, options),
        ...(dialect.cache ? [dialect.cache.keep(batch)] : []),
      ]),
      ...steps,
      statements([
        `UPDATE ${RUNS} SET is_done = true WHERE NOT is_done AND table_id IN (${ids.join(', ')})`,
        ...(dialect.cache ? [dialect.cache.release(batch)] : []),
      ]),
    ];
  }
  return [
    statements([`CREATE TEMPORARY TABLE ${batch} AS\n${dialect.landing.events(delivered)}`, dialect.begin]),
    ...steps,
    statements([...dialect.landing.remove(delivered, batch), 'COMMIT', `DROP TABLE ${batch}`]),
  ];
}

const RUNS = `${STATE_SCHEMA}.runs`;

/** The times of the merges of each table. */
const filesState = (dialect: Dialect, delivered: Delivered): string[] => [
  `CREATE TABLE IF NOT EXISTS ${RUNS} (
  table_id ${dialect.textType},
  started ${dialect.timestampType},
  is_done ${dialect.booleanType}
)${dialect.tableSuffix([STATE_SCHEMA, 'runs'], delivered)}`,
];

/** The events of the objects since shortly before the last complete run; of all objects if a table had none. */
function batchView(batch: string, ids: readonly string[], { dialect, delivered }: ScriptOptions): string {
  const last = `(SELECT CASE WHEN count(r.last_run) = ${ids.length} THEN min(r.last_run) END FROM (
  SELECT table_id, max(CASE WHEN is_done THEN started END) AS last_run FROM ${RUNS}
  WHERE table_id IN (${ids.join(', ')}) GROUP BY table_id) r)`;
  return `CREATE OR REPLACE ${dialect.hasTemporaryViews ? 'TEMPORARY ' : ''}VIEW ${batch} AS
SELECT e.schema_name, e.table_name, e.op, e.seq, e.is_partial, e.row_json
FROM (
${dialect.landing.events(delivered)}
) e
WHERE e.day = '' OR e.day >= coalesce(${dialect.dayText(last, OVERLAP_DAYS)}, '')`;
}

const section = (title: string): string =>
  `-- ${'-'.repeat(8)} ${title} ${'-'.repeat(Math.max(0, 100 - title.length))}`;
const comment = (...lines: string[]): string => lines.map((line) => `-- ${line}`).join('\n');
const statements = (sql: readonly string[]): string => sql.map((one) => `${one};`).join('\n');
/** A comment ends with its line. */
const oneLine = (text: string): string => text.replace(/[\r\n\u2028\u2029]+/g, ' ');
