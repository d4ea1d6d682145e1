import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { resourceUsage, startDaemon } from './processes.ts';

const CLIENTS = 20;
const PER_SECOND = 1_000;
const SECONDS = 20;
/** These seconds are for warming up and are not measured. */
const WARM_SECONDS = 5;
const LINGERS = [100, 20];

/**
 * Measures the time from the return of COMMIT at the client until just before the local Firehose acknowledges the
 * event, at a steady rate of one-row transactions. The clients and the Firehose are in this process, so there is one
 * clock.
 */
export async function latency(server: LocalServer, directory: string): Promise<void> {
  console.log('| linger | transactions/s | p50 ms | p90 ms | p99 ms | worst ms | CPU of the daemon | its RSS, MB |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const linger of LINGERS) {
    const own = join(directory, `latency-${linger}`);
    mkdirSync(own);
    const committed = new Map<number, number>();
    const latencies: number[] = [];
    let warmingUp = true;
    const firehose = await startLocalFirehose({
      listen: { host: '127.0.0.1', port: 0 },
      lake: join(own, 'lake'),
      autoCreateStream: () => ({ name: 'any' }),
      onCall({ records }) {
        const now = performance.now();
        for (const { data } of records) {
          for (const [, id] of data.toString().matchAll(/"after":\{"id":(\d+)/g)) {
            const committedAt = committed.get(Number(id));
            committed.delete(Number(id));
            // An event can arrive before its COMMIT returns to the client.
            if (!warmingUp) latencies.push(committedAt === undefined ? 0 : now - committedAt);
          }
        }
      },
    });
    await createTable(server.port);
    const daemon = await startDaemon({
      ...{ directory: own, mysqlPort: server.port, endpoint: firehose.endpoint, start: 'now' },
      firehose: `linger: ${linger}ms`,
    });
    let id = 0;
    let cpu = 0;
    const begin = performance.now();
    const total = PER_SECOND * (SECONDS + WARM_SECONDS);
    const client = async (): Promise<void> => {
      const connection = await createConnection({ host: '127.0.0.1', port: server.port, user: 'root' });
      while (id < total) {
        const rowId = ++id;
        if (rowId === PER_SECOND * WARM_SECONDS) {
          warmingUp = false;
          cpu = resourceUsage(daemon.child).cpuSeconds;
        }
        const due = begin + (rowId / PER_SECOND) * 1000;
        if (due > performance.now()) await sleep(due - performance.now());
        await connection.query(
          `INSERT INTO bench.t VALUES (${rowId}, ${rowId % 977}, 'paid', ${rowId}/100, 'left at the door')`,
        );
        committed.set(rowId, performance.now());
      }
      connection.destroy();
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    const seconds = (performance.now() - begin) / 1000;
    await sleep(1_000);
    const { cpuSeconds, rssMB } = resourceUsage(daemon.child);
    await daemon.stop();
    await firehose.close();
    latencies.sort((a, b) => a - b);
    const percentiles = [0.5, 0.9, 0.99, 1].map((share) =>
      (latencies[Math.floor((latencies.length - 1) * share)] ?? 0).toFixed(1),
    );
    const cells = [
      ...[`${linger} ms`, Math.round(total / seconds), ...percentiles],
      ...[`${(((cpuSeconds - cpu) / SECONDS) * 100).toFixed(0)} %`, Math.round(rssMB)],
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

async function createTable(port: number): Promise<void> {
  const connection = await createConnection({ port, user: 'root', multipleStatements: true });
  await connection.query(`DROP DATABASE IF EXISTS bench; CREATE DATABASE bench; CREATE TABLE bench.t (
    id INT PRIMARY KEY, customer INT, status VARCHAR(10), total DECIMAL(10,2), note VARCHAR(200))`);
  connection.destroy();
}
