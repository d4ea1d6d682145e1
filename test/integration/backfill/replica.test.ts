import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RowChunk } from '../../../src/backfill/read/row-chunk.ts';
import type { SnapshotConnection } from '../../../src/backfill/read/snapshot-connection.ts';
import type { TableReader } from '../../../src/backfill/read/table-reader.ts';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { WHOLE_TABLE } from '../../../src/model/key-range.ts';
import { readServerInfo } from '../../../src/source/server/server-info.ts';
import { startTestServer } from '../test-server.ts';
import { firstColumn, openSnapshot, processedNow, query } from './snapshot-fixture.ts';

const LIMITS = { rows: 100, bytes: 1e6 };

describe.each(['mysql', 'mariadb'] as const)('a replica of %s', (flavor) => {
  let source: LocalServer;
  let replica: LocalServer;
  let stranger: LocalServer;
  const stop = flavor === 'mysql' ? 'STOP REPLICA' : 'STOP SLAVE';
  const start = flavor === 'mysql' ? 'START REPLICA' : 'START SLAVE';
  beforeAll(async () => {
    const settings = flavor === 'mariadb' ? ['--log-slave-updates'] : [];
    [source, replica, stranger] = (await Promise.all([0, 1, 2].map(() => startTestServer({ flavor, settings })))) as [
      LocalServer,
      LocalServer,
      LocalServer,
    ];
    await query(
      source.url,
      'CREATE DATABASE shop',
      'CREATE TABLE shop.item (id INT PRIMARY KEY, name CHAR(3))',
      "INSERT INTO shop.item VALUES (1, 'a'), (2, 'b')",
    );
    await query(stranger.url, 'CREATE DATABASE shop', 'CREATE TABLE shop.item (id INT PRIMARY KEY, name CHAR(3))');
    await query(
      replica.url,
      flavor === 'mysql'
        ? `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${source.port}, SOURCE_USER='root',
            SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1`
        : `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${source.port}, MASTER_USER='root', MASTER_USE_GTID=slave_pos`,
      start,
    );
    await caughtUp();
  });
  afterAll(() => Promise.all([source?.stop(), replica?.stop(), stranger?.stop()]));

  async function caughtUp(): Promise<void> {
    const { executed } = await readServerInfo(sourceConnection({ url: source.url }));
    for (;;) {
      const now = (await readServerInfo(sourceConnection({ url: replica.url }))).executed;
      if (now?.containsAll(executed as never)) return;
      await sleep(20);
    }
  }

  async function open(url = replica.url): Promise<SnapshotConnection> {
    const { server } = { server: await readServerInfo(sourceConnection({ url: source.url })) };
    return openSnapshot(url, { isReplica: true, source: sourceConnection({ url: source.url }) }, server);
  }

  async function reading<T>(read: (reader: TableReader) => Promise<T>): Promise<T> {
    const connection = await open();
    try {
      return await read(await connection.use((await connection.describe('shop', 'item'))!, {}));
    } finally {
      await connection.close();
    }
  }
  const ids = (chunk: RowChunk): number[] => firstColumn(chunk, 2);

  test('gives its rows with a watermark in GTIDs of the source', async () => {
    const processed = await processedNow(source.url);
    const chunk = await reading((reader) => reader.read(WHOLE_TABLE, processed, LIMITS));
    expect(ids(chunk)).toEqual([1, 2]);
    expect('gtids' in chunk.high && chunk.high.gtids.containsAll(processed.gtids as never)).toBe(true);
  });

  test('that is behind is waited for', async () => {
    await query(replica.url, stop);
    await query(source.url, "INSERT INTO shop.item VALUES (3, 'c')");
    const processed = await processedNow(source.url);
    const chunk = await reading(async (reader) => {
      const read = reader.read(WHOLE_TABLE, processed, LIMITS);
      await sleep(200);
      await query(replica.url, start);
      return read;
    });
    expect(ids(chunk)).toEqual([1, 2, 3]);
  });

  test('that is another data set is refused', async () => {
    await expect(open(stranger.url)).rejects.toMatchObject({
      name: 'CdcError',
      exitCode: 3,
      message: 'a backfill cannot read from the server of backfill.url',
      why: expect.stringMatching(/another data set|never had/),
    });
  });

  test.runIf(flavor === 'mysql')('that is written to while a backfill reads stops it', async () => {
    await reading(async (reader) => {
      const processed = await processedNow(source.url);
      await reader.read(WHOLE_TABLE, processed, LIMITS);
      await query(replica.url, 'CREATE DATABASE errant');
      await expect(reader.read(WHOLE_TABLE, processed, LIMITS)).rejects.toMatchObject({
        message: 'the replica was written to',
        kind: 'fatal',
      });
    });
  });

  test('that was written to is refused', async () => {
    await query(replica.url, 'CREATE DATABASE IF NOT EXISTS errant', 'CREATE TABLE errant.t (id INT)');
    await expect(open()).rejects.toMatchObject({ why: expect.stringContaining('that the source never had') });
  });
});

describe('a replica of MySQL that lacks what the source has purged', () => {
  test('is refused', async () => {
    const [source, replica] = (await Promise.all([0, 1].map(() => startTestServer({ flavor: 'mysql' })))) as [
      LocalServer,
      LocalServer,
    ];
    try {
      await query(source.url, 'CREATE DATABASE shop', 'CREATE TABLE shop.item (id INT PRIMARY KEY)');
      const { executed } = await readServerInfo(sourceConnection({ url: source.url }));
      await query(source.url, 'INSERT INTO shop.item VALUES (1)', 'FLUSH BINARY LOGS');
      const { end } = await readServerInfo(sourceConnection({ url: source.url }));
      await query(source.url, `PURGE BINARY LOGS TO '${end.file}'`);
      await query(replica.url, `SET GLOBAL gtid_purged = '${executed}'`);
      await expect(
        openSnapshot(
          replica.url,
          { isReplica: true, source: sourceConnection({ url: source.url }) },
          await readServerInfo(sourceConnection({ url: source.url })),
        ),
      ).rejects.toMatchObject({ why: expect.stringContaining('it lacks transactions that the source has purged') });
    } finally {
      await Promise.all([source.stop(), replica.stop()]);
    }
  });
});
