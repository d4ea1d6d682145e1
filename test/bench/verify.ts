import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { AdminClient } from '../../src/admin/client.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { cpuOf, fillTable, measureReader } from './backfill.ts';
import { end, resourceUsage, startFirehose } from './processes.ts';

const ROWS = 10_000_000;
const ENTRY = resolve('dist/main.js');
const REPORT = 'build/verify-report.json';

interface Verified {
  name: string;
  rowsPerSecond: number;
  cpuSeconds: number;
  serverCpuSeconds: number;
  peakMB: number | undefined;
}

/** `cdc verify` of one table against the events of a backfill, and what reading the table alone takes. */
export async function verify(
  server: LocalServer,
  directory: string,
  { rows = ROWS }: { rows?: number },
): Promise<void> {
  const client = await createConnection({ port: server.port, user: 'root', multipleStatements: true });
  await fillTable(client, rows);
  const lake = join(directory, 'lake');
  const firehose = await startFirehose(lake, '--buffer-seconds', '2');
  writeFileSync(
    join(directory, 'cdc.yaml'),
    `name: bench
source: { url: "mysql://root@127.0.0.1:${server.port}", start: snapshot }
tables: ["bench.*"]
firehose: { stream: bench, endpoint: "${firehose.endpoint}" }
lake: lake
`,
  );
  const daemon = spawn(process.execPath, [ENTRY, 'run'], { cwd: directory, stdio: ['ignore', 'ignore', 'ignore'] });
  await backfilled(join(directory, 'state/bench.sock'));
  await sleep(5_000);
  const found: Verified[] = [];
  for (const name of ['mysql2', 'bytes'] as const) {
    const { rowsPerSecond, cpuSeconds, serverCpuSeconds } = await measureReader(name, server, rows);
    found.push({ name: READERS[name], rowsPerSecond, cpuSeconds, serverCpuSeconds, peakMB: undefined });
  }
  found.push(await measureVerify(server, directory, rows));
  daemon.kill('SIGTERM');
  await once(daemon, 'close');
  await end(firehose.child);
  client.destroy();
  print(found, rows);
  mkdirSync('build', { recursive: true });
  writeFileSync(REPORT, `${JSON.stringify({ rows, found }, null, 2)}\n`);
}

const READERS = { mysql2: 'SELECT alone, mysql2', bytes: 'bytes of the same SELECT into nothing' } as const;

async function backfilled(socket: string): Promise<void> {
  for (;;) {
    const client = new AdminClient(socket);
    const status = await client.backfill().catch(() => undefined);
    client.close();
    if (status?.state === 'idle' && status.tables.some(({ state }) => state === 'done')) return;
    await sleep(500);
  }
}

async function measureVerify(server: LocalServer, directory: string, rows: number): Promise<Verified> {
  const before = cpuOf(server.pid);
  const startedAt = performance.now();
  const options = process.env.CDC_BENCH_NODE_OPTIONS?.split(' ') ?? [];
  const child = spawn(process.execPath, [...options, ENTRY, 'verify', 'bench.orders', '--json'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let usage = resourceUsage(child);
  const timer = setInterval(() => {
    if (child.exitCode === null) usage = resourceUsage(child);
  }, 100);
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  const [code] = await once(child, 'close');
  clearInterval(timer);
  const seconds = (performance.now() - startedAt) / 1000;
  const report = JSON.parse(output);
  if (code !== 0 || report.tables[0].rows !== rows) throw new Error(`cdc verify ended with ${code}: ${output}`);
  return {
    name: 'cdc verify',
    rowsPerSecond: rows / seconds,
    cpuSeconds: usage.cpuSeconds,
    serverCpuSeconds: cpuOf(server.pid) - before,
    peakMB: usage.peakMB,
  };
}

function print(found: readonly Verified[], rows: number): void {
  const count = (value: number): string => Math.round(value).toLocaleString('en');
  console.log(`${count(rows)} rows, one event of each in the lake. CPU in seconds.\n`);
  console.log('| | rows/s | CPU | CPU of MySQL | peak RSS, MB |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const { name, rowsPerSecond, cpuSeconds, serverCpuSeconds, peakMB } of found) {
    const cells = [name, count(rowsPerSecond), cpuSeconds.toFixed(1), serverCpuSeconds.toFixed(1)];
    console.log(`| ${[...cells, peakMB === undefined ? '' : count(peakMB)].join(' | ')} |`);
  }
}
