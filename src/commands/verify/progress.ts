import { styleText } from 'node:util';
import { printable } from '../../runtime/printable.ts';
import type { Progress } from '../../verify/verify-options.ts';
import { bar } from '../backfill/progress.ts';
import { formatPercent, plural } from '../backfill/text.ts';

/** Shows how far a verify is: a bar on a terminal, otherwise a line now and then. */
export interface VerifyProgress {
  show(progress: Progress): void;
  /** A line that stays. */
  note(line: string): void;
  close(): void;
}

const LINE_INTERVAL_MS = 5_000;
const DRAW_INTERVAL_MS = 100;
const BAR_WIDTH = 24;

/** @param quiet whether only notes are shown */
export async function openProgress(quiet: boolean): Promise<VerifyProgress> {
  const stream = process.stderr;
  const note = (line: string): void => void stream.write(`${line}\n`);
  if (quiet) return { show() {}, note, close() {} };
  if (!stream.isTTY || process.env.TERM === 'dumb') return { ...lineProgress(note), close() {} };
  const { createLogUpdate } = await import('log-update');
  const draw = createLogUpdate(stream);
  const hasColors = stream.hasColors?.() && !process.env.NO_COLOR;
  const paint = (color: 'bar' | 'done' | 'failed' | 'dim', text: string): string =>
    hasColors && text !== '' ? styleText(color === 'bar' ? 'cyan' : 'gray', text) : text;
  const unicode = /utf-?8/i.test(process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || '');
  let next = 0;
  let lastText = '';
  return {
    show(progress) {
      const now = performance.now();
      if (now < next && progress.waitingFor === undefined) return;
      next = now + DRAW_INTERVAL_MS;
      const { fraction } = progress;
      const drawn = fraction === undefined ? '' : `${bar(fraction, BAR_WIDTH, { unicode, paint })} `;
      lastText = `${drawn}${progressText(progress)}`.slice(0, 1_000);
      draw(lastText);
    },
    note(line) {
      draw.clear();
      note(line);
      if (lastText !== '') draw(lastText);
    },
    close() {
      draw.clear();
      draw.done();
    },
  };
}

export function lineProgress(
  note: (line: string) => void,
  now: () => number = () => performance.now(),
): Omit<VerifyProgress, 'close'> {
  let next = now() + LINE_INTERVAL_MS;
  let lastWaiting: string | undefined;
  return {
    show(progress) {
      const isNews = progress.phase === 'wait' && lastWaiting === undefined;
      lastWaiting = progress.waitingFor;
      if (!isNews && now() < next) return;
      next = now() + LINE_INTERVAL_MS;
      note(progressText(progress));
    },
    note,
  };
}

/** One line that says what verify does. */
export function progressText({ phase, table, fraction, rows, objects, events, waitingFor }: Progress): string {
  const name = table === undefined ? '' : ` ${printable(table)}`;
  const numbers = [
    fraction === undefined ? '' : formatPercent(fraction),
    objects === undefined ? '' : plural(objects, 'object'),
    events === undefined ? '' : plural(events, 'event'),
    rows === undefined ? '' : plural(rows, phase === 'source' ? 'row' : 'key'),
  ].filter(Boolean);
  const what = {
    lake: 'reading the lake',
    source: `reading${name}`,
    compare: 'comparing',
    again: `looking again at keys of${name}`,
    wait: `waiting for ${waitingFor}`,
    repair: `sending rows of${name} again`,
  }[phase];
  return numbers.length === 0 ? what : `${what}: ${numbers.join(', ')}`;
}
