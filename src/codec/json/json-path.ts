import { CdcError } from '../../runtime/error.ts';

/** A step of a path: a member's name, or a cell counted from either end. */
export type PathLeg = { name: Buffer } | { cell: number; fromEnd: boolean };

/** JSON_DOCUMENT_MAX_DEPTH: no document has longer paths. */
const MAX_LEGS = 100;
const CELL = /\[\s*(?:(\d+)|last(?:\s*-\s*(\d+))?)\s*\]/y;
const QUOTED_MEMBER = /\.\s*("(?:[^"\\]|\\.)*")/y;
const MEMBER = /\.\s*([^\s.[\]"*]+)/y;

/**
 * The steps of a path as the server writes it into JSON diffs: `$.name."any name"[3][last-1]`, no wildcards
 * (MySQL: sql-common/json_path.cc, Json_path::to_string).
 */
export function parseJsonPath(text: string): PathLeg[] {
  const bad = (): CdcError => new CdcError('a JSON diff in the binlog has a path that cannot be read', { why: text });
  if (text[0] !== '$') throw bad();
  const legs: PathLeg[] = [];
  for (let at = 1; at < text.length; ) {
    const take = (pattern: RegExp): RegExpExecArray | null => {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match) at = pattern.lastIndex;
      return match;
    };
    const cell = take(CELL);
    if (cell) {
      legs.push({ cell: Number(cell[1] ?? cell[2] ?? 0), fromEnd: cell[1] === undefined });
    } else {
      const member = take(QUOTED_MEMBER) ?? take(MEMBER);
      if (!member) throw bad();
      const name = member[1] as string;
      legs.push({ name: Buffer.from(name[0] === '"' ? unquote(name, bad) : name) });
    }
    if (legs.length > MAX_LEGS) throw bad();
  }
  return legs;
}

function unquote(text: string, bad: () => CdcError): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw bad();
  }
}
