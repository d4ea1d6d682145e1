import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { type PostgresServer, startPostgres } from '../integration/postgres-server.ts';
import { MergeLake, ORDERS_DDL } from './merge-lake.ts';
import { resourceUsage } from './processes.ts';

const EVENTS = 10_000_000;
/** Each key has so many events on average. */
const EVENTS_PER_KEY = 5;
/** PostgreSQL gets one event of so many. */
const FEWER = 10;
/** The share of the events that become one object, which is larger than two batches. */
const SINGLE_SHARE = 0.3;
/** The second run finds one new event for so many that are merged. */
const NEW_SHARE = 100;
const OBJECT_BYTES = 5_000_000;
/** The builds to measure in turn: this one and, if the environment names it, an earlier one. */
const { CDC_BENCH_BEFORE } = process.env;
const BUILDS: readonly Build[] = [
  ...(CDC_BENCH_BEFORE ? [{ name: 'before', entry: CDC_BENCH_BEFORE }] : []),
  { name: '', entry: resolve('dist/main.js') },
];
const REPORT = 'build/merge-report.json';

interface Merged {
  name: string;
  events: number;
  rows: number;
  seconds: number;
  cpuSeconds: number;
  serverCpuSeconds?: number;
  peakMB: number;
  targetMB: number;
}

interface Build {
  name: string;
  entry: string;
}

/** A warehouse to merge into. */
interface Target {
  build: Build;
  name: string;
  into: string;
  /** Rows, and the sum of their totals in cents. */
  read(): Promise<{ rows: number; sum: number }>;
  megabytes(): Promise<number>;
  /** CPU seconds of its processes that have ended. */
  cpu?(): number;
}

/** `cdc merge` of a lake into DuckDB and PostgreSQL: all of its events, then a few new ones. */
export async function merge(
  server: LocalServer,
  directory: string,
  { rows: events = EVENTS }: { rows?: number },
): Promise<void> {
  const client = await createConnection({ port: server.port, user: 'root', multipleStatements: true });
  await client.query(`DROP DATABASE IF EXISTS bench; CREATE DATABASE bench; ${ORDERS_DDL}`);
  client.destroy();
  const found: Merged[] = [];
  const load = [loadavg()[0] as number];
  const measured = async (lake: MergeLake, targets: readonly Target[], what: string, count: number): Promise<void> => {
    for (const target of targets) {
      const one = await measure(server, directory, lake, target, `${target.name}, ${what}`, count);
      print(one);
      found.push(one);
      load.push(loadavg()[0] as number);
    }
  };

  const fewer = Math.ceil(events / FEWER);
  const singleEvents = Math.ceil(events * SINGLE_SHARE);
  const lake = await lakeOf(join(directory, 'lake'), events, OBJECT_BYTES);
  console.log(`${lake.objects} objects, ${mega(lake.bytes)} MB of events, ${mega(lake.storedBytes)} MB stored.\n`);
  printHead();
  const duckdb = BUILDS.map((build) => duckdbTarget(build, join(directory, `warehouse${build.name}.duckdb`)));
  await measured(lake, duckdb, 'all events', events);
  await lake.write({ events: Math.ceil(events / NEW_SHARE), objectBytes: OBJECT_BYTES });
  await measured(lake, duckdb, 'new events', Math.ceil(events / NEW_SHARE));
  rmSync(lake.directory, { recursive: true });

  const single = await lakeOf(join(directory, 'single'), singleEvents, Number.POSITIVE_INFINITY);
  const singles = BUILDS.map((build) => duckdbTarget(build, join(directory, `single${build.name}.duckdb`)));
  await measured(single, singles, 'one object', singleEvents);
  rmSync(single.directory, { recursive: true });

  const small = await lakeOf(join(directory, 'small'), fewer, OBJECT_BYTES);
  const servers = await Promise.all(BUILDS.map(() => startPostgres()));
  try {
    const targets = BUILDS.map((build, i) => postgresTarget(build, servers[i] as PostgresServer));
    await measured(small, targets, 'all events', fewer);
    await small.write({ events: Math.ceil(fewer / NEW_SHARE), objectBytes: OBJECT_BYTES });
    await measured(small, targets, 'new events', Math.ceil(fewer / NEW_SHARE));
  } finally {
    for (const postgres of servers) await postgres.stop();
  }
  console.log(`\nLoad of the machine before the first and after each: ${load.map((n) => n.toFixed(1)).join(', ')}.`);
  mkdirSync('build', { recursive: true });
  writeFileSync(REPORT, `${JSON.stringify({ events, load, found }, null, 2)}\n`);
}

