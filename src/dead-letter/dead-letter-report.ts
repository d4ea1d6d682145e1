import type { StoredDeadLetter } from './dead-letter.ts';
import type { ListedLetter, UnreadableFile } from './dead-letter-store.ts';
import type { RedeliveryResult } from './redeliver.ts';

const KEY_WIDTH = 40;
const REASON_WIDTH = 70;

/** The letters as a table, the oldest event first, and a line that sums up. */
export function formatDeadLetters(letters: readonly ListedLetter[], directory: string): string {
  if (letters.length === 0) return `no dead letters in ${plain(directory)}\n`;
  const rows = letters.map(({ seq, at, table, key, reason, attempts, bytes }) => [
    seq,
    `${at.slice(0, 19)}Z`,
    plain(table),
    shortened(plain(key ?? 'no key'), KEY_WIDTH),
    shortened(plain(reason), REASON_WIDTH),
    attempts.toLocaleString('en'),
    bytes.toLocaleString('en'),
  ]);
  const heads = ['id', 'set aside', 'table', 'key', 'reason', 'attempts', 'bytes'];
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => (row[i] as string).length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i < 5 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  const count = letters.length === 1 ? '1 dead letter' : `${letters.length.toLocaleString('en')} dead letters`;
  return `${[line(heads), ...rows.map(line)].join('\n')}\n\n${count} in ${plain(directory)}\n`;
}

/** What to say of files that are no letters. */
export const formatUnreadable = (strange: readonly UnreadableFile[]): string =>
  strange.map(({ file, why }) => `warning: cannot read ${plain(file)}: ${plain(why)}\n`).join('');

/** Everything of one letter, a field a line. */
export function letterDetails(letter: StoredDeadLetter, file: string): string {
  const { seq, at, stream, table, key, op, position, gtid, reason, attempts, event } = letter;
  const fields = {
    id: seq,
    'set aside': at,
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
    event: event.toString().trimEnd(),
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(10)}${plain(value)}\n`)
    .join('');
}

/** What became of one letter. */
export const formatResult = (seq: string, fate: RedeliveryResult): string =>
  fate.sent
    ? `sent   ${seq} to ${fate.stream}\n`
    : `stays  ${seq}: ${plain(fate.reason)}\n${fate.hint ? `       do: ${plain(fate.hint)}\n` : ''}`;

/** Text for a terminal, where what a key or an answer holds must not act as a command. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const plain = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');

const shortened = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1).replace(/[\ud800-\udbff]$/, '')}…`;
