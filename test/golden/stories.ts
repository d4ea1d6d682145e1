/**
 * What is done on the servers that the fixtures are recorded from. A statement that begins with `@name ` runs in a
 * session of that name, any other one in the first session. `--- step` ends what columns are looked up for together:
 * a later statement may alter a table, and then nobody can look up what it was.
 */
export const STEP = '--- step';

const TABLES = [
  `CREATE TABLE orders (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(40), total DECIMAL(12,2),
     state ENUM('new','paid','it''s gone') NOT NULL DEFAULT 'new', note MEDIUMTEXT, doc TEXT,
     raw BLOB, at TIMESTAMP(3) NULL)`,
  'CREATE TABLE two_keys (a INT, b VARCHAR(20), c DATETIME, v BIGINT, PRIMARY KEY (b, a))',
  'CREATE TABLE keyless (a INT, b VARCHAR(20))',
  'CREATE TABLE unique_only (a INT NOT NULL UNIQUE, b VARCHAR(20))',
  'CREATE TABLE named_key (a INT, b VARCHAR(20), c INT)',
  'CREATE TABLE no_transactions (id INT PRIMARY KEY, v INT) ENGINE=MyISAM',
  'CREATE TABLE emptied (id INT PRIMARY KEY, v INT)',
  'CREATE TABLE `emptied "too" é` (id INT PRIMARY KEY)',
  'CREATE TABLE excluded (id INT PRIMARY KEY)',
];

const NUMBERS = '(SELECT a.d * 100 + b.d * 10 + c.d i FROM digits a, digits b, digits c WHERE a.d < 5) n';
const DIGITS = [
  'CREATE TABLE digits (d INT PRIMARY KEY)',
  'INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)',
];

/** Plain changes, key changes, tables without key, transactions of several tables. */
const CHANGES = [
  `INSERT INTO orders (customer, total, note, doc, raw, at) VALUES
     ('Zoë "quoted"', 12.50, 'a\\nb', '{"a": 1, "list": [1, 2, 3], "pad": "long enough to keep"}',
      x'00ff', '2026-01-02 03:04:05.678'),
     ('二', -0.01, NULL, '{"b": {"c": "d"}}', NULL, NULL), (NULL, NULL, '', NULL, '', '1970-01-01 00:00:01')`,
  "UPDATE orders SET total = total + 1, state = 'paid' WHERE id < 3",
  'UPDATE orders SET id = id + 1000 WHERE id = 2',
  "UPDATE orders SET id = 7, customer = 'both' WHERE id = 1002",
  'DELETE FROM orders WHERE id = 3',
  `INSERT INTO two_keys VALUES
     (1, 'x', '2026-01-02 03:04:05', 9007199254740993), (2, 'x', NULL, -1), (1, 'y', NULL, NULL)`,
  "UPDATE two_keys SET a = a + 10, v = 5 WHERE b = 'x'",
  'UPDATE two_keys SET b = UPPER(b)',
  'UPDATE two_keys SET v = 6 WHERE a = 1',
  "DELETE FROM two_keys WHERE b = 'Y'",
  "INSERT INTO keyless VALUES (1, 'one'), (1, 'one'), (2, NULL)",
  "UPDATE keyless SET b = 'two' WHERE a = 2",
  'DELETE FROM keyless WHERE a = 1 LIMIT 1',
  "INSERT INTO unique_only VALUES (1, 'one')",
  'UPDATE unique_only SET a = 2',
  "INSERT INTO named_key VALUES (1, 'one', 1), (NULL, 'two', 2)",
  'UPDATE named_key SET c = 3',
  "UPDATE named_key SET a = 9 WHERE b = 'two'",
  'DELETE FROM named_key',
  'BEGIN',
  "INSERT INTO orders (customer) VALUES ('in two tables')",
  "REPLACE INTO two_keys VALUES (11, 'X', NULL, 1)",
  "INSERT INTO orders (id, customer) VALUES (7, 'x') ON DUPLICATE KEY UPDATE customer = 'again'",
  'UPDATE orders o JOIN keyless k ON k.a = 1 SET o.total = 1, k.b = o.customer WHERE o.id = 1',
  'COMMIT',
  'INSERT INTO no_transactions VALUES (1, 1), (2, 2)',
  'INSERT INTO excluded VALUES (1)',
  'INSERT INTO elsewhere.t VALUES (1)',
  `INSERT INTO orders (customer, note) SELECT CONCAT('row ', i), REPEAT('abc', i) FROM ${NUMBERS} WHERE i < 120`,
  "UPDATE orders SET note = REPEAT('long ', 60000) WHERE id = 1",
  "SET time_zone = '+05:00'",
  "INSERT INTO orders (customer, at) VALUES ('far away', '2026-06-01 12:00:00')",
  "SET time_zone = '+00:00'",
];

