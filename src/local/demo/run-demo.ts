import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { RowDataPacket } from 'mysql2/promise';
import { stringify } from 'yaml';
import { CheckpointFile } from '../../checkpoint/checkpoint-file.ts';
import { loadConfig } from '../../config/load.ts';
import { listObjects } from '../../lake/objects.ts';
import { CdcError } from '../../runtime/error.ts';
import { freePort } from '../../runtime/free-port.ts';
import { LANDING_TABLE } from '../../warehouse/dialects/queue-landing.ts';
import { startLocalFirehose } from '../firehose/server.ts';
import { type LocalServer, startLocalServer } from '../mysql/server.ts';
import { startWarehouse } from '../warehouse/server.ts';
import { type DaemonProcess, startDaemon } from './daemon-process.ts';
import { compareRevenue } from './revenue.ts';
import type { SourceRevenue } from './revenue-chart.ts';
import { SHOP, SHOP_DDL, SHOP_TABLES } from './shop.ts';
import { type VerifyResult, verifyDemo } from './verify.ts';
import { type VerifyRun, verifyBesideDaemon } from './verify-command.ts';
import { createLandingTable, mergeAndCompare, type WarehouseTable } from './warehouse.ts';
import { connectShop, expectedEvents, Workload, type WorkloadCounts } from './workload.ts';

export interface DemoOptions {
  seconds: number;
  rate: number;
  seed: number;
  /** The directory of all files of the demo. It must be empty. */
  directory: string;
  /** The script of this program, which the process of the daemon runs. */
  entry: string;
  keep: boolean;
  report: (line: string) => void;
  signal: AbortSignal;
}

export interface DemoResult extends VerifyResult {
  seed: number;
  server: string;
  /** Rows that were there before the daemon. */
  history: number;
  workload: WorkloadCounts;
  kills: number;
  verify: VerifyRun;
  warehouse: WarehouseTable[];
  /** By the warehouse, the highest revenue first. MySQL gives the same, otherwise it is a problem. */
  revenue: SourceRevenue[];
  objects: number;
  bytes: number;
  directory: string;
}

const STREAM = 'shop-changes';
const READY_TIMEOUT_MS = 30_000;
const DELIVERY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;
const BACKFILL_TIMEOUT_MS = 60_000;
/** Transactions before the daemon starts: about 16,000 rows. */
const HISTORY_TRANSACTIONS = 8_000;
const HISTORY_TIMEOUT_MS = 8_000;

