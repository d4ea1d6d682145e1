import { distance } from 'fastest-levenshtein';
import { compileTableFilter, formatTableName, parseTablePattern, type TablePattern } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';

/** What is in a schema, as far as the account can see. */
export interface VisibleTable {
  schema: string;
  table: string;
  /** `table`, `view` or, on MariaDB, `sequence`. */
  kind: string;
}

/** One reason why a part of a request cannot be read, with what to do. */
export interface RequestProblem {
  what: string;
  hint: string;
}

interface Match {
  tables: VisibleTable[];
  problems: RequestProblem[];
}

/**
 * The captured tables that a request names.
 * @param requested names and patterns as in `tables` of the configuration; empty for every captured table
 * @param captured the patterns of the configuration
 */
export function matchRequest(
  visible: readonly VisibleTable[],
  captured: readonly string[],
  requested: readonly string[],
  options: { caseSensitive: boolean; mayBeEmpty?: boolean },
): Match {
  const isCaptured = compileTableFilter(captured, options);
  const readable = visible.filter(({ schema, table, kind }) => kind === 'table' && isCaptured(schema, table));
  if (requested.length === 0) {
    const none = { what: 'no captured table exists', hint: 'correct tables in the configuration, or create the table' };
    return { tables: readable, problems: readable.length === 0 && !options.mayBeEmpty ? [none] : [] };
  }
  const isRequested = compileTableFilter(requested, options);
  const problems = requested
    .map(parseTablePattern)
    .filter(({ exclude }) => !exclude)
    .flatMap((pattern) => problemOf(pattern, visible, { isCaptured, ...options }) ?? []);
  return { tables: readable.filter(({ schema, table }) => isRequested(schema, table)), problems };
}

function problemOf(
  pattern: TablePattern,
  visible: readonly VisibleTable[],
  options: { isCaptured: (schema: string, table: string) => boolean; caseSensitive: boolean },
): RequestProblem | undefined {
  const matches = compileTableFilter([pattern.text], options);
  const found = visible.filter(({ schema, table }) => matches(schema, table));
  if (found.some(({ schema, table, kind }) => kind === 'table' && options.isCaptured(schema, table))) return undefined;
  const isName = pattern.schema.length === 1 && pattern.table.length === 1;
  if (found.some(({ kind }) => kind === 'table')) {
    return {
      what: `${pattern.text} is outside tables of the configuration`,
      hint: `add "${pattern.text}" to tables and restart cdc run, so that its changes are captured too`,
    };
  }
  const [other] = found;
  if (other !== undefined) {
    return {
      what: isName ? `${pattern.text} is a ${other.kind}` : `${pattern.text} matches no table, only a ${other.kind}`,
      hint: other.kind === 'view' ? 'name the tables that it reads' : 'name tables',
    };
  }
  const nearest = isName ? nearestName(pattern, visible) : undefined;
  return {
    what: isName ? `there is no table ${pattern.text} that this account can see` : `${pattern.text} matches no table`,
    hint: nearest === undefined ? 'correct the name, or grant SELECT on it' : `did you mean ${nearest}?`,
  };
}

function nearestName({ schema, table }: TablePattern, visible: readonly VisibleTable[]): string | undefined {
  const wanted = formatTableName(schema[0] as string, table[0] as string);
  let best: { name: string; edits: number } | undefined;
  for (const each of visible) {
    const name = formatTableName(each.schema, each.table);
    if (Math.abs(name.length - wanted.length) > 3 || each.kind !== 'table') continue;
    const edits = distance(name, wanted);
    if (edits <= 3 && edits < (best?.edits ?? Infinity)) best = { name, edits };
  }
  return best?.name;
}

/** Problems that the error names at most. */
const SHOWN_PROBLEMS_MAX = 20;

/** The error that names every problem at once. */
export function requestError(problems: readonly RequestProblem[]): CdcError {
  const [first] = problems;
  if (first !== undefined && problems.length === 1) return new CdcError(first.what, { exitCode: 2, hint: first.hint });
  const shown = problems.slice(0, SHOWN_PROBLEMS_MAX).map(({ what, hint }) => `${what} (${hint})`);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  return new CdcError('this backfill cannot start', {
    exitCode: 2,
    why: shown.join('\n       '),
    hint: 'correct each of them; nothing was read yet',
  });
}
