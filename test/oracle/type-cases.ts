import type { Kind } from './expected-value.ts';

export type Server = 'MySQL 9.7' | 'MariaDB 10.11' | 'MySQL 5.6';

/** A type with its boundary values as SQL. Each value, and NULL, is inserted, updated and deleted. */
export interface TypeCase {
  /** The column definition after the name in CREATE TABLE. */
  type: string;
  kind: Kind;
  values: readonly string[];
  /** The servers that have the type. Default: all. */
  on?: readonly Server[];
  /** sql_mode of the INSERT. Default: strict. */
  mode?: string;
  /** The reason for these values, for docs/TYPES.md. */
  note?: string;
}

const modern: Server[] = ['MySQL 9.7', 'MariaDB 10.11'];
const mysql: Server[] = ['MySQL 9.7'];
const mariadb: Server[] = ['MariaDB 10.11'];

const integers: TypeCase[] = (
  [
    ['TINYINT', 7],
    ['SMALLINT', 15],
    ['MEDIUMINT', 23],
    ['INT', 31],
    ['BIGINT', 63],
  ] as const
).flatMap(([type, bits]): TypeCase[] => {
  const kind = type === 'BIGINT' ? 'bigint' : 'integer';
  const max = 2n ** BigInt(bits);
  const beyond =
    type === 'BIGINT' ? ['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993'] : [];
  return [
    { type, kind, values: ['0', '1', '-1', String(-max), String(-max + 1n), String(max - 1n), ...beyond] },
    {
      type: `${type} UNSIGNED`,
      kind,
      values: ['0', String(max - 1n), String(max), String(max * 2n - 1n), String(max * 2n - 2n)],
    },
  ];
});

const booleans: TypeCase[] = [
  { type: 'TINYINT(1)', kind: 'tinyint1', values: ['0', '1', '-1', '2', '127', '-128'] },
  { type: 'BOOLEAN', kind: 'tinyint1', values: ['TRUE', 'FALSE', '2'] },
  // The display width of an unsigned column is not in INFORMATION_SCHEMA of every server, so it never counts.
  { type: 'TINYINT(1) UNSIGNED', kind: 'integer', values: ['0', '1', '255'] },
  { type: 'TINYINT(2)', kind: 'integer', values: ['0', '1', '-1'] },
];

const bits: TypeCase[] = [1, 7, 8, 9, 24, 25, 32, 33, 48, 49, 53, 54, 56, 57, 63, 64].map((width) => ({
  type: `BIT(${width})`,
  kind: width > 53 ? 'long bit' : width === 1 ? 'bit1' : 'bit',
  values: ["b'0'", "b'1'", `b'1${'0'.repeat(width - 1)}'`, `b'${'1'.repeat(width)}'`],
}));

const decimals: TypeCase[] = (
  [
    [1, 0],
    [9, 0],
    [10, 0],
    [18, 9],
    [19, 10],
    [30, 30],
    [38, 38],
    [65, 0],
    [65, 30],
    [65, 38],
  ] as const
).map(([precision, scale]) => {
  const whole = '9'.repeat(precision - scale) || '0';
  const fraction = scale > 0 ? `.${'9'.repeat(scale)}` : '';
  const least = scale > 0 ? `0.${'0'.repeat(scale - 1)}1` : '1';
  const tens = precision - scale > 0 ? [`1${'0'.repeat(precision - scale - 1)}`] : ['0.1'];
  return {
    type: `DECIMAL(${precision},${scale})`,
    kind: 'decimal' as const,
    values: ['0', '-0', `${whole}${fraction}`, `-${whole}${fraction}`, least, `-${least}`, ...tens],
    // MySQL has at most 30 digits after the point.
    ...(scale > 30 ? { on: mariadb } : {}),
  };
});

