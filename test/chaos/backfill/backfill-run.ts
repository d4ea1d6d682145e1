import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { AdminClient } from '../../../src/admin/client.ts';
import type { BackfillStatus, TableStatus } from '../../../src/backfill/control.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { compareTable, isEqual } from '../../../src/lake/compare.ts';
import { foldLake } from '../../../src/lake/fold.ts';
import { listObjects } from '../../../src/lake/objects.ts';
import { connectSource } from '../../../src/lake/source-table.ts';
import { type Random, seededRandom } from '../../../src/local/demo/random.ts';
import { startLocalFirehose } from '../../../src/local/firehose/server.ts';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { TcpProxy } from '../../tcp-proxy.ts';
import { ChaosDaemon } from '../chaos-daemon.ts';
import { faultPlan } from '../fault-plans.ts';
import { checkLandedOrder } from './landed-order.ts';
import { fill, SCENE_TABLES, type SceneSize, type SceneTable, writeOnce } from './scene.ts';

export interface BackfillRunOptions {
  seed: number;
  server: LocalServer;
  flavor: 'mysql' | 'mariadb';
  directory: string;
  entry: string;
  preload: string | undefined;
  signal: AbortSignal;
}

export interface BackfillRunResult {
  seed: number;
  flavor: 'mysql' | 'mariadb';
  problems: string[];
  /** Rows that the writers changed while backfills ran, and events that landed. */
  changed: number;
  events: number;
  copied: number;
  repeats: number;
  kills: number;
  cuts: number;
  requests: number;
  /** MINIMAL row images, and a commit that is visible long after it is in the binlog. */
  minimal: boolean;
  slowCommits: boolean;
}

const STREAM = 'changes';
const WRITERS = 3;
const WITHIN_MS = 120_000;
const VALUES = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } }).values;

/**
 * One run: tables with rows, writers that change rows of the chunks in flight, backfills of all of them again and
 * again, and a nemesis that kills the daemon, cuts its connections, breaks the sink, pauses and cancels. At the end
 * the fold equals the source, and no key was delivered out of order.
 */
export class BackfillRun {
  readonly #options: BackfillRunOptions;
  readonly #random: Random;
  readonly #schema: string;
  readonly #tables: readonly SceneTable[];
  readonly #size: SceneSize;
  readonly #result: BackfillRunResult;
  #isWriting = true;

  constructor(options: BackfillRunOptions) {
    const { seed, flavor } = options;
    const random = seededRandom(seed);
    this.#options = options;
    this.#random = random;
    this.#schema = `backfill_${seed}`;
    const wanted = SCENE_TABLES.filter(() => random.chance(0.6));
    this.#tables = wanted.length > 0 ? wanted : SCENE_TABLES.slice(0, 1);
    const rows = 200 + random.below(1_500);
    this.#size = { rows, keys: Math.ceil(rows * 1.2) };
    const [minimal, slowCommits] = [random.chance(0.2), random.chance(0.6)];
    const none = { problems: [], changed: 0, events: 0, copied: 0, repeats: 0, kills: 0, cuts: 0, requests: 0 };
    this.#result = { seed, flavor, ...none, minimal, slowCommits };
  }

