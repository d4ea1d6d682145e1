import { CdcError } from '../../runtime/error.ts';
import type { ByteCursor } from './byte-cursor.ts';
import { xidText } from './xa-buffer.ts';

/** What a Query event does to the stream. Its text is parsed no further than this needs. */
export type ClassifiedStatement =
  | { kind: 'begin' | 'commit' | 'rollback' | 'other' }
  | { kind: 'savepoint' | 'rollback-to'; name: string }
  | XaStatement
  | { kind: 'truncate'; schema: string | undefined; table: string }
  | { kind: 'dml'; verb: string; schema: string | undefined; table: string | undefined };

export interface XaStatement {
  kind: 'xa';
  verb: XaVerb;
  xid: string;
  onePhase: boolean;
}

type XaVerb = 'START' | 'END' | 'PREPARE' | 'COMMIT' | 'ROLLBACK';

/**
 * Reads the body of a Query event up to its text, and returns the default database of the statement (MySQL protocol
 * documentation, "QUERY_EVENT": thread id 4, execution time 4, schema length 1, error code 2, status variables).
 */
export function readQuerySchema(cursor: ByteCursor): string {
  cursor.skip(8);
  const schemaLength = cursor.u8();
  cursor.skip(2);
  cursor.skip(cursor.u16());
  const schema = cursor.text(schemaLength);
  cursor.skip(1);
  return schema;
}

/** Whether the text of the statement is BEGIN: no other statement has five letters and starts with a B. */
export const isBegin = (cursor: ByteCursor): boolean => cursor.remaining === 5 && cursor.bytes[cursor.at] === 0x42;

const LEADING_COMMENTS = /^(?:\s+|\/\*(?!!)[\s\S]*?\*\/|--\s[^\n]*\n|#[^\n]*\n)*/;
const NAME = '(?:`((?:[^`]|``)+)`|([^\\s`.;(,]+))';
const QUALIFIED = `(?:${NAME}\\s*\\.\\s*)?${NAME}`;
const SAVEPOINT = new RegExp(`^(?:SAVEPOINT|ROLLBACK\\s+(?:WORK\\s+)?TO(?:\\s+SAVEPOINT)?)\\s+${NAME}\\s*$`, 'i');
/**
 * The server writes both parts of an xid in hex (MySQL: XID::serialize_xid, sql/xa.h; MariaDB: event_xid_t::serialize).
 */
const XA = /^XA\s+(START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\s+X'([\da-f]*)',X'([\da-f]*)',(\d+)(\s+ONE\s+PHASE)?\s*$/i;
const TRUNCATE = new RegExp(`^TRUNCATE\\s+(?:TABLE\\s+)?${QUALIFIED}`, 'i');
const DML = new RegExp(
  `^(INSERT|REPLACE|UPDATE|DELETE)\\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|QUICK|IGNORE)\\s+)*(?:INTO\\s+|FROM\\s+)?${QUALIFIED}`,
  'i',
);
const DML_VERB = /^(INSERT|REPLACE|UPDATE|DELETE|LOAD|WITH|CALL|DO)\b/i;

export function classifyStatement(text: string): ClassifiedStatement {
  const sql = text.slice((LEADING_COMMENTS.exec(text)?.[0] ?? '').length);
  const verb = /^[A-Za-z]+/.exec(sql)?.[0].toUpperCase();
  switch (verb) {
    case 'BEGIN':
      return { kind: 'begin' };
    case 'COMMIT':
      return { kind: 'commit' };
    case 'ROLLBACK':
      return /^ROLLBACK\s+(?:WORK\s+)?TO\b/i.test(sql)
        ? { kind: 'rollback-to', name: savepoint(sql) }
        : { kind: 'rollback' };
    case 'SAVEPOINT':
      return { kind: 'savepoint', name: savepoint(sql) };
    case 'XA':
      return xa(sql);
    case 'TRUNCATE': {
      const match = TRUNCATE.exec(sql);
      const table = name(match?.[3], match?.[4]);
      return table === undefined
        ? { kind: 'other' }
        : { kind: 'truncate', schema: name(match?.[1], match?.[2]), table };
    }
    default: {
      if (!DML_VERB.test(sql)) return { kind: 'other' };
      const match = DML.exec(sql);
      return {
        kind: 'dml',
        verb: verb ?? '',
        schema: name(match?.[2], match?.[3]),
        table: name(match?.[4], match?.[5]),
      };
    }
  }
}

/** The name of a savepoint in lower case, because savepoint names are not case-sensitive. */
function savepoint(sql: string): string {
  const match = SAVEPOINT.exec(sql);
  const savepointName = name(match?.[1], match?.[2]);
  if (savepointName === undefined) throw new CdcError('cannot read a savepoint statement', { why: sql });
  return savepointName.toLowerCase();
}

function xa(sql: string): ClassifiedStatement {
  const [, verb = '', gtrid = '', bqual = '', format, onePhase] = XA.exec(sql) ?? [];
  if (format === undefined) throw new CdcError('cannot read an XA statement', { why: sql });
  const upper = verb.toUpperCase();
  return {
    kind: 'xa',
    verb: (upper === 'BEGIN' ? 'START' : upper) as XaVerb,
    xid: xidText(gtrid.toLowerCase(), bqual.toLowerCase(), Number(format)),
    onePhase: onePhase !== undefined,
  };
}

/** A name as the server has it, from one of the two forms that `NAME` matches. */
const name = (quotedName: string | undefined, bare: string | undefined): string | undefined =>
  quotedName === undefined ? bare : quotedName.replaceAll('``', '`');