const floats: TypeCase[] = [
  {
    type: 'FLOAT',
    kind: 'float',
    values: [
      '0',
      '-0e0',
      '1.1',
      '0.1',
      '16777215',
      '16777216',
      '16777217',
      '33554432',
      '3.4028234e38',
      '-3.4028234e38',
      '1.1754944e-38',
      '1.4e-45',
      '1e-40',
      '9.999999e9',
      '1e10',
      '123456.789',
      '5e-324',
      '8589973000',
    ],
    note: 'beyond 2^24, largest, smallest normal and subnormal, ties; the text protocol of the server rounds these',
  },
  {
    type: 'FLOAT',
    kind: 'float',
    values: Array.from({ length: 277 }, (_, i) => `POW(2, ${i - 149})`),
    mode: '',
    note: 'powers of two: the gap below is half the gap above, so the closest text can parse to another float',
  },
  { type: 'FLOAT UNSIGNED', kind: 'float', values: ['0', '3.4028234e38'] },
  { type: 'FLOAT(7,3)', kind: 'float', values: ['1234.567', '-0.001', '9999.999'] },
  {
    type: 'DOUBLE',
    kind: 'double',
    values: [
      '0',
      '-0e0',
      '0.1e0',
      '0.1e0 + 0.2e0',
      '1e15',
      '123456789012345678e0',
      '9007199254740993e0',
      '1e21',
      '1e-7',
      '1.7976931348623157e308',
      '-1.7976931348623157e308',
      '2.2250738585072014e-308',
      '5e-324',
      '4.35e0',
    ],
  },
  { type: 'DOUBLE(20,5)', kind: 'double', values: ['123456789012345.12345', '-0.00001'] },
];

const years: TypeCase[] = [
  { type: 'YEAR', kind: 'year', values: ["'0000'", '1901', '1970', '2000', '2026', '2155'], note: '0000 is not 1900' },
];

const dates: TypeCase[] = [
  {
    type: 'DATE',
    kind: 'date',
    values: [
      "'0001-01-01'",
      "'1000-01-01'",
      "'1969-12-31'",
      "'1970-01-01'",
      "'2000-02-29'",
      "'2026-01-02'",
      "'9999-12-31'",
    ],
  },
  {
    type: 'DATE',
    kind: 'date',
    mode: 'ALLOW_INVALID_DATES',
    values: [
      "'0000-00-00'",
      "'2026-00-00'",
      "'2026-01-00'",
      "'2026-00-31'",
      "'0000-01-01'",
      "'2026-02-31'",
      "'2025-02-29'",
    ],
    note: 'zero, partial and impossible dates keep their text, also with temporal: epoch_micros',
  },
];

const fractional: TypeCase[] = [0, 1, 2, 3, 4, 5, 6].flatMap((digits): TypeCase[] => {
  const some = (fraction: string): string => (digits > 0 ? `.${fraction.slice(0, digits)}` : '');
  const suffix = digits > 0 ? `(${digits})` : '';
  const nines = some('999999');
  const last = some('000001'.slice(6 - digits));
  return [
    {
      type: `TIME${suffix}`,
      kind: 'time',
      values: [
        "'00:00:00'",
        "'-00:01:00'",
        "'-01:00:00'",
        "'-10:20:00'",
        "'-00:00:01'",
        `'00:00:00${last}'`,
        `'-00:00:00${last}'`,
        `'-00:00:00${nines}'`,
        `'-00:00:59${nines}'`,
        `'-01:02:03${some('456789')}'`,
        `'12:34:56${some('123456')}'`,
        "'100:00:00'",
        `'837:59:59${nines}'`,
        "'838:59:59'",
        "'-838:59:59'",
        `'-838:59:58${nines}'`,
      ],
    },
    {
      type: `DATETIME${suffix}`,
      kind: 'datetime',
      values: [
        "'0001-01-01 00:00:00'",
        "'1000-01-01 00:00:00'",
        `'1969-12-31 23:59:59${nines}'`,
        "'1970-01-01 00:00:00'",
        `'2026-01-02 03:04:05${some('678901')}'`,
        `'2026-01-02 03:04:05${last}'`,
        `'9999-12-31 23:59:59${nines}'`,
      ],
    },
    {
      type: `DATETIME${suffix}`,
      kind: 'datetime',
      mode: 'ALLOW_INVALID_DATES',
      values: [
        "'0000-00-00 00:00:00'",
        `'2026-00-00 01:02:03${nines}'`,
        `'2026-01-00 23:59:59${nines}'`,
        "'2026-02-30 12:00:00'",
        "'0000-01-01 00:00:00'",
      ],
    },
    {
      type: `TIMESTAMP${suffix} NULL`,
      kind: 'timestamp',
      values: [
        "'1970-01-01 00:00:01'",
        `'1970-01-01 00:00:01${last}'`,
        "'2000-02-29 00:00:00'",
        "'2026-03-29 01:00:00'",
        "'2026-10-25 00:59:59'",
        `'2026-10-25 01:30:00${some('500000')}'`,
        `'2038-01-19 03:14:07${some('000000')}'`,
        `'2038-01-19 03:14:07${digits > 0 ? nines : ''}'`,
      ],
      note: 'inserted with time_zone +00:00; the hours around a change of daylight saving time among them',
    },
    {
      type: `TIMESTAMP${suffix} NULL`,
      kind: 'timestamp',
      mode: '',
      values: ["'0000-00-00 00:00:00'"],
      note: 'the zero timestamp',
    },
  ];
});