/** Runs the whole data flow on this machine and kills the daemon in the middle. Ends every process that it started. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { directory, report, signal } = options;
  const cleanup: (() => Promise<unknown>)[] = [];
  try {
    report('starting MySQL');
    const server = await startLocalServer({ flavor: 'mysql', directory: join(directory, 'mysql'), report, signal });
    cleanup.push(() => server.stop());
    await createShop(server, options.keep, cleanup);

    const lake = join(directory, 'lake');
    report('starting the warehouse, a PostgreSQL in this process that stands for Redshift');
    const warehouse = await startWarehouse({
      directory: join(directory, 'warehouse'),
      listen: { host: '127.0.0.1', port: 0 },
      log: report,
    });
    cleanup.push(() => warehouse.close());
    await createLandingTable(warehouse.url);
    const firehose = await startLocalFirehose({
      listen: { host: '127.0.0.1', port: 0 },
      lake,
      streams: [{ name: STREAM, bufferSeconds: 1, bufferSize: 2 ** 20, redshift: copyInto(warehouse.jdbcUrl) }],
    });
    cleanup.push(() => firehose.close());
    report(
      `MySQL ${server.version} on port ${server.port}, Firehose on ${firehose.endpoint}, warehouse on ${warehouse.url}`,
    );

    const customers = await Workload.open({ url: server.url, seed: options.seed });
    cleanup.push(async () => customers.close());
    report('customers come before the daemon does');
    await customers.run({ transactions: HISTORY_TRANSACTIONS, withinMs: HISTORY_TIMEOUT_MS, signal });
    const history = await countRows(server.url);

    const configFile = join(directory, 'cdc.yaml');
    // The backfill takes longer than the daemon lives the first time.
    const backfillRate = Math.ceil((history + options.rate * options.seconds) / (options.seconds * 0.9));
    const port = await freePort(DASHBOARD_PORT);
    writeFileSync(configFile, configText(server.url, firehose.endpoint, lake, backfillRate, port));
    report(
      `${history} rows are there already; the daemon copies ${backfillRate} a second. See http://127.0.0.1:${port}`,
    );
    const { workload, kills, verify } = await runThroughKill(options, customers, server, configFile, lake, cleanup);

    await firehose.close();
    report('folding the lake with DuckDB, and comparing it once more');
    const objects = await listObjects(lake, STREAM);
    const verified = await verifyDemo({
      objects: objects.map(({ path }) => path),
      database: join(directory, 'lake.duckdb'),
      sourceUrl: server.url,
      values: loadConfig(configFile).values,
      expectedChanges: expectedEvents(workload) + 1, // the marker
    });
    report('merging the events that Firehose has copied into the warehouse, and comparing its tables with MySQL');
    const warehouseTables = await mergeAndCompare(loadConfig(configFile), warehouse.url, signal);
    for (const { table, isEqual } of warehouseTables) {
      if (!isEqual) verified.problems.push(`${SHOP}.${table} differs in the warehouse`);
    }
    const revenue = await compareRevenue(warehouse.url, server.url);
    if (!revenue.isEqual) verified.problems.push('the revenue by source differs');
    const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
    if (verify.exitCode !== 0) verified.problems.push(`cdc verify ended with ${verify.exitCode}`);
    return {
      ...verified,
      ...{ warehouse: warehouseTables, revenue: revenue.rows, seed: options.seed, server: server.version },
      history,
      workload,
      kills,
      verify,
      objects: objects.length,
      bytes,
      directory,
    };
  } finally {
    for (const undo of cleanup.reverse()) await undo().catch((error: Error) => report(`cleaning up: ${error.message}`));
  }
}

/**
 * Starts the daemon, kills it in the middle of the workload, starts it again, and stops it after the last change has
 * landed.
 */
async function runThroughKill(
  options: DemoOptions,
  customers: Workload,
  server: LocalServer,
  configFile: string,
  lake: string,
  cleanup: (() => Promise<unknown>)[],
): Promise<Pick<DemoResult, 'workload' | 'kills' | 'verify'>> {
  const { directory, report, rate, seed, seconds, entry } = options;
  const logFile = join(directory, 'daemon.log');
  const start = () => startDaemon({ entry, configFile, logFile });
  const cancelled = new AbortController();
  const signal = AbortSignal.any([options.signal, cancelled.signal]);
  let daemon = start();
  cleanup.push(() => daemon.kill());
  cleanup.push(async () => cancelled.abort()); // ends the other parts when one part has failed

  const checkpoint = checkpointOf(configFile);
  await waitUntil(
    () => existsSync(checkpoint.path),
    READY_TIMEOUT_MS,
    daemon,
    signal,
    'the daemon did not write its checkpoint',
  );
  report(`the daemon is ready; running ${rate} transactions/s for ${seconds} s`);

  let reportedAt = Date.now();
  const onProgress = (counts: Readonly<WorkloadCounts>) => {
    if (Date.now() - reportedAt < 2000) return;
    reportedAt = Date.now();
    report(`${counts.committed + counts.rolledBack} transactions, ${expectedEvents(counts)} changes`);
  };
  const phase = { rate, transactions: Math.round(rate * seconds), withinMs: 2000 * seconds };
  const working = customers.run({ ...phase, signal, onProgress });
  working.catch(() => {}); // awaited below, after the kill
  await Promise.race([sleep(seconds * 500, undefined, { signal }), daemon.died, working]);
  const left = await tablesLeft(configFile);
  await daemon.kill();
  report(`killed the daemon with SIGKILL${left > 0 ? ', in the middle of the backfill' : ''}`);
  await sleep(Math.min(500, seconds * 100), undefined, { signal });
  daemon = start();
  report('started the daemon again');
  const workload = await Promise.race([working, daemon.died]);

  const marker = `done-${seed}-${Date.now()}`;
  await insertMarker(server.url, marker);
  report('waiting until the last change is in the lake');
  const seen = new Set<string>();
  const landed = async () => {
    for (const { path } of await listObjects(lake, STREAM)) {
      if (seen.has(path)) continue;
      const bytes = readFileSync(path);
      if ((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).includes(marker)) return true;
      seen.add(path);
    }
    return false;
  };
  await waitUntil(landed, DELIVERY_TIMEOUT_MS, daemon, signal, 'the last change did not reach the lake');
  report('waiting until the last row of the backfill is in the lake');
  const isCopied = async (): Promise<boolean> => (await tablesLeft(configFile)) === 0;
  await waitUntil(isCopied, BACKFILL_TIMEOUT_MS, daemon, signal, 'the backfill did not end');
  report('cdc verify compares MySQL with the lake row by row');
  const verify = await Promise.race([verifyBesideDaemon(entry, configFile, signal), daemon.died]);
  await daemon.stop(STOP_TIMEOUT_MS);
  return { workload, kills: 1, verify };
}

