import type { BackfillStatus, TableStatus } from '../../backfill/control.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { printable } from '../../runtime/printable.ts';
import { formatCount, formatPercent, formatSeconds, plural } from './text.ts';

/** What a table, or the whole, did lately. */
export interface Speed {
  /** Rows a second over the last `WINDOW_MS`; undefined until it is known. */
  rowsPerSecond: number | undefined;
  secondsLeft: number | undefined;
}

export interface ProgressSnapshot {
  status: BackfillStatus;
  /** The tables of this request, in its order. */
  tables: TableStatus[];
  whole: Whole & Speed;
  speedOf(table: TableStatus): Speed;
}

/** The request as one. */
export interface Whole {
  rows: number;
  estimatedRows: number;
  /** 0 to 1; tables count by their rows. */
  fraction: number;
  count: Record<TableStatus['state'], number>;
}

/** Over how long a speed is measured. */
const WINDOW_MS = 15_000;
const nameOf = ({ schema, table }: { schema: string; table: string }): string =>
  printable(formatTableName(schema, table));

export const isOver = ({ state }: TableStatus): boolean =>
  state === 'done' || state === 'failed' || state === 'cancelled';

/** Keeps some statuses, and knows from them how fast rows arrive. */
export class ProgressMeter {
  readonly #samples: { at: number; rows: Map<string, number>; total: number }[] = [];

  /** @param at milliseconds of any clock that only goes forward */
  add(status: BackfillStatus, tables: TableStatus[], at: number): ProgressSnapshot {
    const whole = wholeOf(tables);
    const inWork = tables.filter(({ state }) => state === 'reading');
    this.#samples.push({ at, rows: new Map(inWork.map((table) => [nameOf(table), table.rows])), total: whole.rows });
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? at) <= at - WINDOW_MS) this.#samples.shift();
    return {
      status,
      tables,
      whole: { ...whole, ...this.#speed((sample) => sample.total, whole.rows, remaining(whole), at) },
      speedOf: (table) => this.#speed((sample) => sample.rows.get(nameOf(table)), table.rows, remaining(table), at),
    };
  }

  #speed(
    rowsIn: (sample: { rows: Map<string, number>; total: number }) => number | undefined,
    rows: number,
    rowsLeft: number,
    at: number,
  ): Speed {
    const first = this.#samples.find((sample) => rowsIn(sample) !== undefined);
    if (first === undefined || at - first.at < 1_000) return { rowsPerSecond: undefined, secondsLeft: undefined };
    const rowsPerSecond = Math.max(0, ((rows - (rowsIn(first) ?? 0)) / (at - first.at)) * 1000);
    return { rowsPerSecond, secondsLeft: rowsPerSecond > 0 ? rowsLeft / rowsPerSecond : undefined };
  }
}

/** Rows that are left, by the share that is done where the share is known, since the number of rows is an estimate. */
function remaining({ rows, estimatedRows, fraction }: Pick<Whole, 'rows' | 'estimatedRows' | 'fraction'>): number {
  if (fraction > 0.01 && rows > 0) return (rows / fraction) * (1 - fraction);
  return Math.max(0, estimatedRows - rows);
}

export function wholeOf(tables: readonly TableStatus[]): Whole {
  const count = { queued: 0, reading: 0, done: 0, failed: 0, cancelled: 0 };
  let rows = 0;
  let estimatedRows = 0;
  let weight = 0;
  let done = 0;
  for (const table of tables) {
    count[table.state]++;
    rows += table.rows;
    estimatedRows += Math.max(table.estimatedRows, table.rows);
    // A table without rows is some work too.
    const own = Math.max(table.estimatedRows, table.rows, 1);
    weight += own;
    done += own * (isOver(table) ? 1 : Math.min(Math.max(table.fraction, 0), 1));
  }
  return { rows, estimatedRows, fraction: weight === 0 ? 1 : done / weight, count };
}

export interface FrameStyle {
  columns: number;
  /** Lines of the terminal. */
  rows: number;
  unicode: boolean;
  paint: (color: 'bar' | 'done' | 'failed' | 'dim', text: string) => string;
}

const BAR_MIN = 8;
const BAR_MAX = 30;
const NAME_MAX = 40;
/** Lines of a frame that are not tables: the whole, what reading waits for, the rest, and one of air. */
const OTHER_LINES = 4;
const TABLE_LINES_MAX = 16;

/** A line of the frame: a bar with numbers, or a word. */
type FrameLine = { name: string } & (
  | { fraction: number; numbers: string[] }
  | { word: string; color: 'done' | 'failed' | 'dim' }
);

/** The lines that are drawn again and again on a terminal: the whole, and the tables in work. */
export function progressFrame(snapshot: ProgressSnapshot, style: FrameStyle): string {
  const { tables, whole, status } = snapshot;
  const room = Math.max(1, Math.min(TABLE_LINES_MAX, style.rows - OTHER_LINES));
  const isShort = tables.length <= room;
  const shown = (isShort ? tables : tables.filter(({ state }) => state === 'reading')).slice(0, room);
  const head = `${formatCount(whole.count.done)} of ${plural(tables.length, 'table')}`;
  const lines = layOut(
    [
      { name: head, fraction: whole.fraction, numbers: numbersOf(whole, whole) },
      ...shown.map((table) => tableLine(table, snapshot)),
    ],
    style,
  );
  const dim = (text: string | undefined): string[] => (text ? [style.paint('dim', cut(text, style.columns - 1))] : []);
  const [first = '', ...others] = lines;
  return [first, ...dim(waitingLine(status)), ...others, ...dim(isShort ? '' : restLine(whole, shown.length))].join(
    '\n',
  );
}

