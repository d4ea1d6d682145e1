import type { Kind } from './expected-value.ts';
import type { OracleTable } from './oracle.ts';
import { isOn, type Server } from './type-cases.ts';

/** To use another seed: CDC_SEED=… npx vitest run --project integration test/integration/type-oracle.test.ts. */
export const SEED = Number(process.env.CDC_SEED ?? 1);
export const RANDOM_ROWS = 1700;
/** Rows that are compared in each of nine variants. */
export const SNAPSHOT_ROWS = 200;

/** A seeded random number generator (mulberry32). */
export class RandomSource {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * limit);
  }

  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, order: this.uint32() }))
      .sort((a, b) => a.order - b.order)
      .map(({ item }) => item);
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** A number of up to `width` bits. Every length in bits is equally likely. */
  bits(width: number): bigint {
    const used = this.between(0, width);
    let value = 0n;
    for (let i = 0; i < used; i += 32) value = (value << 32n) | BigInt(this.uint32());
    return BigInt.asUintN(used, value);
  }
}

export interface RandomColumn {
  type: string;
  kind: Kind;
  on?: readonly Server[];
  /** A random value as SQL. */
  value: (random: RandomSource) => string;
}

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');
const literal = (bytes: Buffer): string => `X'${bytes.toString('hex')}'`;
const mysql: Server[] = ['MySQL 9.7'];

const integer = (type: string, width: number): RandomColumn[] => [
  {
    type,
    kind: width === 64 ? 'bigint' : 'integer',
    value: (random) => String(BigInt.asIntN(width, random.bits(width) * (random.below(2) ? 1n : -1n))),
  },
  {
    type: `${type} UNSIGNED`,
    kind: width === 64 ? 'bigint' : 'integer',
    value: (random) => String(random.bits(width)),
  },
];

const bit = (width: number): RandomColumn => ({
  type: `BIT(${width})`,
  kind: width > 53 ? 'long bit' : width === 1 ? 'bit1' : 'bit',
  value: (random) => String(random.bits(width)),
});

const decimal = (precision: number, scale: number): RandomColumn => ({
  type: `DECIMAL(${precision},${scale})`,
  kind: 'decimal',
  value(random) {
    const digits = (count: number): string =>
      Array.from({ length: random.between(0, count) }, () => random.below(10)).join('');
    return `${random.pick(['', '-'])}${digits(precision - scale) || '0'}.${digits(scale) || '0'}`;
  },
});

const float: RandomColumn = {
  type: 'FLOAT',
  kind: 'float',
  value(random) {
    const buffer = Buffer.alloc(4);
    if (random.below(3) === 0) return `${random.between(-9999, 9999)}e${random.between(-8, 8)}`;
    do buffer.writeUInt32LE(random.uint32());
    while (!Number.isFinite(buffer.readFloatLE()));
    return buffer.readFloatLE().toExponential();
  },
};

const double: RandomColumn = {
  type: 'DOUBLE',
  kind: 'double',
  value: (random) => doubleOf(random).toExponential(),
};

function doubleOf(random: RandomSource): number {
  const buffer = Buffer.alloc(8);
  switch (random.below(4)) {
    case 0:
      return random.between(-99999, 99999) * 10 ** random.between(-12, 12);
    case 1:
      return random.below(2 ** 32) * 2 ** random.between(-20, 30);
    default:
      do random.bytes(8).copy(buffer);
      while (!Number.isFinite(buffer.readDoubleLE()));
      return buffer.readDoubleLE();
  }
}

const fraction = (random: RandomSource, digits: number): string =>
  digits === 0 ? '' : `.${pad(random.below(10 ** digits), digits)}`;

/** Sometimes the month or day is zero, or the calendar lacks the day. */
const date = (random: RandomSource): string => {
  const odd = random.below(20) === 0;
  return `${pad(random.between(odd ? 0 : 1, 9999), 4)}-${pad(random.between(odd ? 0 : 1, 12))}-${pad(random.between(odd ? 0 : 1, odd ? 31 : 28))}`;
};
const clock = (random: RandomSource): string =>
  `${pad(random.below(24))}:${pad(random.below(60))}:${pad(random.below(60))}`;

const time = (digits: number): RandomColumn => ({
  type: `TIME(${digits})`,
  kind: 'time',
  value: (random) =>
    `'${random.pick(['', '-'])}${pad(random.pick([0, random.below(24), random.below(838)]))}:${pad(random.below(60))}:${pad(random.below(60))}${fraction(random, digits)}'`,
});
const datetime = (digits: number): RandomColumn => ({
  type: `DATETIME(${digits})`,
  kind: 'datetime',
  value: (random) => `'${date(random)} ${clock(random)}${fraction(random, digits)}'`,
});
const timestamp = (digits: number): RandomColumn => ({
  type: `TIMESTAMP(${digits}) NULL`,
  kind: 'timestamp',
  value: (random) =>
    `'${new Date(random.between(1, 2 ** 31 - 2) * 1000).toISOString().slice(0, 19).replace('T', ' ')}${fraction(random, digits)}'`,
});

