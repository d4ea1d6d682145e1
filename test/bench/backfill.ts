import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Connection, createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import type { ReaderName, ReaderResult } from './backfill-reader.ts';
import { end, type FirehoseProcess, resourceUsage, startFirehose } from './processes.ts';
import { pagesWritten, removeObjects } from './whole-path.ts';

const ROWS = 2_000_000;
const ROUNDS = 3;
/** Rows of one INSERT that fills the table. */
const FILL_ROWS = 100_000;
/** Clients that commit one-row transactions, and how long their rate is measured without a backfill. */
const CLIENTS = 2;
const WRITE_MS = 6_000;
const REPORT = 'build/backfill-report.json';
const ENTRY = resolve('dist/main.js');

const DDL = `(id BIGINT PRIMARY KEY, customer_id INT NOT NULL, status ENUM('new','paid','shipped','cancelled') NOT NULL,
  total DECIMAL(12,2) NOT NULL, currency CHAR(3) NOT NULL, email VARCHAR(120), note TEXT, coupon VARCHAR(20),
  weight DOUBLE, placed_at DATETIME(3) NOT NULL, updated_at TIMESTAMP NULL, gift TINYINT NOT NULL)`;
const ROW = `n, n * 7 % 100000, 1 + n % 4, n / 100, 'EUR', CONCAT('user', n, '@example.com'),
  CONCAT('Note for order ', n, ': leave at the door, please'), IF(n % 10 = 0, CONCAT('SPRING-', n), NULL), n / 7,
  '2026-01-02 03:04:05.678' + INTERVAL n SECOND, '2026-01-02 03:04:05' + INTERVAL n SECOND, n % 2`;

export interface Measured {
  rowsPerSecond: number;
  cpuSeconds: number;
  peakMB?: number;
  firehoseCpuSeconds?: number;
  serverCpuSeconds: number;
}

interface CommitRates {
  quota: string;
  without: number;
  during: number;
}

/**
 * `cdc backfill` of one table into the local Firehose, against other ways to read the same rows from the same server.
 * Each is a process of its own; they take turns. Then the commits of other clients, with and without a backfill.
 */
export async function backfill(
  server: LocalServer,
  directory: string,
  { rows = ROWS }: { rows?: number },
): Promise<void> {
  const client = await createConnection({ port: server.port, user: 'root', multipleStatements: true });
  await fillTable(client, rows);
  const contenders = contendersOf(server, directory, rows);
  const measured = new Map<string, Measured[]>(Object.keys(contenders).map((name) => [name, []]));
  const load = [loadavg()[0] as number];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, measure] of Object.entries(contenders)) measured.get(name)?.push(await measure());
    load.push(loadavg()[0] as number);
  }
  printSpeeds(measured, rows);
  const commits: CommitRates[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const quota of Object.keys(QUOTAS)) commits.push(await commitRates(server, directory, quota));
  }
  client.destroy();
  printCommits(commits);
  console.log(
    `\nLoad of the machine before the first round and after each: ${load.map((n) => n.toFixed(1)).join(', ')}.`,
  );
  mkdirSync('build', { recursive: true });
  writeFileSync(
    REPORT,
    `${JSON.stringify({ rows, load, measured: Object.fromEntries(measured), commits }, null, 2)}\n`,
  );
  console.log(`All figures are in ${REPORT}.`);
}

/** The quota of `firehose.quota`. On AWS the second is the default; a local Firehose has none. */
const QUOTAS: Readonly<Record<string, string>> = { none: 'off', 'that of us-east-1, 5 MiB/s': '{ bytes: 5MiB }' };

const PEER = 'mysql2, rows as arrays, JSON.stringify';

function contendersOf(server: LocalServer, directory: string, rows: number): Record<string, () => Promise<Measured>> {
  const read = (name: ReaderName) => () => measureReader(name, server, rows);
  return {
    'cdc backfill, 4 workers': () => measureBackfill(server, directory, rows, 4),
    'cdc backfill, 1 worker': () => measureBackfill(server, directory, rows, 1),
    [PEER]: read('mysql2'),
    'the same, dates as strings': read('mysql2-date-strings'),
    'bytes of the same SELECT into nothing': read('bytes'),
    'our reader alone': read('chunks'),
    'our reader and codec': read('events'),
  };
}

