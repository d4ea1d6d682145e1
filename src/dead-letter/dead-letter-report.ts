import type { StoredDeadLetter } from './dead-letter.ts';
import type { ListedDeadLetter, UnreadableFile } from './dead-letter-store.ts';
import type { RedeliveryResult } from './redeliver.ts';

const KEY_WIDTH = 40;
const REASON_WIDTH = 70;
/** A larger event is not shown among the other fields. */
const SHOWN_BYTES_MAX = 16 * 1024 * 1024;

/** The dead letters as a table, the oldest event first, and a line with their number. */
export function formatDeadLetters(letters: readonly ListedDeadLetter[], directory: string): string {
  if (letters.length === 0) return `no dead letters in ${printable(directory)}\n`;
  const rows = letters.map(({ seq, at, table, key, reason, attempts, bytes }) => [
    seq,
    `${at.slice(0, 19)}Z`,
    printable(table),
    shorten(printable(key ?? 'no key'), KEY_WIDTH),
    shorten(printable(reason), REASON_WIDTH),
    attempts.toLocaleString('en'),
    bytes.toLocaleString('en'),
  ]);
  const headings = ['id', 'created', 'table', 'key', 'reason', 'attempts', 'bytes'];
  const widths = headings.map((text, i) => Math.max(text.length, ...rows.map((row) => (row[i] as string).length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i < 5 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  const count = letters.length === 1 ? '1 dead letter' : `${letters.length.toLocaleString('en')} dead letters`;
  return `${[line(headings), ...rows.map(line)].join('\n')}\n\n${count} in ${printable(directory)}\n`;
}

/** A warning for each file that is not a valid dead letter. */
export const formatUnreadable = (files: readonly UnreadableFile[]): string =>
  files.map(({ file, why }) => `warning: cannot read ${printable(file)}: ${printable(why)}\n`).join('');

/** All fields of one dead letter, one per line. */
export function formatDeadLetter(letter: StoredDeadLetter, file: string): string {
  const { seq, at, stream, table, key, op, position, gtid, reason, attempts, event } = letter;
  const fields = {
    id: seq,
    created: at,
    table,
    key: key ?? 'no key',
    op,
    position,
    gtid: gtid ?? 'none',
    stream,
    reason,
    attempts: String(attempts),
    bytes: event.length.toLocaleString('en'),
    file,
    event:
      event.length > SHOWN_BYTES_MAX
        ? `too large to show; cdc dead-letter show ${seq} --event prints it`
        : event.toString().trimEnd(),
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(10)}${printable(value)}\n`)
    .join('');
}

/** The result of one redelivery. */
export const formatResult = (seq: string, result: RedeliveryResult): string =>
  result.sent
    ? `sent   ${seq} to ${result.stream}\n`
    : `stays  ${seq}: ${printable(result.reason)}\n${result.hint ? `       do: ${printable(result.hint)}\n` : ''}`;

/** Replaces control characters: a terminal could take those in a key or an error message as commands. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the function removes control characters
const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');

const shorten = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1).replace(/[\ud800-\udbff]$/, '')}…`;
