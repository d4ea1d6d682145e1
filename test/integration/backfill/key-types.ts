import type { Random } from '../../../src/local/demo/random.ts';

/** A table with a key, whose random rows are SQL literals of its key columns. */
export interface KeyCase {
  name: string;
  /** The key columns; the table has `n INT` before them. */
  columns: string;
  key: string;
  row: (random: Random) => string[];
  /** Table options and partitions. */
  options?: string;
  /** Only on these kinds of servers. */
  on?: readonly string[];
  /** The server has to sort: the index holds only a part of the value. */
  sorts?: boolean;
}

const between = (random: Random, low: number, high: number): number => low + random.below(high - low + 1);

const hex = (bytes: Buffer): string => (bytes.length === 0 ? "''" : `X'${bytes.toString('hex')}'`);
const fromUtf8 = (value: string): string => `CONVERT(${hex(Buffer.from(value))} USING utf8mb4)`;

const pick = <T>(random: Random, values: readonly T[]): T => random.pick(values);
const word = (random: Random, letters: readonly string[], max = 6): string =>
  Array.from({ length: between(random, 0, max) }, () => pick(random, letters)).join('');

const LETTERS = [
  'a',
  'A',
  'b',
  'B',
  'z',
  'ä',
  'Ä',
  'é',
  'e',
  'ß',
  's',
  ' ',
  '\t',
  '\0',
  '\x1f',
  '_',
  '%',
  "'",
  '\\',
  '0',
  '~',
];
const WIDE = [...LETTERS, '€', '漢', '字', '😀', '𝒳', '\u0301', 'ﬀ', 'İ', 'ı', 'Σ', 'ς', 'σ'];
const LATIN = [...LETTERS, '€', 'ÿ', 'Þ', 'þ', '×'];
const bytesOf = (random: Random, max: number): Buffer =>
  Buffer.from(Array.from({ length: between(random, 0, max) }, () => pick(random, [0, 1, 32, 65, 97, 127, 128, 255])));

const numbers = (edges: readonly string[], low: number, high: number) => (random: Random) => [
  between(random, 0, 3) === 0 ? pick(random, edges) : String(between(random, low, high)),
];

const strings = (name: string, type: string, letters: readonly string[], on?: readonly string[]): KeyCase => ({
  name,
  columns: `k ${type} NOT NULL`,
  key: 'k',
  row: (random) => [fromUtf8(word(random, letters))],
  ...(on && { on }),
});

const two = (value: number): string => String(value).padStart(2, '0');
const date = (random: Random): string => {
  const year = pick(random, [0, 1000, 1969, 1970, 1999, 2000, 2024, 2026, 9999]);
  return `${String(year).padStart(4, '0')}-${two(between(random, 0, 12))}-${two(between(random, 0, 31))}`;
};
const time = (random: Random): string =>
  `${two(between(random, 0, 23))}:${two(between(random, 0, 59))}:${two(between(random, 0, 59))}`;
const fraction = (random: Random): string => `.${String(pick(random, [0, 1, 10, 500000, 999999])).padStart(6, '0')}`;

const BOTH = ['mysql', 'mariadb'];

