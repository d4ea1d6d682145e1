import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { AdminClient } from '../../../src/admin/client.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { type Random, seededRandom } from '../../../src/local/demo/random.ts';
import { startLocalFirehose } from '../../../src/local/firehose/server.ts';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { openVerification, type VerifyRequest } from '../../../src/verify/open-verification.ts';
import type { TableResult } from '../../../src/verify/table-result.ts';
import { fill, SCENE_TABLES, type SceneSize, type SceneTable, writeOnce } from '../backfill/scene.ts';
import { ChaosDaemon } from '../chaos-daemon.ts';
import { faultPlan } from '../fault-plans.ts';
import { type Plant, Plants } from './plants.ts';

export interface VerifyRunOptions {
  seed: number;
  server: LocalServer;
  flavor: 'mysql' | 'mariadb';
  directory: string;
  entry: string;
  /** Verifies of the sound copy, under writes. */
  verifies: number;
  signal: AbortSignal;
}

export interface VerifyRunResult {
  seed: number;
  flavor: 'mysql' | 'mariadb';
  format: string;
  minimal: boolean;
  problems: string[];
  /** Rows that the writers changed. */
  changed: number;
  verifies: number;
  rows: number;
  planted: number;
  found: number;
  repaired: number;
  kills: number;
}

const STREAM = 'changes';
const WRITERS = 3;
const WITHIN_MS = 120_000;
const PLANTS = 6;

/**
 * One run: tables that writers change, a daemon with a slow buffer, and verifies of the sound copy, none of which may
 * find anything. Then faults are planted beside the writers: verify finds these and nothing else, and a repair, during
 * which the daemon may be killed, mends them.
 */
export class VerifyRun {
  readonly #options: VerifyRunOptions;
  readonly #random: Random;
  readonly #schema: string;
  readonly #tables: readonly SceneTable[];
  readonly #size: SceneSize;
  readonly #result: VerifyRunResult;
  #isWriting = true;
  #hasFaults = false;

  constructor(options: VerifyRunOptions) {
    const { seed, flavor } = options;
    const random = seededRandom(seed);
    this.#options = options;
    this.#random = random;
    this.#schema = `verify_${seed}`;
    const wanted = SCENE_TABLES.filter(() => random.chance(0.6));
    this.#tables = wanted.length > 0 ? wanted : SCENE_TABLES.slice(0, 1);
    const rows = 200 + random.below(3_000);
    this.#size = { rows, keys: Math.ceil(rows * 1.2) };
    const format = random.pick(['debezium', 'debezium', 'flat', 'maxwell']);
    const counts = { changed: 0, verifies: 0, rows: 0, planted: 0, found: 0, repaired: 0, kills: 0 };
    this.#result = { seed, flavor, format, minimal: random.chance(0.25), problems: [], ...counts };
  }