const TRUNCATES = [
  'INSERT INTO emptied VALUES (1, 1)',
  STEP,
  'TRUNCATE TABLE emptied',
  'TRUNCATE golden_story.`emptied "too" é`',
  'TRUNCATE TABLE excluded',
  '/* a comment that is long enough to be compressed, as any statement is ............ */ TRUNCATE emptied',
];

const SAVEPOINTS = [
  'BEGIN',
  "INSERT INTO orders (customer) VALUES ('kept')",
  'SAVEPOINT `S p``x`',
  "INSERT INTO orders (customer) VALUES ('taken back')",
  'ROLLBACK TO `S p``x`',
  "INSERT INTO orders (customer) VALUES ('kept too')",
  'COMMIT',
  'BEGIN',
  "INSERT INTO orders (customer) VALUES ('never')",
  'ROLLBACK',
];

/** Where the binlog itself holds a savepoint: the table without transactions keeps its row. */
const LOGGED_SAVEPOINTS = [
  'BEGIN',
  "INSERT INTO orders (customer) VALUES ('before s')",
  'SAVEPOINT `S p``x`',
  "INSERT INTO orders (customer) VALUES ('behind s'), ('behind s too')",
  'INSERT INTO no_transactions VALUES (20, 20)',
  'ROLLBACK TO `S p``x`',
  "INSERT INTO orders (customer) VALUES ('behind it'), ('behind it too')",
  'COMMIT',
  'BEGIN',
  "INSERT INTO orders (customer) VALUES ('rolled back')",
  'CREATE TEMPORARY TABLE temporary (id INT)',
  'ROLLBACK',
  'BEGIN',
  'SAVEPOINT a',
  "INSERT INTO orders (customer) VALUES ('behind a')",
  'SAVEPOINT b',
  "INSERT INTO orders (customer) VALUES ('behind b'), ('behind b too')",
  'DROP TEMPORARY TABLE temporary',
  'ROLLBACK TO b',
  "INSERT INTO orders (customer) VALUES ('behind b again')",
  'ROLLBACK TO a',
  "INSERT INTO orders (customer) VALUES ('last'), ('and its last line')",
  'COMMIT',
];

const XA_BINARY = "x'00ff2700',x'c3285c',77";
const XA = [
  "@xa XA START 'one'",
  "@xa INSERT INTO orders (customer) VALUES ('xa one'), ('xa two')",
  "@xa UPDATE orders SET note = 'xa' WHERE id = LAST_INSERT_ID()",
  "@xa XA END 'one'",
  "@xa XA PREPARE 'one'",
  "INSERT INTO orders (customer) VALUES ('between prepare and commit')",
  "@xa XA COMMIT 'one'",
  `@xa XA START ${XA_BINARY}`,
  "@xa INSERT INTO orders (customer) VALUES ('xa rolled back')",
  `@xa XA END ${XA_BINARY}`,
  `@xa XA PREPARE ${XA_BINARY}`,
  `@xa XA ROLLBACK ${XA_BINARY}`,
  "@xa XA START 'phase'",
  "@xa INSERT INTO two_keys VALUES (50, 'phase', NULL, 1)",
  "@xa XA END 'phase'",
  "@xa XA COMMIT 'phase' ONE PHASE",
  `@xa XA START ${XA_BINARY}`,
  "@xa INSERT INTO orders (customer) VALUES ('xa kept')",
  '@xa SAVEPOINT s',
  "@xa INSERT INTO orders (customer) VALUES ('xa taken back')",
  '@xa ROLLBACK TO s',
  `@xa XA END ${XA_BINARY}`,
  `@xa XA PREPARE ${XA_BINARY}`,
  `@xa XA COMMIT ${XA_BINARY}`,
];

