import type { Connection } from 'mysql2/promise';

type Engine = 'mysql' | 'spark';
type Text = Record<Engine, (column: string) => string>;

const cast: Text = { mysql: (c) => `CAST(${c} AS CHAR)`, spark: (c) => `CAST(${c} AS STRING)` };
const number: Text = { mysql: (c) => `CAST(${c} + 0 AS CHAR)`, spark: (c) => `CAST(${c} AS STRING)` };
const bytes: Text = { mysql: (c) => `HEX(${c})`, spark: (c) => `hex(${c})` };
const date: Text = { mysql: (c) => `DATE_FORMAT(${c}, '%Y-%m-%d')`, spark: (c) => `date_format(${c}, 'yyyy-MM-dd')` };
const time: Text = {
  mysql: (c) => `DATE_FORMAT(${c}, '%Y-%m-%d %H:%i:%s.%f')`,
  spark: (c) => `date_format(${c}, 'yyyy-MM-dd HH:mm:ss.SSSSSS')`,
};
/** As the same number in both: the engines write other digits. */
const float: Text = {
  mysql: (c) => `CAST(${c} + 0e0 AS CHAR)`,
  spark: (c) => `CAST(CAST(${c} AS DOUBLE) AS STRING)`,
};

const duration: Text = {
  mysql: (c) => `CAST(${c} AS CHAR)`,
  spark: (c) => c,
};
/** As the event has it with `temporal: epoch_micros`. */
const durationMicros = (c: string): string =>
  `CAST(TIME_TO_SEC(${c}) * 1000000 + IF(${c} < 0, -1, 1) * MICROSECOND(${c}) AS CHAR)`;

/** Values in SQL; each row of the table takes one of each column. */
const COLUMNS: [type: string, text: Text, values: string[]][] = [
  ['TINYINT', cast, ['-128', '127', 'NULL']],
  ['TINYINT(1)', cast, ['0', '1', '2']],
  ['SMALLINT UNSIGNED', cast, ['65535', '0']],
  ['INT UNSIGNED', cast, ['4294967295', '0']],
  ['BIGINT', cast, ['-9223372036854775808', '9223372036854775807']],
  ['BIGINT UNSIGNED', cast, ['18446744073709551615', '9007199254740993', 'NULL']],
  ['BIT(64)', number, ['18446744073709551615', '0', '5']],
  ['YEAR', number, ['2155', '1901', '0']],
  ['DECIMAL(38,10)', cast, ["'-1234567890123456789012345678.0123456789'", '0', '0.0000000001']],
  ['DECIMAL(65,30)', cast, ["'0.000000000000000000000000000001'", '-1', 'NULL']],
  ['FLOAT', float, ['1.1', '-3.4e38', '0', 'NULL']],
  ['DOUBLE', float, ['1.7976931348623157e308', '2.5e-300', '-0.1']],
  ['DATE', date, ["'9999-12-31'", "'0000-00-00'", "'2026-02-31'", "'1000-01-01'", "'0001-01-01'", 'NULL']],
  [
    'DATETIME(6)',
    time,
    ["'2026-01-02 03:04:05.123456'", "'2026-00-02 03:04:05'", "'9999-12-31 23:59:59.999999'", "'1000-01-01'", 'NULL'],
  ],
  ['DATETIME', time, ["'2026-03-29 02:30:00'", "'0000-00-00 00:00:00'", "'1582-10-10 00:00:00'"]],
  [
    'TIMESTAMP(6) NULL',
    time,
    ["'2026-01-02 03:04:05.120000'", "'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'", 'NULL'],
  ],
  ['TIME(3)', duration, ["'-838:59:59'", "'00:00:00.001'", "'838:59:59'", 'NULL']],
  [
    'VARCHAR(60)',
    cast,
    [
      `'Zoë \\\\ \\' " 😀'`,
      "''",
      "' null '",
      "'two\\nlines\\r\\t\\u2028'",
      "'李雷 \\\\u0041'",
      "CONCAT('a', CHAR(0))",
      'NULL',
    ],
  ],
  ['LONGTEXT', cast, [`'{"a": 1}'`, "'null'", "REPEAT('ä', 70000)", "'1e5'", "'true'"]],
  ["ENUM('a','b','it''s')", cast, ["'b'", "'it''s'", 'NULL']],
  ["SET('x','y')", cast, ["'x,y'", "''"]],
  ['BINARY(3)', bytes, ["x'00ff'", "x''", 'NULL']],
  ['LONGBLOB', bytes, ["x'00c3a4'", "x''", "REPEAT(x'ff', 5000)", 'NULL']],
  [
    'JSON',
    cast,
    [
      `'{"b": [1, 2.50, null], "a": "x\\\\n\\\\"😀"}'`,
      `'"text"'`,
      "'null'",
      "'[]'",
      `'{"n": 18446744073709551615, "d": 1.0}'`,
      "'true'",
      'NULL',
    ],
  ],
];

