import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { History } from '../integration/follow.ts';
import { startJava } from './java.ts';

const SCHEMA = 'shop';

/** The SQL of docs/DEBEZIUM.md, which is what runs here: a table over the lake, and its fold. */
const [TABLE = '', FOLD = ''] = [...readFileSync('docs/DEBEZIUM.md', 'utf8').matchAll(/^```sql\n([\s\S]*?)^```/gm)].map(
  ([, sql]) => sql as string,
);

const SET_UP = [
  `CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR(20), total DECIMAL(10,2), gift TINYINT(1),
    placed_at DATETIME(3), paid_at TIMESTAMP(6) NULL)`,
];

/** Runs the recipes of the page in Flink, and what it says does not work. @throws Error if one of them is not true */
export async function checkFlinkRecipes(server: LocalServer): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-flink-'));
  const history = new History(server.url, SCHEMA);
  await history.run(
    SET_UP,
    "SET time_zone = '+00:00'",
    "INSERT INTO orders VALUES (7, 'truncated', 1, 0, NULL, NULL)",
    'TRUNCATE TABLE orders',
    `INSERT INTO orders VALUES (1, 'Ada', 9.90, 1, '2026-01-02 03:04:05.006', '2026-01-02 03:04:05.123456'),
      (2, 'Bob', 5, 0, NULL, NULL), (3, 'Eve', 7, 1, NULL, NULL)`,
    'UPDATE orders SET total = 12.50 WHERE id = 1',
    'UPDATE orders SET id = 20 WHERE id = 2',
    'DELETE FROM orders WHERE id = 3',
  );
  const flags = new History(server.url, `${SCHEMA}_flags`);
  await flags.run(
    SET_UP,
    "INSERT INTO orders VALUES (1, 'Ada', 9.90, 1, NULL, NULL), (2, 'Bob', 1, 2, NULL, NULL)",
    'UPDATE orders SET total = 12.50',
  );
  const lake = (name: string, lines: string[]): string => {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'object'), lines.join(''));
    return join(directory, name);
  };
  const lines = async (yaml: string) => (await history.lines(yaml)).map(({ text }) => text);
  const all = await lines('');
  // As after a crash: a part of the events comes again. Their order in the lake means nothing.
  const repeated = lake('repeated', [...all.slice(2, 6), ...all].reverse());
  const booleans = lake(
    'booleans',
    (await flags.lines('values: { boolean: [tinyint1] }')).map(({ text }) => text),
  );
  const noTruncate = (await lines('truncate: skip')).slice(1);
  const once = lake('once', noTruncate);
  const twice = lake('twice', [...noTruncate, ...noTruncate.slice(0, 1)]);

  const table = (path: string, over: (sql: string) => string = (sql) => sql) =>
    `DROP TABLE IF EXISTS events;\n${over(TABLE).replace("'lake/shop-changes'", `'${path}'`)}`;
  const changelog = (path: string) =>
    `DROP TABLE IF EXISTS changes;\nCREATE TABLE changes (id BIGINT, customer STRING, gift BOOLEAN)
     WITH ('connector' = 'filesystem', 'path' = '${path}', 'format' = 'debezium-json');\n`;
  const asBoolean = (sql: string) => sql.replace('gift TINYINT', 'gift BOOLEAN');
  const batch = await runFlinkSql(directory, 'batch', [
    table(repeated) + FOLD,
    `${table(repeated, asBoolean)}SELECT DISTINCT after.gift FROM events WHERE op = 'u';\n`,
    `${table(booleans, asBoolean)}SELECT after.id, after.gift FROM events WHERE op = 'u';\n`,
    `${table(once, (sql) => sql.replace(/,\s*'json.timestamp.*'/, ''))}SELECT after.placed_at FROM events;\n`,
  ]);
  const streaming = await runFlinkSql(directory, 'streaming', [
    table(repeated) + FOLD,
    `${changelog(once)}SELECT COUNT(*) FROM changes;\n`,
    `${changelog(twice)}SELECT COUNT(*) FROM changes;\n`,
    `${changelog(repeated)}SELECT COUNT(*) FROM changes;\n`,
    `${changelog(once)}SELECT DISTINCT gift FROM changes WHERE id = 1;\n`,
  ]);
  rmSync(directory, { recursive: true });

  const source = await selectRows(server);
  expectEqual('the fold of events with repeats equals the source (batch)', [...(batch[1] ?? [])].sort(), source);
  expectEqual('the fold of events with repeats equals the source (streaming)', folded(streaming[1] ?? []), source);
  expectEqual('TINYINT(1) as BOOLEAN is false', batch[2], ['+I[false]']);
  expectEqual('with boolean: [tinyint1] 1 is true, and 2 still false', batch[3], ['+I[1, true]', '+I[2, false]']);
  expectMatch('timestamps need ISO-8601', batch[4]?.at(-1), /^error\|Fail to deserialize at field: after/);
  expectEqual('debezium-json without repeats counts the rows', streaming[2]?.at(-1), '+U[2]');
  expectEqual('debezium-json with a repeat counts one too many', streaming[3]?.at(-1), '+U[3]');
  expectMatch('debezium-json fails at a TRUNCATE', streaming[4]?.at(-1), /^error\|.*"t"/);
  expectEqual('debezium-json reads TINYINT(1) as false too', streaming[5]?.at(-1), '+I[false]');
}

