import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AdminClient } from '../../../src/admin/client.ts';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import type { Edit } from '../../chaos/edit.ts';
import { Fixture, until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { mutantDist } from './mutant-dist.ts';

/**
 * A transaction is in the binlog before SELECT sees it: the stream has sent a change already, and SELECT still returns
 * the row before it. Each row is changed once, so a stale row that a backfill sends behind the change stays in the lake
 * for good.
 *
 * binlog_group_commit_sync_delay makes the moment between flush and sync long. With sync_binlog = 1 the stream gets a
 * transaction after the sync only; there semi-synchronous replication (AFTER_SYNC) holds the commit, as it does in
 * production while a replica is slow.
 */
let server: LocalServer;
const directories: string[] = [];
const ROWS = 240;
const CLIENTS = 40;

beforeAll(async () => {
  server = await startTestServer({
    flavor: 'mysql',
    settings: ['--binlog-group-commit-sync-delay=150000', '--max-connections=200'],
  });
  const connection = await createConnection({ uri: server.url });
  await connection.query("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
  await connection.query('SET GLOBAL rpl_semi_sync_source_timeout = 4000, rpl_semi_sync_source_wait_no_replica = ON');
  connection.destroy();
});
afterAll(async () => {
  await server?.stop();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** Backfills a table several times while each of its rows changes once. Returns how many rows differ at the end. */
async function staleRows(program: string, syncBinlog: number): Promise<number> {
  const fixture = new Fixture(server.url, 'commit_order');
  directories.push(fixture.directory);
  await fixture.query('SET GLOBAL rpl_semi_sync_source_enabled = OFF', `SET GLOBAL sync_binlog = ${syncBinlog}`);
  await fixture.createSchema('CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)');
  const rows = Array.from({ length: ROWS }, (_, i) => `(${i}, 0)`).join();
  await fixture.query(`INSERT INTO commit_order.t VALUES ${rows}`);
  const { endpoint } = await fixture.startFirehose();
  fixture.configure(endpoint);
  const daemon = spawn(process.execPath, [program, 'run'], { cwd: fixture.directory, stdio: 'ignore' });
  const client = new AdminClient(join(fixture.directory, 'state', 'shop.sock'));
  try {
    await until(async () => (await client.backfill().catch(() => undefined)) !== undefined);
    // No replica acknowledges: the first commits wait for the time-out.
    if (syncBinlog === 1) await fixture.query('SET GLOBAL rpl_semi_sync_source_enabled = ON');
    let isWriting = true;
    const writing = writeOnce().finally(() => {
      isWriting = false;
    });
    // A backfill after the commits would mend what an earlier one has spoiled.
    const backfills = syncBinlog === 1 ? 5 : Number.POSITIVE_INFINITY;
    for (let i = 0; i < backfills && isWriting; i++) {
      const { request } = await client.startBackfill({ tables: ['commit_order.t'] });
      const isOpen = async (): Promise<boolean> =>
        (await client.backfill()).tables.some((t) => t.request === request && ['queued', 'reading'].includes(t.state));
      await until(async () => !(await isOpen()));
    }
    await writing;
    await fixture.delivered();
    const { missing, extra, different } = await fixture.compare('t');
    return missing + extra + different;
  } finally {
    client.close();
    daemon.kill('SIGKILL');
    await fixture.remove();
  }
}

async function writeOnce(): Promise<void> {
  const ids = Array.from({ length: ROWS }, (_, i) => i);
  const write = async (): Promise<void> => {
    const connection: Connection = await createConnection({ uri: server.url });
    try {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        await connection.query('UPDATE commit_order.t SET v = v + 1 WHERE id = ?', [id]);
      }
    } finally {
      connection.destroy();
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, write));
}

const FORGET: Edit = {
  file: 'model/chunk-window',
  from: '    record(event, transaction) {',
  to: '    forget() { this.#keys.clear(); }\n    record(event, transaction) {',
};

const WRONG: Readonly<Record<string, readonly Edit[]>> = {
  // The end of the binlog before the SELECT opens the window: what is before it counts as visible.
  'takes the file position for the low watermark': [
    FORGET,
    {
      file: 'backfill/read/gtid-visibility',
      from: 'const unseen = gtids.subtract(this.#visible);',
      to: 'this.low = await currentBinlogPosition(session.connection); const unseen = new GtidSet();',
    },
    {
      file: 'backfill/read/gtid-visibility',
      from: 'return { coordinates: await currentBinlogPosition(session.connection) };',
      to: 'return { low: this.low, coordinates: await currentBinlogPosition(session.connection) };',
    },
    {
      file: 'backfill/work/worker',
      from: 'await reachWatermark(context, chunk.high);',
      to: 'await reachWatermark(context, { coordinates: chunk.high.low }); window.forget(); await reachWatermark(context, chunk.high);',
    },
  ],
  // The window records from its opening on. What the stream had before need not be visible.
  'forgets in its window what the stream had already sent': [
    {
      file: 'backfill/read/gtid-visibility',
      from: 'if (!unseen.isEmpty)',
      to: 'if (false)',
    },
  ],
};

describe.each([0, 1])('with sync_binlog = %i', (syncBinlog) => {
  test('a backfill leaves no row behind a change that the stream had before SELECT saw it', async () => {
    expect(await staleRows(resolve('dist/main.js'), syncBinlog)).toBe(0);
  });

  test.each(Object.keys(WRONG))('the same finds a backfill that %s', async (name) => {
    const directory = mutantDist(WRONG[name] as readonly Edit[]);
    directories.push(directory);
    let stale = 0;
    for (let i = 0; i < 5 && stale === 0; i++) stale = await staleRows(join(directory, 'dist', 'main.js'), syncBinlog);
    expect(stale).toBeGreaterThan(0);
  });
});
