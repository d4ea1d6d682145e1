import type { TableName } from './statement.ts';
import type { Token, Tokenizer } from './tokenizer.ts';

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
 * among them can mean: `a` in the default schema, `a.b`, and `b.c` of `a.b.c`. Aliases and columns are among them.
 */
export function collectTableNames(tokens: Tokenizer, defaultSchema: string, ...until: readonly string[]): TableName[] {
  const names: TableName[] = [];
  for (let depth = 0; !tokens.isAtEnd; ) {
    if (depth === 0 && until.includes(tokens.keyword)) break;
    if (isName(tokens.next)) {
      collectChain(tokens, defaultSchema, names);
      continue;
    }
    if (tokens.isSymbol('(')) depth++;
    else if (tokens.isSymbol(')')) depth--;
    tokens.take();
  }
  return names;
}

function collectChain(tokens: Tokenizer, defaultSchema: string, names: TableName[]): void {
  let before = tokens.take().text;
  names.push({ schema: defaultSchema, table: before });
  while (tokens.acceptSymbol('.')) {
    const name = readName(tokens);
    if (name === undefined) return;
    names.push({ schema: before, table: name });
    before = name;
  }
}
