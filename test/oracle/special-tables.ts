import { quoteIdentifier } from '../../src/model/identifier.ts';
import type { Kind } from './expected-value.ts';
import type { OracleTable } from './oracle.ts';
import type { Server } from './type-cases.ts';

/** A table with unusual columns rather than unusual values. */
export interface SpecialTable extends OracleTable {
  /** Its description in docs/TYPES.md. */
  about: string;
  on?: readonly Server[];
}

const key = [
  { name: 'id', kind: 'integer' as const },
  { name: 'n', kind: 'integer' as const },
];
const modern: Server[] = ['MySQL 9.7', 'MariaDB 10.11'];

const oddNames = [
  '__proto__',
  'constructor',
  'it\'s "quoted"',
  'back\\slash',
  'line\nfeed',
  'tab\tbed',
  'ünï',
  '表',
  'a.b',
  'sel`ect',
  ' x',
];

const wide = (count: number, engine: string): Pick<SpecialTable, 'create' | 'fill' | 'columns'> => {
  const names = Array.from({ length: count - 2 }, (_, i) => `c${i}`);
  const values = (row: number): string =>
    names.map((_, i) => ((i + row) % 3 === 0 ? 'NULL' : String((i * 7 + row) % 128))).join(',');
  return {
    create: [
      `CREATE TABLE wide${count} (id INT PRIMARY KEY, n INT NOT NULL, ${names.map((name) => `${name} TINYINT`).join(', ')}) ENGINE=${engine}`,
    ],
    fill: [
      `INSERT INTO wide${count} VALUES (1, 0, ${values(0)}), (2, 0, ${values(1)}), (3, 0, ${names.map(() => 'NULL').join(',')})`,
    ],
    columns: [...key, ...names.map((name) => ({ name, kind: 'integer' as Kind }))],
  };
};

const ODD_TABLE = 'odd "names"\n`and` 表';

