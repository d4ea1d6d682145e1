import { isUtf8 } from 'node:buffer';

/** An object of the data, or what stands where one should be. */
export type CopyLine = { line: number; text: string } | { line: number; problem: string };

const [NEWLINE, QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = Buffer.from('\n"\\{}[]');

/**
 * Cuts the JSON objects out of what COPY reads: white space, or nothing, is between them, and one may have many lines.
 * Each text has balanced brackets; the server finds what else is wrong in it. After a problem, the next line counts.
 * @param invalidCharacter what replaces bytes that are not UTF-8; undefined if they are a problem
 */
export function* jsonObjects(bytes: Buffer, invalidCharacter: string | undefined): Generator<CopyLine> {
  let at = 0;
  let line = 1;
  while (at < bytes.length) {
    const byte = bytes[at] as number;
    if (byte <= 0x20) {
      if (byte === NEWLINE) line++;
      at++;
      continue;
    }
    const found: ObjectEnd = byte === OPEN ? findEnd(bytes, at) : { problem: 'no JSON object begins here' };
    if ('problem' in found) {
      yield { line, problem: found.problem };
      const next = bytes.indexOf(NEWLINE as number, at);
      at = next < 0 ? bytes.length : next;
      continue;
    }
    yield decode(bytes.subarray(at, found.end), line, invalidCharacter);
    line += found.newlines;
    at = found.end;
  }
}

type ObjectEnd = { end: number; newlines: number } | { problem: string };

function findEnd(bytes: Buffer, start: number): ObjectEnd {
  let depth = 0;
  let newlines = 0;
  for (let at = start; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        at = endOfString(bytes, at);
        if (at < 0) return { problem: 'a text in it does not end' };
        break;
      case NEWLINE:
        newlines++;
        break;
      case OPEN:
      case OPEN_LIST:
        depth++;
        break;
      case CLOSE:
      case CLOSE_LIST:
        if (--depth === 0) return { end: at + 1, newlines };
        break;
    }
  }
  return { problem: 'the JSON object does not end' };
}

/** The place of the quote that ends the text; -1 if the line ends first. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at;
    else if (bytes[at] === NEWLINE) return -1;
  }
  return -1;
}

function decode(bytes: Buffer, line: number, invalidCharacter: string | undefined): CopyLine {
  const text = bytes.toString('utf8');
  if (isUtf8(bytes)) return { line, text };
  if (invalidCharacter === undefined) return { line, problem: 'it contains bytes that are not UTF-8' };
  return { line, text: text.replaceAll('\ufffd', () => invalidCharacter) };
}