const strings: TypeCase[] = [
  {
    type: 'CHAR(5) CHARACTER SET utf8mb4',
    kind: 'text',
    values: ["''", "'a'", "'ab   '", "'  ab'", "'äöüß€'", "'😀😀😀😀😀'"],
  },
  { type: 'CHAR(0)', kind: 'text', values: ["''"] },
  { type: 'CHAR(255) CHARACTER SET latin1', kind: 'text', values: ["REPEAT('x', 255)", "REPEAT('x', 254)", "''"] },
  {
    type: 'CHAR(255) CHARACTER SET utf8mb4',
    kind: 'text',
    values: ["REPEAT('€', 255)", "REPEAT('😀', 255)", "REPEAT('x', 63)", "REPEAT('x', 64)", "''"],
    note: 'more than 255 bytes: two bits of its length are in the type byte',
  },
  {
    type: 'VARCHAR(255) CHARACTER SET latin1',
    kind: 'text',
    values: [
      "''",
      "' '",
      "'trailing  '",
      "REPEAT('y', 255)",
      "'\\t\\n\\r\\b\\0\\'\\\"\\\\/'",
      "X'7F'",
      "X'80818D8F909D'",
    ],
    note: 'control characters, quotes, the bytes that cp1252 does not map',
  },
  { type: 'VARCHAR(256) CHARACTER SET latin1', kind: 'text', values: ["''", "REPEAT('z', 255)", "REPEAT('z', 256)"] },
  {
    type: 'VARCHAR(100) CHARACTER SET utf8mb4',
    kind: 'text',
    values: [
      "CONVERT(X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F7F' USING utf8mb4)",
      "'\u2028\u2029\ufeff\u00a0'",
      "'😀👩‍👩‍👧𐍈'",
      "'</script>'",
      "'\\\\u0041'",
      "CONVERT(X'EFBFBFF48FBFBF' USING utf8mb4)",
    ],
    note: 'every control character, line separators, a BOM, characters beyond the BMP, U+FFFF and U+10FFFF',
  },
  { type: 'TINYTEXT', kind: 'text', values: ["''", "REPEAT('t', 255)"] },
  { type: 'TEXT CHARACTER SET utf8mb4', kind: 'text', values: ["''", "REPEAT('€', 21845)"] },
  { type: 'MEDIUMTEXT', kind: 'text', values: ["''", "REPEAT('m', 70000)"] },
  { type: 'LONGTEXT', kind: 'text', values: ["''", "REPEAT('l', 300000)"] },
  {
    type: 'BINARY(4)',
    kind: 'binary',
    values: ["X''", "X'00'", "X'01'", "X'0100'", "X'00000000'", "X'FFFFFFFF'", "X'20202020'"],
    note: 'padded to its length with zero bytes',
  },
  { type: 'BINARY(255)', kind: 'binary', values: ["X'01'", "REPEAT(X'FF', 255)"] },
  { type: 'VARBINARY(10)', kind: 'binary', values: ["X''", "X'00'", "X'0000'", "X'FF00FE'"] },
  { type: 'VARBINARY(300)', kind: 'binary', values: ["X''", "REPEAT(X'80', 300)"] },
  { type: 'TINYBLOB', kind: 'binary', values: ["X''", "REPEAT(X'01', 255)"] },
  { type: 'BLOB', kind: 'binary', values: ["X''", "X'00'", "REPEAT(X'FE', 65535)"] },
  { type: 'MEDIUMBLOB', kind: 'binary', values: ["X''", "REPEAT(X'FD', 65536)"] },
  { type: 'LONGBLOB', kind: 'binary', values: ["X''", "REPEAT(X'FC', 300000)"] },
];

