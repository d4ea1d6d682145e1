import { readAlterTable } from './alter-table.ts';
import { readQualifiedName, readQualifiedNames, skipToKeyword, skipWait } from './names.ts';
import { changesOf, type Ddl, ddl, type StatementDml, type TableChange, type TableName } from './statement.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * Reads DDL, whose keyword is the next token. CREATE TABLE … SELECT is DML too, and is returned as that.
 * Undefined if it is not understood: another statement, or a form that this reader does not know.
 */
export function readDdl(tokens: Tokenizer, defaultSchema: string): Ddl | StatementDml | undefined {
  const { keyword } = tokens;
  switch (keyword) {
    case 'TRUNCATE': {
      tokens.take();
      tokens.accept('TABLE');
      const name = readQualifiedName(tokens, defaultSchema);
      skipWait(tokens);
      return name && tokens.isAtEnd ? ddl('TRUNCATE TABLE', changesOf(name, 'emptied')) : undefined;
    }
    case 'RENAME':
      return readRename(tokens, defaultSchema);
    case 'REPAIR': {
      const names = skipToKeyword(tokens, 'TABLE', 'TABLES', 'VIEW') && readAfterKeyword(tokens, defaultSchema);
      return names
        ? ddl(
            'REPAIR TABLE',
            names.flatMap((name) => changesOf(name, 'rewritten')),
          )
        : undefined;
    }
    case 'CREATE':
    case 'ALTER':
    case 'DROP':
      tokens.take();
      return readObjectDdl(keyword, tokens, defaultSchema);
    default:
      return undefined;
  }
}

function readAfterKeyword(tokens: Tokenizer, defaultSchema: string): TableName[] | undefined {
  tokens.take();
  return readQualifiedNames(tokens, defaultSchema);
}

/** Objects that hold no rows of a table. DDL of them changes no table, and its text is read no further. */
const OTHER_OBJECTS: ReadonlySet<string> = new Set([
  'EVENT',
  'FUNCTION',
  'INSTANCE',
  'LIBRARY',
  'LOGFILE',
  'PACKAGE',
  'PROCEDURE',
  'PREPARE',
  'RESOURCE',
  'ROLE',
  'SERVER',
  'SPATIAL',
  'TABLESPACE',
  'TRIGGER',
  'UNDO',
  'USER',
  'VIEW',
]);

/** Words between the verb and the kind of object. DEFINER has a value, which is skipped. */
const MODIFIERS: readonly string[] = [
  ...['OR', 'REPLACE', 'ONLINE', 'OFFLINE', 'IGNORE', 'AGGREGATE', 'TEMPORARY'],
  // CREATE JSON RELATIONAL DUALITY VIEW, CREATE MATERIALIZED VIEW
  ...['JSON', 'RELATIONAL', 'DUALITY', 'MATERIALIZED'],
];
const INDEX_KINDS: readonly string[] = ['UNIQUE', 'FULLTEXT', 'SPATIAL', 'VECTOR'];

interface Modifiers {
  isReplace: boolean;
  isTemporary: boolean;
  isIgnore: boolean;
}

function readModifiers(tokens: Tokenizer): Modifiers {
  const found: Modifiers = { isReplace: false, isTemporary: false, isIgnore: false };
  for (;;) {
    const { keyword } = tokens;
    if (MODIFIERS.includes(keyword)) {
      found.isReplace ||= keyword === 'REPLACE';
      found.isTemporary ||= keyword === 'TEMPORARY';
      found.isIgnore ||= keyword === 'IGNORE';
      tokens.take();
    } else if (keyword === 'DEFINER') skipDefiner(tokens);
    else if (keyword === 'ALGORITHM') skipAssignment(tokens);
    else if (keyword === 'SQL') {
      tokens.take();
      tokens.take();
      tokens.take();
    } else return found;
  }
}

function skipAssignment(tokens: Tokenizer): void {
  tokens.take();
  tokens.acceptSymbol('=');
  tokens.take();
}

/** DEFINER = user, user@host, or CURRENT_USER(). */
function skipDefiner(tokens: Tokenizer): void {
  skipAssignment(tokens);
  if (tokens.acceptSymbol('@')) tokens.take();
  if (tokens.acceptSymbol('(')) tokens.acceptSymbol(')');
}

function readObjectDdl(verb: string, tokens: Tokenizer, defaultSchema: string): Ddl | StatementDml | undefined {
  const modifiers = readModifiers(tokens);
  const { keyword } = tokens;
  if (INDEX_KINDS.includes(keyword)) {
    tokens.take();
    // CREATE SPATIAL REFERENCE SYSTEM
    if (tokens.keyword !== 'INDEX') return ddl(`${verb} ${keyword}`, []);
    return readIndexDdl(verb, keyword === 'UNIQUE', tokens, defaultSchema);
  }
  switch (keyword) {
    case 'INDEX':
      return readIndexDdl(verb, verb === 'DROP', tokens, defaultSchema);
    case 'DATABASE':
    case 'SCHEMA':
      return readDatabaseDdl(verb, tokens);
    case 'TABLE':
    case 'TABLES':
    case 'SEQUENCE':
      tokens.take();
      return readTableDdl(verb, keyword, modifiers, tokens, defaultSchema);
    default:
      if (!OTHER_OBJECTS.has(keyword)) return undefined;
      return verb === 'DROP' && CODE.has(keyword)
        ? readDropOfCode(tokens, defaultSchema)
        : ddl(`${verb} ${keyword}`, []);
  }
}

