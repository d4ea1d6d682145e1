import { CdcError } from '../../runtime/error.ts';
import { xidText } from './xa-buffer.ts';

/** What a Query event does to the stream. Its text is never parsed further than this needs. */
export type ClassifiedStatement =
  | { kind: 'begin' | 'commit' | 'rollback' | 'other' }
  | { kind: 'savepoint' | 'rollback-to'; name: string }
  | { kind: 'xa'; verb: XaVerb; xid: string; onePhase: boolean }
  | { kind: 'truncate'; schema: string | undefined; table: string }
  | { kind: 'dml'; verb: string; schema: string | undefined; table: string | undefined };

export type XaVerb = 'START' | 'END' | 'PREPARE' | 'COMMIT' | 'ROLLBACK';

const LEADING_COMMENTS = /^(?:\s+|\/\*(?!!)[\s\S]*?\*\/|--\s[^\n]*\n|#[^\n]*\n)*/;
const NAME = '(?:`((?:[^`]|``)+)`|([^\\s`.;(,]+))';
const QUALIFIED = `(?:${NAME}\\s*\\.\\s*)?${NAME}`;
const SAVEPOINT = new RegExp(`^(?:SAVEPOINT|ROLLBACK\\s+(?:WORK\\s+)?TO(?:\\s+SAVEPOINT)?)\\s+${NAME}\\s*$`, 'i');
/** The server writes both parts of an xid in hex (MySQL: sql/xa.h, XID::serialize_xid; MariaDB: event_xid_t::serialize). */
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

/** Savepoint names are compared without regard to case. */
function savepoint(sql: string): string {
  const match = SAVEPOINT.exec(sql);
  const text = name(match?.[1], match?.[2]);
  if (text === undefined) throw new CdcError('a savepoint statement cannot be read', { why: sql });
  return text.toLowerCase();
}

function xa(sql: string): ClassifiedStatement {
  const [, verb = '', gtrid = '', bqual = '', format, onePhase] = XA.exec(sql) ?? [];
  if (format === undefined) throw new CdcError('an XA statement cannot be read', { why: sql });
  const upper = verb.toUpperCase();
  return {
    kind: 'xa',
    verb: (upper === 'BEGIN' ? 'START' : upper) as XaVerb,
    xid: xidText(gtrid.toLowerCase(), bqual.toLowerCase(), Number(format)),
    onePhase: onePhase !== undefined,
  };
}

const name = (quotedName: string | undefined, bare: string | undefined): string | undefined =>
  quotedName === undefined ? bare : quotedName.replaceAll('``', '`');