/** Text with characters of every kind that is special in JSON or in a charset. */
function text(random: RandomSource, length: number, highest: number): string {
  return Array.from({ length: random.between(0, length) }, () => {
    const point = random.pick([
      random.below(0x20),
      random.between(0x20, 0x7f),
      random.pick([0x22, 0x5c, 0x2f, 0x27, 0x7f, 0x2028, 0xfeff]),
      random.between(0x80, 0x7ff),
      random.between(0x800, 0xffff),
      random.between(0x10000, 0x10ffff),
    ]);
    const valid = point <= highest && (point < 0xd800 || point > 0xdfff) ? point : random.between(0x20, 0x7e);
    return String.fromCodePoint(valid);
  }).join('');
}

const unicode = (type: string, length: number, highest = 0x10ffff): RandomColumn => ({
  type,
  kind: 'text',
  value: (random) => `CONVERT(${literal(Buffer.from(text(random, length, highest)))} USING utf8mb4)`,
});
/** Random bytes, including bytes that the charset does not map. */
const singleByte = (charset: string, length: number): RandomColumn => ({
  type: `VARCHAR(${length}) CHARACTER SET ${charset}`,
  kind: 'text',
  value: (random) => `_${charset} ${literal(random.bytes(random.between(0, length)))}`,
});
const doubleByte = (charset: string, leads: [number, number], trails: [number, number]): RandomColumn => ({
  type: `VARCHAR(40) CHARACTER SET ${charset}`,
  kind: 'text',
  value(random) {
    const codes = Array.from({ length: random.between(0, 20) }, () =>
      random.below(3) === 0 ? [random.below(0x80)] : [random.between(...leads), random.between(...trails)],
    );
    return `_${charset} ${literal(Buffer.from(codes.flat()))}`;
  },
});

const binary = (type: string, length: number, exact = false): RandomColumn => ({
  type,
  kind: 'binary',
  value(random) {
    const bytes = random.bytes(exact && random.below(2) ? length : random.between(0, length));
    // The binlog drops trailing zero bytes of BINARY.
    if (bytes.length > 0 && random.below(4) === 0) bytes.fill(0, random.below(bytes.length));
    return literal(bytes);
  },
});

const labels = Array.from({ length: 300 }, (_, i) => `l${i}`);
const quotedLabels = (count: number): string =>
  labels
    .slice(0, count)
    .map((label) => `'${label}'`)
    .join(',');

function jsonText(random: RandomSource, depth: number): string {
  switch (random.below(depth > 3 ? 6 : 8)) {
    case 0:
      return random.pick(['null', 'true', 'false']);
    case 1:
      return String(BigInt.asIntN(64, random.bits(64) * (random.below(2) ? 1n : -1n)));
    case 2:
      return String(random.bits(64));
    case 3: {
      const value = String(doubleOf(random));
      return /[.e]/.test(value) ? value : `${value}.0`;
    }
    case 4:
    case 5:
      return JSON.stringify(text(random, random.pick([3, 30, 200]), 0x10ffff));
    case 6:
      return `[${Array.from({ length: random.below(6) }, () => jsonText(random, depth + 1)).join(',')}]`;
    default: {
      const member = (): string => `${JSON.stringify(text(random, 8, 0x10ffff))}:${jsonText(random, depth + 1)}`;
      return `{${Array.from({ length: random.below(6) }, member).join(',')}}`;
    }
  }
}

const coordinate = (random: RandomSource): string => String(doubleOf(random)).replace('+', '');
const point = (random: RandomSource): string => `${coordinate(random)} ${coordinate(random)}`;
const geometry: RandomColumn = {
  type: 'GEOMETRY',
  kind: 'geometry',
  value(random) {
    const points = Array.from({ length: random.between(2, 6) }, () => point(random)).join(',');
    const shape = random.pick([`POINT(${point(random)})`, `LINESTRING(${points})`, `MULTIPOINT(${points})`]);
    return `ST_GeomFromText('${shape}', ${random.pick([0, 3857])})`;
  },
};
const vector: RandomColumn = {
  type: 'VECTOR(16)',
  kind: 'vector',
  on: mysql,
  value(random) {
    const floats = Array.from({ length: random.between(1, 16) }, () => {
      const bytes = random.bytes(4);
      if (!Number.isFinite(bytes.readFloatLE())) bytes[3] = 0;
      return bytes;
    });
    return literal(Buffer.concat(floats));
  },
};