const manyLabels = (count: number): string => Array.from({ length: count }, (_, i) => `'v${i}'`).join(',');

const labelled: TypeCase[] = [
  {
    type: `ENUM('a','b c','d,e','it''s','"q"','back\\\\slash','ä€')`,
    kind: 'text',
    values: ["'a'", "'b c'", "'d,e'", "'it''s'", '\'"q"\'', "'back\\\\slash'", "'ä€'"],
    note: 'labels with commas, quotes and backslashes',
  },
  {
    type: "ENUM('a','b')",
    kind: 'text',
    mode: '',
    values: ["'no such label'", '0'],
    note: 'index 0 is the empty string',
  },
  { type: `ENUM(${manyLabels(256)})`, kind: 'text', values: ["'v0'", "'v254'", "'v255'"], note: 'two bytes' },
  {
    type: "ENUM('😀','𐍈','plain') CHARACTER SET utf8mb4",
    kind: 'text',
    values: ['1', '2', '3'],
    on: mysql,
    note: 'the binlog contains labels beyond the BMP, COLUMN_TYPE does not',
  },
  { type: "ENUM('é','ß','ÿ') CHARACTER SET latin1", kind: 'text', values: ['1', '2', '3'] },
  {
    type: "ENUM('表','ソ','あ') CHARACTER SET sjis",
    kind: 'text',
    values: ['1', '2', '3'],
    note: 'a label whose second byte is a backslash',
  },
  { type: "ENUM('ж','€') CHARACTER SET ucs2", kind: 'text', values: ['1', '2'] },
  { type: "SET('a','b''c','d\"','e\\\\f')", kind: 'text', values: ["''", '1', '2', '3', '15'] },
  { type: `SET(${manyLabels(9)})`, kind: 'text', values: ['256', '511'] },
  { type: `SET(${manyLabels(33)})`, kind: 'text', values: ['4294967296', '8589934591'] },
  {
    type: `SET(${manyLabels(64)})`,
    kind: 'text',
    values: ['0', '1', '9223372036854775808', '18446744073709551615'],
    note: 'all 64 members',
  },
  { type: "SET('😀','x') CHARACTER SET utf8mb4", kind: 'text', values: ['1', '3'], on: mysql },
  { type: "SET('表','é') CHARACTER SET utf8mb4", kind: 'text', values: ['1', '3'] },
];

/** Numbers as JSON text, which MySQL itself parses. */
const jsonDoubles = [
  ...[
    '0.0',
    '-0.0',
    '1.0',
    '1.5',
    '0.1',
    '1e14',
    '1e15',
    '123456789012345680.0',
    '1234567890123456.8',
    '1e16',
    '1e100',
  ],
  ...[
    '1e-5',
    '1e-14',
    '1e-15',
    '1e-16',
    '1.5e-15',
    '5e-324',
    '1.7976931348623157e308',
    '-2.5e-7',
    '1e21',
    '9007199254740993.0',
  ],
];

