import { expect, test } from 'vitest';
import { parseCopyOptions } from '../../../../../src/local/firehose/redshift/copy-options.ts';
import { copiedColumns, insertSql, type TableColumn } from '../../../../../src/local/firehose/redshift/copy-sql.ts';
import { parseDataTableColumns, parseDataTableName } from '../../../../../src/local/firehose/redshift/names.ts';

const column = (name: string, type_name: string, more: Partial<TableColumn> = {}): TableColumn => ({
  name,
  type: `pg_catalog.${type_name}`,
  type_name,
  length: -1,
  default_sql: null,
  generated: false,
  ...more,
});

const sqlOf = (columns: TableColumn[], options = '') =>
  insertSql('"t"', columns, parseCopyOptions(`JSON 'auto' ${options}`));

test('the statement of a landing table', () => {
  const columns = [
    column('op', 'varchar', { length: 1 }),
    column('after', 'jsonb'),
    column('ts_ms', 'int8', { default_sql: '0' }),
  ];
  expect(sqlOf(columns)).toBe(`INSERT INTO "t" ("op", "after", "ts_ms")
  SELECT r."op",
    CASE WHEN json_typeof(r."after") <> 'null' THEN r."after" END::pg_catalog.jsonb,
    CASE WHEN o.object -> 'ts_ms' IS NULL THEN 0 ELSE CAST(CASE WHEN r."ts_ms" ~ '\\S' THEN r."ts_ms" END AS pg_catalog.int8) END
  FROM json_array_elements($1::json) AS o(object), json_to_record(o.object) AS r("op" text, "after" json, "ts_ms" text)`);
});

test.each<[string, TableColumn, string]>([
  ['TRUNCATECOLUMNS', column('a', 'varchar', { length: 5 }), 'left(r."a", 5)'],
  ['TRUNCATECOLUMNS', column('a', 'text'), 'r."a"'],
  ['EMPTYASNULL', column('a', 'text'), `NULLIF(r."a", '')`],
  ['BLANKSASNULL', column('a', 'bpchar'), `CASE WHEN r."a" !~ '^\\s+$' THEN r."a" END`],
  ["TIMEFORMAT 'YYYY-MM-DD HH:MI'", column('a', 'timestamp'), "'YYYY-MM-DD HH24:MI'"],
  ["TIMEFORMAT 'HH12:MI AM'", column('a', 'timestamptz'), "'HH12:MI AM'"],
  ["TIMEFORMAT 'HH:MI PM'", column('a', 'timestamptz'), "'HH:MI PM'"],
  ["TIMEFORMAT 'epochsecs'", column('a', 'timestamptz'), "interval '1 second'"],
  ["TIMEFORMAT 'it''s \\Y'", column('a', 'timestamptz'), "E'it''s \\\\Y'"],
  ["TIMEFORMAT 'epochsecs'", column('a', 'date'), 'AS pg_catalog.date)'],
  ["DATEFORMAT 'MM-DD-YYYY'", column('a', 'date'), 'to_date(CASE WHEN r."a" ~ \'\\S\' THEN r."a" END, \'MM-DD-YYYY\')'],
  ['', column('a', 'bytea'), 'decode(CASE WHEN r."a" ~ \'\\S\' THEN r."a" END, \'hex\')'],
  ['', column('quo"te', 'text'), 'r."quo""te"'],
])('%s on a column', (options, one, expected) => {
  expect(sqlOf([one], options)).toContain(expected);
});

test('columns that the server fills are left out, unless they are listed', () => {
  const columns = [column('id', 'int4', { generated: true }), column('n', 'int4')];
  expect(copiedColumns(columns, undefined)).toEqual([columns[1]]);
  expect(copiedColumns(columns, ['n', 'id'])).toEqual([columns[1], columns[0]]);
  expect(() => copiedColumns(columns, ['m'])).toThrow('column "m" of DataTableColumns does not exist');
});

test('names are in lower case, unless they are in quotes', () => {
  expect(parseDataTableName('Public.EVENTS')).toBe('"public"."events"');
  expect(parseDataTableName(' "My ""Table" ')).toBe('"My ""Table"');
  expect(parseDataTableName('a."b.c"')).toBe('"a"."b.c"');
  expect(parseDataTableColumns('a, B ,"C,d"')).toEqual(['a', 'b', 'C,d']);
  expect(parseDataTableColumns(' ')).toBeUndefined();
  expect(() => parseDataTableName('a.b.c')).toThrow("DataTableName 'a.b.c' has more parts than a schema and a table");
  expect(() => parseDataTableName('a; DROP TABLE b')).toThrow("DataTableName 'a; DROP TABLE b' has an unexpected ;");
  expect(() => parseDataTableColumns('a,,b')).toThrow("DataTableColumns 'a,,b' is not a list of columns");
});
