import { afterEach, describe, expect, test } from 'vitest';
import type { PipelineObservation } from '../../../src/admin/status.ts';
import { type DaemonFacts, StatusReader } from '../../../src/admin/status-reader.ts';
import { CdcError } from '../../../src/runtime/error.ts';
import { daemonFacts, observation } from '../../admin-fixture.ts';

const STREAM = {
  server: { flavor: 'mysql' as const, identity: 'uuid', host: 'db:3306' },
  ...{ epoch: 7, delivered: { file: 'binlog.000001', position: 4, gtids: null } },
};
const open: StatusReader[] = [];
afterEach(() => {
  for (const reader of open.splice(0)) reader.close();
});

function readerOf(facts: Partial<DaemonFacts>): StatusReader {
  const reader = new StatusReader(daemonFacts(facts));
  open.push(reader);
  return reader;
}

const pipeline = (changed: Partial<PipelineObservation> = {}, tables = async () => []) =>
  ({ tables, observe: () => ({ ...observation(STREAM), ...changed }), backfill: { status: () => null } }) as never;

describe('a daemon that has had no pipeline yet', () => {
  const position = { file: 'binlog.000009', position: 77, gtids: null };
  const table = {
    ...{ schema: 'shop', table: 'orders', verified: null },
    coverage: { complete: false, since: null, why: 'ALTER TABLE' },
  };

  test('shows what its checkpoint says, and a lag since that was saved', async () => {
    const savedAt = Date.now() - 90_000;
    const reader = readerOf({ saved: async () => ({ savedAt, position, tables: [table] }) });
    const { state, checkpoint, lag, tables, health } = await reader.read();
    expect({ state, checkpoint }).toEqual({
      state: 'starting',
      checkpoint: { location: '/state/shop.json', savedAt: new Date(savedAt).toISOString(), position },
    });
    expect(lag.seconds).toBeCloseTo(90, 0);
    expect(tables).toMatchObject([table]);
    expect(health.problems.map(({ code }) => code)).toEqual(['not_streaming', 'lag', 'incomplete_tables']);
  });

  test('without a checkpoint knows no lag, and one that cannot be read is no error of the status', async () => {
    expect((await readerOf({}).read()).lag.seconds).toBe(null);
    const reader = readerOf({ saved: () => Promise.reject(new CdcError('damaged')) });
    expect((await reader.read()).checkpoint).toMatchObject({ savedAt: null, position: null });
  });
});

describe('a pipeline that ends', () => {
  test('waits if it is started again, and says why', async () => {
    const failure = new CdcError('the connection was closed', { kind: 'retry', hint: 'cdc connects again' });
    const { state, health } = await readerOf({ pipeline: () => pipeline({ failure }) }).read();
    expect(state).toBe('waiting');
    expect(health.problems[0]).toMatchObject({ why: 'the connection was closed', hint: 'cdc connects again' });
  });

  test('is stopping if it is the last one, and if the daemon was asked to stop', async () => {
    const failure = new CdcError('a binlog is gone', { exitCode: 4 });
    expect((await readerOf({ pipeline: () => pipeline({ failure }) }).read()).state).toBe('stopping');
    expect((await readerOf({ pipeline: () => pipeline(), isStopping: () => true }).read()).state).toBe('stopping');
  });

  test('leaves its lag, which grows', async () => {
    let running: ReturnType<typeof pipeline> | undefined = pipeline({ lag: { seconds: 5, bytes: 9 } });
    const reader = readerOf({ pipeline: () => running, whyNoPipeline: () => new CdcError('away', { kind: 'retry' }) });
    expect((await reader.read()).lag.seconds).toBe(5);
    running = undefined;
    await new Promise((done) => setTimeout(done, 50));
    expect(reader.vitals().lagSeconds).toBeGreaterThan(5.04);
  });
});

test('calls that come while a status is read share the next one, and each is as new as its call', async () => {
  let reads = 0;
  const reader = readerOf({
    pipeline: () =>
      pipeline({}, async () => {
        reads++;
        await new Promise((done) => setTimeout(done, 20));
        return [];
      }),
  });
  const first = reader.read();
  const later = Array.from({ length: 50 }, () => reader.read());
  expect(new Set(await Promise.all(later)).size).toBe(1);
  expect(await later[0]).not.toBe(await first);
  expect(reads).toBe(2);
});

test('a server that does not list its tables holds a status back for a second at most, and it has the last list', async () => {
  let hangs = false;
  const tables = () => (hangs ? new Promise<never[]>(() => {}) : Promise.resolve([]));
  const reader = readerOf({ pipeline: () => pipeline({}, tables) });
  await reader.read();
  hangs = true;
  expect((await reader.read()).tables).toEqual([]);
});
