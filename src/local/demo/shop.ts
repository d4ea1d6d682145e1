/**
 * The schema of the demo: four tables with columns of many types, and a table whose row marks the end of the workload.
 */
export const SHOP = 'shop';
export const SHOP_TABLES = ['users', 'orders', 'payments', 'app_events', 'demo_marker'] as const;

export const SOURCES = ['ads', 'search', 'referral', 'email', 'social'] as const;
export const APP_EVENTS = ['JOIN', 'LEAVE', 'OPEN_CHAT', 'SUBSCRIBE', 'SEND_MESSAGE'] as const;

const labels = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ');

export const SHOP_DDL: readonly string[] = [
  `CREATE DATABASE ${SHOP} CHARACTER SET utf8mb4`,
  `CREATE TABLE ${SHOP}.users (
    id INT UNSIGNED PRIMARY KEY,
    email VARCHAR(190) NOT NULL UNIQUE,
    name VARCHAR(100) NOT NULL,
    source ENUM(${labels(SOURCES)}) NOT NULL,
    flags SET('newsletter', 'beta', 'staff') NOT NULL DEFAULT '',
    premium TINYINT(1) NOT NULL DEFAULT 0,
    points BIGINT NOT NULL DEFAULT 0,
    rating FLOAT NULL,
    birthday DATE NULL,
    preferences JSON NULL,
    password_hash BINARY(16) NOT NULL,
    created_at TIMESTAMP(3) NOT NULL
  )`,
  // Order numbers are above 2^53, where a double cannot represent every integer.
  `CREATE TABLE ${SHOP}.orders (
    id BIGINT UNSIGNED PRIMARY KEY,
    user_id INT UNSIGNED NOT NULL,
    source ENUM(${labels(SOURCES)}) NOT NULL,
    status ENUM('new', 'paid', 'shipped', 'returned') NOT NULL,
    total DECIMAL(12, 2) NOT NULL,
    items JSON NOT NULL,
    note TEXT NULL,
    weight_kg DOUBLE NULL,
    placed_at DATETIME(6) NOT NULL,
    KEY (user_id)
  )`,
  `CREATE TABLE ${SHOP}.payments (
    reference VARCHAR(40) PRIMARY KEY,
    order_id BIGINT UNSIGNED NOT NULL,
    user_id INT UNSIGNED NOT NULL,
    amount DECIMAL(12, 2) NOT NULL,
    currency CHAR(3) CHARACTER SET ascii NOT NULL DEFAULT 'EUR',
    receipt VARBINARY(64) NULL,
    paid_at DATETIME NOT NULL,
    KEY (user_id)
  )`,
  `CREATE TABLE ${SHOP}.app_events (
    user_id INT UNSIGNED NOT NULL,
    number INT NOT NULL,
    type ENUM(${labels(APP_EVENTS)}) NOT NULL,
    properties JSON NULL,
    device BIT(12) NOT NULL,
    spent TIME(3) NULL,
    season YEAR NOT NULL,
    happened_at TIMESTAMP(6) NOT NULL,
    PRIMARY KEY (user_id, number)
  )`,
  `CREATE TABLE ${SHOP}.demo_marker (id VARCHAR(64) PRIMARY KEY)`,
];

/**
 * The report of the demo: orders and revenue by marketing channel, for the table of orders in any place that has their
 * current rows. The text is SQL of DuckDB, MySQL, PostgreSQL, Redshift and Athena alike. The amounts are cast because a
 * view of the lake has them as text.
 */
export const revenueBySource = (orders: string): string =>
  `SELECT source, count(*) AS orders, sum(CAST(total AS DECIMAL(18, 2))) AS revenue
FROM ${orders} WHERE status <> 'returned'
GROUP BY source ORDER BY revenue DESC, source`;
