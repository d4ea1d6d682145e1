import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { readServerFacts } from '../../src/binlog/server.ts';
import type { LocalServer } from '../../src/local-mysql/server.ts';
import { capture, fill } from './capture.ts';
import { end, startDaemon, startFirehose, usedBy } from './processes.ts';
import { ONE_ROW, ORDERS, type Shape } from './shapes.ts';
import { zongjiSpeed } from './zongji-decode.ts';

/**
 * From the binlog of a real MySQL to acknowledgements of the local Firehose, until the checkpoint on disk has reached
 * the end: daemon, Firehose and MySQL in processes of their own. In between, in this process and with nothing else
 * running, zongji's decode and JSON.stringify of the same rows from memory.
 */
export async function wholePath(server: LocalServer, directory: string): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  console.log(
    '| | rows | seconds | rows/s | zongji + JSON.stringify, rows/s | ratio | CPU of the daemon, µs/row | its peak RSS, MB |',
  );
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  const cases: [name: string, shape: Shape, rows: number][] = [
    ['orders', ORDERS, 800_000],
    ['one-row transactions', ONE_ROW, 100_000],
  ];
  for (const [name, shape, rows] of cases) {
    const zongji = await zongjiSpeed(connection, await capture(connection, shape), shape.rows);
    const start = await readServerFacts(connection);
    const client = await createConnection({ ...connection, multipleStatements: true });
    await fill(client, { ...shape, rows });
    client.destroy();
    const { end: binlogEnd } = await readServerFacts(connection);
    for (let round = 0; round < 2; round++) {
      const own = join(directory, `${shape.oneRowTransactions ?? false}-${round}`);
      mkdirSync(own);
      const firehose = await startFirehose(join(own, 'lake'));
      const place = `${start.end.file}:${start.end.position}`;
      const daemon = await startDaemon({
        directory: own,
        mysqlPort: server.port,
        endpoint: firehose.endpoint,
        start: place,
      });
      const before = usedBy(daemon.child).cpuSeconds;
      const seconds = ((await daemon.reached(binlogEnd)) - daemon.followsSince) / 1000;
      const { cpuSeconds, peakMB } = usedBy(daemon.child);
      await daemon.stop();
      await end(firehose.child);
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
