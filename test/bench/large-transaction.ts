import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { fill } from './capture.ts';
import { end, resourceUsage, startDaemon, startFirehose } from './processes.ts';
import { ORDERS } from './shapes.ts';

const ROWS = 1_000_000;
const SINK_BYTES = 1_000_000;

/** Sends one transaction of a million rows to a stream that accepts 1 MB/s and throttles the rest. */
export async function largeTransaction(server: LocalServer, directory: string): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const own = join(directory, 'large');
  mkdirSync(own);
  const client = await createConnection({ ...connection, multipleStatements: true });
  await fill(client, { ...ORDERS, rows: 1 });
  const start = await readServerInfo(connection);
  await client.query(`DELETE FROM t; SET SESSION cte_max_recursion_depth = 10000000;
    INSERT INTO t SELECT ${ORDERS.row} FROM
      (WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < ${ROWS}) SELECT n FROM r) numbers`);
  client.destroy();
  const { end: binlogEnd } = await readServerInfo(connection);
  const plan = join(own, 'faults.json');
  writeFileSync(plan, JSON.stringify({ rules: [{ fault: 'quota', bytes_per_second: SINK_BYTES }] }));
  console.log('| quota of the daemon | rows | MB sent | seconds | MB/s | records sent again | peak RSS, MB |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const quota of [`{ bytes: ${SINK_BYTES} }`, 'off']) {
    const folder = join(own, quota === 'off' ? 'off' : 'paced');
    mkdirSync(folder);
    const firehose = await startFirehose(join(folder, 'lake'), '--faults', plan);
    const daemon = await startDaemon({
      ...{ directory: folder, mysqlPort: server.port, endpoint: firehose.endpoint },
      start: `${start.end.file}:${start.end.position}`,
      firehose: `quota: ${quota}`,
    });
    const seconds = ((await daemon.reached(binlogEnd, 3_600_000)) - daemon.followsSince) / 1000;
    await sleep(200);
    const { peakMB } = resourceUsage(daemon.child);
    const { events = 0, bytes = 0, retries = 0 } = await daemon.stop();
    await end(firehose.child);
    const megabytes = bytes / 1e6;
    const cells = [
      ...[quota === 'off' ? 'off' : '1 MB/s', events.toLocaleString('en'), megabytes.toFixed(0), seconds.toFixed(0)],
      ...[(megabytes / seconds).toFixed(2), retries, Math.round(peakMB)],
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
