import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance, version as duckdbVersion } from '@duckdb/node-api';
import { runFlinkSql } from './flink.ts';
import { mavenClasspath, missingJava, missingMaven } from './java.ts';
import { missingPackage, PYTHON_FOLDER, pinned, pythonRows } from './python.ts';
import { linesOf, type ShopLake } from './shop-lake.ts';

const PAGE = 'docs/WAREHOUSE.md';
/** The path in the recipes of the page. */
const EXAMPLE_LAKE = 'lake/shop-changes';

/** A way to read the current rows of `shop.orders` from the lake. What runs is the text of docs/WAREHOUSE.md. */
export interface Recipe {
  /** The heading of its section. */
  title: string;
  /** The versions that the page names. */
  versions: () => string;
  /** Why it cannot run here, or undefined. */
  missing: () => string | undefined;
  /** The rows, as those of the lake. @throws Error if it fails */
  rows: (lake: ShopLake) => Promise<string[]> | string[];
}

export const RECIPES: Record<string, Recipe> = {
  spark: {
    title: 'Spark',
    versions: () => `pyspark ${pinned('pyspark')}`,
    missing: () => missingJava() ?? missingPackage('pyspark'),
    rows: (lake) => pythonRecipe(lake, 'spark', recipeOf('Spark', 'python'), 'show(current.collect())'),
  },
  polars: {
    title: 'Polars',
    versions: () => `polars ${pinned('polars')}`,
    missing: () => missingPackage('polars'),
    rows: (lake) => pythonRecipe(lake, 'polars', recipeOf('Polars', 'python'), 'show(current.iter_rows())'),
  },
  duckdb: {
    title: 'DuckDB',
    versions: () => `DuckDB ${duckdbVersion().slice(1)}`,
    missing: () => undefined,
    rows: duckdbRows,
  },
  clickhouse: {
    title: 'ClickHouse',
    versions: () => `chdb ${pinned('chdb')}`,
    missing: () => missingPackage('chdb'),
    rows(lake) {
      const file = join(lake.directory, 'clickhouse.sql');
      writeFileSync(file, onLake(recipeOf('ClickHouse', 'sql'), lake.path));
      return pythonRows(lake.directory, [join(PYTHON_FOLDER, 'clickhouse_recipe.py'), file]);
    },
  },
  flink: {
    title: 'Flink',
    versions: () => `Flink ${/<flink.version>(.+?)</.exec(readFileSync('test/peers/flink/pom.xml', 'utf8'))?.[1]}`,
    missing: missingMaven,
    rows: flinkRows,
  },
  hudi: {
    title: 'Hudi',
    versions: () => `Hudi ${hudiVersion()}, pyspark ${pinned('pyspark')}`,
    missing: () => missingMaven() ?? missingPackage('pyspark'),
    rows: hudiRows,
  },
  dbt: {
    title: 'dbt',
    versions: () => `dbt-core ${pinned('dbt-core')}, dbt-duckdb ${pinned('dbt-duckdb')}`,
    missing: () => missingPackage('dbt-core') ?? missingPackage('dbt-duckdb'),
    rows: dbtRows,
  },
};

/** Runs a recipe on the lake. @throws Error where its rows are not those of MySQL, or the page has other versions */
export async function checkRecipe({ title, versions, rows }: Recipe, lake: ShopLake): Promise<void> {
  const got = await rows(lake);
  const missing = lake.rows.filter((row) => !got.includes(row));
  if (missing.length > 0 || got.length !== lake.rows.length) {
    const extra = got.filter((row) => !lake.rows.includes(row));
    const shown = `MySQL  ${missing[0]}\n  ${title}  ${extra[0]}`;
    throw new Error(`${title} has ${got.length} rows, MySQL ${lake.rows.length}; the first that differ\n  ${shown}`);
  }
  console.log(`  ${title} (${versions()}): ${got.length} rows equal MySQL`);
  if (!readFileSync(PAGE, 'utf8').includes(`| ${title} | ${versions()} |`)) {
    throw new Error(`${PAGE} does not have "| ${title} | ${versions()} |"`);
  }
}

/** The code of a section of the page. */
export function recipeOf(title: string, language: 'python' | 'sql'): string {
  const section = new RegExp(`^### ${title}\n([\\s\\S]*?)(?=^##|(?![\\s\\S]))`, 'm').exec(
    readFileSync(PAGE, 'utf8'),
  )?.[1];
  const code = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'm').exec(section ?? '')?.[1];
  if (code === undefined) throw new Error(`${PAGE} has no ${language} under ${title}`);
  return code;
}

function onLake(code: string, path: string): string {
  if (!code.includes(EXAMPLE_LAKE)) throw new Error(`a recipe does not read ${EXAMPLE_LAKE}:\n${code}`);
  return code.replaceAll(EXAMPLE_LAKE, path);
}

