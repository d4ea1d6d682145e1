import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Connection, createConnection } from 'mysql2/promise';
import { listObjects } from '../../src/lake/objects.ts';
import { type Random, seededRandom } from '../../src/local/demo/random.ts';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { startCdc, until } from '../integration/pipeline-fixture.ts';

/** The stream of docs/WAREHOUSE.md. */
const STREAM = 'shop-changes';
const CHANGES = 3_000;

/** A lake that `cdc run` and the local Firehose have made of changes of `shop.orders`, and what that table is now. */
export interface ShopLake {
  directory: string;
  /** The folder of the stream. */
  path: string;
  /** Its objects, oldest first. */
  objects: string[];
  events: number;
  /** Events that landed more than once. */
  repeats: number;
  /** The rows of MySQL, sorted, as JSON arrays of texts. */
  rows: string[];
  remove(): void;
}

/** The table of docs/WAREHOUSE.md. */
const ORDERS = (schema: string) => `CREATE TABLE ${schema}.orders (
  id BIGINT UNSIGNED PRIMARY KEY,
  customer VARCHAR(100) NOT NULL,
  total DECIMAL(20, 2) NOT NULL,
  details JSON NULL,
  receipt VARBINARY(64) NULL,
  placed_at DATETIME(6) NOT NULL,
  paid_at TIMESTAMP(3) NULL
)`;

const SET_UP = [
  ...['shop', 'archive'].flatMap((schema) => [`DROP DATABASE IF EXISTS ${schema}`, `CREATE DATABASE ${schema}`]),
  ORDERS('shop'),
  // The stream has other tables too: one of the same name, and one whose columns have other types under the same names.
  ORDERS('archive'),
  'CREATE TABLE shop.customers (id VARCHAR(20) PRIMARY KEY, customer INT, total TEXT, details INT, placed_at INT)',
  'CREATE TABLE shop.marker (id INT PRIMARY KEY)',
];

const INSERT = 'INSERT INTO shop.orders VALUES (?, ?, ?, ?, ?, ?, ?)';
const IDS = ['18446744073709551615', '9223372036854775808', '9007199254740993', '0', '1'];
const NAMES = ['Ada', "O'Neil", 'Zoë "R" 🦊', '李雷', 'back\\slash', 'two\nlines', '', ' NULL ', '\u2028\t\u0001'];
const TOTALS = ['999999999999999999.99', '-999999999999999999.99', '0.00', '-0.01', '12.50', '9007199254740993.07'];
const DETAILS = [null, '{"b": 1.0, "a": [1, null, "ü\\"\\\\"]}', '[]', 'null', '"text"', '{"n": 18446744073709551615}'];

/** Makes the lake: inserts, updates, deletes, changes of keys, a TRUNCATE, odd values, and events that come twice. */
export async function makeShopLake(server: LocalServer): Promise<ShopLake> {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-peers-lake-'));
  const lake = join(directory, 'lake');
  const firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake,
    streams: [{ name: STREAM, gzip: true, bufferSeconds: 0.2 }],
    // The records are stored, and cdc does not learn it: it sends them again.
    faults: { seed: 1, rules: [{ fault: 'lost', rate: 0.3, stored: true }] },
  });
  const admin = await createConnection({ uri: server.url, charset: 'utf8mb4' });
  try {
    await admin.query("SET time_zone = '+00:00'");
    for (const sql of SET_UP) await admin.query(sql);
    writeFileSync(
      join(directory, 'cdc.yaml'),
      `name: shop
source: { url: "${server.url}" }
tables: ["shop.*", "archive.*"]
firehose: { stream: ${STREAM}, endpoint: "${firehose.endpoint}", linger: 20ms }
`,
    );
    const daemon = startCdc(directory, 'run');
    try {
      await until(() => daemon.stderr().includes('following the binlog') || daemon.child.exitCode !== null);
      await change(admin, seededRandom(13));
      await until(async () => daemon.child.exitCode !== null || (await hasMarker(lake)), 300_000);
      daemon.child.kill('SIGTERM');
      const { code, stderr } = await daemon.ended;
      if (code !== 0) throw new Error(`cdc run has ended with ${code}\n${stderr}`);
    } finally {
      daemon.child.kill('SIGKILL');
    }
    await firehose.close();
    const objects = (await listObjects(lake, STREAM)).map(({ path }) => path).sort();
    for (const path of objects.filter((_, n) => n % 2 === 1)) splitMembers(path);
    const seqs = objects.flatMap((path) => [...linesOf(path)].map((line) => JSON.parse(line).seq as string));
    const repeats = seqs.length - new Set(seqs).size;
    if (repeats === 0 || objects.length < 2) throw new Error(`${repeats} repeats in ${objects.length} objects`);
    const rows = await currentRows(admin);
    const remove = () => rmSync(directory, { recursive: true, force: true });
    return { directory, path: join(lake, STREAM), objects, events: seqs.length, repeats, rows, remove };
  } finally {
    admin.destroy();
    await firehose.close();
  }
}

