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

/** Where a value is in the bytes of a JSON text. */
export interface JsonSpan {
  from: number;
  to: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * Like `parseRawObject`, for the JSON in `bytes[from..to)`, which can be too long for a string. The values are spans;
 * only names become strings.
 */
export function parseRawSpans(bytes: Buffer, { from, to }: JsonSpan): Map<string, JsonSpan> {
  const members = new Map<string, JsonSpan>();
  const notAnObject = (): SyntaxError =>
    new SyntaxError(`not a JSON object: ${bytes.toString('utf8', from, Math.min(to, from + 80))}`);
  let at = from;
  const skip = (): void => {
    while (at < to && isSpace(bytes[at])) at++;
  };
  skip();
  if (bytes[at++] !== 0x7b) throw notAnObject();
  skip();
  while (bytes[at] !== 0x7d) {
    if (at >= to || bytes[at] !== QUOTE) throw notAnObject();
    const nameEnd = endOfStringBytes(bytes, at, to);
    const name: string = JSON.parse(bytes.toString('utf8', at, nameEnd));
    at = nameEnd;
    skip();
    if (bytes[at++] !== 0x3a) throw notAnObject();
    skip();
    const end = endOfValueBytes(bytes, at, to);
    members.set(name, { from: at, to: end });
    at = end;
    skip();
    if (bytes[at] === 0x2c) {
      at++;
      skip();
    } else if (bytes[at] !== 0x7d || at >= to) throw notAnObject();
  }
  return members;
}

function endOfStringBytes(bytes: Buffer, start: number, to: number): number {
  let quote = start;
  for (;;) {
    quote = bytes.indexOf(QUOTE, quote + 1);
    if (quote < 0 || quote >= to) throw new SyntaxError('a JSON string has no end');
    let slashes = 0;
    while (bytes[quote - 1 - slashes] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
}

/** Where the JSON value ends that begins at `start`. */
export function endOfValueBytes(bytes: Buffer, start: number, to = bytes.length): number {
  let depth = 0;
  let at = start;
  for (; at < to; at++) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) {
      at = endOfStringBytes(bytes, at, to) - 1;
      if (depth === 0) return at + 1;
    } else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) {
      if (depth-- === 0) return at;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === 0x2c || byte <= 0x20)) return at;
  }
  return at;
}

/** Characters of JSON strings after a backslash, without `u`. */
const ESCAPED: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9, '"': 0x22, '\\': 0x5c, '/': 0x2f };

/** The text of the JSON string in a span (its quotes included) as UTF-8, of any length. */
export function unescapeJson(bytes: Buffer, { from, to }: JsonSpan): Buffer {
  const text = Buffer.allocUnsafe(to - from);
  let length = 0;
  const end = to - 1;
  for (let at = from + 1; at < end; ) {
    const slash = bytes.indexOf(BACKSLASH, at);
    const next = slash < 0 || slash > end ? end : slash;
    length += bytes.copy(text, length, at, next);
    if (next === end) break;
    const letter = String.fromCharCode(bytes[next + 1] as number);
    if (letter !== 'u') {
      const byte = ESCAPED[letter];
      if (byte === undefined) throw new SyntaxError(`the escape \\${letter} is not JSON`);
      text[length++] = byte;
      at = next + 2;
      continue;
    }
    // Escapes follow each other: two of them can be one character.
    let stop = next + 6;
    while (stop < end && bytes[stop] === BACKSLASH && bytes[stop + 1] === 0x75) stop += 6;
    length += text.write(JSON.parse(`"${bytes.toString('latin1', next, stop)}"`), length, 'utf8');
    at = stop;
  }
  return text.subarray(0, length);
}