const json: TypeCase[] = [
  {
    type: 'JSON',
    kind: 'json',
    on: mysql,
    values: [
      "'null'",
      "'true'",
      "'false'",
      "'{}'",
      "'[]'",
      `'"text"'`,
      "'0'",
      `'[0, -1, 32767, 32768, -32768, -32769, 65535, 65536, 2147483647, 2147483648, -2147483648, -2147483649]'`,
      `'[4294967295, 4294967296, 9223372036854775807, -9223372036854775808, 9223372036854775808, 18446744073709551615, 18446744073709551616]'`,
      `'[${jsonDoubles.join(', ')}]'`,
      `'{"b": 1, "a": 2, "aa": 3, "": 4, "a": 5, "10": 6, "9": 7, "__proto__": 8}'`,
      `CAST(CONCAT('"', '\\\\u0000\\\\u0001\\\\u001f\\\\b\\\\f\\\\n\\\\r\\\\t\\\\"\\\\\\\\/', '\\\\u007f\\\\u2028😀𐍈', '"') AS JSON)`,
      `'{"quote\\\\"key": {"nested": [[[1]], {"x": null}]}}'`,
      "CAST(CONCAT(REPEAT('[', 100), REPEAT(']', 100)) AS JSON)",
      `CAST(CONCAT(REPEAT('{"k":', 99), '1', REPEAT('}', 99)) AS JSON)`,
      "JSON_ARRAY(REPEAT('x', 127), REPEAT('y', 128), REPEAT('z', 16383), REPEAT('ä', 16384))",
      "JSON_ARRAY(REPEAT('x', 70000), 1, 2147483648, 70000)",
      "JSON_OBJECT('big', REPEAT('x', 70000), 'int32', 100000, 'uint32', 4000000000, 'l', true)",
    ],
    note:
      'every inline and stored width, duplicate and numeric-looking keys, all escapes, depth 100, ' +
      'the large format (64 KB and more)',
  },
  {
    type: 'JSON',
    kind: 'json',
    on: mysql,
    values: [
      "JSON_ARRAY(CAST('1.50' AS DECIMAL(10,2)), CAST('-0.001' AS DECIMAL(65,30)), CAST(REPEAT('9', 65) AS DECIMAL(65,0)))",
      "JSON_ARRAY(DATE'2026-01-02', DATE'0001-01-01', DATE'9999-12-31')",
      "JSON_ARRAY(TIME'00:00:00', TIME'-00:00:01', TIME'-12:34:56.789012', TIME'838:59:59', TIME'-838:59:59', TIME'100:00:00', TIME'-00:00:00.000001')",
      "JSON_ARRAY(TIMESTAMP'2026-01-02 03:04:05', TIMESTAMP'2026-01-02 03:04:05.678', TIMESTAMP'0001-01-01 00:00:00', TIMESTAMP'9999-12-31 23:59:59.999999')",
      "JSON_ARRAY(FROM_UNIXTIME(1), FROM_UNIXTIME(1.5), CAST('2026-01-02 03:04:05' AS DATETIME(6)))",
      "JSON_ARRAY(X'00FF', CAST('abc' AS BINARY(5)), REPEAT(X'FE', 300), b'101', b'1111111111111111')",
      'JSON_ARRAY(CAST(2026 AS YEAR), 1e0, CAST(1.1 AS FLOAT), 18446744073709551615, -1, true)',
      "JSON_ARRAY(ST_GeomFromText('POINT(1 2)'), NULL, '')",
    ],
    note: 'values without a JSON text: DECIMAL, DATE, TIME of either sign, DATETIME, BLOB, BIT, YEAR, GEOMETRY',
  },
  {
    type: 'JSON NOT NULL DEFAULT (JSON_ARRAY())',
    kind: 'json',
    on: mysql,
    values: ["JSON_SET('{\"a\": 1}', '$.a', 2, '$.b', CAST('null' AS JSON))"],
  },
  {
    type: 'JSON',
    kind: 'text',
    on: mariadb,
    values: [`'{"b": 1,  "a": [1.0, "\\\\u00e4"]}'`, "'null'"],
    note: 'a LONGTEXT: the text as written',
  },
];

