import { printableLine } from '../../runtime/printable.ts';

export type Color = 'good' | 'warn' | 'bad' | 'dim';

export interface TextStyle {
  columns: number;
  paint(color: Color, text: string): string;
}

/** A paragraph with a label to its left. Its text can be of other people: names and messages. */
export interface StatusEntry {
  label?: string;
  text: string;
  color?: Color;
  /** How far it stands to the right of the label. */
  indent?: number;
}

/** Where no terminal says how large it is. */
export const DEFAULT_COLUMNS = 80;
export const DEFAULT_ROWS = 24;

const LABEL_WIDTH = 13;

/** The entry as lines of at most `columns` characters. A longer word has a line of its own. */
export function layOut({ label = '', text, color, indent = 0 }: StatusEntry, { columns, paint }: TextStyle): string[] {
  const margin = LABEL_WIDTH + indent;
  const lines = wrap(printableLine(text), Math.max(columns - margin, 20));
  return lines.map((line, i) => {
    const left = i === 0 ? paint('dim', label.padEnd(LABEL_WIDTH)) : ' '.repeat(LABEL_WIDTH);
    return `${left}${' '.repeat(indent)}${color === undefined ? line : paint(color, line)}`;
  });
}

/** Breaks at single spaces only: more than one are columns of a table. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<! ) (?! )/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** The text in `width` characters: the end of a longer one is left out. */
export const cutTo = (text: string, width: number): string =>
  text.length <= width ? text.padEnd(width) : `${text.slice(0, width - 1)}…`;
