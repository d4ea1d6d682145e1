import { collectTableNames, readQualifiedName, skipToKeyword } from './names.ts';
import type { StatementDml, TableName } from './statement.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What can follow the table of a DELETE that deletes only some of its rows. */
const DELETE_CLAUSES: readonly string[] = ['WHERE', 'ORDER', 'LIMIT', 'RETURNING'];

/** The keywords that begin DML, and so can be logged instead of rows. */
export const DML_KEYWORDS: readonly string[] = [
  'INSERT',
  'REPLACE',
  'UPDATE',
  'DELETE',
  'LOAD',
  'WITH',
  'SELECT',
  'CALL',
  'DO',
  'VALUES',
  'TABLE',
];

/**
 * Reads DML, whose keyword is the next token. The tables it names as the ones to write are only a part of what it can
 * write: triggers, stored functions and views reach others.
 */
export function readDml(tokens: Tokenizer, defaultSchema: string): StatementDml {
  const verb = tokens.keyword;
  const dml = (writes: readonly TableName[] | undefined, deletesAll = false): StatementDml => ({
    kind: 'dml',
    label: verb === 'LOAD' ? 'LOAD DATA' : verb,
    changes: [],
    writes,
    deletesAll,
  });
  if (!DML_KEYWORDS.includes(verb)) return dml(undefined);
  tokens.take();
  const one = (): readonly TableName[] | undefined => {
    const name = readQualifiedName(tokens, defaultSchema);
    return name && [name];
  };
  switch (verb) {
    case 'INSERT':
    case 'REPLACE':
      while (tokens.accept('LOW_PRIORITY', 'DELAYED', 'HIGH_PRIORITY', 'IGNORE', 'INTO'));
      return dml(one());
    case 'UPDATE':
      return dml(collectTableNames(tokens, defaultSchema, 'SET'));
    case 'DELETE':
      return readDelete(tokens, defaultSchema, dml);
    case 'LOAD':
      if (!skipToKeyword(tokens, 'INTO')) return dml(undefined);
      tokens.take();
      tokens.accept('TABLE');
      return dml(one());
    case 'WITH':
      if (!skipToKeyword(tokens, 'UPDATE', 'DELETE', 'INSERT', 'REPLACE', 'SELECT')) return dml(undefined);
      return { ...readDml(tokens, defaultSchema), deletesAll: false };
    default:
      // SELECT, CALL, DO and the like write through routines, if at all.
      return dml(undefined);
  }
}

function readDelete(
  tokens: Tokenizer,
  defaultSchema: string,
  dml: (writes: readonly TableName[] | undefined, deletesAll?: boolean) => StatementDml,
): StatementDml {
  while (tokens.accept('LOW_PRIORITY', 'QUICK', 'IGNORE'));
  if (!tokens.accept('FROM')) return dml(collectTableNames(tokens, defaultSchema, ...DELETE_CLAUSES));
  const name = readQualifiedName(tokens, defaultSchema);
  if (name === undefined) return dml(undefined);
  if (tokens.isAtEnd) return dml([name], true);
  return dml([name, ...collectTableNames(tokens, defaultSchema, ...DELETE_CLAUSES)]);
}
