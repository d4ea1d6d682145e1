import { expect, test } from 'vitest';
import { GtidSet } from '../../../src/model/gtid-set.ts';
import { ReplicationPosition } from '../../../src/model/replication-position.ts';
import type { Transaction } from '../../../src/model/rows-event.ts';
import { skipUntilStart } from '../../../src/source/skip-until-start.ts';

const U = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const START = { file: 'binlog.000005', position: 500 };

const transaction = (gtidNumber: number, position: number, preparedTransaction?: Transaction): Transaction => ({
  gtid: `${U}:${gtidNumber}`,
  gtidSource: U,
  gtidNumber,
  file: 'binlog.000005',
  fileNumber: 5,
  position,
  endPosition: position + 50,
  serverId: 1,
  committedAt: 0,
  originalCommit: 0,
  fileCreated: 0,
  lastEvent: 0,
  lastEventDigest: 0,
  preparedTransaction,
});

function skipping(gtids: GtidSet | undefined) {
  const delivered = new ReplicationPosition(gtids, START);
  const reported: string[] = [];
  const skipper = skipUntilStart(
    { skipBefore: START },
    {
      skipped: (transaction) => delivered.advanceGtids(transaction),
      commit: ({ gtidNumber }) => reported.push(`commit ${gtidNumber}`),
      xaPrepared: ({ gtidNumber }) => reported.push(`prepared ${gtidNumber}`),
    },
  );
  return { delivered, reported, skipper };
}

test('a skipped transaction is not reported and does not move the position back, but its GTID counts as delivered', () => {
  const { delivered, reported, skipper } = skipping(new GtidSet());
  skipper.commit(transaction(1, 100));
  skipper.commit(transaction(2, 300));
  expect(delivered.coordinates).toEqual(START);
  expect(delivered.gtids?.toString()).toBe(`${U}:1-2`);
  expect(reported).toEqual([]);
  skipper.commit(transaction(3, 500));
  expect(reported).toEqual(['commit 3']);
});

test('an XA transaction prepared before the start is reported only if it has not ended there', () => {
  const { reported, skipper } = skipping(undefined);
  const [ended, open] = [transaction(1, 100), transaction(2, 200)];
  skipper.xaPrepared(ended);
  skipper.xaPrepared(open);
  skipper.commit(transaction(3, 300, ended));
  expect(reported).toEqual([]);
  skipper.commit(transaction(4, 600, open));
  expect(reported).toEqual(['prepared 2', 'commit 4']);
});

test('without a start position every transaction is reported', () => {
  const reported: number[] = [];
  const skipper = skipUntilStart(
    {},
    { commit: ({ gtidNumber }) => reported.push(gtidNumber), xaPrepared: () => {}, skipped: () => {} },
  );
  skipper.commit(transaction(1, 100));
  expect(reported).toEqual([1]);
});
