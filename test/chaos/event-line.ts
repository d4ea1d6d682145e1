import { createHash } from 'node:crypto';

/** An event of the workload's tables, as the daemon writes it. */
export interface EventLine {
  op: 'c' | 'u' | 'd' | 't';
  before: Row | null;
  after: Row | null;
  key: object | null;
  seq: string;
  source: { db: string; table: string; gtid: string };
}

type Row = Record<string, unknown> & { ver: number; ph: number; n?: number };

/** Longer rows are compared by their hash. */
const LONG_ROW = 4_096;

export const hashOf = (text: string | Buffer): string => createHash('sha1').update(text).digest('base64').slice(0, 20);

export const evidenceOf = (
  { op, seq, source, key, before, after }: EventLine,
  call: number,
): Record<string, unknown> => ({
  op,
  seq,
  table: source.table,
  gtid: source.gtid,
  key,
  before: short(before),
  after: short(after),
  call,
});

const short = (row: Row | null): string | null => row && JSON.stringify(row).slice(0, 300);

/** The key as text. A JSON string cannot contain `,"key":`, because its quotes would be escaped. */
export function rawKey(line: string): string {
  const from = line.lastIndexOf(',"key":') + 7;
  return line.slice(from, line.indexOf(',"seq":', from));
}

/** The after image as text, or the hash of a long one. */
export function rawRow(line: string): string {
  const from = line.indexOf(',"after":') + 9;
  return shortened(line.slice(from, line.lastIndexOf(',"key":')));
}

export const shortened = (row: string): string => (row.length > LONG_ROW ? hashOf(row) : row);
