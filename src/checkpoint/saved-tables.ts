import { Coverage, type TableCoverage } from '../model/coverage.ts';
import { formatTableName } from '../model/table-filter.ts';
import type { VerifiedRows } from '../model/verified-tables.ts';
import type { Checkpoint } from './checkpoint.ts';

/** What a checkpoint says of its tables; it names those of which it knows something. */
export function coverageOf(saved: Checkpoint | undefined): Coverage {
  return new Coverage({
    ...(saved?.coverage ?? { followedSince: null, complete: [] }),
    incomplete: saved?.incomplete ?? [],
  });
}

/** The tables that a checkpoint names, by their names. */
export function savedTables(
  saved: Checkpoint | undefined,
): { schema: string; table: string; coverage: TableCoverage; verified: VerifiedRows | null }[] {
  const coverage = coverageOf(saved);
  const named = [
    ...coverage.complete,
    ...coverage.incomplete,
    ...coverage.verified,
    ...(saved?.backfill?.tables ?? []),
  ];
  const byName = new Map(
    named
      .filter(({ table }) => table !== '*')
      .map(({ schema, table }) => [formatTableName(schema, table), { schema, table }]),
  );
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { schema, table }]) => ({ schema, table, ...coverage.statusOf(schema, table) }));
}
