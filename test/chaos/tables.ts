import { escape as sqlText } from 'mysql2';
import type { Random } from '../../src/local/demo/random.ts';

export const SCHEMA = 'chaos';
/** A schema without captured tables. */
export const PRIVATE = 'chaos_private';

/** A table of the workload. The key of a row is made from one number. Every table has the columns `ver`, `tx`, `ph`. */
export interface ChaosTable {
  name: string;
  keyColumns: readonly string[];
  /** SQL literals of the key columns for key number k. */
  keyLiterals(k: number): string[];
  /** Column definitions without `ver`, `tx` and `ph`. */
  columns: string;
  /** Random values of the other columns, as SQL literals. */
  payload(random: Random): [column: string, literal: string][];
  /** Keys of each client. They are few, so that each key is deleted and inserted many times. */
  keysPerClient: number;
  /** Whether its events carry a key. */
  keyed: boolean;
}

const WORDS = ['ada', 'grace', 'edsger', "o'hara", 'naïve', '東京', '🚲', 'tab\there', 'back\\slash', '"quoted"', ''];

const word = (random: Random): string => sqlText(`${random.pick(WORDS)} ${random.below(1e6).toString(36)}`);
const moment = (random: Random, digits: number): string => {
  const date = `20${10 + random.below(20)}-0${1 + random.below(9)}-1${random.below(10)}`;
  const time = `0${random.below(10)}:${10 + random.below(50)}:${10 + random.below(50)}`;
  return `'${date} ${time}.${String(random.below(10 ** digits)).padStart(digits, '0')}'`;
};
const decimal = (random: Random): string => `${random.below(2e9) - 1e9}.${random.below(9999)}`;
const hex = (random: Random, bytes: number): string => {
  let text = '';
  for (let i = 0; i < bytes; i++) text += random.below(256).toString(16).padStart(2, '0');
  return text === '' ? "''" : `x'${text}'`;
};
const perhapsNull = (random: Random, literal: string): string => (random.chance(0.15) ? 'NULL' : literal);

const idKey = { keyColumns: ['id'], keyLiterals: (k: number) => [String(k)], keyed: true };

export const ACCOUNTS: ChaosTable = {
  name: 'accounts',
  ...idKey,
  columns: `id BIGINT PRIMARY KEY, owner VARCHAR(80), amount DECIMAL(20,4) NOT NULL, big BIGINT UNSIGNED,
    at DATETIME(3), seen TIMESTAMP(6) NULL, doc JSON, raw VARBINARY(40), share DOUBLE`,
  payload: (random) => [
    ['owner', perhapsNull(random, word(random))],
    ['amount', decimal(random)],
    ['big', perhapsNull(random, `1844674407370955${String(random.below(1616)).padStart(4, '0')}`)],
    ['at', moment(random, 3)],
    ['seen', perhapsNull(random, moment(random, 6))],
    [
      'doc',
      perhapsNull(random, sqlText(JSON.stringify({ n: random.below(1000), t: random.pick(WORDS), l: [1, null] }))),
    ],
    ['raw', perhapsNull(random, hex(random, random.below(20)))],
    ['share', String((random.below(1e6) - 5e5) / 1024)],
  ],
  keysPerClient: 150,
};

export const ORDERS: ChaosTable = {
  name: 'orders',
  keyColumns: ['shard', 'code'],
  keyLiterals: (k) => [String(k % 7), `'k${k}'`],
  columns: `shard INT, code VARCHAR(20), state ENUM('new','paid','sent'), tags SET('a','b','c'), note TEXT,
    PRIMARY KEY (shard, code)`,
  payload: (random) => [
    ['state', `'${random.pick(['new', 'paid', 'sent'])}'`],
    ['tags', `'${random.pick(['', 'a', 'a,c', 'a,b,c'])}'`],
    ['note', perhapsNull(random, word(random))],
  ],
  keysPerClient: 120,
  keyed: true,
};

