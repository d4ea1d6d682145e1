import { readName, readQualifiedName, skipToKeyword, skipWait } from './names.ts';
import { changesOf, type Ddl, ddl, type TableChange, type TableName } from './statement.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A clause of ALTER TABLE. The label is empty if no message needs to name it. */
interface Clause {
  label: string;
  changes: readonly TableChange[];
}

const HARMLESS: Clause = { label: '', changes: [] };

/** First words of clauses that change neither rows nor columns nor keys. */
const HARMLESS_CLAUSES: ReadonlySet<string> = new Set([
  'ALGORITHM',
  // Of a default, of visibility, or of an index.
  'ALTER',
  'ANALYZE',
  'AUTO_INCREMENT',
  'AVG_ROW_LENGTH',
  // The default for new columns. CONVERT TO changes the others.
  'CHARACTER',
  'CHARSET',
  'CHECK',
  'CHECKSUM',
  'COALESCE',
  'COLLATE',
  'COMMENT',
  'COMPRESSION',
  'DEFAULT',
  'DELAY_KEY_WRITE',
  'DISABLE',
  'ENABLE',
  'ENCRYPTION',
  'ENGINE',
  'FORCE',
  'INSERT_METHOD',
  'KEY_BLOCK_SIZE',
  'LOCK',
  'MAX_ROWS',
  'MIN_ROWS',
  'OPTIMIZE',
  'ORDER',
  'PACK_KEYS',
  'PARTITION',
  'REBUILD',
  'REMOVE',
  'REORGANIZE',
  'REPAIR',
  'ROW_FORMAT',
  'SECONDARY_LOAD',
  'SECONDARY_UNLOAD',
  'STATS_AUTO_RECALC',
  'STATS_PERSISTENT',
  'STATS_SAMPLE_PAGES',
  'TABLESPACE',
  'UNION',
]);
/** Clauses that take a list of partitions. Such a clause is the only one of its statement. */
const PARTITION_CLAUSES: ReadonlySet<string> = new Set([
  'ANALYZE',
  'CHECK',
  'DISCARD',
  'IMPORT',
  'OPTIMIZE',
  'REBUILD',
  'REORGANIZE',
  'REPAIR',
  'TRUNCATE',
]);
const INDEX_WORDS: readonly string[] = ['INDEX', 'KEY'];

/**
 * Reads the clauses of ALTER TABLE, behind the name of the table. A clause that is not known can change the columns.
 * @param isIgnore ALTER IGNORE TABLE, which removes rows with a duplicate key
 */
export function readAlterTable(table: TableName, isIgnore: boolean, tokens: Tokenizer, defaultSchema: string): Ddl {
  let label = '';
  const changes: TableChange[] = isIgnore ? changesOf(table, 'rewritten') : [];
  skipWait(tokens);
  while (!tokens.isAtEnd) {
    const isAdd = tokens.keyword === 'ADD';
    const isPartitionList = PARTITION_CLAUSES.has(tokens.keyword);
    const clause = readClause(table, tokens, defaultSchema);
    label ||= clause.label;
    changes.push(...clause.changes);
    if (isPartitionList || clause.label === 'DROP PARTITION') break;
    const option = skipClause(tokens, isAdd);
    if (option === '') continue;
    label ||= option;
    changes.push(...changesOf(table, 'rewritten'));
  }
  return ddl(label === '' ? 'ALTER TABLE' : `ALTER TABLE … ${label}`, changes);
}

/**
 * Moves behind the comma after the clause. Options of the table can stand behind each other without one: returns the
 * one that changes rows, `ENGINE BLACKHOLE` or `UNION`, or nothing. A column that is added as a key has values of its
 * own in each row.
 */
function skipClause(tokens: Tokenizer, isAdd: boolean): string {
  let found = '';
  for (let depth = 0; !tokens.isAtEnd; ) {
    const { text, kind } = tokens.take();
    const isName = kind === 'word' || kind === 'string' || kind === 'name';
    if (isName && depth === 0 && text.toUpperCase() === 'BLACKHOLE') found = 'ENGINE BLACKHOLE';
    const word = kind === 'word' ? text.toUpperCase() : '';
    if (word === 'UNION' && depth === 0) found = 'UNION';
    if (isAdd && (word === 'PRIMARY' || word === 'AUTO_INCREMENT')) found = 'ADD PRIMARY KEY';
    if (kind !== 'symbol') continue;
    if (text === '(') depth++;
    else if (text === ')') depth--;
    else if (text === ',' && depth <= 0) break;
  }
  return found;
}

