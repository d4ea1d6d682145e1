import { isAscii, isUtf8 } from 'node:buffer';
import { readStatement } from './read-statement.ts';
import type { Statement } from './statement.ts';
import { type LexicalModes, Tokenizer } from './tokenizer.ts';

/** The session of a statement, as far as its text depends on it. */
export interface StatementSession {
  /** The default schema. */
  schema: string;
  /** The text is in the character set of this collation; undefined if the event does not say. */
  collation: number | undefined;
  modes: LexicalModes;
}

/** The tables of longer statements stand in this much of their text; it bounds what is decoded. */
const TEXT_MAX_BYTES = 16 * 1024 * 1024;

/**
 * Reads a statement from its bytes. The client's character set is that of what the client typed, but the server writes
 * some statements itself, in UTF-8, with the character set of the client beside them (CREATE TABLE for CREATE TABLE …
 * SELECT, SAVEPOINT, on MySQL 5.6 DROP TABLE, TRUNCATE TABLE of a MEMORY table after a restart). Bytes that are both
 * are read both ways, and the statement counts for the tables of both.
 */
export function readLoggedStatement(
  bytes: Buffer,
  { schema, collation, modes }: StatementSession,
  decode: (bytes: Buffer, collation: number) => string,
): Statement {
  const head = bytes.subarray(0, TEXT_MAX_BYTES);
  const read = (text: string, nbspIsSpace = false): Statement => readStatement(text, schema, { ...modes, nbspIsSpace });
  let statement: Statement;
  if (isAscii(head)) statement = read(head.toString('latin1'));
  else if (collation === undefined) statement = read(head.toString('utf8'));
  else {
    const text = decode(head, collation);
    const isLikeUtf8 = isUtf8(bytes);
    statement = read(text, !isLikeUtf8);
    if (isLikeUtf8) statement = merge(statement, read(head.toString('utf8')));
  }
  return head.length === bytes.length ? statement : asCut(statement);
}

/** A statement that concerns the tables of both readings. The server writes savepoints, so they are in UTF-8. */
function merge(typed: Statement, written: Statement): Statement {
  if (typed.kind === 'ddl' && written.kind === 'ddl')
    return { ...typed, changes: union(typed.changes, written.changes) };
  if (typed.kind === 'unknown' && written.kind === 'unknown')
    return { ...typed, mentions: typed.mentions && written.mentions && union(typed.mentions, written.mentions) };
  if (typed.kind === 'dml' && written.kind === 'dml') {
    const writes = typed.writes && written.writes && union(typed.writes, written.writes);
    const changes = union(typed.changes, written.changes);
    return { ...typed, changes, writes, deletesAll: typed.deletesAll && written.deletesAll };
  }
  return written;
}

function union<T extends object>(a: readonly T[], b: readonly T[]): T[] {
  const known = new Set(a.map((entry) => JSON.stringify(entry)));
  return [...a, ...b.filter((entry) => !known.has(JSON.stringify(entry)))];
}

/** Only INSERT and the like name what they write at their head. */
function asCut(statement: Statement): Statement {
  const isNamedAtHead = statement.kind === 'dml' && ['INSERT', 'REPLACE', 'LOAD DATA'].includes(statement.label);
  if (isNamedAtHead) return statement;
  const label = 'label' in statement ? statement.label : statement.kind;
  return { kind: 'dml', label, changes: [], writes: undefined, deletesAll: false };
}

/** Every name of the text before a parenthesis or a dot, in lower case: all functions it calls, and their packages. */
export function readCalls(
  bytes: Buffer,
  { collation, modes }: StatementSession,
  decode: (bytes: Buffer, collation: number) => string,
): ReadonlySet<string> {
  const names = new Set<string>();
  const tokens = new Tokenizer(collation === undefined ? bytes.toString('utf8') : decode(bytes, collation), modes);
  while (!tokens.isAtEnd) {
    const { kind, text } = tokens.take();
    const isFollowed = tokens.isSymbol('(') || tokens.isSymbol('.');
    if ((kind === 'word' || kind === 'name') && isFollowed) names.add(text.toLowerCase());
  }
  return names;
}
