import type { Random } from '../../../src/local/demo/random.ts';

/** One random table: what it is, and statements that change it. */
export interface RandomTable {
  name: string;
  create: string;
  /** SELECT expressions with the text of each column, by the name of the column. */
  columns: Map<string, ColumnText>;
  /** Column names. */
  key: string[];
  nextColumn: number;
}

/** How each engine writes a value of the column as the same text. */
export interface ColumnText {
  mysql: (column: string) => string;
  duckdb: (column: string) => string;
  postgres: (column: string) => string;
  spark: (column: string) => string;
}

const cast: ColumnText = {
  mysql: (c) => `CAST(${c} AS CHAR)`,
  duckdb: (c) => `CAST(${c} AS VARCHAR)`,
  postgres: (c) => `${c}::text`,
  spark: (c) => `CAST(${c} AS STRING)`,
};
const bytes: ColumnText = {
  mysql: (c) => `HEX(${c})`,
  duckdb: (c) => `hex(${c})`,
  postgres: (c) => `upper(encode(${c}, 'hex'))`,
  spark: (c) => `hex(${c})`,
};
const time: ColumnText = {
  mysql: (c) => `DATE_FORMAT(${c}, '%Y-%m-%d %H:%i:%s')`,
  duckdb: (c) => `strftime(${c}, '%Y-%m-%d %H:%M:%S')`,
  postgres: (c) => `to_char(${c}, 'YYYY-MM-DD HH24:MI:SS')`,
  spark: (c) => `date_format(${c}, 'yyyy-MM-dd HH:mm:ss')`,
};

const KINDS: { type: string; text: ColumnText; value: (random: Random) => string }[] = [
  { type: 'INT', text: cast, value: (r) => String(r.below(2000) - 1000) },
  { type: 'BIGINT UNSIGNED', text: cast, value: (r) => r.pick(['0', '18446744073709551615', '9007199254740993']) },
  {
    type: 'DECIMAL(20,4)',
    text: cast,
    value: (r) => `${r.below(1e9) - 5e8}.${String(r.below(10_000)).padStart(4, '0')}`,
  },
  {
    type: 'VARCHAR(40)',
    text: cast,
    value: (r) => `'${r.pick(['', 'a', 'A', 'ä', 'x\\ty', "it''s", '\\\\u0041', '日本'])}${r.below(9)}'`,
  },
  { type: 'DATETIME', text: time, value: (r) => `'2026-0${r.below(9) + 1}-1${r.below(9)} 0${r.below(9)}:00:00'` },
  { type: 'VARBINARY(20)', text: bytes, value: (r) => `x'${r.pick(['', '00', 'ff00', 'c3a4'])}0${r.below(9)}'` },
  { type: 'BOOLEAN', text: cast, value: (r) => String(r.below(2)) },
];

const KEYS: { columns: [name: string, kind: number][]; index: string }[] = [
  { columns: [['id', 0]], index: 'PRIMARY KEY (id)' },
  {
    columns: [
      ['seq', 3],
      ['op', 0],
    ],
    index: 'PRIMARY KEY (seq, op)',
  },
  { columns: [['key', 1]], index: 'PRIMARY KEY (`key`)' },
  { columns: [['after', 5]], index: 'PRIMARY KEY (`after`)' },
  { columns: [['at', 4]], index: 'PRIMARY KEY (at)' },
  {
    columns: [
      ['a', 0],
      ['b', 2],
    ],
    index: 'UNIQUE KEY (b, a)',
  },
];

const NAMES = ['_op', 'before', '_cdc_seq', 'table', 'a.b', 'quo"te', "it's", 'c', 'd', 'e'];
const q = (name: string): string => `\`${name}\``;

