import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { fill } from './capture.ts';
import { end, resourceUsage, startFirehose } from './processes.ts';
import { ORDERS } from './shapes.ts';

const SIZES = [1, 2, 10, 50];
const SETTLE_MS = 10_000;
const IDLE_MS = 30_000;

/**
 * One process with many pipelines that have nothing to do, on one server. Then rows of a table that none of them
 * captures: what each pipeline costs that reads a binlog for others.
 */
export async function fleet(
  server: LocalServer,
  directory: string,
  { rows = ORDERS.rows }: { rows?: number },
): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const firehose = await startFirehose(join(directory, 'lake'));
  console.log(
    '| pipelines | seconds to start | RSS idle, MB | CPU idle | CPU for rows of others, µs/row | RSS after them, MB |',
  );
  console.log('| ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const size of SIZES) {
    const own = join(directory, `fleet-${size}`);
    mkdirSync(own);
    const files = Array.from({ length: size }, (_, i) => writeConfig(own, i, server.port, firehose.endpoint));
    const started = performance.now();
    const child = spawn(process.execPath, [resolve('dist/main.js'), 'run', ...files.flatMap((file) => ['-c', file])], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (text) => (log += text));
    while (log.split('following the binlog').length <= size) {
      if (child.exitCode !== null) throw new Error(log);
      await sleep(20);
    }
    const startSeconds = (performance.now() - started) / 1000;
    await sleep(SETTLE_MS);
    const before = resourceUsage(child);
    await sleep(IDLE_MS);
    const idle = resourceUsage(child);

    const client = await createConnection({ ...connection, multipleStatements: true });
    await fill(client, { ...ORDERS, rows });
    client.destroy();
    const reached = (await readServerInfo(connection)).end;
    for (const [i] of files.entries()) await checkpointReaches(join(own, 'state', `p${i}.json`), reached);
    const after = resourceUsage(child);
    await end(child);
    const cells = [
      ...[size, startSeconds.toFixed(1), idle.rssMB.toFixed(0)],
      `${(((idle.cpuSeconds - before.cpuSeconds) / IDLE_MS) * 1e5).toFixed(1)} %`,
      (((after.cpuSeconds - idle.cpuSeconds) / rows) * 1e6).toFixed(2),
      after.rssMB.toFixed(0),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  await end(firehose.child);
}

function writeConfig(directory: string, i: number, port: number, endpoint: string): string {
  const file = join(directory, `p${i}.yaml`);
  writeFileSync(
    file,
    `name: p${i}
source: { url: "mysql://root@127.0.0.1:${port}" }
tables: ["shard_${i}.*"]
firehose: { stream: bench, endpoint: "${endpoint}" }
`,
  );
  return file;
}

async function checkpointReaches(file: string, end: { file: string; position: number }): Promise<void> {
  for (;;) {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as { file: string; position: number };
    if (saved.file > end.file || (saved.file === end.file && saved.position >= end.position)) return;
    await sleep(50);
  }
}
