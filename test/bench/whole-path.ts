import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { capture, fill } from './capture.ts';
import { end, resourceUsage, startDaemon, startFirehose } from './processes.ts';
import { ONE_ROW, ORDERS, type Shape } from './shapes.ts';
import { zongjiSpeed } from './zongji-decode.ts';

const ROUNDS = 5;

/**
 * Measures the time from the binlog of a real MySQL to acknowledgements of the local Firehose, until the checkpoint on
 * disk has reached the end. Daemon, Firehose and MySQL run in separate processes. In between, this process measures
 * zongji's decode and JSON.stringify of the same rows from memory, while nothing else runs.
 */
export async function wholePath(server: LocalServer, directory: string): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  console.log(
    '| | rows | seconds | rows/s | zongji + JSON.stringify, rows/s | ratio | CPU of the daemon, µs/row | its peak RSS, MB |',
  );
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  const cases: [name: string, shape: Shape, rows: number][] = [
    ['orders', ORDERS, 2_400_000],
    ['one-row transactions', ONE_ROW, 200_000],
  ];
  for (const [name, shape, rows] of cases) {
    const zongji = await zongjiSpeed(connection, await capture(connection, shape), shape.rows);
    const start = await readServerInfo(connection);
    const client = await createConnection({ ...connection, multipleStatements: true });
    await fill(client, { ...shape, rows });
    await pagesWritten(client);
    client.destroy();
    const { end: binlogEnd } = await readServerInfo(connection);
    for (let round = 0; round < ROUNDS; round++) {
      const own = join(directory, `${shape.oneRowTransactions ?? false}-${round}`);
      mkdirSync(own);
      const lake = join(own, 'lake');
      const firehose = await startFirehose(lake, '--buffer-seconds', '1');
      const cleaner = setInterval(() => removeObjects(lake), 300);
      const place = `${start.end.file}:${start.end.position}`;
      const daemon = await startDaemon({
        directory: own,
        mysqlPort: server.port,
        endpoint: firehose.endpoint,
        start: place,
      });
      const before = resourceUsage(daemon.child).cpuSeconds;
      const seconds = ((await daemon.reached(binlogEnd)) - daemon.followsSince) / 1000;
      const { cpuSeconds, peakMB } = resourceUsage(daemon.child);
      await daemon.stop();
      clearInterval(cleaner);
      await end(firehose.child);
      rmSync(own, { recursive: true });
      const speed = rows / seconds;
      const cells = [
        ...[name, rows.toLocaleString('en'), seconds.toFixed(2), Math.round(speed).toLocaleString('en')],
        ...[Math.round(zongji).toLocaleString('en'), (speed / zongji).toFixed(2)],
        ...[(((cpuSeconds - before) / rows) * 1e6).toFixed(2), Math.round(peakMB)],
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}

/**
 * Removes landed objects. Otherwise each gigabyte of them would need fresh memory from the kernel, which a virtual
 * machine provides slowly, and a disk that is fast enough.
 */
export function removeObjects(lake: string): void {
  for (const entry of readdirSync(lake, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) rmSync(join(entry.parentPath, entry.name));
  }
}

/** Resolves when InnoDB has written the filled pages. Otherwise it would write them during the first rounds. */
export async function pagesWritten(client: Connection): Promise<void> {
  await client.query('SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0, GLOBAL innodb_max_dirty_pages_pct = 0');
  for (let dirty = Number.POSITIVE_INFINITY; dirty > 100; await sleep(100)) {
    const [[row]] = await client.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'");
    dirty = Number(row?.Value);
  }
}
