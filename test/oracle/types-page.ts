import { CODE_SPACE_NAMES } from './charset-tables.ts';
import type { Kind } from './expected-value.ts';
import { VALUE_SETS } from './oracle.ts';
import { RANDOM_COLUMNS, RANDOM_ROWS } from './random-rows.ts';
import { SPECIAL_TABLES } from './special-tables.ts';
import { MARIADB_CASES, OLD_TEMPORAL_CASES, type Server, TYPE_CASES, type TypeCase } from './type-cases.ts';

/** What the event holds, and the options that change it. */
const WRITTEN: Record<Kind, string> = {
  integer: 'number, all digits',
  tinyint1: '0 and 1: number; `boolean: [tinyint1]`: `false` and `true`. Others: number',
  bigint: 'number, all digits; `bigint: string`: string',
  bit: 'number, all digits',
  bit1: 'number; `boolean: [bit1]`: `false` and `true`',
  'long bit': 'number, all digits; `bigint: string`: string',
  year: 'number',
  decimal: 'string of the digits; `decimal: number`: the digits bare',
  float: 'number, shortest text of the float32',
  double: 'number, shortest text of the float64',
  date: '`2026-01-02`; `temporal: epoch_micros`: number; `zero_dates: null`',
  datetime: '`2026-01-02T03:04:05`; `temporal: mysql` or `epoch_micros`; `zero_dates: null`',
  timestamp: '`2026-01-02T03:04:05Z`; `temporal: mysql` or `epoch_micros`; `zero_dates: null`',
  time: '`-838:59:59.000000`; `temporal: epoch_micros`: number',
  text: 'string',
  binary: 'base64; `binary: hex`',
  json: "string of the server's text; `json: nested`: the value",
  geometry: '`{"srid":…,"wkb":…}` in base64; `binary: hex`',
  vector: 'array of numbers, each the shortest float32',
  canonical: 'canonical text',
};

/** docs/TYPES.md: what the type oracle covers, from its own tables. */
export function typesPage(): string {
  return `# Types and values that are tested

This page is generated from the tables of the type oracle (test/oracle). Do not edit it; run:

    npx vitest run --project unit test/unit/codec/types-page.test.ts -u

The oracle is the server. A test inserts, updates and deletes each value below, and NULL, on a real server. It compares
each image of each event, byte for byte, with what SELECT gives for the same row. SELECT reads floats in the binary
protocol, text as \`CONVERT(… USING utf8mb4)\`, and bytes, geometry and vectors as \`HEX(…)\`. Code that shares nothing
with the codec puts the result into JSON. The servers are MySQL 9.7, MariaDB 10.11 and MySQL 5.6. Everything runs under
these sets of options:

${VALUE_SETS.map((values) => wrapped(['-', ...listedOptions(values)], '  ')).join('\n')}

In addition to the boundary values, each server gets ${RANDOM_ROWS} rows of random values in ${RANDOM_COLUMNS.length} types, with the columns in random
order. That is at least 100,000 values a server, each compared in four images under three sets of options.
\`CDC_SEED\` chooses other values.

## How each kind is written

${(Object.keys(WRITTEN) as Kind[]).map((kind) => `- ${kind}: ${WRITTEN[kind]}`).join('\n')}

## Values at the boundaries

${casesTable(TYPE_CASES)}

## Types that only INFORMATION_SCHEMA distinguishes

MariaDB logs these as BINARY(16) and BINARY(4), and its binlog does not say which type they are. cdc reads the type from
INFORMATION_SCHEMA and proves that the table was not altered since. If it cannot prove that, the daemon stops.

${casesTable(MARIADB_CASES)}

## Temporal formats before MySQL 5.6

MariaDB writes these formats with \`mysql56_temporal_format=OFF\`. It keeps them in tables that were created that way, or
by a server before 5.6. Its binlog does not contain the fractional digits of such a column. cdc reads them from
INFORMATION_SCHEMA in the same way, otherwise the daemon stops. (MySQL itself never had fractions in these formats.)

${casesTable(OLD_TEMPORAL_CASES)}

## Unusual tables and columns

${SPECIAL_TABLES.map(({ about, on }) => wrapped(`- ${about}${on ? ` (${on.join(', ')})` : ''}`.split(' '), '  ')).join('\n')}

## Character sets

Single-byte character sets are tested with all 256 bytes (see above). The following are tested with every code, unmapped
codes included (four-byte gb18030: all of the BMP, and samples beyond it):
${CODE_SPACE_NAMES.join(', ')}.

## Random values

${wrapped(RANDOM_COLUMNS.map(({ type, on }, i) => `\`${short(type)}\`${on ? ` (${on.join(', ')})` : ''}${i < RANDOM_COLUMNS.length - 1 ? ',' : '.'}`))}

## Not exact, and why

- Half of a surrogate pair in a UCS2 column becomes \`?\`. MySQL's own CONVERT ends the text there; MariaDB's CONVERT
  produces invalid UTF-8.
- If two shortest texts of a float are equally close, cdc writes the one with the even last digit.
- Labels of ENUM and SET beyond the BMP are exact if the binlog contains them (\`binlog_row_metadata=FULL\` on MySQL).
  MariaDB and MySQL 5.6 store them as \`?\`, and COLUMN_TYPE shows \`?\` on every server.
- A UUID column of MariaDB before 10.11.5 was not tested. It stores its bytes in another order.
`;
}

const listedOptions = (values: (typeof VALUE_SETS)[number]): string[] =>
  Object.entries(values).map(([name, value], i, all) => {
    const text = Array.isArray(value) ? `[${value.join(', ')}]` : value;
    return `\`${name}: ${text}\`${i < all.length - 1 ? ',' : ''}`;
  });

/** Pieces of text in lines of at most 120 characters. */
function wrapped(pieces: readonly string[], indent = ''): string {
  const lines: string[] = [];
  for (const piece of pieces) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + piece.length <= 120) lines[lines.length - 1] = `${last} ${piece}`;
    else lines.push(last === undefined ? piece : indent + piece);
  }
  return lines.join('\n');
}

function casesTable(cases: readonly TypeCase[]): string {
  const rows = cases.map(
    ({ type, kind, values, on, mode, note }) =>
      `| \`${cell(short(type))}\` | ${servers(on)} | ${kind} | ${listed(values)}${mode === undefined ? '' : ` (sql_mode \`${mode || "''"}\`)`}${note ? `; ${cell(note)}` : ''} |`,
  );
  return ['| type | on | as | values |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

const servers = (on: readonly Server[] | undefined): string => (on ? on.join(', ') : 'all');

function listed(values: readonly string[]): string {
  const different = [...new Set(values)];
  const shown = different.slice(0, 24).map((value) => `\`${cell(short(value))}\``);
  return shown.join(', ') + (different.length > 24 ? ` and ${different.length - 24} more` : '');
}

const short = (text: string): string => (text.length > 64 ? `${text.slice(0, 44)} … ${text.slice(-14)}` : text);
/** Without what would end the code or the cell, and without what cannot be seen. */
const cell = (text: string): string =>
  text
    .replaceAll('|', '\\|')
    .replaceAll('`', "'")
    .replace(/[\p{C}\u2028\u2029\u00a0]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
