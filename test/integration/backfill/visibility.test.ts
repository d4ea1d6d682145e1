import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Processed, RowChunk } from '../../../src/backfill/read/row-chunk.ts';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { isBefore } from '../../../src/model/coordinates.ts';
import type { GtidSet } from '../../../src/model/gtid-set.ts';
import { WHOLE_TABLE } from '../../../src/model/key-range.ts';
import { startTestServer } from '../test-server.ts';
import { firstColumn, openSnapshot, processedNow, query } from './snapshot-fixture.ts';

// Global variables widen the time between the write of the binlog and the commit, so the servers are of this file.

const HEARTBEAT = 'shop.heartbeat';
const SETUP = [
  'CREATE DATABASE shop',
  'CREATE TABLE shop.item (id INT PRIMARY KEY, state CHAR(3) CHARACTER SET latin1 NOT NULL)',
  "INSERT INTO shop.item VALUES (1, 'old'), (2, 'old')",
  `CREATE TABLE ${HEARTBEAT} (id INT PRIMARY KEY, beat BIGINT UNSIGNED NOT NULL)`,
];
/** `state` of the row with id 1. */
const stateOf = (chunk: RowChunk): string => chunk.bytes.toString('latin1', 11, 14);

/**
 * Updates the row, and calls `during` once the update is in the binlog and SELECT does not see it yet. The position
 * that it gets is that of a stream that has the update.
 */
async function inTheGap(url: string, to: string, during: (processed: Processed) => Promise<void>): Promise<void> {
  const before = await processedNow(url);
  const writer = await createConnection({ uri: url });
  try {
    const update = writer.query(`UPDATE shop.item SET state = '${to}' WHERE id = 1`);
    let now = before;
    while (!isBefore(before.coordinates, now.coordinates)) now = await processedNow(url);
    const [[visible] = []] = await query(url, 'SELECT state FROM shop.item WHERE id = 1');
    expect(visible, 'the update is flushed and not yet visible').not.toBe(to);
    await during(now);
    await update;
  } finally {
    writer.destroy();
  }
}

describe.each([0, 1])(
  'MySQL with sync_binlog = %s, between the flush of a transaction and its commit',
  (syncBinlog) => {
    let server: LocalServer;
    beforeAll(async () => {
      server = await startTestServer({
        flavor: 'mysql',
        settings: [`--sync-binlog=${syncBinlog}`, '--binlog-group-commit-sync-delay=500000'],
      });
      await query(server.url, 'SET GLOBAL binlog_group_commit_sync_delay = 0', ...SETUP);
      await query(server.url, 'SET GLOBAL binlog_group_commit_sync_delay = 500000');
    });
    afterAll(() => server?.stop());

    test('a chunk has a transaction that the stream has processed and SELECT does not show yet', async () => {
      const connection = await openSnapshot(server.url);
      try {
        const table = await connection.describe('shop', 'item');
        const reader = await connection.use(table!, {});
        await inTheGap(server.url, 'new', async (processed) => {
          const gtids = (processed.gtids as GtidSet).clone();
          const [uuid, last] = gtids.toString().split(/:1-/);
          gtids.addRange(uuid as string, Number(last) + 1, Number(last) + 1);
          const chunk = await reader.read(WHOLE_TABLE, { ...processed, gtids }, { rows: 10, bytes: 1e6 });
          expect(stateOf(chunk)).toBe('new');
          expect('coordinates' in chunk.high && !isBefore(chunk.high.coordinates, processed.coordinates)).toBe(true);
        });
      } finally {
        await connection.close();
      }
    });

    test('a heartbeat does the same where the server has no GTIDs', async () => {
      const connection = await openSnapshot(server.url, { heartbeatTable: HEARTBEAT }, { executed: undefined });
      try {
        const table = await connection.describe('shop', 'item');
        const reader = await connection.use(table!, {});
        await inTheGap(server.url, 'hot', async (processed) => {
          const chunk = await reader.read(WHOLE_TABLE, { ...processed, gtids: undefined }, { rows: 10, bytes: 1e6 });
          expect(stateOf(chunk)).toBe('hot');
          expect('coordinates' in chunk.high && !isBefore(chunk.high.coordinates, processed.coordinates)).toBe(true);
        });
      } finally {
        await connection.close();
      }
    });
  },
);

describe('MariaDB', () => {
  let url: string;
  beforeAll(async () => {
    url = (server = await startTestServer({ flavor: 'mariadb' })).url;
    await query(
      url,
      ...SETUP,
      'CREATE TABLE shop.counter (n INT NOT NULL, id INT PRIMARY KEY)',
      'INSERT INTO shop.counter VALUES (0, 1)',
    );
  });
  afterAll(() => server?.stop());
  let server: LocalServer;

  test('the high watermark of a chunk is exactly the position of its view, while others write', async () => {
    const counts = new Map<string, number>();
    let written = 0;
    let stop = false;
    const write = async (): Promise<void> => {
      const writer = await createConnection({ uri: url, rowsAsArray: true });
      while (!stop) {
        await writer.query('UPDATE shop.counter SET n = n + 1');
        const [[status]] = (await writer.query('SHOW MASTER STATUS')) as unknown as [[[string, number]]];
        counts.set(`${status[0]}:${status[1]}`, ++written);
      }
      writer.destroy();
    };
    const connection = await openSnapshot(url);
    const reader = await connection.use((await connection.describe('shop', 'counter'))!, {});
    const writing = write();
    const seen: [string, number][] = [];
    while (seen.length < 100) {
      const processed = await processedNow(url);
      const chunk = await reader.read(WHOLE_TABLE, processed, { rows: 10, bytes: 1e6 });
      if (!('coordinates' in chunk.high)) throw new Error('no coordinates');
      const { file, position } = chunk.high.coordinates;
      expect(isBefore(chunk.high.coordinates, processed.coordinates)).toBe(false);
      seen.push([`${file}:${position}`, firstColumn(chunk, 2)[0] as number]);
    }
    stop = true;
    await writing;
    await connection.close();
    expect(new Set(seen.map(([, n]) => n)).size).toBeGreaterThan(10);
    for (const [at, n] of seen) if (counts.has(at)) expect(n).toBe(counts.get(at));
    expect(seen.filter(([at]) => counts.has(at)).length).toBeGreaterThan(10);
  });

  test('a binlog that was rotated while nobody writes does not make the chunk wait', async () => {
    const connection = await openSnapshot(url);
    const reader = await connection.use((await connection.describe('shop', 'item'))!, {});
    await query(url, 'FLUSH BINARY LOGS');
    const chunk = await reader.read(WHOLE_TABLE, await processedNow(url), { rows: 10, bytes: 1e6 });
    expect(chunk.count).toBe(2);
    await connection.close();
  });
});
