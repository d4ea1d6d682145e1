import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect } from '../dialect.ts';
import { STATE_SCHEMA } from '../names.ts';
import { DAY_PATTERN, eventColumns, type LineReader } from './event-columns.ts';
import { catalogName, pathStep } from './path-names.ts';
import { backticked, DECIMAL_DIGITS_MAX, doubleQuoted, NOTES, quotedText, wordsAsNumbers } from './sql-text.ts';

const NAME_BYTES_MAX = 255;

const path = (...names: string[]): string => quotedText(`$${names.map((name) => `[${pathStep(name)}]`).join('')}`);
const LINE: LineReader = {
  text: (...names) => `json_extract_scalar(l.line, ${path(...names)})`,
  isTrue: (text) => `coalesce(${text} = 'true', false)`,
  row: () => 'l.line',
};

/** Amazon Athena, engine version 3: external tables over the lake, and Iceberg tables of the current state. */
export const athena: Dialect = {
  name: 'athena',
  title: 'Amazon Athena',
  textType: 'string',
  booleanType: 'boolean',
  tableSuffix: (names, { lake }) => `
LOCATION ${quotedText(tableLocation(lake, names))}
TBLPROPERTIES ('table_type' = 'ICEBERG')`,
  primaryKey: 'none',
  hasNotNull: false,
  // An Iceberg table has none there.
  comments: { column: (text) => ` COMMENT ${text}`, table: () => '' },
  mergesTablesOnly: false,
  keyKinds: new Set(['integer', 'decimal', 'text', 'binary']),
  notes: [
    'Athena runs one statement at a time, and has no transaction over several. Each can run again after a failure; let',
    'one run end before the next begins. A run reads all objects of the lake: end those that are merged by a lifecycle rule.',
  ],
  begin: '',
  now: "CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp(6))",
  hasTemporaryViews: false,
  timestampType: 'timestamp',
  dayText: (time, days) => `date_format(${time} - interval '${days}' day, '%Y/%m/%d')`,
  landing: {
    kind: 'files',
    // A JSON text has no control character, so a line is one field. Folders below the location are read too.
    define: ({ lake }) => [
      `CREATE EXTERNAL TABLE IF NOT EXISTS ${STATE_SCHEMA}.landing (
  line string
)
ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\001' LINES TERMINATED BY '\\n'
STORED AS TEXTFILE
LOCATION ${quotedText(`${lake.replace(/\/*$/, '')}/`)}`,
    ],
    events: (all) => `SELECT ${eventColumns(all, LINE)},
  coalesce(regexp_extract(l."$path", ${quotedText(DAY_PATTERN)}, 1), '') AS day
FROM ${STATE_SCHEMA}.landing l`,
    remove: () => [],
  },
  quote: doubleQuoted,
  quoteInDefinition: backticked,
  literal: quotedText,
  legalName: (name) => catalogName(name, NAME_BYTES_MAX, { lowerCase: true }),
  columnType(kind) {
    switch (kind.kind) {
      case 'integer':
        if (kind.bits < 32 || (kind.bits === 32 && !kind.unsigned)) return { type: 'int' };
        if (kind.bits === 32 || !kind.unsigned) return { type: 'bigint' };
        return { type: 'decimal(20, 0)', note: NOTES.unsigned };
      case 'decimal':
        if (kind.precision > DECIMAL_DIGITS_MAX) return { type: 'string', note: NOTES.decimal };
        return { type: `decimal(${kind.precision}, ${kind.scale})` };
      case 'float':
        return { type: 'float' };
      case 'double':
        return { type: 'double' };
      case 'date':
        return { type: 'date', note: NOTES.date };
      case 'datetime':
        return { type: 'timestamp', note: NOTES.date };
      case 'timestamp':
        return { type: 'timestamp', note: `in UTC; ${NOTES.date}` };
      case 'time':
        return { type: 'string', note: NOTES.time };
      case 'text':
        return { type: 'string' };
      case 'binary':
        return { type: 'binary' };
      case 'json':
        return { type: 'string', note: NOTES.document };
    }
  },
  value(text, kind, values) {
    switch (kind.kind) {
      case 'integer': {
        const { type } = athena.columnType(kind);
        const asInteger = type === 'int' ? 'integer' : type;
        return `try_cast(${kind.words ? wordsAsNumbers(text) : text} AS ${asInteger})`;
      }
      case 'decimal':
        return kind.precision > DECIMAL_DIGITS_MAX
          ? text
          : `try_cast(${text} AS decimal(${kind.precision}, ${kind.scale}))`;
      case 'float':
        return `try_cast(${text} AS real)`;
      case 'double':
        return `try_cast(${text} AS double)`;
      case 'date':
      case 'datetime':
      case 'timestamp':
        return temporal(text, kind.kind, values);
      case 'time':
      case 'text':
      case 'json':
        return text;
      case 'binary':
        return values.binary === 'hex' ? `try(from_hex(${text}))` : `try(from_base64(${text}))`;
    }
  },
  lengthText: (text) => `cast(length(${text}) AS varchar)`,
  addColumn: (table, column, type, value) => [
    `ALTER TABLE ${table} ADD COLUMNS (${column} ${type})`,
    ...(value === undefined ? [] : [`UPDATE ${inQuery(table)} SET ${inQuery(column)} = ${value} WHERE true`]),
  ],
  altersInTransaction: false,
  dropNotNull: () => [],
  // Iceberg only widens types: other changes need a new table.
  alterType: (table, column, type) => [`ALTER TABLE ${table} CHANGE COLUMN ${column} ${column} ${type}`],
  members(row, wanted, format) {
    const paths = (name: string): string[] =>
      format === 'flat' ? [path(name)] : [path('after', name), path('key', name)];
    return {
      select: wanted.flatMap(({ name, isDocument }, i) => {
        const texts = paths(name).map((one) =>
          isDocument
            ? `nullif(json_format(json_extract(${row}, ${one})), 'null')`
            : `json_extract_scalar(${row}, ${one})`,
        );
        return [
          `${texts.length === 1 ? texts[0] : `coalesce(${texts.join(', ')})`} AS v${i}`,
          `json_extract(${row}, ${paths(name)[0]}) IS NOT NULL AS p${i}`,
        ];
      }),
      from: '',
      text: (i) => `v${i}`,
      isPresent: (i) => `p${i}`,
    };
  },
  eachMember(row, format) {
    const object = format === 'flat' ? `json_parse(${row})` : `json_extract(${row}, ${path('after')})`;
    return {
      from: `CROSS JOIN UNNEST(map_entries(CAST(${object} AS map(varchar, json)))) AS m (name, value)`,
      name: 'm.name',
      text: "coalesce(json_extract_scalar(m.value, '$'), nullif(json_format(m.value), 'null'))",
    };
  },
};

/** A name of a definition as queries have it. */
const inQuery = (name: string): string => name.replaceAll('`', '"');

/** Beside the lake, because everything below the lake is taken for events. */
export function tableLocation(lake: string, names: readonly string[]): string {
  const [, bucket = lake] = /^(s3:\/\/[^/]+|file:)/.exec(lake) ?? [];
  return `${bucket}/cdc-warehouse/${names.join('/')}/`;
}

function temporal(text: string, kind: 'date' | 'datetime' | 'timestamp', values: ValueOptions): string {
  if (values.temporal === 'epoch_micros') {
    const time = `cast(from_unixtime_nanos(try_cast(${text} AS bigint) * 1000) AT TIME ZONE 'UTC' AS timestamp(6))`;
    return kind === 'date' ? `cast(${time} AS date)` : time;
  }
  if (kind === 'date') return `try_cast(${text} AS date)`;
  return `try_cast(replace(rtrim(${text}, 'Z'), 'T', ' ') AS timestamp(6))`;
}
