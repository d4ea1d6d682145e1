import { CdcError } from '../runtime/error.ts';
import { foldCase, formatName, matchesGlob, NAME_PATTERN, type NamePattern, parseName } from './name-pattern.ts';

/** The server's own schemas; captured only where a pattern names the schema itself. */
const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set(['mysql', 'sys', 'information_schema', 'performance_schema']);

/** A pattern as written, `schema.table`, with its stars already told apart from stars within backticks. */
export interface TablePattern {
  text: string;
  exclude: boolean;
  schema: NamePattern;
  table: NamePattern;
}

export type TableFilter = (schema: string, table: string) => boolean;

/**
 * Decides which tables are captured: some pattern includes it and no `!` pattern excludes it, whatever their order.
 * `caseSensitive` is how the server compares names: `lower_case_table_names = 0`.
 * @throws CdcError with exit code 2 that names the bad pattern.
 */
export function compileTableFilter(patterns: readonly string[], options: { caseSensitive: boolean }): TableFilter {
  const compiled = patterns.map(parseTablePattern);
  const includes = compiled.filter((pattern) => !pattern.exclude);
  const excludes = compiled.filter((pattern) => pattern.exclude);
  if (includes.length === 0) {
    throw bad(patterns.join(', '), 'it captures nothing: every pattern excludes', 'add what to capture, such as *.*');
  }
  const fold = options.caseSensitive ? (name: string) => name : foldCase;
  const matcher = ({ schema, table }: TablePattern) => {
    const schemaPieces = schema.map(fold);
    const tablePieces = table.map(fold);
    const named = schemaPieces.length === 1;
    return (s: string, t: string) =>
      (named || !SYSTEM_SCHEMAS.has(s)) && matchesGlob(schemaPieces, s) && matchesGlob(tablePieces, t);
  };
  const included = includes.map(matcher);
  const excluded = excludes.map(matcher);
  return (schema, table) => {
    const s = fold(schema);
    const t = fold(table);
    return included.some((is) => is(s, t)) && !excluded.some((is) => is(s, t));
  };
}

/** @throws CdcError with exit code 2 when the text is not a pattern. */
export function parseTablePattern(text: string): TablePattern {
  const trimmed = text.trim();
  const exclude = trimmed.startsWith('!');
  const body = exclude ? trimmed.slice(1).trim() : trimmed;
  const match = PATTERN.exec(body);
  if (!match)
    throw bad(
      text,
      whyNot(body),
      'write schema.table; * matches within either part, backticks protect dots, stars and spaces',
    );
  return { text, exclude, schema: parseName(match[1] as string), table: parseName(match[2] as string) };
}

/**
 * The one table that `schema.table` names, with the backticks of a pattern but without its stars.
 * @throws CdcError with exit code 2 when the text names no single table.
 */
export function parseTableName(text: string): { schema: string; table: string } {
  const { exclude, schema, table } = parseTablePattern(text);
  if (exclude || schema.length > 1 || table.length > 1) {
    throw bad(text, 'here one table is named, without * and !', 'write schema.table');
  }
  return { schema: schema[0] as string, table: table[0] as string };
}

/** The pattern of one table: what `parseTableName` reads. */
export const formatTableName = (schema: string, table: string): string => `${formatName(schema)}.${formatName(table)}`;

const PATTERN = new RegExp(`^${NAME_PATTERN}\\.${NAME_PATTERN}$`);

function whyNot(body: string): string {
  if (body === '') return 'it is empty';
  if ((body.match(/`/g)?.length ?? 0) % 2 === 1) return 'a backtick is left open';
  if (!body.includes('.')) return 'it has no dot between schema and table';
  if (/\s/.test(body) && !body.includes('`')) return 'it has a space outside backticks';
  return 'it is not two names with one dot between them';
}

function bad(text: string, why: string, hint: string): CdcError {
  return new CdcError(`"${text}" is not a table pattern`, { exitCode: 2, why, hint });
}