const shapes = [
  'POINT(1 2)',
  'POINT(-0.0 1e-300)',
  'LINESTRING(0 0,1 1,2 2)',
  'POLYGON((0 0,10 0,10 10,0 10,0 0),(2 2,4 2,4 4,2 4,2 2))',
  'MULTIPOINT(1 1,2 2)',
  'MULTILINESTRING((0 0,1 1),(2 2,3 3))',
  'MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))',
  'GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))',
];

const geometries: TypeCase[] = [
  {
    type: 'GEOMETRY',
    kind: 'geometry',
    values: shapes.map((shape) => `ST_GeomFromText('${shape}')`),
    note: 'every kind of geometry',
  },
  { type: 'GEOMETRY', kind: 'geometry', on: modern, values: ["ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')"] },
  {
    type: 'GEOMETRY',
    kind: 'geometry',
    values: ['4326', '3857', '0'].map((srid) => `ST_GeomFromText('POINT(48.2 16.37)', ${srid})`),
    note: 'the SRID is kept, the axes keep the stored order',
  },
  { type: 'POINT', kind: 'geometry', values: ["ST_GeomFromText('POINT(1 2)')"] },
  { type: 'POINT SRID 4326', kind: 'geometry', on: mysql, values: ["ST_GeomFromText('POINT(48.2 16.37)', 4326)"] },
  { type: 'POLYGON', kind: 'geometry', values: [`ST_GeomFromText('${shapes[3]}')`] },
];

const vectors: TypeCase[] = [
  {
    type: 'VECTOR(5)',
    kind: 'vector',
    on: mysql,
    values: ["TO_VECTOR('[0,-0,1.1,16777217,3.4028234e38]')", "X'010000006E160180FFFF7F00'", "TO_VECTOR('[1]')"],
  },
  { type: 'VECTOR(2048)', kind: 'vector', on: mysql, values: ["CAST(REPEAT(X'CDCC8C3F', 2048) AS BINARY)"] },
];

const compressed: TypeCase[] = [
  ['VARCHAR(254) COMPRESSED CHARACTER SET latin1', 'text'],
  ['VARCHAR(255) COMPRESSED CHARACTER SET latin1', 'text'],
  ['VARCHAR(3000) COMPRESSED CHARACTER SET utf8mb4', 'text'],
  ['VARBINARY(1000) COMPRESSED', 'binary'],
  ['TINYBLOB COMPRESSED', 'binary'],
  ['BLOB COMPRESSED', 'binary'],
  ['TEXT COMPRESSED CHARACTER SET gbk', 'text'],
  ['MEDIUMTEXT COMPRESSED', 'text'],
  ['LONGBLOB COMPRESSED', 'binary'],
].map(([type, kind]) => ({
  type: type as string,
  kind: kind as Kind,
  on: mariadb,
  values: [
    "''",
    "'a'",
    "REPEAT('a', 99)",
    "REPEAT('a', 100)",
    "REPEAT('ab', 126)",
    "SUBSTR(REPEAT(SHA2('x', 512), 9), 1, 250)",
  ],
  note: 'short values are stored, longer ones deflated',
}));

const ranges = ['00', '20', '40', '60', '80', 'A0', 'C0', 'E0'];
const allBytes = (from: number): string =>
  ranges
    .slice(from)
    .map((start) =>
      Array.from({ length: 32 }, (_, i) => (Number.parseInt(start, 16) + i).toString(16).padStart(2, '0')).join(''),
    )
    .join('');
