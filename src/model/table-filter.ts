import { CdcError } from '../runtime/error.ts';
import { foldCase, formatName, matchesGlob, NAME_PATTERN, type NamePattern, parseName } from './name-pattern.ts';

/** The server's own schemas. A pattern captures their tables only if it contains the schema name without a star. */
const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set(['mysql', 'sys', 'information_schema', 'performance_schema']);

/** A parsed pattern `schema.table`. Stars inside backticks are literal. */
export interface TablePattern {
  text: string;
  exclude: boolean;
  schema: NamePattern;
  table: NamePattern;
}

export type TableFilter = (schema: string, table: string) => boolean;

/**
 * A table is captured if a pattern includes it and no `!` pattern excludes it. The order of the patterns is irrelevant.
 * @param options `caseSensitive` is how the server compares names: true for `lower_case_table_names = 0`
 * @throws CdcError with exit code 2 that names the invalid pattern
 */
export function compileTableFilter(patterns: readonly string[], options: { caseSensitive: boolean }): TableFilter {
  const parsed = patterns.map(parseTablePattern);
  if (parsed.length === 0) {
    const hint = 'name tables, such as shop.*, or remove the key to capture all';
    throw new CdcError('the list of tables is empty', { exitCode: 2, why: 'it captures nothing', hint });
  }
  if (parsed.every(({ exclude }) => exclude)) {
    throw invalidPattern(
      patterns.join(', '),
      'it captures nothing, because every pattern excludes tables',
      'add a pattern of the tables to capture, such as *.*',
    );
  }
  return compilePatterns(parsed, options);
}

export type SchemaFilter = (schema: string) => boolean;

const ANY_TABLE: NamePattern = ['', ''];

/** Whether a table of the schema can be captured: a pattern includes tables of it, and no `!schema.*` excludes all. */
export function compileSchemaFilter(patterns: readonly string[], options: { caseSensitive: boolean }): SchemaFilter {
  const isAny = (table: NamePattern): boolean => table.length > 1 && table.every((piece) => piece === '');
  const parsed = patterns.map(parseTablePattern).filter(({ exclude, table }) => !exclude || isAny(table));
  const matches = compilePatterns(
    parsed.map((pattern) => ({ ...pattern, table: ANY_TABLE })),
    options,
  );
  return (schema) => matches(schema, '');
}

function compilePatterns(patterns: readonly TablePattern[], options: { caseSensitive: boolean }): TableFilter {
  const fold = options.caseSensitive ? (name: string) => name : foldCase;
  const matcher = ({ schema, table }: TablePattern) => {
    const schemaPieces = schema.map(fold);
    const tablePieces = table.map(fold);
    const isPlainSchema = schemaPieces.length === 1;
    return (s: string, t: string) =>
      (isPlainSchema || !SYSTEM_SCHEMAS.has(s)) && matchesGlob(schemaPieces, s) && matchesGlob(tablePieces, t);
  };
  const included = patterns.filter(({ exclude }) => !exclude).map(matcher);
  const excluded = patterns.filter(({ exclude }) => exclude).map(matcher);
  return (schema, table) => {
    const s = fold(schema);
    const t = fold(table);
    return included.some((matches) => matches(s, t)) && !excluded.some((matches) => matches(s, t));
  };
}

/** @throws CdcError with exit code 2 if the text is not a pattern */
export function parseTablePattern(text: string): TablePattern {
  const trimmed = text.trim();
  const exclude = trimmed.startsWith('!');
  const body = exclude ? trimmed.slice(1).trim() : trimmed;
  const match = PATTERN.exec(body);
  if (!match)
    throw invalidPattern(
      text,
      invalidReason(body),
      'write schema.table; * matches within either part, backticks protect dots, stars and spaces',
    );
  return { text, exclude, schema: parseName(match[1] as string), table: parseName(match[2] as string) };
}

/**
 * Parses the name of one table, `schema.table`, with backticks as in a pattern but without stars.
 * @throws CdcError with exit code 2 if the text is not the name of one table
 */
export function parseTableName(text: string): { schema: string; table: string } {
  const { exclude, schema, table } = parseTablePattern(text);
  if (exclude || schema.length > 1 || table.length > 1) {
    throw invalidPattern(text, 'a single table is expected here, without * and !', 'write schema.table');
  }
  return { schema: schema[0] as string, table: table[0] as string };
}

/** The pattern of one table. `parseTableName` is the inverse. */
export const formatTableName = (schema: string, table: string): string => `${formatName(schema)}.${formatName(table)}`;

const PATTERN = new RegExp(`^${NAME_PATTERN}\\.${NAME_PATTERN}$`);

function invalidReason(body: string): string {
  if (body === '') return 'it is empty';
  if ((body.match(/`/g)?.length ?? 0) % 2 === 1) return 'a backtick is not closed';
  if (!body.includes('.')) return 'it has no dot between schema and table';
  if (/\s/.test(body) && !body.includes('`')) return 'it has a space outside backticks';
  return 'it is not two names with one dot between them';
}

function invalidPattern(text: string, why: string, hint: string): CdcError {
  return new CdcError(`"${text}" is not a table pattern`, { exitCode: 2, why, hint });
}
