import { quoteIdentifier } from './identifier.ts';

/** One name of a pattern: the literal pieces between its stars; a single piece is a plain name. */
export type NamePattern = readonly string[];

/** A name as it is written in a pattern, for a regular expression: in backticks, or without dots, spaces and backticks. */
export const NAME_PATTERN = '(`(?:[^`]|``)+`|[^\\s.`!][^\\s.`]*)';

export function parseName(part: string): NamePattern {
  return part.startsWith('`') ? [part.slice(1, -1).replaceAll('``', '`')] : part.split('*');
}

/** A name as a pattern writes it, in backticks where it needs them. */
export const formatName = (name: string): string => (/^[^\s.`!*][^\s.`*]*$/.test(name) ? name : quoteIdentifier(name));

export function matchesGlob(pieces: NamePattern, name: string): boolean {
  const first = pieces[0] as string;
  if (pieces.length === 1) return name === first;
  const last = pieces[pieces.length - 1] as string;
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at + last.length <= name.length;
}

/** Case folded letter by letter, as the server does; JavaScript's own looks at neighbours (the final sigma). */
export function foldCase(name: string): string {
  let folded = '';
  for (const letter of name) folded += String.fromCodePoint(letter.toLowerCase().codePointAt(0) as number);
  return folded;
}
