import type { Checkpoint } from '../checkpoint/checkpoint-file.ts';
import type { Coverage } from '../model/coverage.ts';
import { type Finding, warning } from '../model/finding.ts';
import { COPY_BEGUN } from '../model/incomplete-tables.ts';
import { formatTableName } from '../model/table-filter.ts';

/** Tables that one line names. */
const NAMED_TABLES_MAX = 20;

/**
 * The captured tables that the lake does not hold completely, each with the command that completes it.
 * @param saved the checkpoint; undefined before the first start
 */
export function checkCoverage(
  tables: readonly { schema: string; table: string }[],
  coverage: Coverage,
  saved: Pick<Checkpoint, 'backfill'> | undefined,
): Finding[] {
  const inWork = new Set(saved?.backfill?.tables.map(({ schema, table }) => formatTableName(schema, table)));
  const incomplete = tables
    .filter(({ schema, table }) => !coverage.of(schema, table).complete)
    .map(({ schema, table }) => ({ schema, table, name: formatTableName(schema, table) }))
    .filter(({ name }) => !inWork.has(name));
  const isMarked = ({ schema, table }: { schema: string; table: string }): boolean =>
    coverage.incomplete.some((mark) => mark.schema === schema && (mark.table === table || mark.table === '*'));
  const never = incomplete.filter((table) => !isMarked(table)).map(({ name }) => name);
  const marks = coverage.incomplete.filter((mark) => !inWork.has(formatTableName(mark.schema, mark.table)));
  return [...neverComplete(never, coverage.followedSince, saved !== undefined), ...checkMarks(marks)];
}

function neverComplete(names: readonly string[], since: string | null, hasBegun: boolean): Finding[] {
  if (names.length === 0) return [];
  const count = names.length === 1 ? `${names[0]} is` : `${names.length} tables are`;
  const [first = ''] = names;
  const command =
    names.length > NAMED_TABLES_MAX
      ? `cdc backfill   (${names.slice(0, NAMED_TABLES_MAX).join(', ')} and ${names.length - NAMED_TABLES_MAX} more)`
      : `cdc backfill ${names.map(shellWord).join(' ')}`;
  const why = hasBegun
    ? `it holds only what changed since ${since ?? 'the stream began'}`
    : 'cdc run begins with the changes from its start on, and rows that do not change stay out';
  return [
    warning(`${count} not complete in the lake${names.length === 1 ? '' : `, ${first} among them`}`, why, command),
  ];
}

/** Tables whose rows were changed without row events. */
export function checkMarks(marks: Checkpoint['incomplete']): Finding[] {
  return marks.map(({ schema, table, since, why, file, position }) => {
    const subject = table === '*' ? `the tables of ${schema} are` : `${formatTableName(schema, table)} is`;
    return warning(
      `${subject} incomplete in the lake since ${since}`,
      why === COPY_BEGUN
        ? 'a backfill of it has begun and is not done'
        : `${why} can have changed rows without row events (last at ${file}:${position})`,
      `cdc backfill ${shellWord(table === '*' ? `${formatTableName(schema, 'x').replace(/x$/, '*')}` : formatTableName(schema, table))}`,
    );
  });
}

/** Quoted for a shell if it has to be. */
const shellWord = (name: string): string => (/^[\w.]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);
