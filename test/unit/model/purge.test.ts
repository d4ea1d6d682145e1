import { expect, test } from 'vitest';
import type { BinlogObservation } from '../../../src/model/lag.ts';
import { purgeStatus } from '../../../src/model/purge.ts';

const NOW = 1_000_000_000;
const file = (number: number) => ({ file: `binlog.00000${number}`, position: 100 });
const answer = (changed: Partial<BinlogObservation> = {}): BinlogObservation => ({
  ...{ at: NOW, clockAheadMs: 0, end: file(3), files: [file(1), file(2), file(3)], retentionSeconds: 1_000 },
  ...changed,
});

test.each([
  ['the file that the server writes', file(3), answer(), undefined, { state: 'known', headroomSeconds: 1_000 }],
  ['an older file', file(2), answer(), NOW - 400_000, { state: 'known', headroomSeconds: 600 }],
  ['a file that is due', file(2), answer(), NOW - 4_000_000, { state: 'known', headroomSeconds: 0 }],
  ['an older file of unknown age', file(2), answer(), undefined, { state: 'unknown', headroomSeconds: null }],
  ['a file that is gone', { file: 'binlog.000000', position: 4 }, answer(), NOW, { state: 'gone', headroomSeconds: 0 }],
  ['a clock that is behind', file(2), answer(), NOW + 5_000, { state: 'known', headroomSeconds: 1_000 }],
  [
    'a server that deletes nothing',
    file(2),
    answer({ retentionSeconds: null }),
    NOW - 400_000,
    { state: 'unlimited', headroomSeconds: null },
  ],
  [
    'a file that somebody has deleted on such a server',
    { file: 'binlog.000000', position: 4 },
    answer({ retentionSeconds: null }),
    NOW,
    { state: 'gone', headroomSeconds: 0 },
  ],
  [
    'files that were not asked for',
    file(2),
    answer({ files: undefined }),
    NOW,
    { state: 'known', headroomSeconds: 1_000 },
  ],
] as const)('%s', (_, checkpoint, observation, writtenUntil, expected) => {
  expect(purgeStatus(checkpoint, observation, writtenUntil, NOW)).toMatchObject(expected);
});
