import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { listObjects } from '../../../src/lake/objects.ts';
import { type Random, seededRandom } from '../../../src/local/demo/random.ts';
import { startWarehouse } from '../../../src/local/warehouse/server.ts';
import { mergeOnce, parseTarget } from '../../../src/warehouse/merge/open-merge.ts';
import { type Cdc, Fixture } from '../pipeline-fixture.ts';
import { postgresUnavailable, startPostgres } from '../postgres-server.ts';
import { type RandomTable, randomChanges, randomTable } from './random-tables.ts';

/** Each seed is a table of its own. */
const SEEDS = Number(process.env.CDC_MERGE_SEEDS ?? 20);
const FIRST_SEED = Number(process.env.CDC_MERGE_FIRST_SEED ?? 1);
const PHASES = 3;
const RUNS_PER_PHASE = 2;
const CHANGES_PER_PHASE = 15;

/** A pipeline, and the lake that its merges read: the same lines in other objects and another order, some twice. */
interface Shuffled {
  format: 'debezium' | 'flat';
  fixture: Fixture;
  daemon: Cdc;
  lake: string;
  seen: number;
  /** Lines that come later. */
  late: string[];
  objects: number;
  targets: { name: string; into: string; rows: (sql: string) => Promise<unknown[][]>; close: () => Promise<void> }[];
}

const noPostgres = await postgresUnavailable();
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

async function openPipeline(schema: string, format: 'debezium' | 'flat'): Promise<Shuffled> {
  const fixture = new Fixture(inject('mysqlUrl'), schema);
  closing.push(() => fixture.remove());
  const { endpoint } = await fixture.startFirehose();
  const lake = join(fixture.directory, 'shuffled');
  mkdirSync(lake);
  fixture.configure(endpoint, `format: ${format}\nlake: shuffled\n`);
  const daemon = await fixture.run();
  closing.push(async () => {
    daemon.child.kill('SIGTERM');
    await daemon.ended;
  });
  return { format, fixture, daemon, lake, seen: 0, late: [], objects: 0, targets: [] };
}

const configOf = ({ fixture: { directory } }: Shuffled) =>
  parseConfig(
    `name: shop
source: { url: "${inject('mysqlUrl')}" }
tables: ["${SCHEMA}.*"]
format: ${pipelines.find((one) => one.fixture.directory === directory)?.format}
firehose: { stream: changes, endpoint: "http://127.0.0.1:1" }
lake: shuffled
`,
    { file: 'cdc.yaml', directory, env: {} },
  );

async function postgresTarget(url: string): Promise<Shuffled['targets'][number]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows;
  return { name: 'postgres', into: url, rows, close: () => client.end() };
}

async function duckdbTarget(path: string): Promise<Shuffled['targets'][number]> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  // A file of DuckDB has one process and, within it, one instance.
  const rows = async (sql: string) => {
    const instance = await DuckDBInstance.create(path);
    const connection = await instance.connect();
    const found = (await connection.runAndReadAll(sql)).getRows();
    connection.closeSync();
    instance.closeSync();
    return found;
  };
  return { name: 'duckdb', into: `duckdb:${path}`, rows, close: async () => {} };
}

/** As text: JavaScript would round numbers. */
async function landedLines({ lake }: Fixture): Promise<string[]> {
  const objects = await listObjects(lake, 'changes');
  return objects.flatMap(({ path }) => readFileSync(path, 'utf8').split('\n')).filter((line) => line !== '');
}

/** Moves the lines that landed since the last call into new objects, in another order, some of them twice or later. */
async function shuffle(one: Shuffled, random: Random, isLast: boolean): Promise<void> {
  const landed = await landedLines(one.fixture);
  const lines = [...one.late, ...landed.slice(one.seen)];
  one.seen = landed.length;
  one.late = [];
  const now: string[] = [];
  for (const line of lines) {
    if (!isLast && random.chance(0.2)) one.late.push(line);
    else now.push(line);
    if (random.chance(0.15)) (isLast || random.chance(0.5) ? now : one.late).push(line);
  }
  for (let i = now.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [now[i], now[j]] = [now[j]!, now[i]!];
  }
  const objects = random.below(4) + 1;
  const size = Math.ceil(now.length / objects);
  for (let i = 0; i < objects && size > 0; i++) {
    const text = now
      .slice(i * size, (i + 1) * size)
      .map((line) => `${line}\n`)
      .join('');
    // A later object can have an earlier name.
    const name = `${String(random.below(1e6)).padStart(6, '0')}-${one.objects++}`;
    if (text !== '') writeFileSync(join(one.lake, name), text);
  }
}

