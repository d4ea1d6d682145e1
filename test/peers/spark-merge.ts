import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Connection, createConnection } from 'mysql2/promise';
import { listObjects } from '../../src/lake/objects.ts';
import { seededRandom } from '../../src/local/demo/random.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { cdc, Fixture } from '../integration/pipeline-fixture.ts';
import { type RandomTable, randomChanges, randomTable } from '../integration/warehouse/random-tables.ts';
import { linesOf, type ShopLake } from './shop-lake.ts';
import { SparkWarehouse } from './spark-sql.ts';
import { changeTypes, TYPES_TABLE, typesRow, typesTexts } from './spark-types.ts';

const SEEDS = [3];
const CHANGES = 25;
/** With few rows most of the time would go into the compiler. */
const INTERPRETED = { 'spark.sql.codegen.wholeStage': 'false', 'spark.sql.codegen.factoryMode': 'NO_CODEGEN' };

/** Where `cdc sql` runs, and the lake of its scripts. */
interface Place {
  directory: string;
  lake: string;
}

/** Runs the scripts of `cdc sql --dialect spark`. @throws Error if a view has other rows than the source */
export async function checkSparkMerge(server: LocalServer, shop: () => Promise<ShopLake>): Promise<void> {
  await mergeShop(server, await shop());
  await mergeTables(server, 'debezium', '');
  await mergeTables(server, 'flat', 'values: { temporal: epoch_micros, binary: hex }\n');
}

/** The newest objects, then older ones with some of the newest again, then nothing new. */
async function mergeShop(server: LocalServer, shop: ShopLake): Promise<void> {
  const place = openPlace(shop.directory, 'spark-shop');
  writeFileSync(
    join(place.directory, 'cdc.yaml'),
    `name: shop
source: { url: "${server.url}" }
tables: ["shop.*", "archive.*"]
firehose: { stream: changes, endpoint: "http://127.0.0.1:1" }
lake: lake
`,
  );
  const warehouse = new SparkWarehouse(join(place.directory, 'spark'));
  const lines = shop.objects.flatMap(linesOf);
  const cut = Math.floor((lines.length * 2) / 3);
  const script = await sqlScript(place.directory, '*.orders');
  const micros = (column: string) => `date_format(${column}, 'yyyy-MM-dd HH:mm:ss.SSSSSS')`;
  const texts = ['CAST(id AS STRING)', 'customer', 'CAST(total AS STRING)', 'details', 'lower(hex(receipt))'];
  const select = selectRows('', [...texts, micros('placed_at'), micros('paid_at')], 'shop.orders');
  land(place.lake, lines.slice(cut), 0);
  const first = warehouse.run(script + select, INTERPRETED);
  land(place.lake, lines.slice(0, cut + 100), -1);
  const second = warehouse.run(mergePart(script) + select, INTERPRETED);
  const third = warehouse.run(mergePart(script) + select);
  const wanted = shop.rows.map((row) => `row ${row}`);
  if (first.length === 0 || sorted(first).join('\n') === wanted.join('\n')) {
    throw new Error('shop.orders: the first objects had all rows or none, so late events prove nothing');
  }
  expectRows('shop.orders after late objects', second, wanted);
  expectRows('shop.orders after nothing new', third, wanted);
}

