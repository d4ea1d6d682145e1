import type { Config } from '../../config/schema.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import type { Delivered } from '../dialect.ts';
import type { TableNames } from '../names.ts';
import { mergeSteps } from '../statements/merge-statements.ts';
import type { LandedTable } from '../tables/landed-table.ts';
import type { MergeResult } from './merge-run.ts';
import { BATCH, type MergeTarget } from './merge-target.ts';

/**
 * Merges the rows of the landing table that Firehose fills, and removes them from it, in one transaction. Rows of
 * tables that are not merged stay.
 * @throws CdcError if the engine refuses a statement; nothing is changed then
 */
export async function mergeLanding(
  target: MergeTarget,
  delivered: Delivered,
  tables: ReadonlyMap<LandedTable, TableNames>,
  config: Pick<Config, 'values'>,
  signal: AbortSignal,
): Promise<MergeResult> {
  const { dialect } = target;
  const source = { dialect, format: delivered.format, values: config.values, batch: BATCH };
  for (const sql of dialect.landing.define(delivered)) await target.query(sql);
  await target.query(`CREATE TEMPORARY TABLE ${BATCH} AS\n${dialect.landing.events(delivered)}`);
  await target.query(dialect.begin);
  try {
    const counts = await target.query(
      `SELECT schema_name, table_name, count(*) FROM ${BATCH} GROUP BY schema_name, table_name`,
    );
    const events = new Map(counts.map(([schema, table, count]) => [`${schema}\0${table}`, Number(count)]));
    for (const [table, names] of tables) {
      if (!events.has(`${table.schema}\0${table.table}`)) continue;
      for (const { sql } of mergeSteps(table, names, source)) {
        signal.throwIfAborted();
        for (const statement of sql) await target.query(statement);
      }
    }
    for (const sql of dialect.landing.remove(delivered, BATCH)) await target.query(sql);
    await target.query('COMMIT');
    const counted = [...tables.keys()].map(({ schema, table }) => ({
      name: formatTableName(schema, table),
      events: events.get(`${schema}\0${table}`) ?? 0,
    }));
    return { tables: counted, objects: 0, damage: [] };
  } catch (error) {
    await target.query('ROLLBACK').catch(() => {});
    throw error;
  } finally {
    await target.query(`DROP TABLE ${BATCH}`).catch(() => {});
  }
}

/** @throws CdcError with exit code 2 for an engine that no Firehose fills */
export function assertHasLanding({ dialect }: Pick<MergeTarget, 'dialect'>): void {
  if (dialect.landing.kind === 'queue') return;
  throw new CdcError(`${dialect.title} has no landing table`, {
    exitCode: 2,
    why: 'Firehose does not write to it',
    hint: 'leave out --from landing: the events are read from the lake',
  });
}