/** Has no primary key. The configuration names its key columns. */
export const VISITS: ChaosTable = {
  name: 'visits',
  keyColumns: ['host', 'n'],
  keyLiterals: (k) => [`'h${k % 3}'`, String(k)],
  columns: 'host VARCHAR(8) NOT NULL, n INT NOT NULL, path VARCHAR(100), INDEX (n)',
  payload: (random) => [['path', perhapsNull(random, word(random))]],
  keysPerClient: 80,
  keyed: true,
};

/** Has no key, so all its events share one lane. */
export const JOURNAL: ChaosTable = {
  name: 'journal',
  keyColumns: ['n'],
  keyLiterals: (k) => [String(k)],
  columns: 'n INT NOT NULL, line VARCHAR(100), INDEX (n)',
  payload: (random) => [['line', word(random)]],
  keysPerClient: 60,
  keyed: false,
};

/** ALTER TABLE adds and drops a column. */
export const WIDE: ChaosTable = {
  name: 'wide',
  ...idKey,
  columns: 'id INT PRIMARY KEY, label VARCHAR(60)',
  payload: (random) => [['label', word(random)]],
  keysPerClient: 60,
};

/** The table of TRUNCATE. */
export const SCRATCH: ChaosTable = {
  name: 'scratch',
  ...idKey,
  columns: 'id INT PRIMARY KEY, label VARCHAR(60)',
  payload: (random) => [['label', word(random)]],
  keysPerClient: 40,
};

/** Only XA transactions change it. */
export const XA_ROWS: ChaosTable = {
  name: 'xa_rows',
  ...idKey,
  columns: 'id INT PRIMARY KEY, amount DECIMAL(20,4), by_whom VARCHAR(80)',
  payload: (random) => [
    ['amount', decimal(random)],
    ['by_whom', word(random)],
  ],
  keysPerClient: 40,
};

/** Each statement changes thousands of rows. */
export const BULK: ChaosTable = {
  name: 'bulk',
  ...idKey,
  columns: 'id INT PRIMARY KEY, pad VARCHAR(60)',
  payload: (random) => [['pad', word(random)]],
  keysPerClient: 10_000,
};

/** Rows of 100 KB and, with `oversize`, events that exceed a Firehose record. */
export const FAT: ChaosTable = {
  name: 'fat',
  ...idKey,
  columns: 'id INT PRIMARY KEY, body LONGTEXT, picture LONGBLOB',
  payload: (random) => [
    ['body', `REPEAT('${random.below(1e6).toString(36).padStart(5, 'x')}', ${2_000 + random.below(14_000)})`],
    ['picture', `REPEAT(${hex(random, 4)}, ${random.below(12_000)})`],
  ],
  keysPerClient: 10,
};

/** Its name, and those of columns, are outside ASCII. Clients of several character sets write and empty it. */
export const SIZES: ChaosTable = {
  name: 'größe',
  ...idKey,
  columns: 'id INT PRIMARY KEY, länge VARCHAR(60), Ñandú DECIMAL(9,3)',
  payload: (random) => [
    ['länge', perhapsNull(random, word(random))],
    ['Ñandú', String(random.below(1e6) / 1000)],
  ],
  keysPerClient: 40,
};

export const PARTITIONS = 4;

/** Partitions of it are emptied, dropped and exchanged, which has no event. */
export const PARTS: ChaosTable = {
  name: 'parts',
  ...idKey,
  columns: 'id INT PRIMARY KEY, label VARCHAR(60)',
  payload: (random) => [['label', word(random)]],
  keysPerClient: 80,
};

export const partitionDefinition = (n: number): string => `PARTITION p${n} VALUES IN (${n})`;
export const partitionOf = (k: number): number => Math.floor(k / 10) % PARTITIONS;
const PARTITIONED = `PARTITION BY LIST ((id DIV 10) % ${PARTITIONS})
  (${Array.from({ length: PARTITIONS }, (_, n) => partitionDefinition(n)).join(', ')})`;