/** Objects through which DML reaches other tables than those it names. */
const CODE: ReadonlySet<string> = new Set(['FUNCTION', 'PACKAGE', 'TRIGGER', 'VIEW']);

function readDropOfCode(tokens: Tokenizer, defaultSchema: string): Ddl {
  const label = `DROP ${tokens.take().text.toUpperCase()}`;
  tokens.accept('BODY');
  skipIfExists(tokens);
  return { ...ddl(label, []), dropped: readQualifiedNames(tokens, defaultSchema) ?? [] };
}

function readIndexDdl(verb: string, isUnique: boolean, tokens: Tokenizer, defaultSchema: string): Ddl | undefined {
  tokens.take();
  if (!skipToKeyword(tokens, 'ON')) return undefined;
  tokens.take();
  const name = readQualifiedName(tokens, defaultSchema);
  return name && ddl(`${verb} INDEX`, isUnique ? changesOf(name, 'unique-key') : []);
}

function readDatabaseDdl(verb: string, tokens: Tokenizer): Ddl | undefined {
  tokens.take();
  if (verb !== 'DROP') return ddl(`${verb} DATABASE`, []);
  skipIfExists(tokens);
  const schema = readQualifiedName(tokens, '')?.table;
  if (schema === undefined) return undefined;
  return ddl('DROP DATABASE', [
    { effect: 'rewritten', schema, table: undefined },
    { effect: 'columns', schema, table: undefined },
  ]);
}

/** IF EXISTS, IF NOT EXISTS. Returns whether it is the latter. */
function skipIfExists(tokens: Tokenizer): boolean {
  if (!tokens.accept('IF')) return false;
  const isNot = tokens.accept('NOT');
  tokens.accept('EXISTS');
  return isNot;
}

/** MariaDB keeps the value of a sequence as the one row of a table. */
function readTableDdl(
  verb: string,
  object: string,
  { isReplace, isTemporary, isIgnore }: Modifiers,
  tokens: Tokenizer,
  defaultSchema: string,
): Ddl | StatementDml | undefined {
  const label = `${verb} ${isTemporary ? 'TEMPORARY ' : ''}${object === 'TABLES' ? 'TABLE' : object}`;
  const isIfNotExists = skipIfExists(tokens);
  if (verb === 'DROP') return readDrop(label, isTemporary, tokens, defaultSchema);
  const name = readQualifiedName(tokens, defaultSchema);
  if (name === undefined) return undefined;
  if (verb === 'ALTER') {
    if (object === 'SEQUENCE') return ddl(label, changesOf(name, 'rewritten', 'columns'));
    return readAlterTable(name, isIgnore, tokens, defaultSchema);
  }
  const dml = { kind: 'dml', label: `${label} … SELECT`, changes: [], deletesAll: false } as const;
  if (isTemporary) {
    const made = { ...ddl(label, []), temporary: { verb: 'CREATE', names: [name] } } as const;
    return isFromQuery(tokens) ? { ...dml, temporary: made.temporary, writes: [] } : made;
  }
  // IF NOT EXISTS is logged too when the table exists, so it proves nothing. Otherwise the table was dropped or renamed
  // before, which counts itself.
  // A sequence begins with its one row.
  const created = object === 'SEQUENCE' ? changesOf(name, 'columns') : changesOf(name, 'created', 'columns');
  const changes = isIfNotExists ? [] : created;
  if (isReplace) changes.unshift(...changesOf(name, 'emptied'));
  return isFromQuery(tokens) ? { ...dml, changes, writes: [name] } : ddl(label, changes);
}

function readDrop(label: string, isTemporary: boolean, tokens: Tokenizer, defaultSchema: string): Ddl | undefined {
  const names = readQualifiedNames(tokens, defaultSchema);
  skipWait(tokens);
  tokens.accept('RESTRICT', 'CASCADE');
  if (names === undefined || !tokens.isAtEnd) return undefined;
  if (isTemporary) return { ...ddl(label, []), temporary: { verb: 'DROP', names } };
  return ddl(
    label,
    names.flatMap((name) => changesOf(name, 'emptied', 'columns')),
  );
}

/** Whether CREATE TABLE has a query at its end: SELECT, TABLE, VALUES ROW or VALUES (. (Partitions have VALUES IN.) */
function isFromQuery(tokens: Tokenizer): boolean {
  for (let before = ''; !tokens.isAtEnd; ) {
    const { keyword } = tokens;
    if (keyword === 'SELECT' || keyword === 'TABLE') return true;
    if (before === 'VALUES' && (keyword === 'ROW' || tokens.isSymbol('('))) return true;
    before = keyword;
    tokens.take();
  }
  return false;
}

function readRename(tokens: Tokenizer, defaultSchema: string): Ddl | undefined {
  tokens.take();
  if (tokens.accept('USER')) return ddl('RENAME USER', []);
  if (!tokens.accept('TABLE', 'TABLES')) return undefined;
  skipIfExists(tokens);
  const changes: TableChange[] = [];
  do {
    const from = readQualifiedName(tokens, defaultSchema);
    skipWait(tokens);
    const to = tokens.accept('TO') ? readQualifiedName(tokens, defaultSchema) : undefined;
    if (from === undefined || to === undefined) return undefined;
    changes.push(...changesOf(from, 'rewritten', 'columns'), ...changesOf(to, 'rewritten', 'columns'));
  } while (tokens.acceptSymbol(','));
  return tokens.isAtEnd ? ddl('RENAME TABLE', changes) : undefined;
}