async function lakeOf(directory: string, events: number, objectBytes: number): Promise<MergeLake> {
  const lake = new MergeLake(directory, Math.ceil(events / EVENTS_PER_KEY));
  await lake.write({ events, objectBytes });
  return lake;
}

function duckdbTarget(build: Build, path: string): Target {
  return {
    build,
    name: ['DuckDB', build.name].filter(Boolean).join(' '),
    into: `duckdb:${path}`,
    async read() {
      const { DuckDBInstance } = await import('@duckdb/node-api');
      const instance = await DuckDBInstance.create(path);
      const connection = await instance.connect();
      const [row = []] = (await connection.runAndReadAll(CONTENT)).getRows();
      connection.closeSync();
      instance.closeSync();
      return { rows: Number(row[0]), sum: Number(row[1]) };
    },
    megabytes: async () => statSync(path).size / 1e6,
  };
}

function postgresTarget(build: Build, { version, url, pid }: PostgresServer): Target {
  const name = [`PostgreSQL ${version}`, build.name].filter(Boolean).join(' ');
  const query = async (sql: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    await client.end();
    return rows[0] ?? [];
  };
  return {
    ...{ build, name, into: url },
    async read() {
      const [rows, sum] = await query(CONTENT);
      return { rows: Number(rows), sum: Number(sum) };
    },
    megabytes: async () => Number((await query(`SELECT pg_total_relation_size('bench.orders__cdc')`))[0]) / 1e6,
    cpu: () => endedChildren(pid),
  };
}

const CONTENT = 'SELECT count(*), CAST(sum(total) * 100 AS BIGINT) FROM bench.orders';

/** CPU seconds of the children of a process that have ended (proc(5): cutime and cstime in ticks of 10 ms). */
function endedChildren(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

async function measure(
  server: LocalServer,
  directory: string,
  lake: MergeLake,
  target: Target,
  name: string,
  events: number,
): Promise<Merged> {
  writeFileSync(
    join(directory, 'cdc.yaml'),
    `name: bench
source: { url: "mysql://root@127.0.0.1:${server.port}" }
tables: ["bench.*"]
firehose: { stream: bench, endpoint: "http://127.0.0.1:1" }
lake: ${lake.directory}
`,
  );
  const before = target.cpu?.() ?? 0;
  const startedAt = performance.now();
  const options = process.env.CDC_BENCH_NODE_OPTIONS?.split(' ') ?? [];
  const child = spawn(process.execPath, [...options, target.build.entry, 'merge', '--into', target.into, '--json'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let usage = resourceUsage(child);
  const timer = setInterval(() => {
    const now = resourceUsage(child);
    // A process that has ended has no memory any more.
    if (now.peakMB > 0) usage = now;
  }, 50);
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  const [code] = await once(child, 'close');
  clearInterval(timer);
  const seconds = (performance.now() - startedAt) / 1000;
  const serverCpuSeconds = target.cpu && target.cpu() - before;
  const merged = code === 0 ? JSON.parse(output).tables[0]?.events : undefined;
  const content = await target.read();
  const expected = lake.expected();
  if (merged !== events || content.rows !== expected.rows || content.sum !== expected.sum) {
    throw new Error(`cdc merge ended with ${code}: ${output}, ${JSON.stringify({ content, expected })}`);
  }
  return {
    ...{ name, events, rows: content.rows, seconds, cpuSeconds: usage.cpuSeconds, peakMB: usage.peakMB },
    ...(serverCpuSeconds !== undefined && { serverCpuSeconds }),
    targetMB: await target.megabytes(),
  };
}

const count = (value: number): string => Math.round(value).toLocaleString('en');
const mega = (bytes: number): string => count(bytes / 1e6);

const HEADS = ['events', 'seconds', 'events/s', 'rows', 'rows/s', 'CPU, s', 'CPU of the server, s', 'peak RSS, MB'];

function printHead(): void {
  console.log(`| | ${[...HEADS, 'target, MB'].join(' | ')} |`);
  console.log(`| --- |${' ---: |'.repeat(HEADS.length + 1)}`);
}

function print({ name, events, rows, seconds, cpuSeconds, serverCpuSeconds, peakMB, targetMB }: Merged): void {
  const cells = [
    ...[name, count(events), seconds.toFixed(1), count(events / seconds), count(rows), count(rows / seconds)],
    ...[cpuSeconds.toFixed(1), serverCpuSeconds?.toFixed(1) ?? '', count(peakMB), count(targetMB)],
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
