import { CdcError } from '../../runtime/error.ts';

/** One step of a path: the name of a member, or a cell that is counted from either end. */
export type PathLeg = { name: Buffer } | { cell: number; fromEnd: boolean };

/** JSON_DOCUMENT_MAX_DEPTH, so no document has longer paths. */
const MAX_LEGS = 100;
const CELL = /\[\s*(?:(\d+)|last(?:\s*-\s*(\d+))?)\s*\]/y;
const QUOTED_MEMBER = /\.\s*("(?:[^"\\]|\\.)*")/y;
const MEMBER = /\.\s*([^\s.[\]"*]+)/y;

/**
 * Parses a path in the form that the server writes into JSON diffs: `$.name."any name"[3][last-1]`, without wildcards
 * (MySQL: sql-common/json_path.cc, Json_path::to_string).
 */
export function parseJsonPath(text: string): PathLeg[] {
  const invalidPath = (): CdcError => new CdcError('a JSON diff in the binlog has an invalid path', { why: text });
  if (text[0] !== '$') throw invalidPath();
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
      if (!member) throw invalidPath();
      const name = member[1] as string;
      legs.push({ name: Buffer.from(name[0] === '"' ? unquote(name, invalidPath) : name) });
    }
    if (legs.length > MAX_LEGS) throw invalidPath();
  }
  return legs;
}

function unquote(text: string, invalidPath: () => CdcError): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw invalidPath();
  }
}
