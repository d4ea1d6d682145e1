import type { ValueOptions } from '../../config/schema.ts';
import { compareTable, isEqual, type TableComparison } from '../../lake/compare.ts';
import { type Fold, foldLake, selectRows } from '../../lake/fold.ts';
import { connectSource } from '../../lake/source-table.ts';
import { createViews } from '../../lake/views.ts';
import { SHOP, SHOP_TABLES } from './shop.ts';

export interface VerifyResult {
  /** The reasons why the demo failed. Empty when the lake equals the source. */
  problems: string[];
  /** The lines that landed, and how many of them repeat an earlier event. */
  lines: number;
  repeats: number;
  /** The events of changes that were expected, and the rows of the backfill that landed. */
  expectedChanges: number;
  copiedRows: number;
  tables: (TableComparison & { events: number })[];
}

interface VerifyInput {
  objects: string[];
  /** The DuckDB file of the fold and its views. */
  database: string;
  sourceUrl: string;
  values: ValueOptions;
  expectedChanges: number;
}

/** Folds the landed objects and compares every table of the shop with the source. */
export async function verifyDemo({
  objects,
  database,
  sourceUrl,
  values,
  expectedChanges,
}: VerifyInput): Promise<VerifyResult> {
  const fold = await foldLake({ objects, database });
  try {
    const source = await connectSource({ uri: sourceUrl });
    const tables: VerifyResult['tables'] = [];
    try {
      for (const table of SHOP_TABLES) {
        const events = fold.tables.find((folded) => folded.schema === SHOP && folded.table === table)?.events ?? 0;
        tables.push({ ...(await compareTable(source, fold, { schema: SHOP, table, values, samples: 5 })), events });
      }
    } finally {
      source.destroy();
    }
    const copiedRows = await countCopiedRows(fold);
    const problems = findProblems(fold, tables, { expectedChanges, copiedRows });
    const { events: lines, repeats } = fold;
    // For whoever looks at the file: a view of each table.
    if (problems.length === 0) await createViews(fold);
    return { problems, lines, repeats, expectedChanges, copiedRows, tables };
  } finally {
    fold.close();
  }
}

/** Rows that the backfill sent, without repeats. */
async function countCopiedRows(fold: Fold): Promise<number> {
  const [[rows] = []] = await selectRows(
    fold.connection,
    "SELECT count(DISTINCT seq) FROM cdc_lake.events WHERE op = 'r'",
  );
  return Number(rows);
}

function findProblems(
  fold: Fold,
  tables: readonly TableComparison[],
  { expectedChanges, copiedRows }: Pick<VerifyResult, 'expectedChanges' | 'copiedRows'>,
): string[] {
  const problems = [];
  for (const result of tables) {
    const name = `${result.schema}.${result.table}`;
    if (!isEqual(result)) problems.push(`${name} differs`);
    if (result.lakeOnlyColumns.length > 0) problems.push(`${name} has columns only in the lake`);
    if (result.sourceRows === 0) problems.push(`${name} is empty, so the comparison proves nothing`);
  }
  const events = fold.events - fold.repeats - copiedRows;
  if (events !== expectedChanges)
    problems.push(`${expectedChanges} changes were committed, but ${events} events landed`);
  if (copiedRows === 0) problems.push('the backfill copied no row');
  if (fold.conflicts > 0) problems.push(`${fold.conflicts} events were repeated with different content`);
  return problems;
}