export const SPECIAL_TABLES: readonly SpecialTable[] = [
  {
    name: 'with_generated',
    about: 'generated columns, VIRTUAL and STORED, of several types',
    on: modern,
    create: [
      `CREATE TABLE with_generated (id INT PRIMARY KEY, n INT NOT NULL, a INT,
         v INT AS (a * 2) VIRTUAL, s VARCHAR(20) AS (CONCAT('<', a, '>')) STORED, d DECIMAL(10,3) AS (a / 3) VIRTUAL)`,
    ],
    fill: ['INSERT INTO with_generated (id, n, a) VALUES (1, 0, 21), (2, 0, -5), (3, 0, NULL)'],
    columns: [
      ...key,
      { name: 'a', kind: 'integer' },
      { name: 'v', kind: 'integer' },
      { name: 's', kind: 'text' },
      { name: 'd', kind: 'decimal' },
    ],
  },
  {
    name: 'invisible',
    about: 'invisible columns',
    on: modern,
    create: [`CREATE TABLE invisible (id INT PRIMARY KEY, n INT NOT NULL, h VARCHAR(10) INVISIBLE DEFAULT 'x', v INT)`],
    fill: [
      'INSERT INTO invisible (id, n, v) VALUES (1, 0, 1), (2, 0, NULL)',
      "INSERT INTO invisible (id, n, h, v) VALUES (3, 0, 'seen', 3)",
    ],
    columns: [...key, { name: 'h', kind: 'text' }, { name: 'v', kind: 'integer' }],
  },
  {
    name: 'gipk',
    about: 'a generated invisible primary key (sql_generate_invisible_primary_key)',
    on: ['MySQL 9.7'],
    create: [
      'SET sql_generate_invisible_primary_key = ON',
      'CREATE TABLE gipk (n INT NOT NULL, v VARCHAR(10))',
      'SET sql_generate_invisible_primary_key = OFF',
    ],
    fill: ["INSERT INTO gipk (n, v) VALUES (0, 'a'), (0, NULL)"],
    columns: [
      { name: 'my_row_id', kind: 'bigint' },
      { name: 'n', kind: 'integer' },
      { name: 'v', kind: 'text' },
    ],
  },
  {
    name: ODD_TABLE,
    about: `columns named ${oddNames.map((name) => JSON.stringify(name)).join(', ')}, in a table whose name has quotes and a line feed`,
    create: [
      `CREATE TABLE ${quoteIdentifier(ODD_TABLE)} (id INT PRIMARY KEY, n INT NOT NULL, ${oddNames.map((name) => `${quoteIdentifier(name)} VARCHAR(10)`).join(', ')})`,
    ],
    fill: [
      `INSERT INTO ${quoteIdentifier(ODD_TABLE)} VALUES (1, 0, ${oddNames.map((_, i) => `'v${i}'`).join(', ')}), (2, 0, ${oddNames.map(() => 'NULL').join(', ')})`,
    ],
    columns: [...key, ...oddNames.map((name) => ({ name, kind: 'text' as Kind }))],
  },
  { name: 'wide1017', about: '1017 columns, the most that InnoDB has', ...wide(1017, 'InnoDB') },
  {
    name: 'wide4096',
    about: '4096 columns, the most that the server has (MyISAM)',
    on: ['MySQL 9.7'],
    ...wide(4096, 'MyISAM'),
  },
  { name: 'wide2500', about: '2500 columns (MyISAM)', on: ['MariaDB 10.11', 'MySQL 5.6'], ...wide(2500, 'MyISAM') },
  {
    name: 'json_of_columns',
    about: 'JSON made of columns: TIMESTAMP, YEAR, BIT, DECIMAL, each size of BLOB, ENUM, SET, TIME, VARBINARY',
    on: ['MySQL 9.7'],
    create: [
      `CREATE TABLE json_source (a TIMESTAMP(3) NULL, b YEAR, c BIT(9), d DECIMAL(7,2), e TINYBLOB, f BLOB, g MEDIUMBLOB,
         h LONGBLOB, i ENUM('x','y'), j SET('p','q'), k TIME(2), l VARBINARY(9), m DATE, o FLOAT, q BIGINT UNSIGNED, r CHAR(3))`,
      `INSERT INTO json_source VALUES ('2026-01-02 03:04:05.678', 2026, b'101010101', 12345.67, X'01', X'02', X'03', X'04',
         'y', 'p,q', '-12:34:56.78', X'00FF', '2026-02-28', 1.5, 18446744073709551615, 'abc')`,
      'CREATE TABLE json_of_columns (id INT PRIMARY KEY, n INT NOT NULL, v JSON)',
    ],
    fill: [
      'INSERT INTO json_of_columns SELECT 1, 0, JSON_ARRAY(a, b, c, d, e, f, g, h, i, j, k, l, m, o, q, r) FROM json_source',
      "INSERT INTO json_of_columns SELECT 2, 0, JSON_OBJECT('t', a, 'nested', JSON_OBJECT('bit', c, 'blob', h)) FROM json_source",
    ],
    columns: [...key, { name: 'v', kind: 'json' }],
  },
  {
    name: 'json_updated',
    about: 'JSON changed in place by JSON_SET, JSON_REPLACE and JSON_REMOVE, which leaves holes in the document',
    on: ['MySQL 9.7'],
    // The binlog contains only the later update and delete.
    events: 2,
    create: ['CREATE TABLE json_updated (id INT PRIMARY KEY, n INT NOT NULL, v JSON)'],
    fill: [
      'SET sql_log_bin = OFF',
      `INSERT INTO json_updated VALUES (1, 0, '{"a": "long enough to shrink", "b": [1, 2, {"c": "xyz"}], "d": 1.5}'),
         (2, 0, '{"a": 1, "b": 2}')`,
      `UPDATE json_updated SET v = JSON_SET(v, '$.a', 'short')`,
      `UPDATE json_updated SET v = JSON_REMOVE(JSON_REPLACE(v, '$.b', 70000), '$.d')`,
      'SET sql_log_bin = ON',
    ],
    columns: [...key, { name: 'v', kind: 'json' }],
  },
];

export const specialTables = (server: Server): SpecialTable[] =>
  SPECIAL_TABLES.filter(({ on }) => on === undefined || on.includes(server));