/** The lines of an object. */
export const linesOf = (path: string): string[] => gunzipSync(readFileSync(path)).toString().split('\n').slice(0, -1);

/** Makes an object one of many gzip members, as it is with `compression: gzip`. */
function splitMembers(path: string): void {
  const lines = linesOf(path);
  const members: Buffer[] = [];
  for (let i = 0; i < lines.length; i += 100) members.push(gzipSync(`${lines.slice(i, i + 100).join('\n')}\n`));
  writeFileSync(path, Buffer.concat(members));
}

async function hasMarker(lake: string): Promise<boolean> {
  const objects = await listObjects(lake, STREAM);
  return objects.some(({ path }) => linesOf(path).some((line) => line.includes('"table":"marker"')));
}

async function change(admin: Connection, random: Random): Promise<void> {
  const values = (id: string) => [
    id,
    random.pick(NAMES),
    random.pick(TOTALS),
    random.pick(DETAILS),
    random.chance(0.3) ? null : Buffer.from(Array.from({ length: random.below(64) }, () => random.below(256))),
    `2026-0${1 + random.below(9)}-02 03:04:05.${String(random.below(1e6)).padStart(6, '0')}`,
    random.chance(0.3) ? null : `2026-01-02 03:04:05.${String(random.below(1000)).padStart(3, '0')}`,
  ];
  let next = 1_000;
  let ids: string[] = [];
  const insert = async (id: string) => {
    ids.push(id);
    await admin.query(INSERT, values(id));
  };
  const take = () => ids.splice(random.below(ids.length), 1)[0] as string;
  for (let n = 0; n < CHANGES; n++) {
    // Half of the way the table is emptied; some keys come again, others never do.
    if (n === CHANGES / 2) {
      await admin.query('TRUNCATE TABLE shop.orders');
      ids = [];
    }
    const action = ids.length < 20 ? 0 : random.below(10);
    if (action < 4) await insert(String(next++));
    else if (action < 7) {
      const [id, ...others] = values(random.pick(ids));
      const columns = 'customer = ?, total = ?, details = ?, receipt = ?, placed_at = ?, paid_at = ?';
      await admin.query(`UPDATE shop.orders SET ${columns} WHERE id = ?`, [...others, id]);
    } else if (action < 8) {
      await admin.query('UPDATE shop.orders SET id = ? WHERE id = ?', [String(next), take()]);
      ids.push(String(next++));
    } else if (action < 9) await admin.query('DELETE FROM shop.orders WHERE id = ?', [take()]);
    else {
      // A key that is deleted and comes again.
      const id = random.pick(ids);
      await admin.query('DELETE FROM shop.orders WHERE id = ?', [id]);
      await admin.query(INSERT, values(id));
    }
    if (n % 50 === 0) {
      await admin.query('REPLACE INTO archive.orders SELECT * FROM shop.orders WHERE id = ?', [random.pick(ids)]);
      await admin.query('INSERT INTO shop.customers VALUES (?, 1, ?, 2, 3)', [`c${n}`, 'no number']);
    }
    if (n === 100 || n === CHANGES - 100) for (const id of IDS) await insert(id);
  }
  await admin.query('DELETE FROM shop.orders WHERE id = 1');
  await admin.query('TRUNCATE TABLE archive.orders');
  await admin.query('INSERT INTO shop.marker VALUES (1)');
}

/** The rows as the recipes print them: all texts, bytes in hex, times with six digits. */
async function currentRows(admin: Connection): Promise<string[]> {
  const micros = (column: string) => `DATE_FORMAT(${column}, '%Y-%m-%d %H:%i:%s.%f')`;
  const [rows] = await admin.query({
    sql: `SELECT CAST(id AS CHAR), customer, CAST(total AS CHAR), CAST(details AS CHAR), LOWER(HEX(receipt)),
      ${micros('placed_at')}, ${micros('paid_at')} FROM shop.orders`,
    rowsAsArray: true,
  });
  return (rows as unknown as (string | null)[][]).map((row) => JSON.stringify(row)).sort();
}