  async run(): Promise<VerifyRunResult> {
    const { directory, server, entry } = this.#options;
    const connection = await createConnection({ uri: server.url });
    const lake = join(directory, 'lake');
    const firehose = await startLocalFirehose({
      listen: { host: '127.0.0.1', port: 0 },
      lake,
      streams: [{ name: STREAM, bufferSeconds: this.#random.pick([0.1, 0.5, 1, 2]) }],
    });
    const configFile = join(directory, 'cdc.yaml');
    writeFileSync(configFile, this.#configText(firehose.endpoint));
    const daemon = new ChaosDaemon({
      ...{ entry, configFile, preload: undefined, logFile: join(directory, 'daemon.log') },
      onGeneration() {},
      onDeath: (how, words) => this.#problem(`the daemon ended by itself (${how}): ${words.split('\n').at(-1)}`),
    });
    try {
      await this.#createTables(connection);
      daemon.start();
      await daemon.untilFollowing(WITHIN_MS);
      await this.#untilCopied(join(directory, 'state', 'shop.sock'));
      const writing = Promise.all(Array.from({ length: WRITERS }, (_, i) => this.#write(i)));
      this.#hasFaults = this.#random.chance(0.4);
      if (this.#hasFaults) firehose.setFaults(faultPlan(this.#random));
      for (let i = 0; i < this.#options.verifies && !this.#options.signal.aborted; i++) {
        await this.#verifySound(configFile, this.#someRequest());
      }
      firehose.setFaults(undefined);
      this.#hasFaults = false;
      await this.#plantAndFind(connection, configFile, lake, daemon);
      this.#isWriting = false;
      await writing;
      await this.#verifySound(configFile, {});
    } catch (error) {
      this.#problem(`${(error as Error).stack} ${(error as { why?: string }).why ?? ''}`);
    } finally {
      this.#isWriting = false;
      await daemon.kill();
      daemon.close();
      await firehose.close().catch(() => {});
      await connection.query(`DROP DATABASE IF EXISTS ${this.#schema}`).catch(() => {});
      connection.destroy();
    }
    if (this.#result.problems.length === 0) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    return this.#result;
  }

  #problem(what: string): void {
    this.#result.problems.push(what);
  }

  #configText(endpoint: string): string {
    return `name: shop
source: { url: "${this.#options.server.url}", start: snapshot }
tables: ["${this.#schema}.*"]
format: ${this.#result.format}
firehose: { stream: ${STREAM}, endpoint: "${endpoint}", linger: ${this.#random.pick([0, 10, 50])}ms, timeout: 1s }
checkpoint: { file: state/shop.json }
lake: lake
`;
  }

  async #createTables(connection: Connection): Promise<void> {
    const { flavor } = this.#options;
    await connection.query(`SET GLOBAL binlog_row_image = ${this.#result.minimal ? 'MINIMAL' : 'FULL'}`);
    await connection.query(`CREATE DATABASE ${this.#schema} CHARACTER SET utf8mb4`);
    await connection.query(`USE ${this.#schema}`);
    await connection.query("SET time_zone = '+00:00'");
    for (const table of this.#tables) {
      await connection.query(flavor === 'mariadb' ? table.ddl.replace(' DESC', '') : table.ddl);
      await fill(connection, table, this.#size.rows);
    }
  }

  async #untilCopied(socket: string): Promise<void> {
    for (const deadline = Date.now() + WITHIN_MS; ; ) {
      const client = new AdminClient(socket);
      const status = await client.status().catch(() => undefined);
      client.close();
      const isCopied = this.#tables.every(({ name }) =>
        status?.tables.some(({ table, coverage }) => table === name && coverage.complete),
      );
      if (isCopied) return;
      if (Date.now() > deadline) throw new Error('the tables were not copied');
      await sleep(50);
    }
  }

  async #write(number: number): Promise<void> {
    const { server, seed } = this.#options;
    const random = seededRandom(seed * 31 + number);
    const connection = await createConnection({ uri: server.url, database: this.#schema });
    await connection.query("SET time_zone = '+00:00', transaction_isolation = 'READ-COMMITTED'").catch(() => {});
    try {
      while (this.#isWriting) {
        // With MINIMAL images nobody knows all columns of a row under its new key.
        this.#result.changed += await writeOnce(connection, random, this.#tables, this.#size, !this.#result.minimal);
        // A sink that fails takes fewer events, and verify waits until the daemon has caught up.
        if (this.#hasFaults) await sleep(20 + random.below(20));
        else if (random.chance(0.3)) await sleep(random.below(6));
      }
    } finally {
      connection.destroy();
    }
  }

  #someRequest(): Partial<VerifyRequest> {
    const random = this.#random;
    const dice = random.below(10);
    if (dice === 0) return { sample: 0.3 };
    if (dice === 1) return { since: Date.now() - 1_000 - random.below(10_000) };
    if (dice === 2) return { tables: [`${this.#schema}.${random.pick(this.#tables).name}`], where: 'v % 3 = 0' };
    return {};
  }

  async #verify(configFile: string, request: Partial<VerifyRequest>): Promise<{ results: TableResult[]; bad: string }> {
    const config = loadConfig(configFile);
    const client = new AdminClient(config.admin.socket);
    const whole = { tables: [], repair: false, differencesMax: 1_000, ...request };
    const open = await openVerification(config, whole, client, this.#options.signal, () => {});
    try {
      const results = await open.verification.run();
      this.#result.verifies++;
      this.#result.rows += results.reduce((sum, { rows }) => sum + rows, 0);
      // Not the copies: a request that failed and was stored nevertheless is sent again.
      return { results, bad: JSON.stringify(open.scan.damage) };
    } finally {
      await open.close();
      client.close();
    }
  }

  async #verifySound(configFile: string, request: Partial<VerifyRequest>): Promise<void> {
    const { results, bad } = await this.#verify(configFile, request);
    for (const { table, missing, extra, different, undecided, differences } of results) {
      if (missing + extra + different + undecided === 0) continue;
      const found = JSON.stringify({ missing, extra, different, undecided, differences: differences.slice(0, 3) });
      this.#problem(`a false alarm in ${table}, ${JSON.stringify(request)}: ${found}`);
    }
    if (bad !== '[]') this.#problem(`damage in a sound lake: ${bad.slice(0, 300)}`);
  }

  async #plantAndFind(connection: Connection, configFile: string, lake: string, daemon: ChaosDaemon): Promise<void> {
    const plants = new Plants(connection, lake, this.#random, this.#tables, this.#size.keys + 100);
    const prepared = await plants.prepare(PLANTS);
    // What was prepared is in the lake once this has found it.
    await this.#verifySound(configFile, {});
    const planted: Plant[] = [];
    for (const plant of prepared) planted.push(await plant());
    this.#result.planted = planted.length;
    const { results } = await this.#verify(configFile, {});
    this.#compare(planted, results);
    const killing = this.#random.chance(0.5) ? this.#killSometimes(daemon) : Promise.resolve();
    const repaired = await this.#verify(configFile, { repair: true });
    await killing;
    for (const { table, missing, extra, different, repaired: rows, differences } of repaired.results) {
      this.#result.repaired += rows;
      if (missing + extra + different === 0) continue;
      this.#problem(`${table} is not repaired: ${JSON.stringify(differences.slice(0, 3))}`);
    }
    if (this.#result.repaired !== planted.length) this.#problem(`${this.#result.repaired} rows were repaired`);
    await this.#verifySound(configFile, {});
  }

  #compare(planted: readonly Plant[], results: readonly TableResult[]): void {
    const count = (table: string, kind: string, list: readonly { table: string; kind: string }[]): number =>
      list.filter((one) => one.table === table && one.kind === kind).length;
    const found = results.flatMap(({ table, differences }) => differences.map((one) => ({ ...one, table })));
    this.#result.found = found.length;
    for (const { name } of this.#tables) {
      for (const kind of ['missing', 'extra', 'different'] as const) {
        const [expected, actual] = [count(name, kind, planted), count(name, kind, found)];
        if (expected === actual) continue;
        const ofTable = found.filter(({ table }) => table === name);
        const ways = planted.filter(({ table }) => table === name).map(({ how, mark }) => `${how} ${mark}`);
        this.#problem(`${actual} ${kind} in ${name} instead of ${expected} (${ways}): ${JSON.stringify(ofTable)}`);
      }
    }
  }

  async #killSometimes(daemon: ChaosDaemon): Promise<void> {
    for (let i = 1 + this.#random.below(3); i > 0; i--) {
      await sleep(this.#random.below(2_500));
      await daemon.kill();
      this.#result.kills++;
      daemon.start();
      await daemon.untilFollowing(WITHIN_MS);
    }
  }
}
