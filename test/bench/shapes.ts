/** A table and its rows. Each shape stresses another part of a codec. */
export interface Shape {
  name: string;
  ddl: string;
  /** The SELECT list of a row in column order, for `FROM numbers` with `n` from 1. */
  row: string;
  rows: number;
  /** Each row has its own transaction. */
  oneRowTransactions?: boolean;
}

const columns = (count: number, definition: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => definition(i)).join(', ');

const ORDERS_DDL = `(id BIGINT PRIMARY KEY, customer_id INT NOT NULL, status ENUM('new','paid','shipped','cancelled') NOT NULL,
  total DECIMAL(12,2) NOT NULL, currency CHAR(3) NOT NULL, email VARCHAR(120), note VARCHAR(255), quantity SMALLINT UNSIGNED,
  weight DOUBLE, placed_at DATETIME(3) NOT NULL, updated_at TIMESTAMP(6) NOT NULL, gift TINYINT(1) NOT NULL)`;
const ORDERS_ROW = `n, n * 7 % 100000, 1 + n % 4, n / 100, 'EUR', CONCAT('user', n, '@example.com'),
  CONCAT('Note for order ', n, ': leave at the door, please'), n % 500, n / 7,
  '2026-01-02 03:04:05.678' + INTERVAL n SECOND, '2026-01-02 03:04:05.678901' + INTERVAL n SECOND, n % 2`;

export const ORDERS: Shape = { name: 'orders, 12 columns', ddl: ORDERS_DDL, row: ORDERS_ROW, rows: 200_000 };
export const ONE_ROW: Shape = { ...ORDERS, name: 'one-row transactions', rows: 40_000, oneRowTransactions: true };

export const SHAPES: readonly Shape[] = [
  ORDERS,
  {
    name: 'narrow, 3 columns',
    ddl: '(id INT PRIMARY KEY, a INT, b VARCHAR(20))',
    row: "n, n * 3, CONCAT('v', n)",
    rows: 400_000,
  },
  {
    name: 'wide, 60 columns',
    ddl: `(id INT PRIMARY KEY, ${columns(20, (i) => `i${i} INT`)}, ${columns(20, (i) => `s${i} VARCHAR(40)`)},
      ${columns(10, (i) => `d${i} DECIMAL(14,4)`)}, ${columns(9, (i) => `t${i} DATETIME`)})`,
    row: `n, ${columns(20, (i) => `n + ${i}`)}, ${columns(20, (i) => `CONCAT('value ${i} of ', n)`)},
      ${columns(10, (i) => `n / ${i + 3}`)}, ${columns(9, (i) => `'2026-01-01' + INTERVAL n + ${i} MINUTE`)}`,
    rows: 40_000,
  },
  {
    name: 'JSON-heavy',
    ddl: '(id INT PRIMARY KEY, a JSON, b JSON)',
    row: `n, JSON_OBJECT('type', 'click', 'n', n, 'path', CONCAT('/shop/', n), 'tags', JSON_ARRAY('a', 'b', n % 9), 'ok', true),
      JSON_OBJECT('items', JSON_ARRAY(JSON_OBJECT('sku', CONCAT('s', n), 'price', n / 4e0), JSON_OBJECT('sku', 'x', 'price', 2.5e0)))`,
    rows: 60_000,
  },
  ONE_ROW,
];
