import { styleText } from 'node:util';
import type { TableStatus } from '../../backfill/control.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { printable } from '../../runtime/printable.ts';
import { isOver, type ProgressSnapshot, progressFrame, progressJson, progressSummary } from './progress.ts';
import { plural } from './text.ts';

/** Shows the progress of a backfill to a person, a log or a script. */
export interface ProgressPrinter {
  show(snapshot: ProgressSnapshot): void;
  /** A line that stays, such as a warning. */
  note(line: string): void;
  /** Nothing is shown after it; the cursor is visible again. */
  close(): void;
}

/** How often a line of a log, and an object for a script, is printed. */
const LINE_INTERVAL_MS = 5_000;
const JSON_INTERVAL_MS = 1_000;
/** With more tables, the end of each is no line of its own. */
const LINES_OF_TABLES_MAX = 100;

/** A terminal gets bars that are drawn again, another standard error gets lines, and a script gets JSON. */
export async function openPrinter(json: boolean): Promise<ProgressPrinter> {
  if (json) {
    // A reader such as `head` that has seen enough ends neither the backfill nor its exit code.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
    return jsonPrinter((line) => void process.stdout.write(line));
  }
  const toStderr = (line: string): void => void process.stderr.write(line);
  return process.stderr.isTTY && process.env.TERM !== 'dumb' ? terminalPrinter(process.stderr) : linePrinter(toStderr);
}

async function terminalPrinter(stream: NodeJS.WriteStream): Promise<ProgressPrinter> {
  // It draws only the lines that changed, keeps other lines above them, and shows the cursor again however cdc ends.
  const { createLogUpdate } = await import('log-update');
  const draw = createLogUpdate(stream);
  const hasColors = stream.hasColors?.() && !process.env.NO_COLOR;
  const colors = { bar: 'cyan', done: 'green', failed: 'red', dim: 'gray' } as const;
  const paint = (color: keyof typeof colors, text: string): string =>
    hasColors && text !== '' ? styleText(colors[color], text) : text;
  const locale = process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || '';
  const unicode = /utf-?8/i.test(locale);
  const over = new Set<string>();
  let last: ProgressSnapshot | undefined;
  const redraw = (): void => {
    if (last === undefined) return;
    // A terminal that does not know its size says 0.
    const size = { columns: stream.columns || 80, rows: stream.rows || 24 };
    draw(progressFrame(last, { ...size, unicode, paint }));
  };
  const keep = (line: string): void => {
    draw.clear();
    stream.write(`${line}\n`);
    redraw();
  };
  stream.on('resize', redraw);
  return {
    show(snapshot) {
      last = snapshot;
      for (const table of newlyOver(snapshot.tables, over)) {
        if (table.state === 'failed') keep(paint('failed', endOfTable(table)));
      }
      redraw();
    },
    note: keep,
    close() {
      stream.removeListener('resize', redraw);
      draw.done();
    },
  };
}

export function linePrinter(write: (line: string) => void, now: () => number = Date.now): ProgressPrinter {
  const over = new Set<string>();
  let next = 0;
  return {
    show(snapshot) {
      const ended = newlyOver(snapshot.tables, over);
      if (snapshot.tables.length > LINES_OF_TABLES_MAX) ended.splice(0, ended.length, ...ended.filter(isFailed));
      for (const table of ended) write(`${endOfTable(table)}\n`);
      if (now() < next) return;
      next = now() + LINE_INTERVAL_MS;
      write(`${progressSummary(snapshot)}\n`);
    },
    note: (line) => write(`${line}\n`),
    close() {},
  };
}

export function jsonPrinter(write: (line: string) => void, now: () => number = Date.now): ProgressPrinter {
  let next = 0;
  return {
    show(snapshot) {
      if (now() < next) return;
      next = now() + JSON_INTERVAL_MS;
      write(`${JSON.stringify(progressJson(snapshot))}\n`);
    },
    note: (line) => void process.stderr.write(`${line}\n`),
    close() {},
  };
}

/** A line of the log as text: the bar is no place for JSON. */
export function logLine(json: string): string {
  try {
    const { level, msg, why, hint } = JSON.parse(json) as { level: number; msg?: string; why?: string; hint?: string };
    const word = level >= 50 ? 'error: ' : level >= 40 ? 'warning: ' : '';
    return `${word}${[msg, why].filter(Boolean).join(': ')}${hint ? ` (${hint})` : ''}`;
  } catch {
    return json.trimEnd();
  }
}

const isFailed = ({ state }: TableStatus): boolean => state === 'failed';

/** The tables that ended since the last call; `over` remembers them. */
function newlyOver(tables: readonly TableStatus[], over: Set<string>): TableStatus[] {
  const ended = tables.filter((table) => isOver(table) && !over.has(formatTableName(table.schema, table.table)));
  for (const { schema, table } of ended) over.add(formatTableName(schema, table));
  return ended;
}

function endOfTable({ schema, table, state, rows, error }: TableStatus): string {
  const name = printable(formatTableName(schema, table));
  if (state !== 'failed') return `${name}: ${state}, ${plural(rows, 'row')}`;
  const { message, why, hint } = error ?? { message: 'see the log of the daemon' };
  return `${name}: failed: ${printable([message, why].filter(Boolean).join(': '))}${hint ? `\n  do:  ${hint}` : ''}`;
}