export const KEY_CASES: readonly KeyCase[] = [
  ...['TINYINT', 'SMALLINT', 'MEDIUMINT', 'INT'].map(
    (type): KeyCase => ({
      name: type,
      columns: `k ${type} NOT NULL`,
      key: 'k',
      row: numbers(['-128', '127', '0', '-1'], -128, 127),
    }),
  ),
  {
    name: 'INT UNSIGNED ZEROFILL',
    columns: 'k INT UNSIGNED ZEROFILL NOT NULL',
    key: 'k',
    row: numbers(['4294967295', '2147483648', '0'], 0, 1000),
  },
  {
    name: 'BIGINT',
    columns: 'k BIGINT NOT NULL',
    key: 'k',
    row: numbers(
      ['-9223372036854775808', '9223372036854775807', '9007199254740993', '9007199254740992', '-1'],
      -99,
      99,
    ),
  },
  {
    name: 'BIGINT UNSIGNED near 2^64',
    columns: 'k BIGINT UNSIGNED NOT NULL',
    key: 'k',
    row: (random) => [
      pick(random, [
        `18446744073709551${between(random, 500, 615)}`,
        `9223372036854775${between(random, 800, 815)}`,
        String(between(random, 0, 50)),
      ]),
    ],
  },
  {
    name: 'DECIMAL(65,30)',
    columns: 'k DECIMAL(65,30) NOT NULL',
    key: 'k',
    row: (random) => [
      `${pick(random, ['', '-'])}${pick(random, ['', '99999999999999999999999999999999999', '9007199254740993'])}${between(random, 0, 9) === 0 ? '' : '1'}.${pick(random, ['000000000000000000000000000001', '5', '999999999999999999999999999999', `${between(random, 0, 99)}`])}`.replace(
        /^(-?)99999999999999999999999999999999999/,
        '$199999999999999999999999999999999',
      ),
    ],
  },
  {
    name: 'FLOAT',
    columns: 'k FLOAT NOT NULL',
    key: 'k',
    row: (random) => [
      pick(random, [
        '16777216',
        '16777218',
        '3.4e38',
        '-3.4e38',
        '1.17549e-38',
        '0',
        '-0.0',
        `0.${between(random, 1, 9999)}`,
        `${between(random, -99, 99)}.1`,
        `1.000000${between(random, 1, 9)}1`,
      ]),
    ],
  },
  {
    name: 'DOUBLE',
    columns: 'k DOUBLE NOT NULL',
    key: 'k',
    row: (random) => [
      pick(random, [
        '9007199254740993',
        '1.7976931348623157e308',
        '-1.7976931348623157e308',
        '2.2250738585072014e-308',
        '0',
        `0.${between(random, 1, 99999)}`,
        `0.1000000000000000${between(random, 1, 9)}`,
      ]),
    ],
  },
  {
    name: 'FLOAT(7,3)',
    columns: 'k FLOAT(7,3) NOT NULL',
    key: 'k',
    row: (random) => [`${between(random, -99, 99)}.${between(random, 0, 999)}`],
  },
  { name: 'BIT(1)', columns: 'k BIT(1) NOT NULL', key: 'k', row: (random) => [`b'${between(random, 0, 1)}'`] },
  {
    name: 'BIT(64)',
    columns: 'k BIT(64) NOT NULL',
    key: 'k',
    row: (random) => [
      pick(random, [
        "b'1'",
        "X'FFFFFFFFFFFFFFFF'",
        "X'8000000000000000'",
        "X'7FFFFFFFFFFFFFFF'",
        `${between(random, 0, 1000)}`,
      ]),
    ],
  },
  {
    name: 'YEAR',
    columns: 'k YEAR NOT NULL',
    key: 'k',
    row: numbers(["'0000'", '1901', '2155', '2000', '1970', '2069'], 1901, 2155),
  },
  { name: 'DATE', columns: 'k DATE NOT NULL', key: 'k', row: (random) => [`'${date(random)}'`] },
  {
    name: 'DATETIME',
    columns: 'k DATETIME NOT NULL',
    key: 'k',
    row: (random) => [`'${date(random)} ${time(random)}'`],
  },
  {
    name: 'DATETIME(6)',
    columns: 'k DATETIME(6) NOT NULL',
    key: 'k',
    row: (random) => [
      `'${pick(random, ['0000-00-00 00:00:00', '2024-02-29 12:00:00', `${date(random)} ${time(random)}`])}${fraction(random)}'`,
    ],
  },
  {
    name: 'TIMESTAMP',
    columns: "k TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00'",
    key: 'k',
    row: (random) => [
      pick(random, [
        "'0000-00-00 00:00:00'",
        `FROM_UNIXTIME(${between(random, 1, 2 ** 31 - 1)})`,
        `FROM_UNIXTIME(${1_729_987_200 + between(random, 0, 14_400)})`,
      ]),
    ],
  },
  {
    name: 'TIMESTAMP(3)',
    columns: "k TIMESTAMP(3) NOT NULL DEFAULT '2000-01-01 00:00:00'",
    key: 'k',
    row: (random) => [`FROM_UNIXTIME(${1_729_987_200 + between(random, 0, 9)}.${between(random, 0, 999)})`],
  },
  {
    name: 'TIME',
    columns: 'k TIME NOT NULL',
    key: 'k',
    row: (random) => [
      pick(random, [
        "'838:59:59'",
        "'-838:59:59'",
        "'00:00:00'",
        `'${pick(random, ['', '-'])}${between(random, 0, 99)}:${two(between(random, 0, 59))}:01'`,
      ]),
    ],
  },
  {
    name: 'TIME(6)',
    columns: 'k TIME(6) NOT NULL',
    key: 'k',
    row: (random) => [`'${pick(random, ['', '-'])}00:00:0${between(random, 0, 2)}${fraction(random)}'`],
  },
  {
    name: 'ENUM',
    columns: "k ENUM('z','b','a','10','2','ä','é,x','') NOT NULL",
    key: 'k',
    row: (random) => [String(between(random, 0, 8))],
  },
  {
    name: 'ENUM of numbers in another order, before an INT',
    columns: "k ENUM('3','1','2') NOT NULL, i INT NOT NULL",
    key: 'k, i',
    row: (random) => [String(between(random, 0, 3)), String(between(random, 0, 20))],
  },
  {
    name: 'SET of 64',
    columns: `k SET(${Array.from({ length: 64 }, (_, i) => `'m${63 - i}'`).join(',')}) NOT NULL`,
    key: 'k',
    row: (random) => [
      pick(random, ['18446744073709551615', '9223372036854775808', '0', String(between(random, 0, 300))]),
    ],
  },
  strings('VARCHAR utf8mb4, accent-insensitive', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci', WIDE),
  strings('VARCHAR utf8mb4_general_ci', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci', WIDE),
  strings('VARCHAR utf8mb4_bin', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', WIDE),
  strings('VARCHAR utf8mb4_0900_ai_ci', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci', WIDE, [
    'mysql',
  ]),
  strings('VARCHAR utf8mb4_0900_as_cs', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs', WIDE, [
    'mysql',
  ]),
  strings('VARCHAR utf8mb4_0900_bin', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin', WIDE, ['mysql']),
  strings('CHAR utf8mb4_0900_ai_ci', 'CHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci', WIDE, ['mysql']),
  strings('CHAR utf8mb4_0900_bin', 'CHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin', WIDE, ['mysql']),
  strings('VARCHAR utf8mb4_nopad_bin', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin', WIDE, [
    'mariadb',
  ]),
  strings('CHAR utf8mb4_nopad_bin', 'CHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin', WIDE, ['mariadb']),
  strings('CHAR utf8mb4_unicode_nopad_ci', 'CHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_nopad_ci', WIDE, [
    'mariadb',
  ]),
  strings('VARCHAR uca1400', 'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE uca1400_ai_ci', WIDE, ['mariadb']),
  strings('CHAR utf8mb4_bin', 'CHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', WIDE),
  strings('CHAR utf8mb4_unicode_ci', 'CHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci', WIDE),
  strings('VARCHAR latin1_swedish_ci', 'VARCHAR(40) CHARACTER SET latin1', LATIN),
  strings('VARCHAR latin1_german2_ci', 'VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_german2_ci', LATIN),
  strings('CHAR latin1_bin', 'CHAR(40) CHARACTER SET latin1 COLLATE latin1_bin', LATIN),
  strings('VARCHAR utf16', 'VARCHAR(40) CHARACTER SET utf16', WIDE),
  strings('VARCHAR utf32', 'VARCHAR(40) CHARACTER SET utf32', WIDE),
  strings('VARCHAR ucs2', 'VARCHAR(40) CHARACTER SET ucs2', LATIN),
  strings('VARCHAR gbk', 'VARCHAR(40) CHARACTER SET gbk', ['a', 'A', 'b', ' ', '漢', '字', '中', '\\', '~', '\t']),
  strings('VARCHAR sjis', 'VARCHAR(40) CHARACTER SET sjis', ['a', 'A', 'b', ' ', '漢', '字', '表', 'ソ', '~', '\t']),
  strings('VARCHAR latin2_czech_cs', 'VARCHAR(40) CHARACTER SET latin2 COLLATE latin2_czech_cs', [
    'a',
    'c',
    'h',
    'C',
    'č',
    'd',
    'ď',
    ' ',
    '\t',
  ]),
  {
    name: 'VARBINARY',
    columns: 'k VARBINARY(20) NOT NULL',
    key: 'k',
    row: (random) => [hex(bytesOf(random, 6))],
  },
  { name: 'BINARY', columns: 'k BINARY(8) NOT NULL', key: 'k', row: (random) => [hex(bytesOf(random, 8))] },
  {
    name: 'BINARY(16) of UUIDs',
    columns: 'k BINARY(16) NOT NULL',
    key: 'k',
    row: (random) => [hex(Buffer.from(Array.from({ length: 16 }, () => between(random, 0, 255))))],
  },
  {
    name: 'composite of INT, VARCHAR and DATETIME',
    columns:
      'a INT NOT NULL, b VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL, c DATETIME(3) NOT NULL',
    key: 'a, b, c',
    row: (random) => [
      String(between(random, -1, 2)),
      fromUtf8(word(random, WIDE, 2)),
      `'2026-01-0${between(random, 1, 3)} 00:00:00.${between(random, 0, 1)}'`,
    ],
  },
  {
    name: 'composite in another order than the columns',
    columns: 'a INT NOT NULL, b BIGINT UNSIGNED NOT NULL, c DECIMAL(10,2) NOT NULL, d CHAR(3) NOT NULL',
    key: 'd, b, c, a',
    row: (random) => [
      String(between(random, 0, 2)),
      String(between(random, 0, 2)),
      `${between(random, 0, 2)}.5`,
      pick(random, ["'a'", "'B'", "''"]),
    ],
  },
  {
    name: 'descending',
    columns: 'k INT NOT NULL',
    key: 'k DESC',
    row: numbers(['2147483647', '-2147483648'], -99, 99),
    on: BOTH,
  },
  {
    name: 'descending and ascending',
    columns: 'a INT NOT NULL, b VARCHAR(5) CHARACTER SET utf8mb4 NOT NULL, c INT NOT NULL',
    key: 'a DESC, b, c DESC',
    row: (random) => [String(between(random, 0, 3)), fromUtf8(word(random, WIDE, 2)), String(between(random, 0, 3))],
    on: BOTH,
  },
  {
    name: 'partitioned by HASH',
    columns: 'k INT NOT NULL',
    key: 'k',
    row: numbers([], -200, 200),
    options: 'PARTITION BY HASH (k) PARTITIONS 5',
  },
  {
    name: 'partitioned by RANGE of the second column',
    columns: 'a INT NOT NULL, b INT NOT NULL',
    key: 'a, b',
    row: (random) => [String(between(random, 0, 20)), String(between(random, 0, 20))],
    options:
      'PARTITION BY RANGE (b) (PARTITION p0 VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN (12), PARTITION p2 VALUES LESS THAN MAXVALUE)',
  },
  {
    name: 'a prefix of a VARCHAR',
    columns: 'k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL',
    key: 'k(2)',
    row: (random) => [fromUtf8(word(random, WIDE, 6))],
    sorts: true,
  },
  {
    name: 'a prefix of a BLOB after an INT',
    columns: 'a INT NOT NULL, k BLOB NOT NULL',
    key: 'a, k(3)',
    row: (random) => [String(between(random, 0, 2)), hex(bytesOf(random, 6))],
    sorts: true,
  },
  {
    name: 'UUID',
    columns: 'k UUID NOT NULL',
    key: 'k',
    row: (random) => [
      `'${[8, 4, 4, 4, 12].map((length) => word(random, ['0', '1', 'f', '8'], 0).padEnd(length, String(between(random, 0, 9)))).join('-')}'`,
    ],
    on: ['mariadb'],
  },
  { name: 'UUID()', columns: 'k UUID NOT NULL', key: 'k', row: () => ['UUID()'], on: ['mariadb'] },
  {
    name: 'INET6',
    columns: 'k INET6 NOT NULL',
    key: 'k',
    row: (random) => [
      pick(random, [
        "'::'",
        "'::1'",
        `'::ffff:10.0.0.${between(random, 0, 255)}'`,
        `'2001:db8::${between(random, 0, 9999)}'`,
        "'ffff::'",
      ]),
    ],
    on: ['mariadb'],
  },
  {
    name: 'INET4',
    columns: 'k INET4 NOT NULL',
    key: 'k',
    row: (random) => [`'${between(random, 0, 255)}.0.${between(random, 0, 255)}.1'`],
    on: ['mariadb'],
  },
  { name: 'GIPK', columns: 'v INT', key: '', row: (random) => [String(between(random, 0, 9))], on: ['mysql'] },
];
