import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { BackfillFixture, rowsOf } from './backfill-fixture.ts';
import { query } from './snapshot-fixture.ts';

const TABLE = 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))';
const ROWS = 2_000;

describe.each(['mysql', 'mariadb'] as const)('cdc backfill from a replica of %s', (flavor) => {
  let source: LocalServer;
  let replica: LocalServer;
  let stranger: LocalServer;
  let bed: BackfillFixture;
  const word = flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
  beforeAll(async () => {
    const settings = flavor === 'mariadb' ? ['--log-slave-updates'] : [];
    const start = (): Promise<LocalServer> => startTestServer({ flavor, settings });
    [source, replica, stranger] = await Promise.all([start(), start(), start()]);
    bed = new BackfillFixture(source.url, 'bf_replica');
    await bed.createSchema(TABLE, ...rowsOf('t', ROWS));
    await query(
      replica.url,
      flavor === 'mysql'
        ? `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${source.port}, SOURCE_USER='root',
            SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1`
        : `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${source.port}, MASTER_USER='root', MASTER_USE_GTID=slave_pos`,
      `START ${word}`,
    );
    await query(stranger.url, 'CREATE DATABASE bf_replica', 'USE bf_replica', TABLE, ...rowsOf('t', 5));
    await until(async () => (await rowsOn(replica.url)) === ROWS);
  });
  afterAll(async () => {
    await bed?.remove();
    await Promise.all([source?.stop(), replica?.stop(), stranger?.stop()]);
  });

  const rowsOn = async (url: string): Promise<number> =>
    Number((await query(url, 'SELECT COUNT(*) FROM bf_replica.t').catch(() => [[0]]))[0]?.[0]);

  test('waits for what the stream already has, and the copy equals the source', async () => {
    await bed.start(`backfill: { url: "${replica.url}" }\n`);
    await query(replica.url, `STOP ${word}`);
    await bed.query("UPDATE bf_replica.t SET v = 'new' WHERE id <= 700", 'DELETE FROM bf_replica.t WHERE id = 1999');
    await bed.delivered();
    await bed.client.startBackfill({ tables: ['bf_replica.t'] });
    await until(async () => (await bed.table('t'))?.state === 'reading');
    await bed.query("UPDATE bf_replica.t SET v = 'newer' WHERE id <= 300", 'DELETE FROM bf_replica.t WHERE id = 1998');
    expect(await bed.table('t')).toMatchObject({ state: 'reading', rows: 0 });
    await query(replica.url, `START ${word}`);
    await bed.over('t');
    await bed.delivered();
    expect(await bed.compare('t')).toMatchObject({ equal: true, sourceRows: ROWS - 2, conflicts: 0 });
    expect(await bed.coverage('t')).toMatchObject({ complete: true, why: 'backfilled' });
  });

  test('that is another data set or was written to is refused, and nothing is read', async () => {
    const before = (await bed.snapshotEvents('t')).length;
    const refused = async (url: string): Promise<string> => {
      await bed.stopDaemon();
      bed.configure(bed.firehose?.endpoint ?? '', `backfill: { url: "${url}" }\n`);
      await bed.startDaemon();
      const { code, stdout, stderr } = await bed.backfill('bf_replica.t');
      expect(code).toBe(1);
      return stdout + stderr;
    };
    const other = await refused(stranger.url);
    expect(other).toContain('a backfill cannot read from the server of backfill.url');
    expect(other).toMatch(/another data set|never had/);
    await query(replica.url, 'CREATE DATABASE errant');
    expect(await refused(replica.url)).toContain('transactions that the source never had');
    await bed.delivered();
    expect(await bed.snapshotEvents('t')).toHaveLength(before);
    expect(bed.daemon?.child.exitCode).toBeNull();
  });
});

describe('cdc backfill from a MySQL without GTIDs', () => {
  let server: LocalServer;
  let bed: BackfillFixture;
  beforeAll(async () => {
    server = await startTestServer({
      flavor: 'mysql',
      settings: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    });
    bed = new BackfillFixture(server.url, 'bf_heart');
    await bed.createSchema(TABLE, ...rowsOf('t', ROWS));
  });
  afterAll(async () => {
    await bed?.remove();
    await server?.stop();
  });

  test('is refused with the reason if no heartbeat table is configured, and the stream continues', async () => {
    await bed.start();
    const { code, stdout, stderr } = await bed.backfill('bf_heart.t');
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/gtid_mode/);
    expect(stdout + stderr).toContain('heartbeat_table');
    await bed.delivered();
    expect(await bed.snapshotEvents('t')).toEqual([]);
    await bed.stopDaemon();
  });

  test('is refused if the heartbeat table cannot be written, with the statement that makes it', async () => {
    await bed.start('backfill: { heartbeat_table: bf_heart.beat }\n');
    const { code, stdout, stderr } = await bed.backfill('bf_heart.t');
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('CREATE TABLE `bf_heart`.`beat` (id INT PRIMARY KEY');
  });

  test('orders its reads by a heartbeat table, while rows change', async () => {
    await bed.query('CREATE TABLE bf_heart.beat (id INT PRIMARY KEY, beat BIGINT UNSIGNED NOT NULL)');
    await bed.client.startBackfill({ tables: ['bf_heart.t'], rate: 1_000 });
    for (let id = 1; id <= 60; id++) await bed.query(`UPDATE bf_heart.t SET v = 'new' WHERE id % 60 = ${id}`);
    await bed.over('t');
    await bed.delivered();
    expect(await bed.compare('t')).toMatchObject({ equal: true, sourceRows: ROWS, conflicts: 0 });
  });
});
