import { describe, expect, test, vi } from 'vitest';
import { Backfill } from '../../../src/backfill/backfill.ts';
import { MergePoint } from '../../../src/backfill/merge/merge-point.ts';
import { Ordinals } from '../../../src/backfill/merge/ordinals.ts';
import { type BackfillProgress, NO_BACKFILL } from '../../../src/model/backfill-progress.ts';
import { TableWatches } from '../../../src/model/chunk-window.ts';
import type { Coordinates } from '../../../src/model/coordinates.ts';
import { Coverage } from '../../../src/model/coverage.ts';
import { createLog } from '../../../src/runtime/log.ts';
import { SimulatedReader, simulatedOutput } from '../../model/backfill-reader.ts';
import { SimulatedServer } from '../../model/backfill-server.ts';
import { advanceMs, DeliveryHarness, transaction, useVirtualTime, withGtids } from '../delivery/delivery-harness.ts';

useVirtualTime();

/** A backfill of the table d.t, which has three rows, with a sink whose every answer is given by the test. */
async function createBackfill(binlogEnd?: Coordinates, saved: BackfillProgress = NO_BACKFILL) {
  const start = withGtids();
  const harness = new DeliveryHarness({ delivered: start });
  const watches = new TableWatches();
  const { signal } = new AbortController();
  const { delivery } = harness;
  const merge = new MergePoint(delivery, { watches, stream: { boundary: undefined }, start, signal });
  const ordinals = new Ordinals(0);
  ordinals.saved(ordinals.reservation);
  const coverage = new Coverage({ followedSince: null, complete: [], incomplete: [] });
  const reader = new SimulatedReader(
    new SimulatedServer([], [1, 2, 3], 'gtids'),
    (sides) => sides - 1,
    async () => {},
  );
  const read = vi.spyOn(reader, 'read');
  const connection = {
    waitUntilVisible: async () => {},
    describe: async () => ({ schema: 'd', name: 't', columns: [], primaryKey: [0] }),
    use: async () => reader,
    close: async () => {},
  };
  const backfill = new Backfill({
    ...{
      delivery,
      merge,
      watches,
      ordinals,
      coverage,
      signal,
      saved,
      finished: [],
      sendsTruncates: false,
    },
    binlogEnd: binlogEnd ?? start.coordinates,
    config: { parallel: 1, chunk_time: 500, max_lag: 1e12 } as never,
    createOutput: () => simulatedOutput(delivery) as never,
    log: createLog('test', 'fatal'),
    openConnection: async () => connection as never,
    resolveTables: async () => [{ schema: 'd', table: 't', estimatedRows: 3 }],
    pauseStream: () => () => {},
    isCaptured: () => true,
    caseSensitive: true,
    onProgress: () => {},
    saveCheckpoint: async () => {},
  });
  if (saved === NO_BACKFILL) await backfill.start({ tables: ['d.t'] });
  await advanceMs(1000);
  return { harness, backfill, coverage, read, merge };
}

test('a backfill reads nothing before the stream has passed what an earlier run can have sent', async () => {
  const { endPosition, file } = transaction(3);
  const { merge, read } = await createBackfill({ file, position: endPosition });
  read.mockReturnValue(new Promise(() => {}));
  for (const number of [1, 2]) merge.commit(transaction(number));
  await advanceMs(1000);
  expect(read).not.toHaveBeenCalled();
  merge.commit({ ...transaction(3), committedAt: Date.now() });
  await advanceMs(1000);
  expect(read).toHaveBeenCalled();
});

describe('a backfill whose last rows are merged and not delivered', () => {
  test('is done once they are, and the table is complete then', async () => {
    const { harness, backfill, coverage } = await createBackfill();
    expect(backfill.isDone).toBe(false);
    expect(coverage.of('d', 't').complete).toBe(false);
    await harness.acceptRounds(10);
    expect(backfill.isDone).toBe(true);
    expect(coverage.of('d', 't').complete).toBe(true);
    expect(backfill.status()).toMatchObject({ state: 'idle', tables: [{ state: 'done', rows: 3, fraction: 1 }] });
    expect(harness.sink.stored).toHaveLength(3);
  });

  test('begins again if a statement changes rows of the table, although no worker is left', async () => {
    const { harness, backfill, read } = await createBackfill();
    const reads = read.mock.calls.length;
    backfill.rewritten('d', 't');
    await advanceMs(1000);
    expect(read.mock.calls.length).toBeGreaterThan(reads);
    await harness.acceptRounds(10);
    expect(backfill.isDone).toBe(true);
    expect(harness.sink.stored).toHaveLength(6);
  });

  test('attaches a second request to the table that is being read', async () => {
    const { backfill } = await createBackfill();
    const { request } = await backfill.start({ tables: ['d.t'] });
    expect(backfill.status().tables).toMatchObject([{ state: 'reading' }]);
    const [{ request: ids = '' } = {}] = backfill.status().tables;
    expect(ids.split(' ')).toContain(request);
    expect(ids.split(' ')).toHaveLength(2);
  });

  test('keeps the limits of its request, over another request and over a restart', async () => {
    const { backfill } = await createBackfill();
    await backfill.start({ tables: ['d.t'], rate: 7, parallel: 1, maxLagMs: 9_000 });
    await backfill.start({ tables: ['d.t'] });
    expect(backfill.progress).toMatchObject({ rate: 7, parallel: 1, maxLagMs: 9_000 });
    const { backfill: restarted } = await createBackfill(undefined, backfill.progress);
    expect(restarted.status()).toMatchObject({ rate: 7, parallel: 1 });
    await backfill.start({ tables: ['d.t'], rate: 8 });
    expect(backfill.status()).toMatchObject({ rate: 8, parallel: 1 });
    backfill.cancel();
    expect(backfill.progress).toMatchObject({ rate: null, parallel: null, maxLagMs: null });
  });

  test('is over when it is cancelled, and leaves the table incomplete', async () => {
    const { harness, backfill, coverage } = await createBackfill();
    backfill.cancel(['d.t']);
    expect(backfill.status()).toMatchObject({ state: 'idle', tables: [{ state: 'cancelled' }] });
    await harness.acceptRounds(10);
    expect(coverage.of('d', 't').complete).toBe(false);
  });

  test('is over when the table is emptied: the stream has every later row', async () => {
    const { backfill } = await createBackfill();
    backfill.emptied('d', 't');
    expect(backfill.isDone).toBe(true);
    expect(backfill.progress.tables).toEqual([]);
  });
});
