import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { type Coverage, rowsThatDiffer } from '../model/coverage.ts';
import { type Finding, warning } from '../model/finding.ts';
import { COPY_BEGUN } from '../model/incomplete-tables.ts';
import { shellWord } from '../model/shell-command.ts';
import { formatTableName } from '../model/table-filter.ts';
import { differingRows, type VerifiedTable } from '../model/verified-tables.ts';

/** Tables that one line names. */
const NAMED_TABLES_MAX = 20;

/**
 * The captured tables that are not complete, each with the command that completes it.
 * @param saved the checkpoint; undefined before the first start
 */
export function checkCoverage(
  tables: readonly { schema: string; table: string }[],
  coverage: Coverage,
  saved: Pick<Checkpoint, 'backfill'> | undefined,
): Finding[] {
  const inWork = new Set(saved?.backfill?.tables.map(({ schema, table }) => formatTableName(schema, table)));
  const incomplete = tables
    .filter(({ schema, table }) => !coverage.isCopied(schema, table))
    .map(({ schema, table }) => ({ schema, table, name: formatTableName(schema, table) }))
    .filter(({ name }) => !inWork.has(name));
  const isMarked = ({ schema, table }: { schema: string; table: string }): boolean =>
    coverage.incomplete.some((mark) => mark.schema === schema && (mark.table === table || mark.table === '*'));
  const never = incomplete.filter((table) => !isMarked(table)).map(({ name }) => name);
  const marks = coverage.incomplete.filter((mark) => !inWork.has(formatTableName(mark.schema, mark.table)));
  const known = new Set(tables.map(({ schema, table }) => formatTableName(schema, table)));
  const verified = coverage.verified.filter(({ schema, table }) => {
    const name = formatTableName(schema, table);
    return known.has(name) && !inWork.has(name);
  });
  return [
    ...neverComplete(never, coverage.followedSince, saved !== undefined),
    ...checkMarks(marks),
    ...checkDifferences(verified),
  ];
}

/** Tables in which `cdc verify` has found differences. */
export function checkDifferences(verified: readonly VerifiedTable[]): Finding[] {
  return verified
    .filter((result) => differingRows(result) > 0)
    .map((result) => {
      const { schema, table, at, scope, rows, missing, extra, different } = result;
      const name = formatTableName(schema, table);
      const [compared, missed, more, other] = [rows, missing, extra, different].map((n) => n.toLocaleString('en-US'));
      return warning(
        `cdc verify found ${rowsThatDiffer(result)} in ${name} at ${at}`,
        `the lake lacks ${missed}, has ${more} that the source does not have, and has other values in ${other} ` +
          `(${scope === 'whole' ? 'the whole table' : 'a part of the table'}: ${compared} rows of the source)`,
        `cdc verify --repair ${shellWord(name)}`,
      );
    });
}

/** A line for each table in which `cdc verify` has found no difference. */
export function equalTables(verified: readonly VerifiedTable[]): string[] {
  const equal = verified.filter((result) => differingRows(result) === 0);
  const lines = equal
    .slice(0, NAMED_TABLES_MAX)
    .map(
      ({ schema, table, rows, at }) => `${formatTableName(schema, table)}: ${rowCount(rows)} verified at ${at}, equal`,
    );
  const rest = equal.slice(NAMED_TABLES_MAX);
  const [first] = rest.map(({ at }) => at).sort();
  if (first === undefined) return lines;
  return [...lines, `and ${rest.length.toLocaleString('en-US')} more tables, verified since ${first}, equal`];
}

const rowCount = (rows: number): string => (rows === 1 ? '1 row' : `${rows.toLocaleString('en-US')} rows`);

function neverComplete(names: readonly string[], since: string | null, hasBegun: boolean): Finding[] {
  if (names.length === 0) return [];
  const count = names.length === 1 ? `${names[0]} is` : `${names.length} tables are`;
  const [first = ''] = names;
  const command =
    names.length > NAMED_TABLES_MAX
      ? `cdc backfill   (${names.slice(0, NAMED_TABLES_MAX).join(', ')} and ${names.length - NAMED_TABLES_MAX} more)`
      : `cdc backfill ${names.map(shellWord).join(' ')}`;
  const why = hasBegun
    ? `cdc has sent only what changed since ${since ?? 'the stream began'}`
    : 'cdc run begins with the changes from its start on, and sends no row that does not change';
  return [warning(`${count} not complete${names.length === 1 ? '' : `, ${first} among them`}`, why, command)];
}

/** Tables whose rows were changed without row events. */
export function checkMarks(marks: Checkpoint['incomplete']): Finding[] {
  return marks.map(({ schema, table, since, why, file, position }) => {
    const subject = table === '*' ? `the tables of ${schema} are` : `${formatTableName(schema, table)} is`;
    return warning(
      `${subject} incomplete since ${since}`,
      why === COPY_BEGUN
        ? 'a backfill of it has begun and is not done'
        : `${why} can have changed rows without row events (last at ${file}:${position})`,
      `cdc backfill ${shellWord(table === '*' ? `${formatTableName(schema, 'x').replace(/x$/, '*')}` : formatTableName(schema, table))}`,
    );
  });
}
