/**
 * JSON kept as text. A parse to JavaScript values (and DuckDB's own extraction too) rounds 64-bit integers or
 * decimals, so a value of the lake stays the characters it was written with.
 */

/** The members of one JSON object: name to the raw text of its value. The text must be valid JSON. */
export function parseRawObject(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let at = skipSpace(text, 0);
  if (text[at] !== '{') throw new SyntaxError(`not a JSON object: ${text.slice(0, 80)}`);
  at = skipSpace(text, at + 1);
  while (text[at] !== '}') {
    const nameEnd = endOfString(text, at);
    const name: string = JSON.parse(text.slice(at, nameEnd));
    at = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, at);
    found.set(name, text.slice(at, end));
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
    else if (text[at] !== '}') throw new SyntaxError(`unexpected end of a JSON object: ${text.slice(0, 80)}`);
  }
  return found;
}

/** The object with these members, in their order. */
export const formatRawObject = (from: Iterable<readonly [string, string]>): string =>
  `{${Array.from(from, ([name, raw]) => `${JSON.stringify(name)}:${raw}`).join(',')}}`;

/** The same value in one spelling: no blanks, string escapes as JSON.stringify has them, numbers untouched. */
export const canonicalJson = (raw: string): string =>
  raw.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|\s+/gs, (token) => (token[0] === '"' ? JSON.stringify(JSON.parse(token)) : ''));

function skipSpace(text: string, from: number): number {
  let at = from;
  while (' \t\r\n'.includes(text[at] ?? '!')) at++;
  return at;
}

function endOfString(text: string, start: number): number {
  let quote = start;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    if (quote < 0) throw new SyntaxError(`a JSON string without an end: ${text.slice(start, start + 80)}`);
    let slashes = 0;
    while (text[quote - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
}

function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  for (; at < text.length; at++) {
    const character = text[at]!;
    if (character === '"') at = endOfString(text, at) - 1;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') {
      if (depth-- === 0) return at;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (character === ',' || character <= ' ')) return at;
  }
  return at;
}
