import type { TableName } from './statement.ts';
import { type Token, type Tokenizer, UNCLOSED } from './tokenizer.ts';

const isName = (token: Token): boolean => token.kind === 'word' || token.kind === 'name';

/** A name, quoted or not; undefined if the next token cannot be one. */
export function readName(tokens: Tokenizer): string | undefined {
  return isName(tokens.next) ? tokens.take().text : undefined;
}

/** `table`, `schema.table` or `.table`; undefined if the next tokens are none of them. */
export function readQualifiedName(tokens: Tokenizer, defaultSchema: string): TableName | undefined {
  if (tokens.acceptSymbol('.')) {
    const table = readName(tokens);
    return table === undefined ? undefined : { schema: defaultSchema, table };
  }
  const first = readName(tokens);
  if (first === undefined) return undefined;
  if (!tokens.acceptSymbol('.')) return { schema: defaultSchema, table: first };
  const table = readName(tokens);
  return table === undefined ? undefined : { schema: first, table };
}

/** Names with commas between them; undefined if one cannot be read. */
export function readQualifiedNames(tokens: Tokenizer, defaultSchema: string): TableName[] | undefined {
  const names: TableName[] = [];
  do {
    const name = readQualifiedName(tokens, defaultSchema);
    if (name === undefined) return undefined;
    names.push(name);
  } while (tokens.acceptSymbol(','));
  return names;
}

/** Skips tokens up to one of these keywords outside of parentheses. Returns whether there is one; it stays the next. */
export function skipToKeyword(tokens: Tokenizer, ...keywords: readonly string[]): boolean {
  for (let depth = 0; !tokens.isAtEnd; tokens.take()) {
    if (tokens.isSymbol('(')) depth++;
    else if (tokens.isSymbol(')')) depth--;
    else if (depth === 0 && keywords.includes(tokens.keyword)) return true;
  }
  return false;
}

/**
 * Takes tokens up to one of these keywords outside of parentheses, or to the end, and returns every table that a name
 * among them can mean: `a` in the default schema, or `b` in the schema `a` of `a.b`. Aliases and columns are included.
 */
export function collectTableNames(tokens: Tokenizer, defaultSchema: string, ...until: readonly string[]): TableName[] {
  const names: TableName[] = [];
  for (let depth = 0; !tokens.isAtEnd; ) {
    if (depth === 0 && until.includes(tokens.keyword)) break;
    if (isName(tokens.next) && !isReserved(tokens)) {
      collectChain(tokens, defaultSchema, names);
      continue;
    }
    if (tokens.isSymbol('(')) depth++;
    else if (tokens.isSymbol(')')) depth--;
    tokens.take();
  }
  return names;
}

/**
 * Every table that any name of the statement can mean, or undefined if a quote is not closed. Strings count as names: a
 * statement can run with another sql_mode than the one it was read with.
 */
export function mentionedTables(tokens: Tokenizer, defaultSchema: string): TableName[] | undefined {
  const names: TableName[] = [];
  while (!tokens.isAtEnd) {
    const { kind, text } = tokens.take();
    if (kind === 'symbol' && text === UNCLOSED) return undefined;
    if (kind === 'symbol') continue;
    const second = tokens.acceptSymbol('.') && tokens.next.kind !== 'symbol' ? tokens.take().text : undefined;
    names.push(second === undefined ? { schema: defaultSchema, table: text } : { schema: text, table: second });
  }
  return names;
}

/** NOWAIT or WAIT n, which MariaDB has behind the name of a table. */
export function skipWait(tokens: Tokenizer): void {
  if (tokens.accept('WAIT')) tokens.take();
  else tokens.accept('NOWAIT');
}

/** Words of table references that are no name without quotes on any server. */
const RESERVED: ReadonlySet<string> = new Set(
  `AND AS BETWEEN BY CROSS DELETE FORCE FROM IGNORE IN INDEX INNER IS JOIN KEY LEFT LIKE NATURAL NOT NULL ON OR OUTER
  RIGHT SELECT STRAIGHT_JOIN UNION UPDATE USE USING VALUES WHERE`.split(/\s+/),
);

const isReserved = ({ keyword }: Tokenizer): boolean => RESERVED.has(keyword) || /^\d+$/.test(keyword);

/** `a`, `a.b`, `a.*`, or the column `a.b.c`. */
function collectChain(tokens: Tokenizer, defaultSchema: string, names: TableName[]): void {
  const first = tokens.take().text;
  const second = tokens.acceptSymbol('.') ? readName(tokens) : undefined;
  names.push(second === undefined ? { schema: defaultSchema, table: first } : { schema: first, table: second });
  while (tokens.acceptSymbol('.')) readName(tokens);
}
