import { describe, expect, test } from 'vitest';
import { MaxwellCommitMarker } from '../../../../src/codec/formats/maxwell-commit-marker.ts';
import type { Transaction } from '../../../../src/model/rows-event.ts';
import { encodedEvent, keyOf, lineOf } from '../../../encoded-event.ts';

const transaction = {} as Transaction;

/** What is left of a transaction after the given calls, as a delivery that takes back sees it. */
function told(...calls: (string | { savepoint: string } | { to: string })[]): string[] {
  const lines: string[] = [];
  const savepoints = new Map<string, number>();
  let committed = -1;
  const mark = new MaxwellCommitMarker({
    append: (_target, event) => void lines.push(`${event.keyHash} ${keyOf(event)} ${lineOf(event)}`),
    savepoint: (name) => void savepoints.set(name, lines.length),
    rollbackTo(name) {
      lines.length = savepoints.get(name) as number;
    },
    commit() {
      committed = lines.length;
    },
    rollback() {
      lines.length = Math.max(committed, 0);
    },
  });
  let hash = 0;
  for (const call of calls) {
    if (call === 'commit') mark.commit(transaction);
    else if (call === 'rollback') mark.rollback();
    else if (typeof call === 'string') {
      // The buffer is only valid during the call.
      const event = encodedEvent(`{"row":"${call}"`, `key ${call}`, hash++);
      mark.append(0, event);
      event.bytes.fill('!');
    } else if ('savepoint' in call) mark.savepoint(call.savepoint);
    else mark.rollbackTo(call.to);
  }
  expect(committed).toBe(lines.length);
  return lines;
}

const row = (hash: number, name: string, end: string) => `${hash} key ${name} {"row":"${name}",${end}}\n`;
const COMMIT = '"commit":true';
const x = (offset: number) => `"xoffset":${offset}`;

describe('the lines of a transaction', () => {
  test('are numbered, the last says commit, and the next transaction counts from 0', () => {
    expect(told('a', 'b', 'c', 'commit', 'commit', 'd', 'commit', 'e', 'f', 'commit')).toEqual([
      row(0, 'a', x(0)),
      row(1, 'b', x(1)),
      row(2, 'c', COMMIT),
      row(3, 'd', COMMIT),
      row(4, 'e', x(0)),
      row(5, 'f', COMMIT),
    ]);
  });

  test('that rolled back leave nothing behind', () => {
    expect(told('a', 'b', 'rollback', 'commit', 'c', 'commit')).toEqual([row(2, 'c', COMMIT)]);
  });

  test('since a savepoint can be taken back, the one before it kept', () => {
    const s = { savepoint: 's' };
    const t = { savepoint: 't' };
    expect(told('a', s, { to: 's' }, 'commit')).toEqual([row(0, 'a', COMMIT)]);
    expect(told('a', s, 'b', 'c', { to: 's' }, 'd', 'commit')).toEqual([row(0, 'a', x(0)), row(3, 'd', COMMIT)]);
    expect(told('a', s, 'b', 'c', { to: 's' }, 'd', 'e', 'commit')).toEqual([
      row(0, 'a', x(0)),
      row(3, 'd', x(1)),
      row(4, 'e', COMMIT),
    ]);
    expect(told(s, 'a', { to: 's' }, 'b', 'commit')).toEqual([row(1, 'b', COMMIT)]);
    expect(told('a', s, t, { to: 's' }, 'b', { to: 's' }, 'c', 'commit')).toEqual([
      row(0, 'a', x(0)),
      row(2, 'c', COMMIT),
    ]);
    expect(told('a', s, 'b', t, 'c', { to: 't' }, 'd', { to: 's' }, 'e', 'commit')).toEqual([
      row(0, 'a', x(0)),
      row(4, 'e', COMMIT),
    ]);
    expect(told('a', s, 'b', s, 'c', { to: 's' }, 'd', 'commit')).toEqual([
      row(0, 'a', x(0)),
      row(1, 'b', x(1)),
      row(3, 'd', COMMIT),
    ]);
  });

  test('have none that says commit where the last ones were taken back', () => {
    expect(told('a', { savepoint: 's' }, 'b', { to: 's' }, 'commit')).toEqual([row(0, 'a', x(0))]);
  });
});