/** The second phase has two more columns, which the rows of before have the defaults of. */
const ADDED: [definition: string, text: Text, values: string[]][] = [
  ["added VARCHAR(20) NOT NULL DEFAULT 'it''s \\\\ new'", cast, ["'other'"]],
  ['counted BIGINT UNSIGNED NULL DEFAULT 18446744073709551615', cast, ['3', 'NULL']],
  ['price DECIMAL(20,4) NOT NULL', cast, ['5.5']],
];

const KEY = 'id BIGINT UNSIGNED';
export const TYPES_TABLE = `CREATE TABLE types (${KEY} PRIMARY KEY,
  ${COLUMNS.map(([type], i) => `c${i} ${type}`).join(', ')}) COMMENT 'of ''it'', \\\\ ;'`;

/** SELECT expressions. */
export const typesTexts = (engine: Engine, phase: number, isMicros: boolean): string[] => [
  cast[engine]('id'),
  ...COLUMNS.map(([, text], i) =>
    text === duration && engine === 'mysql' && isMicros ? durationMicros(`c${i}`) : text[engine](`c${i}`),
  ),
  ...(phase === 1 ? [] : ADDED.map(([definition, text]) => text[engine](definition.split(' ')[0] as string))),
];

/** A row of the source as the warehouse has it: dates outside of the calendar are NULL. */
export function typesRow(row: (string | null)[]): (string | null)[] {
  return row.map((text, i) => {
    const kind = COLUMNS[i - 1]?.[1];
    if (text === null) return null;
    if (kind === float) return sparkDouble(text);
    return (kind === date || kind === time) && !isCalendar(text) ? null : text;
  });
}

function isCalendar(text: string): boolean {
  const day = text.slice(0, 10);
  const time = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().slice(0, 10) === day;
}

/** As Java writes a double. */
function sparkDouble(text: string): string {
  const value = Number(text);
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  if (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e7) return Number.isInteger(value) ? `${value}.0` : String(value);
  return `${digits.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`;
}

const IDS = ['18446744073709551615', '9223372036854775808', '0', '1', '2', '3', '4', '5', '6', '7', '8'];

/** Rows of every value, and their updates, some of them partial; deletes, TRUNCATE, and changes of keys. */
export async function changeTypes(connection: Connection, phase: number): Promise<void> {
  const columns = [...COLUMNS.map(([, , values], i) => ({ name: `c${i}`, values }))];
  const values = (n: number) => columns.map((column) => column.values[n % column.values.length]).join(', ');
  const query = async (...statements: string[]) => {
    for (const sql of statements) await connection.query(sql);
  };
  if (phase === 1) {
    await query(
      `INSERT INTO types VALUES (100, ${values(0)}), (101, ${values(1)})`,
      'TRUNCATE TABLE types',
      ...IDS.map((id, n) => `INSERT INTO types VALUES (${id}, ${values(n)})`),
      `INSERT INTO types VALUES (101, ${values(2)}), (102, ${values(3)}), (103, ${values(4)})`,
      'UPDATE types SET id = 104 WHERE id = 102',
      'DELETE FROM types WHERE id IN (101, 103)',
      `INSERT INTO types VALUES (103, ${values(5)})`,
    );
  } else {
    await query(
      `ALTER TABLE types ${ADDED.map(([definition]) => `ADD COLUMN ${definition}`).join(', ')}`,
      `INSERT INTO types VALUES (200, ${values(6)}, ${ADDED.map((column) => column[2][0]).join(', ')})`,
      'UPDATE types SET id = 201 WHERE id = 104',
      'DELETE FROM types WHERE id = 8',
      'UPDATE types SET counted = NULL WHERE id = 7',
    );
    for (const [definition, , values] of ADDED) columns.push({ name: definition.split(' ')[0] as string, values });
  }
  // The server logs the columns that change, and nothing else.
  await query('SET SESSION binlog_row_image = MINIMAL');
  for (const [n, { name, values }] of columns.entries()) {
    const id = IDS[(n + phase) % 7];
    for (const value of values) await query(`UPDATE types SET ${name} = ${value} WHERE id = ${id}`);
  }
  await query('DELETE FROM types WHERE id = 6', 'SET SESSION binlog_row_image = FULL');
}