/** Row images that leave columns out. */
const IMAGES = ['MINIMAL', 'NOBLOB'].flatMap((image) => [
  `SET SESSION binlog_row_image = ${image}`,
  `INSERT INTO orders (customer) VALUES ('${image}')`,
  `UPDATE orders SET total = 5 WHERE customer = '${image}'`,
  `UPDATE orders SET id = id + 5000 WHERE customer = '${image}'`,
  `UPDATE orders SET note = 'changed' WHERE customer = '${image}'`,
  `DELETE FROM orders WHERE customer = '${image}'`,
  `INSERT INTO keyless (b) VALUES ('${image}')`,
  `UPDATE keyless SET a = 77 WHERE b = '${image}'`,
  "INSERT INTO named_key VALUES (4, 'four', 4)",
  'UPDATE named_key SET c = 5',
  'DELETE FROM named_key',
]);
const FULL_IMAGES = 'SET SESSION binlog_row_image = FULL';

const ALTERS = [
  'ALTER TABLE two_keys ADD COLUMN added VARCHAR(10), CHANGE v w BIGINT',
  "INSERT INTO two_keys VALUES (70, 'altered', NULL, 1, 'new')",
  "UPDATE two_keys SET added = NULL WHERE b = 'altered'",
  'RENAME TABLE unique_only TO renamed',
  "INSERT INTO renamed VALUES (8, 'eight')",
];

const DROPS = ['DROP TABLE renamed', 'DROP TABLE excluded'];
const ROTATE = ['FLUSH BINARY LOGS', "INSERT INTO orders (customer) VALUES ('in another file')"];

const JSON_UPDATES = [
  "UPDATE documents SET j = JSON_SET(j, '$.a', 2, '$.list[1]', 'two', '$.\"x y\"', CAST('[1,[2],{}]' AS JSON))",
  "UPDATE documents SET j = JSON_REMOVE(j, '$.list[0]', '$.\"x y\"'), k = JSON_REPLACE(k, '$[0]', 70000)",
  "UPDATE documents SET j = JSON_SET(j, '$.d', CAST('2026-01-02 03:04:05.678' AS DATETIME(3)), '$.n', NULL)",
  'UPDATE documents SET n = n + 1',
  'UPDATE documents SET j = \'{"a": 1.0, "list": [1, 2, 3]}\', k = NULL',
];

