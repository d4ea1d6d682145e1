import type { Connection } from 'mysql2/promise';
import type { seededRandom } from '../../src/local/demo/random.ts';
import { parseRawObject } from '../../src/runtime/raw-json.ts';

export const CREATE_ORDERS = `CREATE TABLE shop.orders (
  id BIGINT PRIMARY KEY, customer VARCHAR(40) NOT NULL, total DECIMAL(12,2), weight DOUBLE, stock BIGINT UNSIGNED,
  status ENUM('new','paid','sent') NOT NULL, gift TINYINT(1), placed_on DATE, placed_at DATETIME(3),
  paid_at TIMESTAMP(6) NULL, receipt VARBINARY(16), note TEXT) CHARACTER SET utf8mb4`;

/** SQL literals; the first one of each column is what rows begin with. */
const VALUES: Record<string, string[]> = {
  customer: ["'Ada'", "'Zoë 😀'", `'O\\'Neil \\\\ "x"'`, "'李雷'", "''", "'null'", "' two\\nlines\\t'"],
  total: ['9.90', '-0.01', '9999999999.99', '0.00', 'NULL'],
  weight: ['0.1', '-2.5', '1.7976931348623157e308', '3', 'NULL'],
  stock: ['18446744073709551615', '0', '9007199254740993', 'NULL'],
  status: ["'new'", "'paid'", "'sent'"],
  gift: ['0', '1', 'NULL'],
  placed_on: ["'2026-02-28'", "'1000-01-01'", "'9999-12-31'", 'NULL'],
  placed_at: ["'2026-01-02 03:04:05.006'", "'2026-03-29 02:30:00.000'", "'9999-12-31 23:59:59.999'", 'NULL'],
  paid_at: ["'2026-01-02 03:04:05.123456'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'", 'NULL'],
  receipt: ["x'00ff'", "x''", "x'c3a4'", 'NULL'],
  note: ['\'{"a": 1}\'', "REPEAT('ä', 3000)", "''", 'NULL'],
};

/** Keys that a double cannot hold are among them. */
const key = (n: number): string => String(9_007_199_254_740_980n + BigInt(n));
const KEYS = 40;

type Random = ReturnType<typeof seededRandom>;
const pick = (random: Random, values: readonly string[]): string => values[random.below(values.length)] as string;

/** Inserts, updates, deletes and changes of keys, one statement a transaction. */
export async function changeOrders(connection: Connection, random: Random, count: number): Promise<void> {
  const columns = Object.keys(VALUES);
  for (let i = 0; i < count; i++) {
    const [id, other] = [key(random.below(KEYS)), key(random.below(KEYS))];
    const column = pick(random, columns);
    const row = columns.map((name) => pick(random, VALUES[name] as string[]));
    const statements = [
      `INSERT IGNORE INTO shop.orders VALUES (${id}, ${row.join(', ')})`,
      `REPLACE INTO shop.orders VALUES (${id}, ${row.join(', ')})`,
      `UPDATE shop.orders SET ${column} = ${pick(random, VALUES[column] as string[])} WHERE id = ${id}`,
      `UPDATE shop.orders SET ${column} = ${pick(random, VALUES[column] as string[])} WHERE id <= ${id}`,
      `UPDATE IGNORE shop.orders SET id = ${other} WHERE id = ${id}`,
      `DELETE FROM shop.orders WHERE id = ${id}`,
    ];
    await connection.query(pick(random, statements));
  }
}

const dateTime = (column: string): string => `DATE_FORMAT(${column}, '%Y-%m-%d %H:%i:%s.%f')`;

/** The rows of MySQL, each a JSON array of texts, sorted: times in UTC with six digits, bytes in hex. */
export async function sourceRows(connection: Connection): Promise<string[]> {
  const [rows] = await connection.query({
    sql: `SELECT CAST(id AS CHAR), customer, CAST(total AS CHAR), CAST(weight AS CHAR), CAST(stock AS CHAR), status,
      CAST(gift AS CHAR), CAST(placed_on AS CHAR), ${dateTime('placed_at')}, ${dateTime('paid_at')},
      LOWER(HEX(receipt)), note FROM shop.orders`,
    rowsAsArray: true,
  });
  return (rows as unknown as (string | null)[][]).map(shown).sort();
}

/** Rows of the same shape, that another program has written: a double has other digits in each. */
export const shown = (row: (string | null)[]): string =>
  JSON.stringify(row.map((text, i) => (i === WEIGHT && text !== null ? String(Number(text)) : text)));
const WEIGHT = 3;

/** A row as Flink writes it, in the same shape. */
export function flinkRow(json: string): string {
  const members = parseRawObject(json);
  const text = (name: string, change: (text: string) => string = (same) => same): string | null => {
    const raw = members.get(name) ?? 'null';
    return raw === 'null' ? null : change(raw.startsWith('"') ? JSON.parse(raw) : raw);
  };
  const time = (value: string): string => {
    const [seconds = '', fraction = ''] = value.replace('T', ' ').replace('Z', '').split('.');
    return `${seconds}.${fraction.padEnd(6, '0')}`;
  };
  const cents = (value: string): string => {
    const [whole = '', fraction = ''] = value.split('.');
    return `${whole}.${fraction.padEnd(2, '0')}`;
  };
  return shown([
    text('id'),
    text('customer'),
    text('total', cents),
    text('weight'),
    text('stock'),
    text('status'),
    text('gift'),
    text('placed_on'),
    text('placed_at', time),
    text('paid_at', time),
    text('receipt', (base64) => Buffer.from(base64, 'base64').toString('hex')),
    text('note'),
  ]);
}
