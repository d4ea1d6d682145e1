import { describe, expect, test } from 'vitest';
import type { DaemonStatus } from '../../../src/admin/daemon-status.ts';
import type { StreamDelivery } from '../../../src/model/delivery-status.ts';
import { daemonStatus } from '../../admin-fixture.ts';

const judge = (changed: Parameters<typeof daemonStatus>[0], silentSeconds = 0) => {
  const { status, ready, problems } = daemonStatus(changed, silentSeconds).health;
  return { status, ready, codes: problems.map(({ code }) => code) };
};

const stream = (changed: Partial<StreamDelivery> = {}): StreamDelivery => ({
  ...{ stream: 'changes', accepting: true, lastAcceptedAt: null, requestsInFlight: 0, requests: 1, requestSeconds: 1 },
  obstacle: null,
  outcomes: { accepted: 1, throttled: 0, unknown: 0, rejected: 0 },
  lanes: { total: 64, waiting: 0, inFlight: 0, retrying: 0 },
  stuck: [],
  ...changed,
});
const delivery = (...streams: StreamDelivery[]): DaemonStatus['delivery'] => ({
  ...(daemonStatus().delivery as NonNullable<DaemonStatus['delivery']>),
  streams,
});
const stuckSince = (since: string): StreamDelivery =>
  stream({
    lanes: { total: 64, waiting: 1, inFlight: 0, retrying: 1 },
    stuck: [
      {
        ...{ lane: 3, attempts: 9, since, reason: 'timed out', events: 1, bytes: 9 },
        oldest: { table: 's.t', seq: '0' },
      },
    ],
  });
const lag = (seconds: number | null) => ({ seconds, bytes: null, maxSeconds: 60 });
const purge = (headroomSeconds: number, retentionSeconds = 1_000) =>
  ({ state: 'known', headroomSeconds, retentionSeconds }) as const;

describe('whether a daemon is well', () => {
  test.each([
    ['one that has nothing to do', {}, 0, { status: 'ok', ready: true, codes: [] }],
    ['starting', { state: 'starting', lag: lag(null) }, 0, { status: 'down', ready: false, codes: ['not_streaming'] }],
    ['waiting', { state: 'waiting' }, 0, { status: 'down', ready: false, codes: ['not_streaming'] }],
    ['stopping', { state: 'stopping' }, 0, { status: 'down', ready: false, codes: ['not_streaming'] }],
    ['a server that answers late', {}, 3.9, { status: 'ok', ready: true, codes: [] }],
    ['a server that does not answer', {}, 4, { status: 'down', ready: false, codes: ['source_silent'] }],
    ['a lag at the limit', { lag: lag(60) }, 0, { status: 'ok', ready: true, codes: [] }],
    ['a lag over the limit', { lag: lag(60.1) }, 0, { status: 'degraded', ready: false, codes: ['lag'] }],
    ['a lag that is not known', { lag: lag(null) }, 0, { status: 'ok', ready: false, codes: [] }],
    [
      'a stream that accepts nothing',
      { delivery: delivery(stream({ stream: 'other' }), stream({ accepting: false })) },
      0,
      { status: 'degraded', ready: false, codes: ['stream_not_accepting'] },
    ],
    [
      'a lane that has just failed',
      { delivery: delivery(stuckSince('2026-01-31T12:00:59.000Z')) },
      0,
      { status: 'ok', ready: true, codes: [] },
    ],
    [
      'a lane that fails again and again, while the stream accepts others',
      { delivery: delivery(stuckSince('2026-01-31T12:00:30.000Z')) },
      0,
      { status: 'degraded', ready: true, codes: ['lanes_retrying'] },
    ],
    [
      'events that have just begun to wait in the sink',
      { delivery: delivery(stream({ obstacle: { reason: 'no leader', since: '2026-01-31T12:00:59.000Z' } })) },
      0,
      { status: 'ok', ready: true, codes: [] },
    ],
    [
      'events that wait in the sink, while the stream accepts others',
      { delivery: delivery(stream({ obstacle: { reason: 'no leader', since: '2026-01-31T12:00:30.000Z' } })) },
      0,
      { status: 'degraded', ready: true, codes: ['events_wait'] },
    ],
    ['a headroom of a quarter', { purge: purge(250) }, 0, { status: 'ok', ready: true, codes: [] }],
    ['a headroom of less', { purge: purge(249) }, 0, { status: 'degraded', ready: true, codes: ['purge_near'] }],
    [
      'a binlog that is gone',
      { purge: { state: 'gone', headroomSeconds: 0, retentionSeconds: 1_000 } },
      0,
      { status: 'degraded', ready: true, codes: ['binlog_gone'] },
    ],
    [
      'dead letters',
      { deadLetters: { directory: '/d', files: 2, recent: [] } },
      0,
      { status: 'ok', ready: true, codes: ['dead_letters'] },
    ],
  ] as const)('%s', (_, changed, silentSeconds, expected) => {
    expect(judge(changed as never, silentSeconds)).toEqual(expected);
  });

  test('names the worst first, each with what to do', () => {
    const { problems } = daemonStatus({
      state: 'waiting',
      lag: lag(100),
      deadLetters: { directory: '/d', files: 1, recent: [] },
    }).health;
    expect(problems.map(({ severity }) => severity)).toEqual(['down', 'degraded', 'notice']);
    expect(problems[2]).toMatchObject({ what: '1 event is in the dead letters', hint: expect.stringContaining('cdc') });
  });

  test('says why a stream accepts nothing: what is in the way now, before what failed earlier', () => {
    const why = (changed: Partial<StreamDelivery>) =>
      daemonStatus({ delivery: delivery(stream({ accepting: false, ...changed })) }).health.problems[0]?.why;
    const { stuck } = stuckSince('2026-01-31T12:00:30.000Z');
    expect(why({})).toBe('it does not answer');
    expect(why({ stuck })).toBe('timed out');
    const obstacle = { reason: 'no broker', since: '2026-01-31T12:00:59.000Z' };
    expect(why({ stuck, obstacle })).toBe('no broker');
  });

  test('names a table that is not complete, and the command that copies it', () => {
    const table = {
      ...{ schema: 'shop', table: 'orders', verified: null, bytes: 0, lastChangeAt: null },
      coverage: { complete: false, since: null, why: 'only changes since then' },
      events: { c: 0, u: 0, d: 0, r: 0, t: 0 },
    };
    const { status, problems } = daemonStatus({ tables: [table] }).health;
    expect(status).toBe('ok');
    const what = 'shop.orders is not complete';
    expect(problems).toMatchObject([{ code: 'incomplete_tables', what, hint: 'cdc backfill shop.orders copies it' }]);
    const other = { ...table, table: "it's" };
    expect(daemonStatus({ tables: [table, other] }).health.problems).toMatchObject([
      {
        what: '2 tables are not complete, shop.orders among them',
        hint: "cdc backfill shop.orders 'shop.it'\\''s' copies them",
      },
    ]);
    const copied = { ...{ schema: 'shop', table: 'orders', request: 'r', rows: 1, estimatedRows: 2, fraction: 0.5 } };
    const backfill = (state: 'reading' | 'failed') => ({
      ...{ state: 'running' as const, waitingFor: null, parallel: 4, rate: null },
      tables: [{ ...copied, state }],
    });
    expect(daemonStatus({ tables: [table], backfill: backfill('reading') }).health.problems).toEqual([]);
    expect(daemonStatus({ tables: [table], backfill: backfill('failed') }).health.problems).toHaveLength(1);
  });
});