const MYSQL_ONLY = [
  'SET SESSION binlog_rows_query_log_events = ON',
  `INSERT INTO documents VALUES
     (1, '{"a": 1, "list": [1, 2, 3], "pad": "0123456789012345678901234567890123456789"}', '[1, 2]', 0)`,
  'INSERT INTO documents VALUES (2, \'{"list": [{"deep": true}, "ü"], "big": 18446744073709551615}\', NULL, 0)',
  'SET SESSION binlog_rows_query_log_events = OFF',
  "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
  ...JSON_UPDATES,
  // The server keeps whole documents where a patch would be longer, and the before image is needed for a patch.
  'SET SESSION binlog_row_image = NOBLOB',
  ...JSON_UPDATES,
  FULL_IMAGES,
  'SET SESSION binlog_transaction_compression = ON',
  ...JSON_UPDATES,
  "SET SESSION binlog_row_value_options = ''",
  `INSERT INTO orders (customer, note) SELECT CONCAT('packed ', i), REPEAT('x', i) FROM ${NUMBERS} WHERE i < 200`,
  'BEGIN',
  "UPDATE orders SET id = id + 20000 WHERE customer LIKE 'packed 1%'",
  "INSERT INTO two_keys (a, b) VALUES (90, 'packed')",
  'INSERT INTO excluded VALUES (90)',
  'SAVEPOINT s',
  "INSERT INTO two_keys (a, b) VALUES (91, 'packed')",
  'ROLLBACK TO s',
  "DELETE FROM orders WHERE customer LIKE 'packed 5%'",
  'COMMIT',
  'SET SESSION binlog_transaction_compression = OFF',
  "INSERT INTO parted VALUES (1, 'a'), (15, 'b'), (25, 'c')",
  'UPDATE parted SET id = 26 WHERE id = 1',
  'INSERT INTO parent VALUES (1), (2)',
  'INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)',
  'DELETE FROM parent WHERE id = 1',
];
const COPY = 'CREATE TABLE copied AS SELECT id, customer FROM orders WHERE id < 20';
const MYSQL_TABLES = [
  'CREATE TABLE documents (id INT PRIMARY KEY, j JSON, k JSON, n INT)',
  `CREATE TABLE parted (id INT PRIMARY KEY, v VARCHAR(5))
     PARTITION BY RANGE (id)
       (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20),
        PARTITION p2 VALUES LESS THAN MAXVALUE)`,
  'CREATE TABLE parent (id INT PRIMARY KEY)',
  'CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)',
];
const TAGGED = [
  "SET gtid_next = 'AUTOMATIC:tagged'",
  "INSERT INTO orders (customer) VALUES ('tagged')",
  "SET gtid_next = 'AUTOMATIC'",
];

export const STORY_TABLES: readonly string[] = [...TABLES, ...DIGITS];
export const MYSQL_STORY_TABLES: readonly string[] = [...STORY_TABLES, ...MYSQL_TABLES];

export const MYSQL_STORY: readonly string[] = [
  ...CHANGES,
  ...TRUNCATES,
  ...SAVEPOINTS,
  ...XA,
  ...IMAGES,
  FULL_IMAGES,
  ...MYSQL_ONLY,
  ...TAGGED,
  COPY,
  ...ALTERS,
  ...DROPS,
  ...ROTATE,
];

/** MySQL with MINIMAL metadata and without GTIDs. */
export const MYSQL_UNNAMED_STORY: readonly string[] = [
  ...CHANGES,
  ...TRUNCATES,
  ...LOGGED_SAVEPOINTS,
  ...XA,
  ...IMAGES,
  FULL_IMAGES,
  ...MYSQL_ONLY,
  STEP,
  ...ALTERS,
  ...ROTATE,
];

const MARIADB_ONLY = [
  'SET SESSION gtid_domain_id = 3, server_id = 77',
  "INSERT INTO orders (customer) VALUES ('of another domain')",
  'SET SESSION gtid_domain_id = 0',
  'SET GLOBAL log_bin_compress = ON, log_bin_compress_min_len = 10',
  ...CHANGES.slice(0, 12),
  ...TRUNCATES,
  'SET GLOBAL log_bin_compress = OFF',
];

export const MARIADB_STORY: readonly string[] = [
  ...CHANGES,
  ...TRUNCATES,
  ...SAVEPOINTS,
  ...LOGGED_SAVEPOINTS,
  ...XA,
  ...IMAGES,
  FULL_IMAGES,
  'DELETE FROM orders WHERE id < 10',
  "DELETE FROM two_keys WHERE b IN ('x', 'y')",
  ...MARIADB_ONLY,
  ...ALTERS,
  ...DROPS,
  ...ROTATE,
];

export const MYSQL_56_STORY: readonly string[] = [
  ...CHANGES,
  ...TRUNCATES,
  ...LOGGED_SAVEPOINTS,
  ...IMAGES,
  FULL_IMAGES,
  STEP,
  ...ALTERS,
  ...ROTATE,
];
