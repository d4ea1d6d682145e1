import { describe, expect, test, vi } from 'vitest';
import { MergePoint } from '../../../src/backfill/merge-point.ts';
import { TableWatches } from '../../../src/model/chunk-window.ts';
import type { Coordinates } from '../../../src/model/coordinates.ts';
import { GtidSet } from '../../../src/model/gtid-set.ts';
import type { ReplicationPosition } from '../../../src/model/replication-position.ts';
import { encodedEvent } from '../../encoded-event.ts';
import { DeliveryHarness, transaction, UUID, useVirtualTime, withGtids } from '../delivery/delivery-harness.ts';

useVirtualTime();

const AT = (position: number): Coordinates => ({ file: 'binlog.000001', position });

function createPoint(start: ReplicationPosition = withGtids()) {
  const harness = new DeliveryHarness({ delivered: start });
  const watches = new TableWatches();
  const stream: { boundary: Coordinates | undefined } = { boundary: undefined };
  const abort = new AbortController();
  const merge = new MergePoint(harness.delivery, { watches, stream, start, signal: abort.signal });
  const watch = watches.of('d', 't');
  const give = (line: string): void => {
    const event = encodedEvent(`${line}\n`, line);
    watch.touch(event);
    merge.append(0, event);
  };
  return { merge, watches, watch, stream, abort, give };
}

/** A callback that waits for the next boundary. */
function waitForBoundary({ merge }: ReturnType<typeof createPoint>) {
  const run = vi.fn(() => merge.coordinates.position);
  const result = merge.atBoundary(run);
  return { run, result };
}

describe('a merge point', () => {
  test('runs a callback at once between two transactions, and otherwise at the commit', async () => {
    const point = createPoint();
    expect(waitForBoundary(point).run).toHaveBeenCalled();
    point.give('a');
    const waiting = waitForBoundary(point);
    expect(waiting.run).not.toHaveBeenCalled();
    point.merge.commit(transaction(1));
    expect(await waiting.result).toBe(200);
  });

  test('is no boundary between a statement without row events and its commit', () => {
    for (const statement of ['changed', 'emptied'] as const) {
      const point = createPoint();
      point.watches[statement]('d', 't', 'ALTER TABLE');
      const { run } = waitForBoundary(point);
      expect(run).not.toHaveBeenCalled();
      point.merge.commit(transaction(1));
      expect(run).toHaveBeenCalled();
    }
  });

  test('is a boundary although chunks of a table were given up', () => {
    const point = createPoint();
    point.watches.invalidate('d', 't', 'cancelled');
    expect(waitForBoundary(point).run).toHaveBeenCalled();
  });

  test('is no boundary while an event that was rolled back to a savepoint leaves the transaction open', () => {
    const point = createPoint();
    point.merge.savepoint('s');
    point.give('a');
    point.merge.rollbackTo('s');
    const { run } = waitForBoundary(point);
    expect(run).not.toHaveBeenCalled();
    point.merge.commit(transaction(1));
    expect(run).toHaveBeenCalled();
  });

  test('is a boundary behind a transaction that a crash of the server cut off', () => {
    const point = createPoint();
    point.give('a');
    const { run } = waitForBoundary(point);
    point.merge.rollback();
    expect(run).toHaveBeenCalled();
  });

  test('is a boundary behind a transaction that is read only to reach the start', () => {
    const point = createPoint();
    point.watches.changed('d', 't', 'ALTER TABLE');
    const { run } = waitForBoundary(point);
    point.merge.skipped(transaction(1));
    expect(run).toHaveBeenCalled();
  });

  test('gives no rows a place before rows that were merged at a boundary further on', () => {
    const point = createPoint();
    point.merge.commit(transaction(1));
    point.stream.boundary = AT(300);
    expect(point.merge.coordinates).toEqual(AT(300));
    // The next transaction begins, and no event of it has come yet.
    point.stream.boundary = undefined;
    expect(point.merge.coordinates).toEqual(AT(300));
    point.merge.commit(transaction(3));
    expect(point.merge.coordinates).toEqual(AT(400));
  });

  test('rejects what waits for a boundary when the pipeline ends, and what comes later', async () => {
    const point = createPoint();
    point.give('a');
    const { run, result } = waitForBoundary(point);
    point.abort.abort(new Error('the end'));
    await expect(result).rejects.toThrow('the end');
    await expect(point.merge.atBoundary(run)).rejects.toThrow('the end');
    expect(run).not.toHaveBeenCalled();
  });

  test('passes the error of a callback on, and runs the others', async () => {
    const point = createPoint();
    point.give('a');
    const failing = point.merge.atBoundary(() => {
      throw new Error('a row that cannot be written');
    });
    const { run } = waitForBoundary(point);
    point.merge.commit(transaction(1));
    await expect(failing).rejects.toThrow('cannot be written');
    expect(run).toHaveBeenCalled();
  });
});

describe('what the stream has processed', () => {
  test('has the transactions in any order of their GTIDs, also prepared ones, up to the last one that ended', () => {
    const { merge, give } = createPoint();
    merge.commit(transaction(1));
    merge.commit(transaction(2));
    merge.xaPrepared(transaction(3));
    merge.skipped(transaction(9));
    merge.commit(transaction(4, transaction(3)));
    give('a');
    expect(merge.processed().gtids?.toString()).toBe(`${UUID}:1-4:9`);
    merge.commit(transaction(5));
    expect(merge.processed().gtids?.toString()).toBe(`${UUID}:1-5:9`);
  });

  test('is a copy', () => {
    const { merge } = createPoint();
    merge.commit(transaction(1));
    const { gtids } = merge.processed();
    merge.commit(transaction(2));
    expect(gtids?.toString()).toBe(`${UUID}:1`);
  });

  test('reaches coordinates at a boundary, and a set of GTIDs with its last transaction', async () => {
    const { merge, stream } = createPoint();
    const reached = vi.fn();
    void merge.reached({ coordinates: AT(500) }).then(reached);
    await vi.advanceTimersByTimeAsync(50);
    expect(reached).not.toHaveBeenCalled();
    stream.boundary = AT(500);
    await vi.advanceTimersByTimeAsync(50);
    expect(reached).toHaveBeenCalledTimes(1);

    const high = { gtids: GtidSet.parse(`${UUID}:1-2`) };
    void merge.reached(high).then(reached);
    merge.commit(transaction(2));
    await vi.advanceTimersByTimeAsync(50);
    expect(reached).toHaveBeenCalledTimes(1);
    merge.commit(transaction(1));
    await vi.advanceTimersByTimeAsync(50);
    expect(reached).toHaveBeenCalledTimes(2);
  });
});
