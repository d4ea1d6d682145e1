import { expect, test } from 'vitest';
import type { Violation } from '../violation.ts';
import { type Allowance, checkLeaders, type SenderLog } from './leader-checker.ts';

function check(
  senders: readonly SenderLog[],
  allowances: readonly Allowance[] = [],
): { found: string[]; overlaps: number; longestOverlapMs: number } {
  const violations: Violation[] = [];
  const { overlaps, longestOverlapMs } = checkLeaders(senders, allowances, (violation) => violations.push(violation));
  return { found: violations.map(({ what }) => what), overlaps, longestOverlapMs };
}

const until2000 = { from: 1_000, to: 2_000 };
const since2500 = { from: 2_500, to: undefined };

test('daemons that send while they lead are fine', () => {
  const senders = [
    { name: 'a', spans: [until2000], puts: [1_001, 1_999, 2_050] },
    { name: 'b', spans: [since2500], puts: [2_500, 9_000] },
  ];
  expect(check(senders)).toEqual({ found: [], overlaps: 0, longestOverlapMs: 0 });
});

test('a daemon that sends while it stands by is found', () => {
  expect(check([{ name: 'a', spans: [until2000], puts: [500] }]).found).toEqual(['a daemon sent while it stood by']);
  expect(check([{ name: 'a', spans: [until2000], puts: [2_600] }]).found).toEqual(['a daemon sent while it stood by']);
});

test('a leader that sends after the next one began is found, unless it cannot know', () => {
  const senders = [
    { name: 'a', spans: [{ from: 1_000, to: 9_000 }], puts: [2_900] },
    { name: 'b', spans: [since2500], puts: [] },
  ];
  const overlap = { overlaps: 1, longestOverlapMs: 400 };
  expect(check(senders)).toEqual({ found: ['a daemon sent although another one led after it'], ...overlap });
  expect(check(senders, [{ sender: 'a', from: 2_000, to: 3_000 }])).toEqual({ found: [], ...overlap });
  expect(check(senders, [{ sender: 'b', from: 2_000, to: 3_000 }]).found).toHaveLength(1);
  expect(check(senders, [{ sender: 'a', from: 2_000, to: 2_800 }]).found).toHaveLength(1);
});
