import { createHmac } from 'node:crypto';
import type { ColumnRule } from '../../model/column-rules.ts';
import type { Table } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { putQuoted } from '../bytes/json-text.ts';
import type { ValueWriter } from '../bytes/value-writer.ts';

/** The rule of a column of the source, if it has one. */
export type FindColumnRule = (schema: string, table: string, column: string) => ColumnRule | undefined;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
const STAR = 0x2a;

/** A writer that applies the rule to what `put` writes. NULL, and a value that is written as `null`, stays null. */
export function ruledValueWriter(rule: ColumnRule, put: ValueWriter): ValueWriter {
  switch (rule.kind) {
    case 'drop':
      return (src, at, end, out) => {
        const start = out.at;
        const next = put(src, at, end, out);
        out.at = start;
        return next;
      };
    case 'hash':
      return rewriteValue(put, (text, out) => {
        out.byte(QUOTE);
        out.ascii(createHmac('sha256', rule.secret).update(text).digest('hex'));
        out.byte(QUOTE);
      });
    case 'mask':
      return rewriteValue(put, (text, out) => putMasked(out, text, rule.keep));
  }
}

function rewriteValue(put: ValueWriter, rewrite: (text: Buffer, out: ByteWriter) => void): ValueWriter {
  return (src, at, end, out) => {
    const start = out.at;
    const next = put(src, at, end, out);
    if (out.bytes[start] === LETTER_N) return next;
    const text = plainText(out.bytes, start, out.at);
    out.at = start;
    rewrite(text, out);
    return next;
  };
}

/** The text of the JSON value in `bytes[from..to)`, UTF-8: of a string what it says, of anything else the value as it is. */
function plainText(bytes: Buffer, from: number, to: number): Buffer {
  if (bytes[from] !== QUOTE) return Buffer.from(bytes.subarray(from, to));
  const inside = bytes.subarray(from + 1, to - 1);
  return Buffer.from(inside.includes(BACKSLASH) ? (JSON.parse(bytes.toString('utf8', from, to)) as string) : inside);
}

/** A value that is no longer than what a mask would keep is masked whole. */
function putMasked(out: ByteWriter, text: Buffer, keep: number): void {
  let characters = 0;
  for (const byte of text) if (startsCharacter(byte)) characters++;
  const stars = characters > keep ? characters - keep : characters;
  let kept = 0;
  for (let seen = 0; kept < text.length; kept++) if (startsCharacter(text[kept] as number) && seen++ === stars) break;
  const masked = Buffer.concat([Buffer.alloc(stars, STAR), text.subarray(kept)]);
  putQuoted(out, masked, 0, masked.length);
}

/** Whether a byte of UTF-8 begins a character. */
const startsCharacter = (byte: number): boolean => (byte & 0xc0) !== 0x80;

/** A key must tell rows apart: hashed it does, masked or dropped it would not, and rows would replace one another. */
export function assertKeyColumnsKept(table: Table, rules: readonly (ColumnRule | undefined)[]): void {
  for (const column of table.key) {
    const { kind } = rules[column] ?? {};
    if (kind === 'drop' || kind === 'mask') {
      throw new CdcError(
        `a rule in \`columns\` would ${kind} ${table.columns[column]?.name}, a key column of ${table.schema}.${table.name}`,
        {
          exitCode: 2,
          why: 'rows whose keys look alike would replace one another in the lake',
          hint: 'hash it instead, which keeps keys apart: { hash: sha256, secret: … }; or narrow the pattern',
        },
      );
    }
  }
}