export function randomTable(random: Random, name: string, isFlat: boolean): RandomTable {
  const { columns, index } = random.pick(KEYS);
  const table: RandomTable = {
    name,
    create: '',
    columns: new Map(),
    key: columns.map(([column]) => column),
    nextColumn: 0,
  };
  const definitions = columns.map(([column, kind]) => {
    const { type, text } = KINDS[kind]!;
    table.columns.set(column, text);
    return `${q(column)} ${type} NOT NULL`;
  });
  for (let n = random.below(5) + 1; n > 0; n--) {
    const { type, text } = random.pick(KINDS);
    const column = NAMES[table.nextColumn++]!;
    // Format flat refuses its own names.
    if (isFlat && column === '_op') continue;
    table.columns.set(column, text);
    const notNull = random.chance(0.3) ? ' NOT NULL' : '';
    definitions.push(`${q(column)} ${type}${notNull} COMMENT 'of ''it'''`);
    kinds.set(`${name}.${column}`, { type, isNullable: notNull === '' });
  }
  for (const [column, kind] of columns) kinds.set(`${name}.${column}`, { type: KINDS[kind]!.type, isNullable: false });
  table.create = `CREATE TABLE ${q(name)} (${[...definitions, index].join(', ')})`;
  return table;
}

const kinds = new Map<string, { type: string; isNullable: boolean }>();

function value(random: Random, table: string, column: string): string {
  const { type, isNullable } = kinds.get(`${table}.${column}`)!;
  if (isNullable && random.chance(0.2)) return 'NULL';
  return KINDS.find((kind) => kind.type === type)!.value(random);
}

/** Statements that change rows, keys and now and then the columns or everything. */
export function* randomChanges(
  random: Random,
  table: RandomTable,
  count: number,
  isMinimal: boolean,
): Generator<string> {
  const t = q(table.name);
  for (let n = 0; n < count; n++) {
    const columns = [...table.columns.keys()];
    const others = columns.filter((column) => !table.key.includes(column));
    const row = (): string => `(${columns.map((column) => value(random, table.name, column)).join(', ')})`;
    const some = `ORDER BY ${table.key.map(q).join(', ')} LIMIT ${random.below(3) + 1}`;
    const dice = random.below(100);
    if (dice < 45) {
      const rows = Array.from({ length: random.below(3) + 1 }, row).join(', ');
      yield `${random.chance(0.7) ? 'INSERT IGNORE' : 'REPLACE'} INTO ${t} (${columns.map(q).join(', ')}) VALUES ${rows}`;
    } else if (dice < 75 && others.length > 0) {
      const column = random.pick(others);
      yield `UPDATE ${t} SET ${q(column)} = ${value(random, table.name, column)} ${some}`;
    } else if (dice < 83) {
      // With MINIMAL the new key's event lacks the columns that did not change, and so does every other event.
      if (isMinimal) continue;
      const column = random.pick(table.key);
      yield `UPDATE IGNORE ${t} SET ${q(column)} = ${value(random, table.name, column)} ${some}`;
    } else if (dice < 93) yield `DELETE FROM ${t} ${some}`;
    else if (dice < 95) yield `TRUNCATE TABLE ${t}`;
    else if (dice < 98 && table.nextColumn < NAMES.length) {
      const column = NAMES[table.nextColumn++]!;
      const kind = random.pick(KINDS);
      const isNullable = random.chance(0.5);
      // INFORMATION_SCHEMA ends a binary default at its first zero byte.
      const literal = kind.text === bytes ? "x'c3a4'" : kind.value(random);
      const definition = isNullable ? (random.chance(0.5) ? `DEFAULT ${literal}` : '') : `NOT NULL DEFAULT ${literal}`;
      table.columns.set(column, kind.text);
      kinds.set(`${table.name}.${column}`, { type: kind.type, isNullable });
      yield `ALTER TABLE ${t} ADD COLUMN ${q(column)} ${kind.type} ${definition}`;
    } else if (others.length > 1) {
      const column = random.pick(others);
      table.columns.delete(column);
      yield `ALTER TABLE ${t} DROP COLUMN ${q(column)}`;
    }
  }
}
