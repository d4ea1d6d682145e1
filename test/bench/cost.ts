import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { startDaemon } from './processes.ts';

/** Firehose bills each record rounded up to the next 5 KB (Amazon Data Firehose pricing, Direct PUT). */
const BILLING_STEP_BYTES = 5 * 1024;
const billed = (bytes: number): number => Math.ceil(bytes / BILLING_STEP_BYTES) * BILLING_STEP_BYTES;
const SECONDS = 10;

const SETTINGS: [name: string, keys: string][] = [
  ['one event per record (aggregate: off)', 'aggregate: off'],
  ['the defaults', 'linger: 100ms'],
  ['linger: 1s', 'linger: 1s'],
  ['linger: 1s, compression: gzip', 'linger: 1s, compression: gzip'],
];

/**
 * The bill of Firehose for the same changes with several settings, at a low and a high rate of one-row transactions.
 */
export async function cost(server: LocalServer, directory: string): Promise<void> {
  console.log(
    '| way | events/s | bytes per event | records | billed GB per million events | against one event per record |',
  );
  console.log('| --- | ---: | ---: | ---: | ---: | ---: |');
  for (const rate of [100, 1_000]) {
    let single = 0;
    for (const [i, [name, keys]] of SETTINGS.entries()) {
      const own = join(directory, `cost-${rate}-${i}`);
      mkdirSync(own);
      let bytes = 0;
      let bill = 0;
      let records = 0;
      const firehose = await startLocalFirehose({
        listen: { host: '127.0.0.1', port: 0 },
        lake: join(own, 'lake'),
        autoCreateStream: () => ({ name: 'any' }),
        onCall(call) {
          records += call.records.length;
          for (const { data } of call.records) {
            bytes += data.length;
            bill += billed(data.length);
          }
        },
      });
      const client = await createConnection({ port: server.port, user: 'root', multipleStatements: true });
      await client.query(`DROP DATABASE IF EXISTS bench; CREATE DATABASE bench;
        CREATE TABLE bench.t (id INT PRIMARY KEY, customer INT, status VARCHAR(10), total DECIMAL(10,2))`);
      const daemon = await startDaemon({
        ...{ directory: own, mysqlPort: server.port, endpoint: firehose.endpoint, start: 'now' },
        firehose: keys,
      });
      const begin = performance.now();
      for (let id = 1; id <= rate * SECONDS; id++) {
        await client.query(`INSERT INTO bench.t VALUES (${id}, ${id % 977}, 'paid', ${id}/100)`);
        const due = begin + (id / rate) * 1000;
        if (due > performance.now() + 2) await sleep(due - performance.now());
      }
      client.destroy();
      const { events = 0 } = await daemon.stop();
      await firehose.close();
      if (i === 0) single = bill / events;
      const cells = [
        ...[name, rate, Math.round(bytes / events), records],
        ...[(bill / events / 1000).toFixed(2), `1/${(single / (bill / events)).toFixed(1)}`],
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}
