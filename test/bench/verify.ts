import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { AdminClient } from '../../src/admin/client.ts';
import { listObjects } from '../../src/lake/objects.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { cpuOf, fillTable, measureReader } from './backfill.ts';
import { end, resourceUsage, startFirehose } from './processes.ts';

const ROWS = 10_000_000;
/** Rows of the table that is written to. */
const WRITTEN_ROWS = 1_000_000;
const ENTRY = resolve('dist/main.js');
const REPORT = 'build/verify-report.json';

interface Verified {
  name: string;
  rowsPerSecond: number;
  cpuSeconds: number;
  serverCpuSeconds: number;
  peakMB: number | undefined;
}

/**
 * `cdc verify` of one table against the events of a backfill, and what reading the table alone takes: first at rest,
 * then under writes with planted faults, which it has to find and repair; then a larger table at rest.
 */
export async function verify(
  server: LocalServer,
  directory: string,
  { rows = ROWS }: { rows?: number },
): Promise<void> {
  const client = await createConnection({ port: server.port, user: 'root', multipleStatements: true });
  const report: { rows: number; found: Verified[] }[] = [];
  for (const [count, isWritten] of [
    [Math.min(rows, WRITTEN_ROWS), true],
    [rows, false],
  ] as const) {
    const found = await measure(server, client, join(directory, isWritten ? 'written' : 'at-rest'), count, isWritten);
    print(found, count);
    report.push({ rows: count, found });
  }
  client.destroy();
  mkdirSync('build', { recursive: true });
  writeFileSync(REPORT, `${JSON.stringify(report, null, 2)}\n`);
}

async function measure(
  server: LocalServer,
  client: Connection,
  directory: string,
  rows: number,
  isWritten: boolean,
): Promise<Verified[]> {
  mkdirSync(directory);
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
  const verified = async (name: string, faults: number, ...words: string[]): Promise<void> => {
    found.push({ name, ...(await measureVerify(server, directory, faults, ...words)) });
  };
  await verified('cdc verify, at rest', 0);
  if (isWritten) {
    const writers = startWriters(server.port, rows);
    await plant(client, lake);
    await verified(`cdc verify, ${WRITES} writes/s, 4 faults`, 4);
    await verified('the same with --repair', 0, '--repair');
    await verified('the same, repaired', 0);
    console.log(`${(await writers.stop()).toFixed(0)} writes a second were done.\n`);
  }
  daemon.kill('SIGTERM');
  await once(daemon, 'close');
  await end(firehose.child);
  rmSync(directory, { recursive: true });
  return found;
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

/** One row of each kind of fault: a flipped byte in the lake, and changes of the source that no event reports. */
async function plant(client: Connection, lake: string): Promise<void> {
  for (const { path } of await listObjects(lake, 'bench')) {
    const text = readFileSync(path, 'latin1');
    const at = text.indexOf('"email":"user1@');
    if (at < 0) continue;
    writeFileSync(path, text.replace('"email":"user1@', '"email":"usar1@'), 'latin1');
    await client.query(`SET SESSION sql_log_bin = 0;
      INSERT INTO bench.orders SELECT 0, customer_id, status, total, currency, email, note, coupon, weight, placed_at,
        updated_at, gift FROM bench.orders WHERE id = 2;
      DELETE FROM bench.orders WHERE id = 3;
      UPDATE bench.orders SET total = total + 1 WHERE id = 4;
      SET SESSION sql_log_bin = 1`);
    return;
  }
  throw new Error('the lake has no row to change');
}

const WRITES = 1_000;
const TICK_MS = 10;

/** Updates of single rows, at a rate that does not depend on how long each takes. Returns how many a second it did. */
function startWriters(port: number, rows: number): { stop(): Promise<number> } {
  const connections = Promise.all([1, 2].map(() => createConnection({ port, user: 'root' })));
  const startedAt = performance.now();
  let sent = 0;
  let done = 0;
  const timer = setInterval(async () => {
    const due = ((performance.now() - startedAt) / 1000) * WRITES;
    const clients = await connections;
    for (; sent < due && sent - done < 200; sent++) {
      const id = 1_000 + Math.floor(Math.random() * (rows - 1_000));
      const sql = `UPDATE bench.orders SET weight = weight + 1 WHERE id = ${id}`;
      (clients[sent % 2] as Connection).query(sql).then(() => done++);
    }
  }, TICK_MS);
  return {
    async stop() {
      clearInterval(timer);
      const seconds = (performance.now() - startedAt) / 1000;
      while (done < sent) await sleep(10);
      for (const client of await connections) client.destroy();
      return done / seconds;
    },
  };
}

/** @param faults how many rows have to differ at the end */
async function measureVerify(
  server: LocalServer,
  directory: string,
  faults: number,
  ...words: string[]
): Promise<Omit<Verified, 'name'>> {
  const before = cpuOf(server.pid);
  const startedAt = performance.now();
  const options = process.env.CDC_BENCH_NODE_OPTIONS?.split(' ') ?? [];
  const child = spawn(process.execPath, [...options, ENTRY, 'verify', 'bench.orders', '--json', ...words], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let usage = resourceUsage(child);
  const timer = setInterval(() => {
    const now = resourceUsage(child);
    // A process that has ended has no memory any more.
    if (now.peakMB > 0) usage = now;
  }, 100);
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  const [code] = await once(child, 'close');
  clearInterval(timer);
  const seconds = (performance.now() - startedAt) / 1000;
  const report = JSON.parse(output);
  const { missing, extra, different } = report.tables[0];
  if (missing + extra + different !== faults || code !== (faults > 0 ? 4 : 0)) {
    throw new Error(`cdc verify ended with ${code}: ${output}`);
  }
  return {
    rowsPerSecond: report.tables[0].rows / seconds,
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
