import { styleText } from 'node:util';
import type { DaemonStatus } from '../../admin/daemon-status.ts';
import { type Color, DEFAULT_COLUMNS, type TextStyle } from './layout.ts';
import { statusText } from './status-text.ts';

const STYLES = { good: 'green', warn: 'yellow', bad: 'red', dim: 'dim' } as const;

/** Prints the status once. A reader such as `head` that has seen enough is no error. */
export async function printStatus(status: DaemonStatus, json: boolean): Promise<void> {
  const lines = json ? [JSON.stringify(status, null, 2)] : statusText(status, styleOf(process.stdout));
  const output = openOutput();
  await output.write(`${lines.join('\n')}\n`);
}

/** Colour only on a terminal that has it; NO_COLOR takes it away. Words say the same. */
export function styleOf(stream: NodeJS.WriteStream): TextStyle {
  const hasColors = stream.isTTY && stream.hasColors();
  return {
    // A terminal that does not know its size says 0.
    columns: stream.columns || DEFAULT_COLUMNS,
    paint: (color: Color, text: string) => (hasColors && text.trim() !== '' ? styleText(STYLES[color], text) : text),
  };
}

/** Standard output, until its reader closes it. */
export interface Output {
  readonly isClosed: boolean;
  /** Resolves once it is written, because the process ends after that. */
  write(text: string): Promise<void>;
}

export function openOutput(): Output {
  let isClosed = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    isClosed = true;
  });
  return {
    get isClosed() {
      return isClosed;
    },
    write: (text) => new Promise((resolve) => void process.stdout.write(text, () => resolve())),
  };
}