const SCHEMA = `merged_${process.pid}`;
const pipelines: Shuffled[] = [];

beforeAll(async () => {
  const first = await openPipeline(SCHEMA, 'debezium');
  pipelines.push(first);
  await first.fixture.createSchema();
  const second = await openPipeline(SCHEMA, 'flat');
  pipelines.push(second);
  const embedded = await startWarehouse({
    directory: join(first.fixture.directory, 'wh'),
    listen: { host: '127.0.0.1', port: 0 },
  });
  closing.push(() => embedded.close());
  let server = embedded.url;
  if (noPostgres === undefined) {
    const postgres = await startPostgres();
    closing.push(() => postgres.stop());
    server = postgres.url;
  }
  first.targets.push(await duckdbTarget(join(first.fixture.directory, 'first.duckdb')), await postgresTarget(server));
  second.targets.push(
    await duckdbTarget(join(second.fixture.directory, 'second.duckdb')),
    await postgresTarget(embedded.url),
  );
  for (const { targets } of pipelines) for (const { close } of targets) closing.push(close);
}, 300_000);

describe('the merge of shuffled events', () => {
  const random = seededRandom(FIRST_SEED);
  const tables: RandomTable[] = [];

  test.each(Array.from({ length: PHASES }, (_, i) => i))(
    'gives the tables of the source, phase %i',
    async (phase) => {
      const connection = await createConnection({ uri: inject('mysqlUrl'), database: SCHEMA, charset: 'utf8mb4' });
      try {
        await connection.query("SET sql_mode = '', time_zone = '+00:00'");
        if (phase === 0) {
          for (let i = 0; i < SEEDS; i++) {
            tables.push(randomTable(seededRandom(FIRST_SEED + i), `t${FIRST_SEED + i}`, true));
            await connection.query(tables[i]!.create);
          }
        }
        for (const table of tables) {
          // Some sessions log only the columns that change.
          const image = random.pick(['FULL', 'FULL', 'MINIMAL']);
          await connection.query(`SET SESSION binlog_row_image = ${image}`);
          for (const sql of randomChanges(random, table, CHANGES_PER_PHASE, image !== 'FULL'))
            await connection.query(sql);
        }
        for (const one of pipelines) {
          await one.fixture.delivered();
          for (let run = 1; run <= RUNS_PER_PHASE; run++) {
            await shuffle(one, random, run === RUNS_PER_PHASE && phase === PHASES - 1);
            for (const { into } of one.targets) {
              const merged = await mergeOnce({
                config: configOf(one),
                wanted: [],
                into: parseTarget(into),
                from: 'lake',
                batchBytes: 64 * 1024,
                signal: new AbortController().signal,
              });
              expect(merged.damage).toEqual([]);
            }
          }
        }
        if (phase < PHASES - 1) return;
        for (const { format, targets } of pipelines) {
          for (const { name, rows } of targets) {
            for (const table of tables) {
              const found = await selectTexts(table, name as 'duckdb', rows);
              const wanted = await selectTexts(
                table,
                'mysql',
                async (sql) => (await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true }))[0],
              );
              expect(found, `${table.name} in ${name}, ${format}`).toEqual(wanted);
            }
          }
        }
      } finally {
        connection.destroy();
      }
    },
    600_000,
  );
});

/** The rows with each value as text, in the order of these texts. */
async function selectTexts(
  table: RandomTable,
  engine: 'mysql' | 'duckdb' | 'postgres',
  rows: (sql: string) => Promise<unknown[][]>,
) {
  const quote = (name: string) => (engine === 'mysql' ? `\`${name}\`` : `"${name.replaceAll('"', '""')}"`);
  const columns = [...table.columns].map(([name, text]) => text[engine](quote(name)));
  const found = await rows(`SELECT ${columns.join(', ')} FROM ${quote(SCHEMA)}.${quote(table.name)}`);
  return found.map((row) => JSON.stringify(row.map((value) => (value === null ? null : String(value))))).sort();
}