async function createShop(server: LocalServer, keep: boolean, cleanup: (() => Promise<unknown>)[]): Promise<void> {
  const connection = await connectShop(server.url, null);
  try {
    for (const sql of SHOP_DDL) {
      await connection.query(sql);
      // On the user's own server the schema would outlive the demo.
      if (sql === SHOP_DDL[0] && server.directory === '' && !keep) cleanup.push(() => dropShop(server.url));
    }
  } catch (error) {
    throw new CdcError(`cannot create the schema ${SHOP}`, {
      why: (error as Error).message,
      hint: `if ${SHOP} exists already, drop it, or let the demo start its own server`,
      cause: error,
    });
  } finally {
    connection.destroy();
  }
}

async function dropShop(url: string): Promise<void> {
  const connection = await connectShop(url, null);
  await connection.query(`DROP DATABASE ${SHOP}`).finally(() => connection.destroy());
}

async function insertMarker(url: string, marker: string): Promise<void> {
  const connection = await connectShop(url);
  await connection.query('INSERT INTO demo_marker VALUES (?)', [marker]).finally(() => connection.destroy());
}

/** Tables that the backfill has not copied to their end, by the checkpoint of the daemon. */
async function tablesLeft(configFile: string): Promise<number> {
  const { name } = loadConfig(configFile);
  return (await checkpointOf(configFile).load(name))?.backfill?.tables.length ?? 0;
}

/** The demo's own configuration names no other store. */
const checkpointOf = (configFile: string): CheckpointFile =>
  new CheckpointFile(loadConfig(configFile).checkpoint.file as string);

async function countRows(url: string): Promise<number> {
  const connection = await connectShop(url);
  try {
    let rows = 0;
    for (const table of SHOP_TABLES) {
      const [[counted]] = await connection.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM ${table}`);
      rows += Number(counted?.n);
    }
    return rows;
  } finally {
    connection.destroy();
  }
}

/** Another one if it is taken. */
const DASHBOARD_PORT = 8686;

const configText = (url: string, endpoint: string, lake: string, backfillRate: number, port: number): string =>
  stringify({
    name: SHOP,
    source: { url, start: 'snapshot' },
    tables: [`${SHOP}.*`],
    firehose: { region: 'us-east-1', stream: STREAM, endpoint },
    backfill: { rate: backfillRate, chunk_time: '100ms' },
    lake,
    admin: { listen: port },
  });

async function waitUntil(
  done: () => boolean | Promise<boolean>,
  withinMs: number,
  daemon: DaemonProcess,
  signal: AbortSignal,
  failure: string,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await done())) {
    if (Date.now() > deadline) {
      throw new CdcError(`${failure} within ${withinMs / 1000} s`, { hint: 'see daemon.log for the cause' });
    }
    await Promise.race([sleep(100, undefined, { signal }), daemon.died]);
  }
}

/** Creates the directory. @throws CdcError with exit code 2 when it is not empty or cannot be created */
export function claimDirectory(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const exists = code === 'EEXIST' && statSync(directory).isDirectory();
    if (exists && readdirSync(directory).length === 0) return;
    throw new CdcError(exists ? `${directory} is not empty` : `cannot create the directory ${directory}`, {
      ...(!exists && { why: message }),
      hint: 'choose an empty directory, or a new directory in an existing folder',
      exitCode: 2,
    });
  }
}

/** What a stream with a Redshift destination has. The embedded warehouse asks for no password. */
const copyInto = (jdbcUrl: string) => ({
  jdbcUrl,
  user: 'postgres',
  password: 'no-password',
  table: LANDING_TABLE,
  copyOptions: "JSON 'auto'",
});
