import { mkdirSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { end, resourceUsage, startDaemon, startFirehose } from './processes.ts';
import { ORDERS } from './shapes.ts';

/** The changes of sixteen hours at 250 changes a second. */
const CHANGES = 16 * 3600 * 250;
/** Rows of the table. Each statement of the workload changes `STEP` of them. */
const ROWS = 200_000;
const STEP = 2_000;
const REPORT_MS = 15_000;

/** Sends the changes of sixteen hours at full speed, to see whether memory grows, speed falls or events are missing. */
export async function soak(server: LocalServer, directory: string): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const own = join(directory, 'soak');
  mkdirSync(own);
  const client = await createConnection({ ...connection, multipleStatements: true });
  await client.query(`SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 0, GLOBAL binlog_row_image = 'MINIMAL';
    DROP DATABASE IF EXISTS bench; CREATE DATABASE bench; USE bench; CREATE TABLE t ${ORDERS.ddl}`);
  await client.query(`SET SESSION cte_max_recursion_depth = 10000000, SESSION binlog_row_image = 'MINIMAL';
    INSERT INTO t SELECT ${ORDERS.row} FROM
      (WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < ${ROWS}) SELECT n FROM r) numbers`);
  const lake = join(own, 'lake');
  const firehose = await startFirehose(lake);
  const daemon = await startDaemon({
    directory: own,
    mysqlPort: server.port,
    endpoint: firehose.endpoint,
    start: 'now',
  });
  console.log('| minutes | changes made | RSS, MB | peak RSS, MB | CPU, µs/change |');
  console.log('| ---: | ---: | ---: | ---: | ---: |');
  let changes = 0;
  let lastReport = { time: Date.now(), changes: 0, cpu: 0 };
  const begin = Date.now();
  const report = (): void => {
    const { cpuSeconds, rssMB, peakMB } = resourceUsage(daemon.child);
    const cpu = ((cpuSeconds - lastReport.cpu) / (changes - lastReport.changes)) * 1e6;
    const minutes = ((Date.now() - begin) / 60_000).toFixed(1);
    const cells = [minutes, changes.toLocaleString('en'), Math.round(rssMB), Math.round(peakMB), cpu.toFixed(2)];
    console.log(`| ${cells.join(' | ')} |`);
    lastReport = { time: Date.now(), changes, cpu: cpuSeconds };
  };
  for (let from = 1; changes < CHANGES; from = from + STEP > ROWS ? 1 : from + STEP) {
    const [result] = await client.query(
      `UPDATE t SET quantity = (quantity + 1) % 60000, total = total + 0.01 WHERE id BETWEEN ${from} AND ${from + STEP - 1}`,
    );
    changes += (result as { affectedRows: number }).affectedRows;
    if (Date.now() - lastReport.time > REPORT_MS) report();
    if (from === 1) await discard(client, lake);
  }
  report();
  const { end: last } = await readServerInfo(connection);
  const caughtUp = await daemon.reached(last, 600_000);
  const { events = 0, requests = 0, retries = 0 } = await daemon.stop();
  client.destroy();
  await end(firehose.child);
  const lag = Math.max(0, (caughtUp - lastReport.time) / 1000).toFixed(1);
  console.log(
    `\n${events.toLocaleString('en')} events in ${requests} requests, ${retries} sent again; ` +
      `all delivered ${lag} s after the last change.`,
  );
}

/** Removes old objects and binlogs, so that they do not fill the disk. */
async function discard(client: Awaited<ReturnType<typeof createConnection>>, lake: string): Promise<void> {
  await client.query('PURGE BINARY LOGS BEFORE NOW() - INTERVAL 2 MINUTE');
  for (const name of await readdir(lake, { recursive: true }).catch(() => [])) {
    const file = join(lake, name);
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile()) await rm(file, { force: true });
  }
  await sleep(0);
}
