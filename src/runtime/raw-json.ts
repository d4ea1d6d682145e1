/**
 * JSON as text. Parsing it to JavaScript values rounds 64-bit integers and decimals, and so does the extraction of
 * DuckDB. So a value of the lake keeps the characters that it was written with.
 */

/** The members of a JSON object: each name with the raw text of its value. The text must be valid JSON. */
export function parseRawObject(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = skipSpace(text, 0);
  if (text[at] !== '{') throw new SyntaxError(`not a JSON object: ${text.slice(0, 80)}`);
  at = skipSpace(text, at + 1);
  while (text[at] !== '}') {
    const nameEnd = endOfString(text, at);
    const name: string = JSON.parse(text.slice(at, nameEnd));
    at = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, at);
    members.set(name, text.slice(at, end));
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
    else if (text[at] !== '}') throw new SyntaxError(`unexpected text in a JSON object: ${text.slice(0, 80)}`);
  }
  return members;
}

/** The JSON object with these members, in their order. */
export const formatRawObject = (members: Iterable<readonly [string, string]>): string =>
  `{${Array.from(members, ([name, raw]) => `${JSON.stringify(name)}:${raw}`).join(',')}}`;

/** The same value in canonical form: no white space, string escapes as in JSON.stringify, numbers unchanged. */
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
    if (quote < 0) throw new SyntaxError(`a JSON string has no end: ${text.slice(start, start + 80)}`);
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