/** The binlog is off, so that no contender has to read past the rows in it. */
export async function fillTable(client: Connection, rows: number): Promise<void> {
  await client.query(`SET GLOBAL innodb_buffer_pool_size = 1073741824;
    SET SESSION sql_log_bin = 0, SESSION cte_max_recursion_depth = 10000000;
    DROP DATABASE IF EXISTS bench; CREATE DATABASE bench; USE bench; CREATE TABLE orders ${DDL}`);
  for (let from = 0; from < rows; from += FILL_ROWS) {
    const last = Math.min(rows, from + FILL_ROWS);
    await client.query(`INSERT INTO orders SELECT ${ROW} FROM
      (WITH RECURSIVE r AS (SELECT ${from + 1} n UNION ALL SELECT n + 1 FROM r WHERE n < ${last}) SELECT n FROM r) numbers`);
  }
  await client.query('SET SESSION sql_log_bin = 1; CREATE TABLE visits (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT)');
  await client.query('ANALYZE TABLE orders');
  await pagesWritten(client);
}

/** CPU seconds of a process so far (proc(5)); 0 for a server that runs elsewhere. */
export const cpuOf = (pid: number): number => (pid === 0 ? 0 : resourceUsage({ pid } as ChildProcess).cpuSeconds);

export async function measureReader(name: ReaderName, server: LocalServer, rows: number): Promise<Measured> {
  const before = cpuOf(server.pid);
  const script = fileURLToPath(new URL('backfill-reader.js', import.meta.url));
  const child = spawn(process.execPath, [script, name, String(server.port), 'orders'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  await once(child, 'close');
  const { seconds, cpuSeconds, rows: read } = JSON.parse(output) as ReaderResult;
  if (read !== rows && name !== 'bytes') throw new Error(`${name} read ${read} of ${rows} rows`);
  return { rowsPerSecond: rows / seconds, cpuSeconds, serverCpuSeconds: cpuOf(server.pid) - before };
}

interface RunningBackfill {
  child: ChildProcess;
  firehose: FirehoseProcess;
  /** Resolves with the seconds from the first row that could be read to the acknowledgement of the last one. */
  finished: Promise<{ seconds: number; cpuSeconds: number; peakMB: number }>;
  started: Promise<void>;
  close(): Promise<void>;
}

let runs = 0;

/** Starts `cdc backfill` in a folder of its own, so that each begins without a checkpoint. */
async function startBackfill(
  server: LocalServer,
  directory: string,
  flags: readonly string[],
  quota = 'off',
): Promise<RunningBackfill> {
  const own = join(directory, `backfill-${++runs}`);
  mkdirSync(own);
  const lake = join(own, 'lake');
  const firehose = await startFirehose(lake, '--buffer-seconds', '1');
  const cleaner = setInterval(() => removeObjects(lake), 300);
  writeFileSync(
    join(own, 'cdc.yaml'),
    `name: bench
source: { url: "mysql://root@127.0.0.1:${server.port}", start: now }
tables: ["bench.*"]
firehose: { stream: bench, endpoint: "${firehose.endpoint}", quota: ${quota} }
`,
  );
  const options = process.env.CDC_BENCH_NODE_OPTIONS?.split(' ') ?? [];
  const child = spawn(process.execPath, [...options, ENTRY, 'backfill', 'bench.orders', '--yes', '--json', ...flags], {
    cwd: own,
    env: { ...process.env, CDC_LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  let onStarted = (): void => {};
  const started = new Promise<void>((resolve) => {
    onStarted = resolve;
  });
  let startedAt = 0;
  const finished = new Promise<{ seconds: number; cpuSeconds: number; peakMB: number }>((done, failed) => {
    child.stdout.on('data', () => {});
    child.stderr.on('data', (text) => {
      log += text;
      if (startedAt === 0 && log.includes('backfill: requested')) {
        startedAt = performance.now();
        onStarted();
      }
      if (!log.includes('backfill: done')) return;
      const seconds = (performance.now() - startedAt) / 1000;
      const { cpuSeconds, peakMB } = resourceUsage(child);
      done({ seconds, cpuSeconds, peakMB });
    });
    child.once('close', () => failed(new Error(`cdc backfill ended: ${log}`)));
  });
  // It is also ended before it has finished.
  finished.catch(() => {});
  return {
    ...{ child, firehose, finished, started },
    async close() {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
      clearInterval(cleaner);
      await end(firehose.child);
      rmSync(own, { recursive: true });
    },
  };
}

async function measureBackfill(
  server: LocalServer,
  directory: string,
  rows: number,
  workers: number,
): Promise<Measured> {
  const before = cpuOf(server.pid);
  const running = await startBackfill(server, directory, ['--parallel', String(workers)]);
  const { seconds, cpuSeconds, peakMB } = await running.finished;
  const firehoseCpuSeconds = resourceUsage(running.firehose.child).cpuSeconds;
  const serverCpuSeconds = cpuOf(server.pid) - before;
  await running.close();
  return { rowsPerSecond: rows / seconds, cpuSeconds, peakMB, firehoseCpuSeconds, serverCpuSeconds };
}

/** Commits a second of the clients: before a backfill and after it, and while it runs. */
async function commitRates(server: LocalServer, directory: string, quota: string): Promise<CommitRates> {
  const writers = await startWriters(server.port);
  await sleep(1_000);
  const first = await writers.rateDuring(sleep(WRITE_MS / 2));
  const running = await startBackfill(server, directory, [], QUOTAS[quota]);
  await running.started;
  const during = await writers.rateDuring(Promise.race([running.finished, sleep(WRITE_MS)]));
  running.child.kill('SIGTERM');
  await running.close();
  const second = await writers.rateDuring(sleep(WRITE_MS / 2));
  await writers.stop();
  return { quota, without: (first + second) / 2, during };
}

interface Writers {
  rateDuring(time: Promise<unknown>): Promise<number>;
  stop(): Promise<void>;
}

async function startWriters(port: number): Promise<Writers> {
  let commits = 0;
  let isStopped = false;
  const write = async (client: Connection): Promise<void> => {
    for (let n = 0; !isStopped; n++, commits++) await client.query(`INSERT INTO bench.visits (a) VALUES (${n})`);
    client.destroy();
  };
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => createConnection({ port, user: 'root' })));
  const writing = Promise.all(clients.map(write));
  return {
    async rateDuring(time) {
      const [from, start] = [commits, performance.now()];
      await Promise.race([time, writing]);
      return ((commits - from) / (performance.now() - start)) * 1000;
    },
    async stop() {
      isStopped = true;
      await writing;
    },
  };
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;
const medianOf = (runsOf: readonly Measured[], key: keyof Measured): number | undefined => {
  const numbers = runsOf.flatMap((run) => run[key] ?? []);
  return numbers.length === 0 ? undefined : median(numbers);
};

function printSpeeds(measured: ReadonlyMap<string, Measured[]>, rows: number): void {
  const peer = measured.get(PEER)?.map(({ rowsPerSecond }) => rowsPerSecond) ?? [];
  console.log(`${rows.toLocaleString('en')} rows, median of ${ROUNDS} rounds in turn. CPU in seconds.\n`);
  console.log('| | rows/s | against mysql2 | CPU | CPU of the Firehose | CPU of MySQL | peak RSS, MB |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const [name, own] of measured) {
    const ratio = median(own.map(({ rowsPerSecond }, round) => rowsPerSecond / (peer[round] as number)));
    const seconds = (key: keyof Measured): string => medianOf(own, key)?.toFixed(1) ?? '';
    const cells = [
      ...[name, Math.round(medianOf(own, 'rowsPerSecond') ?? 0).toLocaleString('en'), ratio.toFixed(2)],
      ...[seconds('cpuSeconds'), seconds('firehoseCpuSeconds'), seconds('serverCpuSeconds')],
      medianOf(own, 'peakMB')?.toFixed(0) ?? '',
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

function printCommits(commits: readonly CommitRates[]): void {
  console.log(`\nOne-row transactions of ${CLIENTS} clients a second, without and with a backfill at its defaults:\n`);
  console.log('| quota of the stream | without | during | change |');
  console.log('| --- | ---: | ---: | ---: |');
  for (const quota of Object.keys(QUOTAS)) {
    const own = commits.filter((rates) => rates.quota === quota);
    const change = median(own.map(({ without, during }) => (during / without - 1) * 100));
    const cells = [median(own.map(({ without }) => without)), median(own.map(({ during }) => during))].map(Math.round);
    console.log(`| ${quota} | ${cells.join(' | ')} | ${change.toFixed(0)} % |`);
  }
}