function tableLine(table: TableStatus, { speedOf }: ProgressSnapshot): FrameLine {
  const { state, rows, fraction, error } = table;
  const name = `  ${nameOf(table)}`;
  if (state === 'reading') return { name, fraction, numbers: numbersOf(table, speedOf(table)) };
  if (state === 'done') return { name, word: `done, ${plural(rows, 'row')}`, color: 'done' };
  if (state === 'failed')
    return { name, word: printable(`failed: ${error?.message ?? 'the log says why'}`), color: 'failed' };
  return { name, word: state, color: 'dim' };
}

/** What follows a bar, the most important first: what does not fit is left out from the end. */
const numbersOf = ({ rows }: { rows: number }, { rowsPerSecond, secondsLeft }: Speed): string[] => [
  plural(rows, 'row'),
  rowsPerSecond === undefined ? '' : `${formatCount(rowsPerSecond)} rows/s`,
  secondsLeft === undefined ? '' : `${formatSeconds(secondsLeft)} left`,
];

/** Puts names, bars and numbers below each other. */
function layOut(lines: readonly FrameLine[], style: FrameStyle): string[] {
  const columns = style.columns - 1;
  const percentWidth = 7;
  const longest = Math.max(...lines.map(({ name }) => name.length));
  const nameWidth = Math.min(NAME_MAX, longest, columns - percentWidth);
  const bars = lines.flatMap((line) => ('numbers' in line ? [line.numbers] : []));
  const widths = [0, 1, 2].map((i) => Math.max(...bars.map((numbers) => numbers[i]?.length ?? 0)));
  const barWidth = (shown: number): number =>
    columns - nameWidth - 2 - percentWidth - widths.slice(0, shown).reduce((sum, width) => sum + width + 2, 0);
  let shown = widths.length;
  while (shown > 0 && barWidth(shown) < BAR_MIN) shown--;
  const width = Math.min(BAR_MAX, barWidth(shown));
  return lines.map((line) => {
    const name = cut(line.name, nameWidth).padEnd(nameWidth);
    if ('word' in line) return `${name}  ${style.paint(line.color, cut(line.word, columns - nameWidth - 2))}`;
    const numbers = line.numbers.slice(0, shown).map((text, i) => `  ${text.padStart(widths[i] ?? 0)}`);
    const percent = formatPercent(line.fraction).padStart(percentWidth);
    return `${name}${width < BAR_MIN ? '' : `  ${bar(line.fraction, width, style)}`}${percent}${numbers.join('').trimEnd()}`;
  });
}

/** Eighths of a cell, so that a slow bar moves too. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

export function bar(
  fraction: number,
  width: number,
  { unicode, paint }: Pick<FrameStyle, 'unicode' | 'paint'>,
): string {
  const cells = Math.min(Math.max(fraction, 0), 1) * width;
  const full = Math.floor(cells);
  const done = unicode ? '█'.repeat(full) + EIGHTHS[Math.floor((cells - full) * 8)] : '#'.repeat(full);
  const rest = width - done.length;
  return `${paint('bar', done)}${paint('dim', (unicode ? '░' : '-').repeat(rest))}`;
}

export function waitingLine({ state, waitingFor }: BackfillStatus): string | undefined {
  if (state === 'paused') return 'paused; cdc backfill --resume continues';
  return waitingFor === null ? undefined : printable(`reading waits: ${waitingFor}`);
}

function restLine({ count }: Whole, shown: number): string {
  const parts = [
    count.reading > shown ? `${formatCount(count.reading - shown)} more in work` : '',
    count.queued > 0 ? `${formatCount(count.queued)} queued` : '',
    count.failed > 0 ? `${formatCount(count.failed)} failed` : '',
    count.cancelled > 0 ? `${formatCount(count.cancelled)} cancelled` : '',
  ];
  return parts.filter(Boolean).join(', ');
}

/** The whole as one line, for a log. */
export function progressSummary({ whole, tables, status }: ProgressSnapshot): string {
  const { count } = whole;
  const parts = [
    `${formatPercent(whole.fraction)} of ${plural(tables.length, 'table')}`,
    `${formatCount(count.done)} done`,
    ...(count.failed > 0 ? [`${formatCount(count.failed)} failed`] : []),
    ...numbersOf(whole, whole).filter(Boolean),
  ];
  const waiting = waitingLine(status);
  return `backfill: ${parts.join(', ')}${waiting === undefined ? '' : `; ${waiting}`}`;
}

/** The whole as one object, for a script. */
export function progressJson({ whole, tables, status, speedOf }: ProgressSnapshot): object {
  const round = (value: number | undefined): number | null => (value === undefined ? null : Math.round(value));
  return {
    state: status.state,
    waitingFor: status.waitingFor,
    fraction: Number(whole.fraction.toFixed(4)),
    rows: whole.rows,
    rowsPerSecond: round(whole.rowsPerSecond),
    secondsLeft: round(whole.secondsLeft),
    tables: { total: tables.length, ...whole.count },
    reading: tables
      .filter(({ state }) => state === 'reading')
      .map((table) => {
        const { rowsPerSecond, secondsLeft } = speedOf(table);
        const { schema, table: name, rows, estimatedRows, fraction } = table;
        return {
          ...{ schema, table: name, rows, estimatedRows, fraction: Number(fraction.toFixed(4)) },
          rowsPerSecond: round(rowsPerSecond),
          secondsLeft: round(secondsLeft),
        };
      }),
  };
}

function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  return width < 1 ? '' : `${text.slice(0, width - 1)}…`;
}