const singleByte = [
  ...[
    'armscii8',
    'cp1250',
    'cp1251',
    'cp1256',
    'cp1257',
    'cp850',
    'cp852',
    'cp866',
    'dec8',
    'geostd8',
    'greek',
    'hebrew',
    'hp8',
  ],
  ...['keybcs2', 'koi8r', 'koi8u', 'latin1', 'latin2', 'latin5', 'latin7', 'macce', 'macroman', 'swe7', 'tis620'],
];
/** Every Unicode and single-byte character set of the servers. charset-tables.ts has the East Asian ones. */
const charsets: TypeCase[] = [
  ...singleByte.map(
    (name): TypeCase => ({
      type: `VARCHAR(300) CHARACTER SET ${name}`,
      kind: 'text',
      values: [`_${name} X'${allBytes(0)}'`, "'plain'"],
      note: 'all 256 bytes',
    }),
  ),
  { type: 'VARCHAR(300) CHARACTER SET ascii', kind: 'text', values: [`_ascii X'${allBytes(0).slice(0, 256)}'`] },
  ...['utf8', 'utf8mb4', 'ucs2', 'utf16', 'utf16le', 'utf32'].map(
    (name): TypeCase => ({
      type: `VARCHAR(300) CHARACTER SET ${name}`,
      kind: 'text',
      values: [
        "''",
        "'aä€表\\n\\\\\"'",
        "CONVERT(X'EFBBBF61EFBFBE' USING utf8mb4)",
        ...(name === 'utf8' || name === 'ucs2' ? [] : ["'😀𐍈a'", "CONVERT(X'F48FBFBF' USING utf8mb4)"]),
      ],
    }),
  ),
];

export const TYPE_CASES: readonly TypeCase[] = [
  ...integers,
  { type: 'INT ZEROFILL', kind: 'integer', values: ['0', '7', '4294967295'], note: 'for display only' },
  { type: 'BIGINT ZEROFILL', kind: 'bigint', values: ['7', '18446744073709551615'] },
  ...booleans,
  ...bits,
  ...decimals,
  { type: 'DECIMAL(10,2) ZEROFILL', kind: 'decimal', values: ['0', '7.5', '12345678.90'] },
  ...floats,
  ...years,
  ...dates,
  ...fractional,
  ...strings,
  ...labelled,
  ...json,
  ...geometries,
  ...vectors,
  ...compressed,
  ...charsets,
];

/**
 * Types that MariaDB logs as BINARY(16) and BINARY(4). INFORMATION_SCHEMA distinguishes them, and events contain their
 * canonical text.
 */
export const MARIADB_CASES: readonly TypeCase[] = [
  {
    type: 'UUID',
    kind: 'canonical',
    on: mariadb,
    values: [
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'123e4567-e89b-12d3-a456-426655440000'",
      "'01234567-89ab-7def-8123-456789abcdef'",
      "'f81d4fae-7dec-41d0-a765-00a0c91e6b00'",
      "'f81d4fae-7dec-11d0-0765-00a0c91e6bf6'",
      'UUID()',
    ],
    note: 'versions 1, 4, 7 and none; trailing zero bytes',
  },
  {
    type: 'INET4',
    kind: 'canonical',
    on: mariadb,
    values: ["'0.0.0.0'", "'255.255.255.255'", "'10.0.0.1'", "'10.1.0.0'"],
  },
  {
    type: 'INET6',
    kind: 'canonical',
    on: mariadb,
    values: [
      ...[
        "'::'",
        "'::1'",
        "'1::'",
        "'2001:db8::ff00:42:8329'",
        "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'",
        "'::ffff:1.2.3.4'",
      ],
      ...[
        "'::1.2.3.4'",
        "'::0.0.1.2'",
        "'1:0:2:0:0:3:0:0'",
        "'1:2:3:0:5:6:7:8'",
        "'0:1::'",
        "'1:0:0:2:3:0:0:4'",
        "'::1:0:0'",
        "'64:ff9b::1.2.3.4'",
      ],
    ],
  },
];

/** The formats that MariaDB stores with mysql56_temporal_format=OFF, and in tables of servers before 5.6. */
export const OLD_TEMPORAL_CASES: readonly TypeCase[] = [...dates, ...fractional];

/** Whether this server has the type. */
export const isOn = ({ on }: { on?: readonly Server[] }, server: Server): boolean =>
  on === undefined || on.includes(server);