export const RANDOM_COLUMNS: readonly RandomColumn[] = [
  ...integer('TINYINT', 8),
  ...integer('SMALLINT', 16),
  ...integer('MEDIUMINT', 24),
  ...integer('INT', 32),
  ...integer('BIGINT', 64),
  ...[1, 9, 31, 54, 64].map(bit),
  decimal(5, 2),
  decimal(18, 9),
  decimal(30, 30),
  decimal(65, 0),
  decimal(65, 30),
  float,
  double,
  { type: 'YEAR', kind: 'year', value: (random) => random.pick(["'0000'", String(random.between(1901, 2155))]) },
  { type: 'DATE', kind: 'date', value: (random) => `'${date(random)}'` },
  ...[0, 1, 2, 3, 4, 5, 6].map(time),
  ...[0, 1, 2, 3, 4, 5, 6].map(datetime),
  ...[0, 1, 2, 3, 4, 5, 6].map(timestamp),
  unicode('VARCHAR(80) CHARACTER SET utf8mb4', 80),
  unicode('CHAR(30) CHARACTER SET utf8mb4', 30),
  unicode('TEXT CHARACTER SET utf8mb4', 300),
  unicode('VARCHAR(40) CHARACTER SET utf8', 40, 0xffff),
  unicode('VARCHAR(40) CHARACTER SET utf16', 40),
  unicode('VARCHAR(40) CHARACTER SET utf32', 40),
  unicode('VARCHAR(40) CHARACTER SET ucs2', 40, 0xffff),
  singleByte('latin1', 60),
  singleByte('cp1251', 30),
  doubleByte('gbk', [0x81, 0xfe], [0x80, 0xfe]),
  doubleByte('sjis', [0x81, 0x9f], [0x80, 0xfc]),
  doubleByte('ujis', [0xa1, 0xfe], [0xa1, 0xfe]),
  binary('BINARY(9)', 9, true),
  binary('VARBINARY(20)', 20),
  binary('BLOB', 300),
  { type: `ENUM(${quotedLabels(300)})`, kind: 'text', value: (random) => String(random.between(1, 300)) },
  { type: `SET(${quotedLabels(64)})`, kind: 'text', value: (random) => String(random.bits(64)) },
  {
    type: 'JSON',
    kind: 'json',
    on: mysql,
    value: (random) => `CONVERT(${literal(Buffer.from(jsonText(random, 0)))} USING utf8mb4)`,
  },
  {
    type: 'JSON',
    kind: 'json',
    on: mysql,
    value: (random) => `'[${Array.from({ length: 5 }, () => doubleOf(random).toExponential()).join(',')}]'`,
  },
  geometry,
  vector,
  {
    type: 'TEXT COMPRESSED CHARACTER SET utf8mb4',
    kind: 'text',
    on: ['MariaDB 10.11'],
    value: (random) =>
      `REPEAT(CONVERT(${literal(Buffer.from(text(random, 20, 0x10ffff)))} USING utf8mb4), ${random.between(1, 20)})`,
  },
];

/** Random values for the types of MARIADB_CASES. */
export const MARIADB_COLUMNS: readonly RandomColumn[] = [
  {
    type: 'UUID',
    kind: 'canonical',
    value: (random) =>
      `'${random
        .bytes(16)
        .toString('hex')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}'`,
  },
  { type: 'INET4', kind: 'canonical', value: (random) => `'${random.bytes(4).join('.')}'` },
  {
    type: 'INET6',
    kind: 'canonical',
    value: (random) =>
      `'${Array.from({ length: 8 }, () => random.pick([0, 0xffff, random.below(0x10000)]).toString(16)).join(':')}'`,
  },
];

export const TEMPORAL_COLUMNS: readonly RandomColumn[] = RANDOM_COLUMNS.filter(({ kind }) =>
  ['date', 'time', 'datetime', 'timestamp'].includes(kind),
);

/** A table of all types with rows of random values and some NULLs. */
export function randomTable(
  server: Server,
  rows: number,
  seed: number,
  from: readonly RandomColumn[] = RANDOM_COLUMNS,
): OracleTable {
  const random = new RandomSource(seed);
  // The columns are shuffled, because the binlog describes each kind of column in a list without the other kinds.
  const columns = random.shuffled(from.filter((column) => isOn(column, server)));
  const row = (id: number): string =>
    `(${id}, 0, ${columns.map(({ value }) => (random.below(25) === 0 ? 'NULL' : value(random))).join(', ')})`;
  const inserts: string[] = [];
  for (let id = 0; id < rows; id += 100) {
    const some = Array.from({ length: Math.min(100, rows - id) }, (_, i) => row(id + i));
    inserts.push(`INSERT INTO random_values VALUES ${some.join(', ')}`);
  }
  return {
    name: 'random_values',
    // Zero and impossible dates are allowed. The server truncates a value that does not fit, and SELECT returns the
    // rest.
    mode: 'ALLOW_INVALID_DATES',
    create: [
      `CREATE TABLE random_values (id INT PRIMARY KEY, n INT NOT NULL, ${columns.map(({ type }, i) => `c${i} ${type}`).join(', ')}) ROW_FORMAT=DYNAMIC`,
    ],
    fill: inserts,
    columns: [
      { name: 'id', kind: 'integer' },
      { name: 'n', kind: 'integer' },
      ...columns.map(({ kind }, i) => ({ name: `c${i}`, kind })),
    ],
  };
}
