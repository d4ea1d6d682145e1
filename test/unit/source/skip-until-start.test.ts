import { expect, test } from 'vitest';
import { GtidSet } from '../../../src/model/gtid-set.ts';
import { ReplicationPosition } from '../../../src/model/replication-position.ts';
import type { Transaction } from '../../../src/model/rows-event.ts';
import { skipUntilStart } from '../../../src/source/skip-until-start.ts';

const U = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const PLACE = { file: 'binlog.000005', position: 500 };

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
  preparedTransaction,
});

function passing(gtids: GtidSet | undefined) {
  const delivered = new ReplicationPosition(gtids, PLACE);
  const told: string[] = [];
  const over = skipUntilStart(
    { skipBefore: PLACE },
    {
      skipped: (transaction) => delivered.advanceGtids(transaction),
      commit: ({ gtidNumber }) => told.push(`commit ${gtidNumber}`),
      xaPrepared: ({ gtidNumber }) => told.push(`prepared ${gtidNumber}`),
    },
  );
  return { delivered, told, over };
}

test('what is passed over is told to nobody and does not take the position back; its GTIDs count', () => {
  const { delivered, told, over } = passing(new GtidSet());
  over.commit(transaction(1, 100));
  over.commit(transaction(2, 300));
  expect(delivered.coordinates).toEqual(PLACE);
  expect(delivered.gtids?.toString()).toBe(`${U}:1-2`);
  expect(told).toEqual([]);
  over.commit(transaction(3, 500));
  expect(told).toEqual(['commit 3']);
});

test('an XA transaction that ends before the place is never told of; one that does not is told when it is reached', () => {
  const { told, over } = passing(undefined);
  const [ended, open] = [transaction(1, 100), transaction(2, 200)];
  over.xaPrepared(ended);
  over.xaPrepared(open);
  over.commit(transaction(3, 300, ended));
  expect(told).toEqual([]);
  over.commit(transaction(4, 600, open));
  expect(told).toEqual(['prepared 2', 'commit 4']);
});

test('without a place to reach all is told', () => {
  const told: number[] = [];
  const over = skipUntilStart(
    {},
    { commit: ({ gtidNumber }) => told.push(gtidNumber), xaPrepared: () => {}, skipped: () => {} },
  );
  over.commit(transaction(1, 100));
  expect(over.isBeforeStart(transaction(1, 100))).toBe(false);
  expect(told).toEqual([1]);
});
