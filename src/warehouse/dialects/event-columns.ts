import { FLAT_FIELDS } from '../../model/flat-fields.ts';
import type { Delivered } from '../dialect.ts';

/** The names of the metadata of an event of format flat. */
export function flatNames(prefix: string): Record<(typeof FLAT_FIELDS)[number], string> {
  return Object.fromEntries(FLAT_FIELDS.map((field) => [field, prefix + field])) as Record<
    (typeof FLAT_FIELDS)[number],
    string
  >;
}

/** How an engine takes members out of a whole line. */
export interface LineReader {
  /** The text of a scalar member; the names lead to it. */
  text(...names: string[]): string;
  /** Whether the text is `true`. */
  isTrue(text: string): string;
  /** The row: the whole line, or its member of this name. */
  row(name: string | undefined): string;
}

/** The columns of a batch from lines, for engines that read whole lines. */
export function eventColumns({ format, flatPrefix }: Delivered, line: LineReader): string {
  if (format === 'flat') {
    const { db, table, op, seq, partial } = flatNames(flatPrefix);
    return `${line.text(db)} AS schema_name, ${line.text(table)} AS table_name, ${line.text(op)} AS op,
  ${line.text(seq)} AS seq, ${line.isTrue(line.text(partial))} AS is_partial, ${line.row(undefined)} AS row_json`;
  }
  return `${line.text('source', 'db')} AS schema_name, ${line.text('source', 'table')} AS table_name, ${line.text('op')} AS op,
  ${line.text('seq')} AS seq, ${line.isTrue(line.text('partial'))} AS is_partial,
  CASE ${line.text('op')} WHEN 'd' THEN ${line.row('key')} ELSE ${line.row('after')} END AS row_json`;
}

/** When Firehose wrote an object, by a prefix that ends in YYYY/MM/dd/ or YYYY/MM/dd/HH/. */
export const DAY_PATTERN = '([0-9]{4}/[0-9]{2}/[0-9]{2})/(?:[0-9]{2}/)?[^/]*$';