/** A table like PARTS to exchange its partitions with. */
export const SPARE = `${PRIVATE}.parts_spare`;

/** It is dropped and made again, with its columns in another order. */
export const REBORN: ChaosTable = {
  name: 'reborn',
  ...idKey,
  columns: 'id INT PRIMARY KEY, label VARCHAR(60), amount BIGINT',
  payload: (random) => [
    ['label', word(random)],
    ['amount', String(random.below(2 ** 50) - 2 ** 49)],
  ],
  keysPerClient: 40,
};

export const rebornAgain = (random: Random): string =>
  random.pick([REBORN.columns, 'label VARCHAR(80), amount BIGINT, id INT PRIMARY KEY']);

/** Not captured. Its transactions only move the position. */
export const HIDDEN: ChaosTable = {
  name: 'hidden',
  ...idKey,
  columns: 'id INT PRIMARY KEY, label VARCHAR(60)',
  payload: (random) => [['label', word(random)]],
  keysPerClient: 30,
};

export const CAPTURED = [ACCOUNTS, ORDERS, VISITS, JOURNAL, WIDE, SCRATCH, SIZES, PARTS, REBORN, XA_ROWS, BULK, FAT];

/** A table of the numbers from 0, for bulk statements. */
export const NUMBERS = 'numbers';

/**
 * Tables of DML that is logged as statements. That a statement wrote no captured table is shown by the event for the
 * first one, because no table of its schema is captured. For the other one the daemon asks the server.
 */
export const NOTES = { shownByEvent: `${PRIVATE}.notes`, lookedUp: `${SCHEMA}.notes` };

/** Captured tables whose names are in DDL of other tables. */
export const NAMED_IN_DDL = [ACCOUNTS, ORDERS, VISITS, SIZES];

export const createTable = (name: string, columns: string): string =>
  `CREATE TABLE ${name} (${columns}, ver INT NOT NULL, tx INT NOT NULL, ph TINYINT NOT NULL)`;

export const DDL: readonly string[] = [
  `CREATE DATABASE ${SCHEMA} CHARACTER SET utf8mb4`,
  `USE ${SCHEMA}`,
  ...[...CAPTURED, HIDDEN].map(({ name, columns }) => createTable(name, columns)),
  `ALTER TABLE ${PARTS.name} ${PARTITIONED}`,
  `CREATE DATABASE ${PRIVATE} CHARACTER SET utf8mb4`,
  `CREATE TABLE ${SPARE} LIKE ${PARTS.name}`,
  `ALTER TABLE ${SPARE} REMOVE PARTITIONING`,
  `CREATE TABLE ${PRIVATE}.log (id INT PRIMARY KEY)`,
  ...Object.values(NOTES).flatMap((notes) => [
    `CREATE TABLE ${notes} (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0, note VARCHAR(100))`,
    `INSERT INTO ${notes} (id) VALUES ${Array.from({ length: 64 }, (_, id) => `(${id})`).join(', ')}`,
  ]),
  ...NAMED_IN_DDL.map(({ name }) => `CREATE TABLE ${PRIVATE}.${name} LIKE ${name}`),
  `CREATE TABLE ${NUMBERS} (n INT PRIMARY KEY)`,
  'SET SESSION cte_max_recursion_depth = 20000',
  `INSERT INTO ${NUMBERS}
    WITH RECURSIVE s AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 9999) SELECT n FROM s`,
];

/** The JSON text of a key in an event. For a table without a key it is made from the row. */
export function keyJson({ keyColumns, keyLiterals }: ChaosTable, k: number): string {
  const literals = keyLiterals(k);
  return `{${keyColumns.map((name, i) => `"${name}":${literals[i]?.replaceAll("'", '"')}`).join(',')}}`;
}

export const whereKey = ({ keyColumns, keyLiterals }: ChaosTable, k: number): string => {
  const literals = keyLiterals(k);
  return keyColumns.map((name, i) => `${name} = ${literals[i]}`).join(' AND ');
};