function readClause(table: TableName, tokens: Tokenizer, defaultSchema: string): Clause {
  const columns: Clause = { label: '', changes: changesOf(table, 'columns') };
  const rewritten = (label: string, other?: TableName): Clause => ({
    label,
    changes: [...changesOf(table, 'rewritten'), ...(other ? changesOf(other, 'rewritten', 'columns') : [])],
  });
  const { keyword } = tokens;
  if (HARMLESS_CLAUSES.has(keyword)) return HARMLESS;
  tokens.take();
  switch (keyword) {
    case 'TRUNCATE':
      return rewritten('TRUNCATE PARTITION');
    case 'EXCHANGE':
      return rewritten('EXCHANGE PARTITION', readTableAfter('TABLE', tokens, defaultSchema));
    case 'IMPORT':
    case 'DISCARD':
      return rewritten(`${keyword} TABLESPACE`);
    case 'CONVERT':
      if (tokens.keyword === 'PARTITION' || tokens.keyword === 'TABLE')
        return rewritten(`CONVERT ${tokens.keyword}`, readTableAfter('TABLE', tokens, defaultSchema));
      return { label: 'CONVERT TO', changes: changesOf(table, 'rewritten', 'columns') };
    case 'MODIFY':
    case 'CHANGE':
      return { label: `${keyword} COLUMN`, changes: changesOf(table, 'rewritten', 'columns') };
    case 'RENAME':
      return readRenameClause(table, tokens, defaultSchema);
    case 'ADD':
      return readAdd(table, tokens) ?? columns;
    case 'DROP':
      if (tokens.keyword === 'PARTITION') return rewritten('DROP PARTITION');
      return readDrop(table, tokens) ?? columns;
    default:
      return columns;
  }
}

function readTableAfter(keyword: string, tokens: Tokenizer, defaultSchema: string): TableName | undefined {
  if (!skipToKeyword(tokens, keyword)) return undefined;
  tokens.take();
  return readQualifiedName(tokens, defaultSchema);
}

/** RENAME [TO | AS | =] name renames the table; RENAME COLUMN, INDEX and KEY do not. */
function readRenameClause(table: TableName, tokens: Tokenizer, defaultSchema: string): Clause {
  if (INDEX_WORDS.includes(tokens.keyword)) return HARMLESS;
  if (tokens.keyword === 'COLUMN') return { label: 'RENAME COLUMN', changes: changesOf(table, 'rewritten', 'columns') };
  if (!tokens.accept('TO', 'AS')) tokens.acceptSymbol('=');
  const to = readQualifiedName(tokens, defaultSchema);
  const changes = [table, ...(to ? [to] : [])].flatMap((name) => changesOf(name, 'rewritten', 'columns'));
  return { label: 'RENAME', changes };
}

/** ADD of a key or a partition; undefined for ADD of anything else. */
function readAdd(table: TableName, tokens: Tokenizer): Clause | undefined {
  const uniqueKey: Clause = { label: '', changes: changesOf(table, 'unique-key') };
  if (tokens.accept('CONSTRAINT') && !isKeyWord(tokens.keyword)) readName(tokens);
  switch (tokens.keyword) {
    case 'UNIQUE':
      return uniqueKey;
    case 'INDEX':
    case 'KEY':
    case 'FULLTEXT':
    case 'SPATIAL':
    case 'FOREIGN':
    case 'CHECK':
    case 'PARTITION':
      return HARMLESS;
    case 'VECTOR':
      // A column can have this name.
      tokens.take();
      return INDEX_WORDS.includes(tokens.keyword) ? HARMLESS : undefined;
    default:
      return undefined;
  }
}

function readDrop(table: TableName, tokens: Tokenizer): Clause | undefined {
  switch (tokens.keyword) {
    case 'PRIMARY':
      // The rows that are in the lake have the old key.
      return { label: 'DROP PRIMARY KEY', changes: changesOf(table, 'rewritten', 'columns') };
    case 'INDEX':
    case 'KEY':
    // Since MySQL 8.0.19 a unique key is a constraint too.
    case 'CONSTRAINT':
      return { label: '', changes: changesOf(table, 'unique-key') };
    case 'FOREIGN':
    case 'CHECK':
      return HARMLESS;
    default:
      return undefined;
  }
}

const isKeyWord = (keyword: string): boolean => ['UNIQUE', 'PRIMARY', 'FOREIGN', 'CHECK'].includes(keyword);
