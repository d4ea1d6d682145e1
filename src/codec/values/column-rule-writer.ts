import { createHmac } from 'node:crypto';
import type { ColumnRule } from '../../model/column-rules.ts';
import type { Table } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import { unescapeJson } from '../../runtime/raw-json.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { putQuoted } from '../bytes/json-text.ts';
import type { ValueWriter } from '../bytes/value-writer.ts';

/** Finds the rule of a source column, if it has one. */
export type FindColumnRule = (schema: string, table: string, column: string) => ColumnRule | undefined;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
const STAR = 0x2a;

/** Creates a writer that applies the rule to the output of `put`. NULL, and a value written as `null`, stays null. */
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

/** The UTF-8 text of the JSON value in `bytes[from..to)`: the content of a string, or the JSON of any other value. */
function plainText(bytes: Buffer, from: number, to: number): Buffer {
  if (bytes[from] !== QUOTE) return Buffer.from(bytes.subarray(from, to));
  const inside = bytes.subarray(from + 1, to - 1);
  return inside.includes(BACKSLASH) ? unescapeJson(bytes, { from, to }) : Buffer.from(inside);
}

/** Masks the whole value when it has at most `keep` characters. */
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

/** A key must identify its row. A hashed key does; a masked or dropped key would let rows replace one another. */
export function assertKeyColumnsKept(table: Table, rules: readonly (ColumnRule | undefined)[]): void {
  for (const column of table.key) {
    const { kind } = rules[column] ?? {};
    if (kind === 'drop' || kind === 'mask') {
      const name = table.columns[column]?.name;
      throw new CdcError(`a rule in \`columns\` would ${kind} ${name}, a key column of ${table.schema}.${table.name}`, {
        exitCode: 2,
        why: 'rows whose keys become equal would replace one another in the lake',
        hint: 'hash the column, which keeps keys distinct: { hash: sha256, secret: … }; or narrow the pattern',
      });
    }
  }
}
