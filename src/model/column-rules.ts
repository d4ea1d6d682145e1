import { CdcError } from '../runtime/error.ts';
import { foldCase, matchesGlob, NAME_PATTERN, type NamePattern, parseName } from './name-pattern.ts';

/** What happens to the values of a column: dropped, replaced by a keyed hash, or masked except the last characters. */
export type ColumnRule = { kind: 'drop' } | { kind: 'hash'; secret: string } | { kind: 'mask'; keep: number };

type ColumnMatcher = (schema: string, table: string, column: string) => boolean;

const PATTERN = new RegExp(`^${NAME_PATTERN}\\.${NAME_PATTERN}\\.${NAME_PATTERN}$`);

/**
 * Finds the rule of a column by patterns `schema.table.column`. If several patterns match, the strictest rule applies:
 * drop, then hash, then the mask that keeps the fewest characters.
 * @param options `caseSensitive` is how the server compares names of schemas and tables; column names ignore case
 */
export function compileColumnRules(
  rules: Readonly<Record<string, ColumnRule>>,
  options: { caseSensitive: boolean },
): (schema: string, table: string, column: string) => ColumnRule | undefined {
  const compiled = Object.entries(rules)
    .map(([pattern, rule]) => ({ rule, matches: compileColumnPattern(pattern, options) }))
    .sort((a, b) => leniency(a.rule) - leniency(b.rule));
  return (schema, table, column) => compiled.find(({ matches }) => matches(schema, table, column))?.rule;
}

const leniency = (rule: ColumnRule): number => (rule.kind === 'drop' ? -2 : rule.kind === 'hash' ? -1 : rule.keep);

/** @throws CdcError with exit code 2 if the text is not a pattern */
export function compileColumnPattern(text: string, { caseSensitive }: { caseSensitive: boolean }): ColumnMatcher {
  const [schema, table, column] = parseColumnPattern(text);
  const fold = caseSensitive ? (name: string) => name : foldCase;
  const schemaPieces = schema.map(fold);
  const tablePieces = table.map(fold);
  const columnPieces = column.map(foldCase);
  return (s, t, c) =>
    matchesGlob(schemaPieces, fold(s)) && matchesGlob(tablePieces, fold(t)) && matchesGlob(columnPieces, foldCase(c));
}

/** @throws CdcError with exit code 2 if the text is not a pattern */
export function parseColumnPattern(text: string): [schema: NamePattern, table: NamePattern, column: NamePattern] {
  const match = PATTERN.exec(text.trim());
  if (!match) {
    throw new CdcError(`"${text}" is not a column pattern`, {
      exitCode: 2,
      why: 'it is not three names with dots between them',
      hint: 'write schema.table.column; * matches within each part, backticks protect dots, stars and spaces',
    });
  }
  return [parseName(match[1] as string), parseName(match[2] as string), parseName(match[3] as string)];
}