/** Tables of every type and of random ones, with rows that are partial, columns that come and go, and TRUNCATE. */
async function mergeTables(server: LocalServer, format: 'debezium' | 'flat', values: string): Promise<void> {
  const fixture = new Fixture(server.url, `spark_merge_${format}`);
  const connection = await createConnection({ uri: server.url, charset: 'utf8mb4' });
  try {
    await fixture.createSchema(TYPES_TABLE);
    await connection.query(`USE ${fixture.schema}`);
    await connection.query("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'");
    const tables = SEEDS.map((seed) => randomTable(seededRandom(seed), `t${seed}`, true));
    for (const { create } of tables) await connection.query(create);
    const place = openPlace(fixture.directory, 'landed');
    const { endpoint } = await fixture.startFirehose();
    fixture.configure(endpoint, `format: ${format}\nlake: landed/lake\n${values}`);
    const daemon = await fixture.run();
    try {
      await mergePhases(format, fixture, connection, tables, { ...place, directory: fixture.directory });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${daemon.stderr()}`, { cause: error });
    } finally {
      daemon.child.kill('SIGTERM');
      await daemon.ended;
    }
  } finally {
    connection.destroy();
    await fixture.remove();
  }
}

async function mergePhases(
  format: 'debezium' | 'flat',
  fixture: Fixture,
  connection: Connection,
  tables: readonly RandomTable[],
  place: Place,
): Promise<void> {
  const random = seededRandom(13);
  const warehouse = new SparkWarehouse(join(place.directory, 'spark'));
  // Spark 4 has ANSI mode by default.
  const settings = { ...INTERPRETED, 'spark.sql.ansi.enabled': String(format === 'flat') };
  const run = (sql: string) => warehouse.run(sql, settings);
  const isMicros = format === 'flat';
  const names = ['types', ...tables.map(({ name }) => name)].map((name) => `${fixture.schema}.${name}`);
  let seen = 0;
  let script: string | undefined;
  for (const phase of [1, 2]) {
    await changeTypes(connection, phase);
    for (const table of tables) {
      for (const image of ['FULL', 'MINIMAL', 'FULL', 'MINIMAL']) {
        await connection.query(`SET SESSION binlog_row_image = ${image}`);
        for (const sql of randomChanges(random, table, CHANGES, image !== 'FULL')) await connection.query(sql);
      }
      await connection.query('SET SESSION binlog_row_image = FULL');
    }
    await fixture.delivered();
    const lines = await landedLines(fixture);
    const fresh = lines.slice(seen);
    seen = lines.length;
    const late = fresh.filter(() => random.chance(0.3));
    const isLate = new Set(late);
    const repeats = fresh.filter(() => random.chance(0.1));
    land(place.lake, shuffled([...fresh.filter((line) => !isLate.has(line)), ...repeats], random), 0);
    if (script !== undefined) writeFileSync(join(place.directory, 'tables.sql'), script);
    script = await sqlScript(place.directory, ...names, ...(script === undefined ? [] : ['--since', 'tables.sql']));
    const select = [
      selectRows('types ', typesTexts('spark', phase, isMicros), `${fixture.schema}.types`),
      ...tables.map((table) => selectTable(table, fixture.schema)),
    ].join('');
    const first = run(script + select);
    land(place.lake, shuffled([...late, ...repeats], random), -1);
    const second = run(mergePart(script) + select);
    const wanted = await sourceRows(connection, tables, phase, isMicros);
    if (sorted(first).join('\n') === wanted.join('\n')) throw new Error(`${format}: late events prove nothing`);
    expectRows(`${format}, phase ${phase}`, second, wanted);
    if (phase === 2) expectRows(`${format} after nothing new`, run(mergePart(script) + select), wanted);
  }
}

function openPlace(directory: string, name: string): Place {
  const place = { directory: join(directory, name), lake: join(directory, name, 'lake') };
  mkdirSync(place.lake, { recursive: true });
  return place;
}

/**
 * Writes an object as Firehose names it, some days from today. The others are gone, as by a lifecycle rule: otherwise a
 * merge would read them again, and would need nothing of what it remembers.
 */
function land(lake: string, lines: readonly string[], days: number): void {
  rmSync(lake, { recursive: true });
  const hour = new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 13).replaceAll(/[-T]/g, '/');
  const folder = join(lake, hour);
  mkdirSync(folder, { recursive: true });
  const name = `changes-${process.hrtime.bigint()}.gz`;
  writeFileSync(join(folder, name), gzipSync(lines.map((line) => `${line}\n`).join('')));
}

async function sqlScript(directory: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await cdc(directory, 'sql', '--dialect', 'spark', ...words);
  if (code !== 0) throw new Error(`cdc sql has ended with ${code}\n${stderr}`);
  return stdout;
}

/** What docs/WAREHOUSE.md schedules: `sed -n '/ The merge: /,$p'`. */
const mergePart = (script: string): string => script.slice(script.indexOf('-- -------- The merge: '));

function selectRows(prefix: string, texts: readonly string[], view: string): string {
  // Outside of ANSI mode a DECIMAL is 0E-10.
  return `\nSET spark.sql.ansi.enabled = true;\nSELECT concat('row ${prefix}', to_json(array(${texts.join(', ')}))) FROM ${view};\n`;
}

/** The columns by their position: Iceberg has other names for some. */
function selectTable({ name, columns }: RandomTable, schema: string): string {
  const names = [...columns].map((_, i) => `c${i}`);
  const texts = [...columns.values()].map(({ spark }, i) => spark(`c${i}`));
  return selectRows(`${name} `, texts, `(SELECT * FROM ${schema}.${name}) v (${names.join(', ')})`);
}

async function sourceRows(
  connection: Connection,
  tables: readonly RandomTable[],
  phase: number,
  isMicros: boolean,
): Promise<string[]> {
  const select = async (texts: readonly string[], table: string): Promise<(string | null)[][]> => {
    const [rows] = await connection.query({ sql: `SELECT ${texts.join(', ')} FROM ${table}`, rowsAsArray: true });
    return rows as unknown as (string | null)[][];
  };
  const found = (await select(typesTexts('mysql', phase, isMicros), 'types')).map(
    (row) => `row types ${JSON.stringify(typesRow(row))}`,
  );
  for (const { name, columns } of tables) {
    const texts = [...columns].map(([column, { mysql }]) => mysql(`\`${column}\``));
    for (const row of await select(texts, name)) found.push(`row ${name} ${JSON.stringify(row)}`);
  }
  return sorted(found);
}

/** As text: JavaScript would round numbers. */
async function landedLines({ lake }: Fixture): Promise<string[]> {
  const objects = await listObjects(lake, 'changes');
  return objects.flatMap(({ path }) => readFileSync(path, 'utf8').split('\n')).filter((line) => line !== '');
}

function shuffled<T>(items: readonly T[], random: ReturnType<typeof seededRandom>): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [all[i], all[j]] = [all[j] as T, all[i] as T];
  }
  return all;
}

const sorted = (rows: readonly string[]): string[] => [...rows].sort();

function expectRows(what: string, got: readonly string[], wanted: readonly string[]): void {
  const [missing, extra] = [excess(wanted, got), excess(got, wanted)];
  if (missing.length > 0 || extra.length > 0) {
    // Some texts are long runs of the same.
    const shown = (rows: string[]) =>
      rows
        .slice(0, 5)
        .map((row) => row.replaceAll(/(.{1,2})\1{30,}/g, '$1…'))
        .join('\n    ');
    const counts = `${got.length} rows, the source has ${wanted.length}`;
    throw new Error(`${what}: ${counts}\n  only source\n    ${shown(missing)}\n  only Spark\n    ${shown(extra)}`);
  }
  console.log(`  ${what}: ${got.length} rows equal MySQL`);
}

/** What is there more often than in the others. */
function excess(rows: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const row of others) left.set(row, (left.get(row) ?? 0) + 1);
  return rows.filter((row) => {
    const count = left.get(row) ?? 0;
    left.set(row, count - 1);
    return count === 0 || count < 0;
  });
}
