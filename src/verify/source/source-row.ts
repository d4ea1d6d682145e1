import { createHmac } from 'node:crypto';
import type { ResultColumn } from '../../backfill/read/row-collector.ts';
import { FIXED_LENGTHS } from '../../backfill/read/row-packet-key.ts';
import type { ValueOptions } from '../../config/schema.ts';
import type { EventFormatName } from '../../lake/event-scanner.ts';
import { type ColumnReader, createColumnReader } from '../../lake/source-column.ts';
import type { ColumnRule } from '../../model/column-rules.ts';
import { ColumnType as T } from '../../model/table.ts';
import type { DeclaredColumn } from '../../source/schema/declared-columns.ts';
import { maxwellReader } from './maxwell-values.ts';

/** A column of the source as verify compares it. */
export interface ComparedColumn extends DeclaredColumn {
  reader: ColumnReader;
  rule: ColumnRule | undefined;
  /** `"name":` */
  memberName: string;
}

/** The columns that the events of a table have, in their order: a dropped one is in none. */
export function comparedColumns(
  columns: readonly DeclaredColumn[],
  values: ValueOptions,
  format: EventFormatName,
  ruleOf: (column: string) => ColumnRule | undefined,
): ComparedColumn[] {
  return columns.flatMap((column) => {
    const rule = ruleOf(column.name);
    if (rule?.kind === 'drop') return [];
    const memberName = `${JSON.stringify(column.name)}:`;
    return [{ ...column, rule, memberName, reader: createReader(column, values, format) }];
  });
}

/** How the values of a column are written in this format with these options. */
export const createReader = (column: DeclaredColumn, values: ValueOptions, format: EventFormatName): ColumnReader =>
  format === 'maxwell' ? maxwellReader(column, values) : createColumnReader(column, values);

/** The JSON text of a value of the source, after the rule of its column. */
export function textOf({ reader, rule }: ComparedColumn, value: Buffer | null): string {
  if (value === null) return 'null';
  const json = reader.toJson(value);
  return rule === undefined || json === 'null' ? json : applyRule(rule, json);
}

/** Rules apply to the text of a value: the content of a string, or the JSON of anything else. */
function applyRule(rule: ColumnRule, json: string): string {
  const text = json.startsWith('"') ? (JSON.parse(json) as string) : json;
  if (rule.kind === 'hash') return `"${createHmac('sha256', rule.secret).update(text).digest('hex')}"`;
  if (rule.kind === 'drop') throw new Error('a dropped column is compared');
  const characters = [...text];
  const stars = characters.length > rule.keep ? characters.length - rule.keep : characters.length;
  return JSON.stringify('*'.repeat(stars) + characters.slice(stars).join(''));
}

/**
 * The values of a row packet, each as the server converted it. A number of the protocol is a DOUBLE, and becomes the
 * text that the text protocol would give without rounding. (MySQL: Binary Protocol Resultset Row)
 * @param start where its payload begins
 */
export function readPacket(bytes: Buffer, start: number, columns: readonly ResultColumn[]): (Buffer | null)[] {
  const values: (Buffer | null)[] = new Array(columns.length);
  let at = start + 1 + ((columns.length + 9) >> 3);
  for (let i = 0; i < columns.length; i++) {
    const bit = i + 2;
    if (((bytes[start + 1 + (bit >> 3)] as number) >> (bit & 7)) & 1) {
      values[i] = null;
      continue;
    }
    const { type } = columns[i] as ResultColumn;
    let length = FIXED_LENGTHS[type];
    if (length === undefined) {
      const first = bytes[at++] as number;
      const width = first === 0xfc ? 2 : first === 0xfd ? 3 : first === 0xfe ? 8 : 0;
      length = width === 0 ? first : bytes.readUIntLE(at, Math.min(width, 6));
      at += width;
    }
    values[i] = type === T.DOUBLE ? doubleText(bytes.readDoubleLE(at)) : bytes.subarray(at, at + length);
    at += length;
  }
  return values;
}

const doubleText = (value: number): Buffer => Buffer.from(Object.is(value, -0) ? '-0' : String(value));

/** Values in one piece of memory: each with its length in front. */
export function packValues(values: readonly (Buffer | null)[]): Buffer {
  const parts = values.map((value) => value?.length ?? 0);
  const packed = Buffer.allocUnsafe(4 * values.length + parts.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const value of values) {
    packed.writeInt32LE(value === null ? -1 : value.length, at);
    at += 4;
    if (value !== null) at += value.copy(packed, at);
  }
  return packed;
}

export function unpackValues(packed: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  for (let at = 0; at < packed.length; ) {
    const length = packed.readInt32LE(at);
    at += 4;
    values.push(length < 0 ? null : packed.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return values;
}