function pythonRecipe(
  lake: Pick<ShopLake, 'directory' | 'path'>,
  name: string,
  code: string,
  show: string,
  env?: Record<string, string>,
): string[] {
  const file = join(lake.directory, `${name}_recipe.py`);
  writeFileSync(file, `${onLake(code, lake.path)}\nfrom show_rows import show\n${show}\n`);
  return pythonRows(lake.directory, [file], env);
}

async function duckdbRows(lake: ShopLake): Promise<string[]> {
  const micros = (column: string) => `strftime(${column}, '%Y-%m-%d %H:%M:%S.%f')`;
  const connection = await (await DuckDBInstance.create()).connect();
  await connection.run("SET TimeZone = 'UTC'");
  const sql = onLake(recipeOf('DuckDB', 'sql'), lake.path);
  const shown = `SELECT id::VARCHAR, customer, total::VARCHAR, details::VARCHAR, lower(hex(receipt)),
    ${micros('placed_at')}, ${micros('paid_at')} FROM (${sql})`;
  const rows = (await connection.runAndReadAll(shown)).getRowsJson();
  return rows.map((row) => JSON.stringify(row)).sort();
}

async function flinkRows(lake: ShopLake): Promise<string[]> {
  const [table = '', query = ''] = onLake(recipeOf('Flink', 'sql'), lake.path).split(';\n');
  // Rows are printed without quotes, so every text goes through HEX.
  const hex = (...values: string[]) => values.map((value) => `HEX(CAST(${value} AS STRING))`).join(', ');
  const paid = 'CAST(paid_at AS TIMESTAMP(6))';
  const shown = `SELECT ${hex('id', 'customer', 'total', 'details', 'receipt', 'placed_at', paid)} FROM shown;\n`;
  const [, rows = []] = await runFlinkSql(lake.directory, 'batch', [
    `${table};\nCREATE VIEW shown AS ${query};\n${shown}`,
  ]);
  return rows
    .map((row) => {
      const texts = /^\+I\[(.*)\]$/.exec(row)?.[1]?.split(', ') ?? [`no row: ${row}`];
      const values = texts.map((text) => (text === 'null' ? null : Buffer.from(text, 'hex').toString()));
      const [id, customer, total, details, receipt, ...times] = values;
      // Flink has no function that makes bytes of base64: FROM_BASE64 gives a text.
      const bytes = typeof receipt === 'string' ? Buffer.from(receipt, 'base64').toString('hex') : null;
      return JSON.stringify([id, customer, total, details, bytes, ...times]);
    })
    .sort();
}

const hudiVersion = (): string =>
  /<artifactId>hudi-spark.*?<version>(.+?)</.exec(readFileSync('test/peers/hudi/pom.xml', 'utf8'))?.[1] ?? '';

/**
 * The lines of the lake as three batches: the newest third, all older ones with some of the newest again, all.
 * The TRUNCATE is in the middle, so the second batch has older events of keys that the first one has left current.
 */
function batches({ directory, objects }: ShopLake, name: string): string[] {
  const lines = objects.flatMap(linesOf);
  const cut = Math.floor((lines.length * 2) / 3);
  return [lines.slice(cut), lines.slice(0, cut + 100), lines].map((some, n) => {
    const folder = join(directory, `${name}-${n}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'object.gz'), gzipSync(some.map((line) => `${line}\n`).join('')));
    return folder;
  });
}

function hudiRows(lake: ShopLake): string[] {
  const env = { PYSPARK_SUBMIT_ARGS: `--jars ${mavenClasspath('hudi/pom.xml')} pyspark-shell` };
  // Hudi takes no relative path.
  const code = recipeOf('Hudi', 'python').replaceAll('/warehouse/orders', join(lake.directory, 'hudi'));
  const runs = batches(lake, 'hudi').map((path) =>
    pythonRecipe({ directory: lake.directory, path }, 'hudi', code, 'show(current.collect())', env),
  );
  return lastOf('Hudi', runs);
}

function dbtRows(lake: ShopLake): string[] {
  const project = join(lake.directory, 'dbt');
  cpSync('docs/dbt', project, { recursive: true });
  const words = ['-m', 'dbt.cli.main', 'run', '--project-dir', project, '--profiles-dir', project];
  const runs = batches(lake, 'landed').map((folder) => {
    const vars = JSON.stringify({ objects: `${folder}/*.gz` });
    pythonRows(project, [...words, '--vars', vars], { DBT_SEND_ANONYMOUS_USAGE_STATS: 'false' });
    return pythonRows(project, [join(PYTHON_FOLDER, 'warehouse_rows.py'), join(project, 'warehouse.duckdb')]);
  });
  return lastOf('dbt', runs);
}

/** The rows of the last run, which has seen nothing new. @throws Error if it changed something, or the first had all */
function lastOf(title: string, runs: readonly string[][]): string[] {
  const [first, second, last = []] = runs.map((rows) => rows.join('\n'));
  if (first === second) throw new Error(`${title}: the first batch had all rows, so late events prove nothing`);
  if (second !== last) throw new Error(`${title}: a batch of repeats changed the rows`);
  return runs.at(-1) ?? [];
}
