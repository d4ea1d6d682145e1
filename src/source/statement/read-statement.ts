import { readDdl } from './ddl.ts';
import { DML_KEYWORDS, readDml } from './dml.ts';
import { mentionedTables, readName, skipToKeyword } from './names.ts';
import { ddl, type Statement, type XaVerb } from './statement.ts';
import { type LexicalModes, Tokenizer } from './tokenizer.ts';

/** Statements that change no row and no column of any table. Those that begin with other keywords are read further. */
const ADMINISTRATION: ReadonlySet<string> = new Set([
  'SET',
  'GRANT',
  'REVOKE',
  'FLUSH',
  'OPTIMIZE',
  'CHECK',
  'LOCK',
  'UNLOCK',
  'RELEASE',
  'INSTALL',
  'UNINSTALL',
]);

/** ANALYZE TABLE and its forms. On MariaDB, ANALYZE before another statement executes that statement. */
const ANALYZE_TABLE: readonly string[] = ['TABLE', 'TABLES', 'LOCAL', 'NO_WRITE_TO_BINLOG'];

/**
 * Reads one statement of the binlog as far as it takes to know what it does to which tables.
 * @param defaultSchema of its session: of names without a schema
 */
export function readStatement(text: string, defaultSchema: string, modes: LexicalModes): Statement {
  const tokens = new Tokenizer(text, modes);
  while (tokens.acceptSymbol('('));
  const { keyword } = tokens;
  const known = readKnown(keyword, tokens, defaultSchema);
  if (known !== undefined) return known;
  const mentions = mentionedTables(new Tokenizer(text, modes), defaultSchema);
  return { kind: 'unknown', label: keyword || 'unknown', mentions };
}

/** Undefined for a statement, or a form of one, that is not understood. */
function readKnown(keyword: string, tokens: Tokenizer, defaultSchema: string): Statement | undefined {
  switch (keyword) {
    case 'BEGIN':
    case 'START':
      return { kind: 'begin' };
    case 'COMMIT':
      return { kind: 'commit' };
    case 'ROLLBACK':
      return readRollback(tokens);
    case 'SAVEPOINT':
      tokens.take();
      return savepoint('savepoint', tokens);
    case 'XA':
      return readXa(tokens);
    case 'SET':
      return readSet(tokens, defaultSchema);
    default:
      return readTableStatement(tokens, defaultSchema);
  }
}

/** DDL, DML, or administration. */
function readTableStatement(tokens: Tokenizer, defaultSchema: string): Statement | undefined {
  const { keyword } = tokens;
  if (ADMINISTRATION.has(keyword)) return ddl(keyword, []);
  if (DML_KEYWORDS.includes(keyword)) return readDml(tokens, defaultSchema);
  if (keyword === 'ANALYZE') {
    tokens.take();
    if (ANALYZE_TABLE.includes(tokens.keyword)) return ddl(keyword, []);
    skipToKeyword(tokens, ...DML_KEYWORDS);
    return readDml(tokens, defaultSchema);
  }
  return readDdl(tokens, defaultSchema);
}

/** `SET STATEMENT variable = value, … FOR statement` of MariaDB is that statement. Any other SET changes no table. */
function readSet(tokens: Tokenizer, defaultSchema: string): Statement | undefined {
  tokens.take();
  if (!tokens.accept('STATEMENT')) return ddl('SET', []);
  if (!skipToKeyword(tokens, 'FOR')) return undefined;
  tokens.take();
  return readTableStatement(tokens, defaultSchema);
}

function readRollback(tokens: Tokenizer): Statement {
  tokens.take();
  tokens.accept('WORK');
  if (!tokens.accept('TO')) return { kind: 'rollback' };
  tokens.accept('SAVEPOINT');
  return savepoint('rollback-to', tokens);
}

function savepoint(kind: 'savepoint' | 'rollback-to', tokens: Tokenizer): Statement {
  const name = readName(tokens);
  if (name === undefined || !tokens.isAtEnd) return { kind: 'unknown', label: 'SAVEPOINT', mentions: undefined };
  return { kind, name: foldSavepointName(name) };
}

/**
 * Savepoint names are compared by utf8mb3_general_ci: without case, accents and spaces at the end. (MySQL:
 * `find_savepoint` in sql/transaction.cc, with system_charset_info.)
 */
function foldSavepointName(name: string): string {
  const folded = name.normalize('NFD').replace(/\p{M}/gu, '').replaceAll('ß', 's');
  return folded.toLowerCase().trimEnd();
}

/** The server writes both parts of an xid in hex (MySQL: XID::serialize_xid; MariaDB: event_xid_t::serialize). */
function readXa(tokens: Tokenizer): Statement {
  tokens.take();
  const keyword = tokens.take().text.toUpperCase();
  const verb = keyword === 'BEGIN' ? 'START' : keyword;
  const gtrid = readHex(tokens);
  const bqual = tokens.acceptSymbol(',') ? readHex(tokens) : undefined;
  const format = tokens.acceptSymbol(',') ? Number(tokens.take().text) : Number.NaN;
  const isXa = XA_VERBS.includes(verb) && gtrid !== undefined && bqual !== undefined && Number.isInteger(format);
  if (!isXa) return { kind: 'unknown', label: 'XA', mentions: undefined };
  const onePhase = tokens.accept('ONE') && tokens.accept('PHASE');
  return { kind: 'xa', verb: verb as XaVerb, gtrid, bqual, format, onePhase };
}

const XA_VERBS: readonly string[] = ['START', 'END', 'PREPARE', 'COMMIT', 'ROLLBACK'] satisfies XaVerb[];

/** X'0a1B', in lower case. */
function readHex(tokens: Tokenizer): string | undefined {
  if (!tokens.accept('X') || tokens.next.kind !== 'string') return undefined;
  return tokens.take().text.toLowerCase();
}
