import { describe, expect, test } from 'vitest';
import { lineProgress, progressText } from '../../../../src/commands/verify/progress.ts';
import type { Progress } from '../../../../src/verify/verify-options.ts';

describe('one line says what verify does', () => {
  test.each<[Progress, string]>([
    [{ phase: 'lake' }, 'reading the lake'],
    [{ phase: 'lake', fraction: 0.5, objects: 1, events: 2_000 }, 'reading the lake: 50.0 %, 1 object, 2,000 events'],
    [{ phase: 'source', table: 'shop.orders', rows: 1, fraction: 1 }, 'reading shop.orders: 100 %, 1 row'],
    [{ phase: 'source', table: 'shop.orders' }, 'reading shop.orders'],
    [{ phase: 'compare', fraction: 0 }, 'comparing: 0.0 %'],
    [{ phase: 'again', table: 'shop.orders', rows: 500 }, 'looking again at keys of shop.orders: 500 keys'],
    [{ phase: 'wait', waitingFor: 'the stream' }, 'waiting for the stream'],
    [{ phase: 'repair', table: 'shop.orders', rows: 1 }, 'sending rows of shop.orders again: 1 key'],
  ])('%o', (progress, expected) => {
    expect(progressText(progress)).toBe(expected);
  });

  test('a name cannot end it or clear the screen', () => {
    expect(progressText({ phase: 'source', table: 'shop.o\nr\x1b[2J' })).toBe('reading shop.o\\u000ar\\u001b[2J');
  });
});

describe('where there is no terminal', () => {
  function progressOf(): { at(seconds: number, progress: Progress): void; lines: string[] } {
    const lines: string[] = [];
    let now = 0;
    const progress = lineProgress(
      (line) => lines.push(line),
      () => now * 1_000,
    );
    return {
      lines,
      at(seconds, state) {
        now = seconds;
        progress.show(state);
      },
    };
  }
  const WAIT: Progress = { phase: 'wait', waitingFor: 'the stream' };

  test('a line is written every five seconds, with what is done then', () => {
    const { at, lines } = progressOf();
    for (let seconds = 0; seconds <= 11; seconds++) at(seconds, { phase: 'lake', objects: seconds });
    expect(lines).toEqual(['reading the lake: 5 objects', 'reading the lake: 10 objects']);
  });

  test('that it waits is written at once, and how long now and then', () => {
    const { at, lines } = progressOf();
    at(1, { phase: 'compare' });
    for (let seconds = 2; seconds <= 8; seconds++) at(seconds, { ...WAIT, waitingFor: `${9 - seconds} s` });
    expect(lines).toEqual(['waiting for 7 s', 'waiting for 2 s']);
  });

  test('each wait is written at once', () => {
    const { at, lines } = progressOf();
    at(1, WAIT);
    at(2, { phase: 'again', table: 'shop.orders' });
    at(3, WAIT);
    expect(lines).toEqual(['waiting for the stream', 'waiting for the stream']);
  });
});