/** The rows of each query, by its number. */
export async function runFlinkSql(directory: string, mode: 'batch' | 'streaming', sql: string[]): Promise<string[][]> {
  const file = join(directory, `${mode}.sql`);
  writeFileSync(file, sql.join('\n'));
  const flink = startJava('flink/FlinkSql.java', mode, file);
  let output = '';
  let log = '';
  flink.stdout.on('data', (data) => (output += data));
  flink.stderr.on('data', (data) => (log += data));
  const code = await new Promise((done) => flink.once('close', done));
  if (code !== 0) throw new Error(`Flink has ended with ${code}\n${log}`);
  const results: string[][] = [];
  for (const line of output.split('\n').slice(0, -1)) {
    const [, number, row] = /^(\d+)\|(.*)$/.exec(line) ?? [];
    (results[Number(number)] ??= []).push(row as string);
  }
  return results;
}

/** The rows that are left of a changelog. */
function folded(changes: readonly string[]): string[] {
  const rows: string[] = [];
  for (const change of changes) {
    const row = change.slice(2);
    if (/^[-]/.test(change)) rows.splice(rows.indexOf(row), 1);
    else rows.push(row);
  }
  return rows.map((row) => `+I${row}`).sort();
}

/** The rows of the source, as Flink prints them. */
async function selectRows(server: LocalServer): Promise<string[]> {
  const connection = await createConnection({ uri: server.url, rowsAsArray: true, timezone: 'Z', dateStrings: true });
  await connection.query("SET time_zone = '+00:00'");
  const [rows] = await connection.query(`SELECT * FROM ${SCHEMA}.orders`);
  connection.destroy();
  const shown = (rows as unknown as unknown[][]).map((row) =>
    row.map((value, i) =>
      value === null ? 'null' : i < 4 ? String(value) : `${String(value).replace(' ', 'T')}${i === 5 ? 'Z' : ''}`,
    ),
  );
  return shown.map((row) => `+I[${row.join(', ')}]`).sort();
}

function expectEqual(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`not so: ${what}\n  expected ${b}\n  got      ${a}`);
  console.log(`  ${what}`);
}

function expectMatch(what: string, actual: string | undefined, pattern: RegExp): void {
  if (!pattern.test(actual ?? '')) throw new Error(`not so: ${what}\n  expected ${pattern}\n  got ${actual}`);
  console.log(`  ${what}`);
}