  async run(): Promise<BackfillRunResult> {
    const { directory, server, entry, preload } = this.#options;
    const connection = await createConnection({ uri: server.url });
    const proxy = await TcpProxy.listen(server.port);
    const lake = join(directory, 'lake');
    const firehose = await startLocalFirehose({
      listen: { host: '127.0.0.1', port: 0 },
      lake,
      // One object at most in a second: their names tell the order to the second.
      streams: [{ name: STREAM, bufferSeconds: 1.2, bufferSize: 128 * 2 ** 20 }],
    });
    const configFile = join(directory, 'cdc.yaml');
    writeFileSync(configFile, this.#configText(proxy.port, firehose.endpoint));
    // After an earlier checkpoint, copies begin with an event that empties the table.
    if (this.#random.chance(0.5)) {
      mkdirSync(join(directory, 'state'));
      writeFileSync(join(directory, 'state', 'shop.json.epoch'), '1\n');
    }
    const daemon = new ChaosDaemon({
      ...{ entry, configFile, preload, logFile: join(directory, 'daemon.log') },
      onGeneration() {},
      onDeath: (how, words) => this.#problem(`the daemon ended by itself (${how}): ${words.split('\n').at(-1)}`),
    });
    const client = new AdminClient(join(directory, 'state', 'shop.sock'));
    try {
      await this.#createTables(connection);
      daemon.start();
      await daemon.untilFollowing(WITHIN_MS);
      const writing = Promise.all(Array.from({ length: WRITERS }, (_, i) => this.#write(i)));
      firehose.setFaults(faultPlan(this.#random));
      await this.#nemesis(daemon, proxy, client, firehose);
      firehose.setFaults(undefined);
      proxy.resume();
      await this.#finishBackfill(client, daemon);
      this.#isWriting = false;
      await writing;
      await this.#untilDelivered(connection, lake);
      await daemon.terminate();
      await firehose.close();
      await this.#check(lake);
    } catch (error) {
      this.#problem(`${(error as Error).message} ${(error as { why?: string }).why ?? ''}`);
    } finally {
      this.#isWriting = false;
      client.close();
      await daemon.kill();
      daemon.close();
      await firehose.close().catch(() => {});
      await proxy.close();
      await connection.query(`DROP DATABASE IF EXISTS ${this.#schema}`).catch(() => {});
      connection.destroy();
    }
    if (this.#result.problems.length === 0) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    return this.#result;
  }

  #problem(what: string): void {
    this.#result.problems.push(what);
  }

  #configText(port: number, endpoint: string): string {
    const random = this.#random;
    return `name: shop
source: { url: "mysql://root@127.0.0.1:${port}" }
tables: ["${this.#schema}.*"]
firehose: { stream: ${STREAM}, endpoint: "${endpoint}", linger: ${random.pick([0, 10, 50])}ms, timeout: 1s }
checkpoint: { file: state/shop.json }
backfill: { parallel: ${1 + random.below(4)}, chunk_time: ${random.pick([10, 20, 100])}ms }
`;
  }

  async #createTables(connection: Connection): Promise<void> {
    const { flavor } = this.#options;
    const { minimal, slowCommits } = this.#result;
    const delay = slowCommits ? this.#random.pick([2_000, 20_000]) : 0;
    if (flavor === 'mysql') {
      await connection.query(`SET GLOBAL binlog_group_commit_sync_delay = ${delay}`);
      await connection.query(`SET GLOBAL sync_binlog = ${this.#random.below(2)}`);
    } else {
      await connection.query(
        `SET GLOBAL binlog_commit_wait_usec = ${delay}, GLOBAL binlog_commit_wait_count = ${WRITERS}`,
      );
    }
    await connection.query(`SET GLOBAL binlog_row_image = ${minimal ? 'MINIMAL' : 'FULL'}`);
    await connection.query(`CREATE DATABASE ${this.#schema} CHARACTER SET utf8mb4`);
    await connection.query(`USE ${this.#schema}`);
    await connection.query('CREATE TABLE marker (id INT PRIMARY KEY)');
    for (const table of this.#tables) {
      const ddl = flavor === 'mariadb' ? table.ddl.replace(' DESC', '') : table.ddl;
      await connection.query(ddl);
      await fill(connection, table, this.#size.rows);
    }
  }

  async #write(number: number): Promise<void> {
    const { server, seed } = this.#options;
    const { minimal } = this.#result;
    const random = seededRandom(seed * 31 + number);
    const connection = await createConnection({ uri: server.url, database: this.#schema });
    await connection.query("SET time_zone = '+00:00', transaction_isolation = 'READ-COMMITTED'").catch(() => {});
    try {
      while (this.#isWriting) {
        // With MINIMAL images nobody knows all columns of a row under its new key.
        this.#result.changed += await writeOnce(connection, random, this.#tables, this.#size, !minimal);
        if (random.chance(0.3)) await sleep(random.below(4));
      }
    } finally {
      connection.destroy();
    }
  }

  /** Backfills again and again, with a few blows in between. */
  async #nemesis(
    daemon: ChaosDaemon,
    proxy: TcpProxy,
    client: AdminClient,
    firehose: Awaited<ReturnType<typeof startLocalFirehose>>,
  ): Promise<void> {
    const random = this.#random;
    for (let i = 3 + random.below(6); i > 0; i--) {
      if (random.chance(0.8)) await this.#request(client);
      await sleep(random.below(200));
      switch (random.below(9)) {
        case 0:
        case 1:
          await daemon.kill();
          this.#result.kills++;
          daemon.start();
          await daemon.untilFollowing(WITHIN_MS);
          break;
        case 2:
          proxy.cut(random.pick(['rst', 'fin']));
          this.#result.cuts++;
          break;
        case 3:
          proxy.cutAfter(random.below(200_000));
          this.#result.cuts++;
          break;
        case 4:
          await client.changeBackfill('pause').catch(() => {});
          await sleep(random.below(100));
          await client.changeBackfill('resume').catch(() => {});
          break;
        case 5:
          await client.changeBackfill('cancel').catch(() => {});
          break;
        case 6:
          firehose.setFaults(faultPlan(random));
          break;
      }
    }
  }

  async #request(client: AdminClient): Promise<void> {
    this.#result.requests++;
    const name = (table: SceneTable): string => `${this.#schema}.${table.name}`;
    const tables = this.#random.chance(0.5) ? [`${this.#schema}.*`] : [name(this.#random.pick(this.#tables))];
    await client.startBackfill({ tables }).catch(() => {});
  }

  /** A last backfill of everything, begun while the writers still write. */
  async #finishBackfill(client: AdminClient, daemon: ChaosDaemon): Promise<void> {
    const deadline = Date.now() + WITHIN_MS;
    const isOpen = ({ state }: TableStatus): boolean => state === 'queued' || state === 'reading';
    let isRequested = false;
    for (;;) {
      if (Date.now() > deadline) throw new Error(`the backfill did not end: ${daemon.lastWords.slice(-600)}`);
      try {
        await client.changeBackfill('resume');
        if (!isRequested) await client.startBackfill({ tables: [`${this.#schema}.*`] });
        isRequested = true;
        const status: BackfillStatus = await client.backfill();
        const failed = status.tables.find(({ state }) => state === 'failed');
        if (failed) throw new Error(`the backfill of ${failed.table} failed: ${failed.error?.message}`);
        if (!status.tables.some(isOpen)) break;
      } catch (error) {
        if (/failed:/.test((error as Error).message)) throw error;
      }
      await sleep(50);
    }
    const { tables } = await client.status();
    const known = new Map(tables.map(({ table, coverage }) => [table, coverage.complete]));
    for (const { name } of this.#tables) if (known.get(name) !== true) this.#problem(`${name} is not complete`);
  }

  async #untilDelivered(connection: Connection, lake: string): Promise<void> {
    await connection.query('INSERT INTO marker VALUES (1)');
    const deadline = Date.now() + WITHIN_MS;
    while (!(await this.#hasMarker(lake))) {
      if (Date.now() > deadline) throw new Error('the last change was not delivered');
      await sleep(100);
    }
  }

  async #hasMarker(lake: string): Promise<boolean> {
    const { readFileSync } = await import('node:fs');
    const objects = await listObjects(lake, STREAM);
    // One delete and insert of the marker is enough: it is the last change.
    return objects.some(({ path }) => /"op":"c".*"table":"marker"/.test(readFileSync(path, 'utf8')));
  }

  async #check(lake: string): Promise<void> {
    const order = await checkLandedOrder(lake, STREAM);
    const { events, copied, repeats, problems } = order;
    Object.assign(this.#result, { events, copied, repeats });
    for (const problem of problems.slice(0, 5)) this.#problem(problem);
    const fold = await foldLake({ objects: (await listObjects(lake, STREAM)).map(({ path }) => path) });
    const source = await connectSource({ uri: this.#options.server.url });
    try {
      if (fold.conflicts > 0) this.#problem(`${fold.conflicts} events were repeated with another content`);
      for (const { name } of this.#tables) {
        const result = await compareTable(source, fold, { schema: this.#schema, table: name, values: VALUES });
        if (!isEqual(result)) this.#problem(`${name} differs: ${JSON.stringify(result).slice(0, 600)}`);
      }
    } finally {
      source.destroy();
      fold.close();
    }
  }
}
