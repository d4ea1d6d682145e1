import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TcpProxy } from '../../tcp-proxy.ts';
import { until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { AdminDaemon, timeUntil } from './admin-daemon.ts';

/** What the contract gives a change until it shows, and room for a machine that is busy. */
const SHOWN_WITHIN_MS = 15_000;

describe.each(['mysql', 'mariadb'] as const)(
  'what is provoked on %s shows in status, metrics and readiness',
  (flavor) => {
    let bed: AdminDaemon;
    let proxy: TcpProxy;
    let server: Awaited<ReturnType<typeof startTestServer>>;
    const isReady = async () => (await bed.call('/readyz')).status === 200;
    const problems = async () => (await bed.status()).health.problems.map(({ code }) => code);

    beforeAll(async () => {
      server = await startTestServer({ flavor });
      const url = new URL(server.url);
      proxy = await TcpProxy.listen(Number(url.port));
      const through = new URL(server.url);
      through.port = String(proxy.port);
      bed = new AdminDaemon(through.href, 'seen');
      await bed.createSchema('CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(99))');
      await bed.start();
      await until(isReady);
    });
    afterAll(async () => {
      // The server is gone, and its data with it.
      await bed?.stop();
      await bed?.firehose?.close();
      await proxy?.close();
      await server?.stop();
    });

    test('an idle daemon is ready and has no lag', async () => {
      await bed.query(`INSERT INTO seen.orders VALUES (1, 'one')`);
      await bed.delivered();
      const { state, health, lag, purge, delivery } = await bed.status();
      expect({ state, health: health.status, ready: health.ready }).toEqual({
        state: 'streaming',
        health: 'ok',
        ready: true,
      });
      expect(lag).toMatchObject({ seconds: 0, bytes: 0, maxSeconds: 60 });
      expect(purge.retentionSeconds === null ? purge.state : 'known').toBe(purge.state);
      expect(delivery?.counters.events).toBeGreaterThanOrEqual(2);
      expect((await bed.metric('cdc_lag_seconds')).get('')).toBe(0);
      const events = await bed.metric('cdc_events_total');
      expect(events.get('{table="seen.orders",op="c"}')).toBe(1);
      expect(events.get('{table="seen.orders",op="u"}')).toBe(0);
    });

    test('a daemon that starts in the middle of a file of an idle server has no lag', async () => {
      await bed.stop();
      await bed.start();
      await until(isReady);
      // The server is asked several times.
      await new Promise((done) => setTimeout(done, 6_000));
      expect((await bed.status()).lag).toMatchObject({ seconds: 0, bytes: 0 });
      expect(await isReady()).toBe(true);
    });

    test('a stream that accepts nothing: lag, retrying lanes and the headroom, and it heals by itself', async () => {
      bed.firehose?.setFaults({ rules: [{ fault: 'all-fail' }] });
      await bed.query(`INSERT INTO seen.orders VALUES (2, 'two')`, 'FLUSH BINARY LOGS');
      const shown = await timeUntil(async () => {
        const { lag, delivery } = await bed.status();
        const [stream] = delivery?.streams ?? [];
        return (lag.seconds ?? 0) > 0 && stream?.accepting === false && stream.stuck.length === 1 && !(await isReady());
      });
      expect(shown).toBeLessThan(SHOWN_WITHIN_MS);
      const { health, delivery, lag } = await bed.status();
      expect(health).toMatchObject({ status: 'degraded', ready: false });
      expect(health.problems[0]).toMatchObject({
        code: 'stream_not_accepting',
        why: expect.stringMatching(/Unavailable/),
      });
      expect(delivery?.streams[0]).toMatchObject({ lanes: { total: 64, retrying: 1 } });
      expect(delivery?.streams[0]?.stuck[0]).toMatchObject({
        attempts: expect.any(Number),
        events: 1,
        oldest: { table: 'seen.orders', seq: expect.stringMatching(/^[0-9a-f]{36}$/) },
      });
      expect(lag.bytes).toBeGreaterThan(0);
      const [lanes, seconds, bytes, accepting] = await Promise.all(
        ['cdc_lanes_retrying', 'cdc_lag_seconds', 'cdc_lag_bytes', 'cdc_stream_accepting'].map((name) =>
          bed.metric(name),
        ),
      );
      expect(lanes?.get('{stream="changes"}')).toBe(1);
      expect(seconds?.get('')).toBeGreaterThan(0);
      expect(bytes?.get('')).toBeGreaterThan(0);
      expect(accepting?.get('{stream="changes"}')).toBe(0);

      // The binlog of the checkpoint is no longer the one that the server writes: its time is counted.
      const variable = flavor === 'mysql' ? 'binlog_expire_logs_seconds = 600' : 'expire_logs_days = 1';
      await bed.query(`SET GLOBAL ${variable}`);
      const retention = flavor === 'mysql' ? 600 : 86_400;
      const seen = await timeUntil(async () => {
        const { purge } = await bed.status();
        return purge.retentionSeconds === retention && (purge.headroomSeconds ?? retention) < retention;
      });
      expect(seen).toBeLessThan(SHOWN_WITHIN_MS);
      const { purge } = await bed.status();
      expect(purge.headroomSeconds).toBeGreaterThan(retention - 120);
      await until(async () => {
        const headroom = (await bed.metric('cdc_purge_headroom_seconds')).get('') ?? 0;
        return headroom < retention && headroom > retention - 120;
      });

      bed.firehose?.setFaults({ rules: [] });
      await until(isReady);
      await until(async () => (await bed.status()).lag.seconds === 0);
      expect((await bed.status()).delivery?.streams[0]).toMatchObject({ accepting: true, stuck: [] });
    });

    test('one event that blocks its lane, while others pass: the lane, not the stream', async () => {
      bed.firehose?.setFaults({ rules: [{ fault: 'poison', text: 'blocks here', fails: 'slot' }] });
      await bed.query(`INSERT INTO seen.orders VALUES (10, 'blocks here')`);
      let id = 100;
      const shown = await timeUntil(async () => {
        await bed.query(`INSERT INTO seen.orders VALUES (${id++}, 'passes')`);
        return (await problems()).includes('lanes_retrying');
      });
      expect(shown).toBeLessThan(SHOWN_WITHIN_MS);
      const { health, delivery } = await bed.status();
      expect(health.status).toBe('degraded');
      expect(delivery?.streams[0]?.accepting).toBe(true);
      // Values of rows never show.
      expect(JSON.stringify(await bed.status())).not.toContain('blocks here');
      bed.firehose?.setFaults({ rules: [] });
      await until(async () => (await bed.status()).health.status === 'ok');
    });

    test('a server that hangs: silent within seconds, and healed by itself', async () => {
      proxy.stall();
      const shown = await timeUntil(async () => !(await isReady()));
      expect(shown).toBeLessThan(SHOWN_WITHIN_MS);
      await until(async () => (await problems()).includes('source_silent'));
      expect((await bed.call('/healthz')).status).toBe(200);
      expect((await bed.status()).lag.seconds).toBeGreaterThan(0);
      proxy.resume();
      await until(isReady);
    });

    test('a server that is gone: waiting, with what it waits for, the last tables, and a growing lag', async () => {
      const before = await bed.status();
      await server.stop();
      const shown = await timeUntil(async () => !(await isReady()));
      expect(shown).toBeLessThan(SHOWN_WITHIN_MS);
      await until(async () => (await bed.status()).state === 'waiting');
      const { health, stream, delivery, backfill, tables, lag, warnings, reconnects } = await bed.status();
      expect({ stream, delivery, backfill }).toEqual({ stream: null, delivery: null, backfill: null });
      expect(health).toMatchObject({
        status: 'down',
        ready: false,
      });
      expect(health.problems[0]).toMatchObject({ code: 'not_streaming', why: expect.any(String) });
      expect(tables.map(({ table }) => table)).toEqual(before.tables.map(({ table }) => table));
      await until(async () => ((await bed.status()).lag.seconds ?? 0) > (lag.seconds ?? 0) + 1);
      expect(warnings[0]).toMatchObject({ level: 'warn', message: expect.any(String), why: expect.any(String) });
      expect(reconnects).toBeGreaterThan(0);
      expect((await bed.call('/healthz')).status).toBe(200);
      expect((await bed.metric('cdc_streaming')).get('')).toBe(0);
      const history = JSON.parse((await bed.call('/api/history')).text);
      expect(history.at.length).toBeGreaterThan(1);
      expect(history.lagSeconds.length).toBe(history.at.length);
    });
  },
);

test('binlogs that are deleted while the daemon is behind', async () => {
  // Other tests need the binlogs of the server that they share.
  const server = await startTestServer({ flavor: 'mysql' });
  const bed = new AdminDaemon(server.url, 'purged');
  await bed.createSchema('CREATE TABLE orders (id INT PRIMARY KEY)');
  try {
    await bed.start();
    await until(async () => (await bed.status()).health.ready);
    bed.firehose?.setFaults({ rules: [{ fault: 'all-fail' }] });
    await bed.query('INSERT INTO purged.orders VALUES (1)');
    await until(async () => (await bed.status()).delivery?.streams[0]?.lanes.retrying === 1);
    await bed.query('FLUSH BINARY LOGS', 'INSERT INTO purged.orders VALUES (2)');
    const { checkpoint } = await bed.status();
    // The server keeps the file that it sends: the daemon has read on by now.
    await until(async () => {
      await bed.query('PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY');
      return (await bed.status()).purge.state === 'gone';
    });
    const { health, purge } = await bed.status();
    expect(purge.headroomSeconds).toBe(0);
    expect(health.problems).toContainEqual(expect.objectContaining({ code: 'binlog_gone', severity: 'degraded' }));
    expect((await bed.metric('cdc_purge_headroom_seconds')).get('')).toBe(0);
    expect(checkpoint.position?.file).toMatch(/\.\d+$/);
    bed.firehose?.setFaults({ rules: [] });
    await until(async () => (await bed.status()).purge.state === 'known');
  } finally {
    await bed.remove();
    await server.stop();
  }
});
