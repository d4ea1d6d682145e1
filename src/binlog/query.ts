/** What a Query event does to the stream. Its text is never parsed further than this needs. */
export type Statement =
  | { kind: 'begin' | 'commit' | 'rollback' | 'rollback-to' | 'xa' | 'other' }
  | { kind: 'truncate'; schema: string | undefined; table: string }
  | { kind: 'dml'; verb: string; schema: string | undefined; table: string | undefined };

const LEADING_COMMENTS = /^(?:\s+|\/\*(?!!)[\s\S]*?\*\/|--\s[^\n]*\n|#[^\n]*\n)*/;
const NAME = '(?:`((?:[^`]|``)+)`|([^\\s`.;(,]+))';
const QUALIFIED = `(?:${NAME}\\s*\\.\\s*)?${NAME}`;
const TRUNCATE = new RegExp(`^TRUNCATE\\s+(?:TABLE\\s+)?${QUALIFIED}`, 'i');
const DML = new RegExp(
  `^(INSERT|REPLACE|UPDATE|DELETE)\\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|QUICK|IGNORE)\\s+)*(?:INTO\\s+|FROM\\s+)?${QUALIFIED}`,
  'i',
);
const DML_VERB = /^(INSERT|REPLACE|UPDATE|DELETE|LOAD|WITH|CALL|DO)\b/i;

export function classify(text: string): Statement {
  const sql = text.slice((LEADING_COMMENTS.exec(text)?.[0] ?? '').length);
  const verb = /^[A-Za-z]+/.exec(sql)?.[0].toUpperCase();
  switch (verb) {
    case 'BEGIN':
      return { kind: 'begin' };
    case 'COMMIT':
      return { kind: 'commit' };
    case 'ROLLBACK':
      return { kind: /^ROLLBACK\s+(?:WORK\s+)?TO\b/i.test(sql) ? 'rollback-to' : 'rollback' };
    case 'XA':
      return { kind: 'xa' };
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

const name = (quotedName: string | undefined, bare: string | undefined): string | undefined =>
  quotedName === undefined ? bare : quotedName.replaceAll('``', '`');
