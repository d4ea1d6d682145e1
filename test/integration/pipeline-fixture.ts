import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { configSchema } from '../../src/config/schema.ts';
import { compareTable, isEqual, type TableComparison } from '../../src/lake/compare.ts';
import { foldLake } from '../../src/lake/fold.ts';
import { listObjects } from '../../src/lake/objects.ts';
import { connectSource } from '../../src/lake/source-table.ts';
import { type LocalFirehose, startLocalFirehose } from '../../src/local/firehose/server.ts';

const ENTRY = resolve('dist/main.js');
const STREAM = 'changes';

export interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** A running `cdc`, built, in a process of its own. */
export interface Cdc {
  child: ChildProcess;
  ended: Promise<Ended>;
  /** What it has logged and printed so far. */
  stderr(): string;
  stdout(): string;
}

export const startCdc = (directory: string, ...words: string[]): Cdc => startCdcWith({}, directory, ...words);

/** The same with more environment variables; undefined removes one. */
export function startCdcWith(env: Record<string, string | undefined>, directory: string, ...words: string[]): Cdc {
  const child = spawn(process.execPath, [ENTRY, ...words], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CDC_LOG_LEVEL: 'info', ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return { child, ended, stderr: () => stderr, stdout: () => stdout };
}

/** One `cdc` command to its end. */
export const cdc = (directory: string, ...words: string[]): Promise<Ended> => startCdc(directory, ...words).ended;

/** A source schema, a lake and a configuration of its own. */
export class Fixture {
  readonly directory = mkdtempSync(join(tmpdir(), 'cdc-test-'));
  readonly lake = join(this.directory, 'lake');
  readonly checkpoint = join(this.directory, 'state', 'shop.json');
  readonly url: string;
  readonly schema: string;
  firehose: LocalFirehose | undefined;
  /** `checkpoint` of the configuration. */
  store = '{ file: state/shop.json }';
  /** Environment variables of `run`. */
  env: Record<string, string | undefined> = {};

  constructor(url: string, schema: string) {
    this.url = url;
    this.schema = schema;
  }

  async startFirehose(port = 0): Promise<LocalFirehose> {
    this.firehose = await startLocalFirehose({
      listen: { host: '127.0.0.1', port },
      lake: this.lake,
      streams: [{ name: STREAM, bufferSeconds: 0.2 }],
    });
    return this.firehose;
  }

  /** Writes cdc.yaml; `extra` is YAML text that follows. */
  configure(endpoint: string, extra = ''): void {
    writeFileSync(
      join(this.directory, 'cdc.yaml'),
      `name: shop
source: { url: "${this.url}" }
tables: ["${this.schema}.*"]
firehose: { stream: ${STREAM}, endpoint: "${endpoint}", linger: 20ms }
checkpoint: ${this.store}
${extra}`,
    );
  }

  async query(...statements: string[]): Promise<void> {
    const connection = await createConnection({ uri: this.url });
    try {
      for (const sql of statements) await connection.query(sql);
    } finally {
      connection.destroy();
    }
  }

  async createSchema(...tables: string[]): Promise<void> {
    await this.query(
      `DROP DATABASE IF EXISTS ${this.schema}`,
      `CREATE DATABASE ${this.schema}`,
      `USE ${this.schema}`,
      ...tables,
    );
  }

  /** `cdc run`, following the binlog. */
  async run(): Promise<Cdc> {
    const daemon = startCdcWith(this.env, this.directory, 'run');
    await until(() => daemon.stderr().includes('following the binlog') || daemon.child.exitCode !== null);
    return daemon;
  }

  /** What is in the lake, in the order of `seq`: Firehose itself keeps no order between records. */
  async landed(): Promise<Record<string, unknown>[]> {
    const objects = await listObjects(this.lake, STREAM);
    const events = objects
      .flatMap(({ path }) => readFileSync(path, 'utf8').split('\n'))
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    return events.sort((a, b) => (seqOf(a) < seqOf(b) ? -1 : 1));
  }

  /** Waits until a marker row, written now, is in the lake: everything committed before it is there then. */
  async delivered(): Promise<void> {
    const id = Math.floor(Math.random() * 2 ** 31);
    await this.query(
      `CREATE TABLE IF NOT EXISTS ${this.schema}.marker (id INT PRIMARY KEY)`,
      `INSERT INTO ${this.schema}.marker VALUES (${id})`,
    );
    const isMarker = (line: string): boolean => {
      if (!line.includes(String(id))) return false;
      const event = JSON.parse(line) as Record<string, unknown>;
      const row = 'op' in event ? event.after : event;
      return (row as { id?: number } | null)?.id === id && tableOf(event) === 'marker';
    };
    // An object does not change: each is read once.
    const seen = new Set<string>();
    await until(async () => {
      const fresh = (await listObjects(this.lake, STREAM)).filter(({ path }) => !seen.has(path));
      for (const { path } of fresh) seen.add(path);
      return fresh.some(({ path }) => readFileSync(path, 'utf8').split('\n').some(isMarker));
    });
    // What was accepted beside the marker can be in the next object.
    await until(() => !readdirSync(`${this.lake}.spool`).some((name) => name.endsWith('.meta')));
  }

  /** Folds the lake and compares a table with the source. */
  async compare(
    table: string,
    { values = DEFAULT_VALUES, keyColumns }: { values?: typeof DEFAULT_VALUES; keyColumns?: string[] | undefined } = {},
  ): Promise<TableComparison & { equal: boolean; repeats: number; conflicts: number }> {
    const objects = (await listObjects(this.lake, STREAM)).map(({ path }) => path);
    const fold = await foldLake({ objects });
    const source = await connectSource({ uri: this.url });
    try {
      const options = { schema: this.schema, table, values, ...(keyColumns && { keyColumns }) };
      const result = await compareTable(source, fold, options);
      return { ...result, equal: isEqual(result), repeats: fold.repeats, conflicts: fold.conflicts };
    } finally {
      source.destroy();
      fold.close();
    }
  }

  async remove(): Promise<void> {
    await this.firehose?.close();
    await this.query(`DROP DATABASE IF EXISTS ${this.schema}`);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const DEFAULT_VALUES = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } }).values;

/** Format maxwell has none. */
const seqOf = (event: Record<string, unknown>): string => String(event.seq ?? event._seq ?? '');

export const tableOf = (event: Record<string, unknown>): string =>
  (event.source as { table: string } | undefined)?.table ?? String(event._table);

/** Polls until the condition holds. The limit only ends a test that hangs: a machine can be slow. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 90_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${condition}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
