import { HiveSQL, SparkSQL, TrinoSQL } from 'dt-sql-parser';
import { parse as parsePostgres } from 'pgsql-parser';
import { parse as parseBigquery } from 'sql-parser-cst';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { DialectName } from '../../../src/warehouse/dialect.ts';
import { DIALECTS } from '../../../src/warehouse/dialects/dialects.ts';
import { readShapes, warehouseScript } from '../../../src/warehouse/script.ts';
import type { LandedTable } from '../../../src/warehouse/tables/landed-table.ts';
import { everyType, landedColumn, VALUES } from './landed.ts';

const polyglot = await import('@polyglot-sql/sdk');
beforeAll(async () => {
  await polyglot.init();
  // The ANTLR parsers print what they also return.
  vi.spyOn(console, 'error').mockImplementation(() => {});
});

type Parser = (sql: string) => Promise<string[]> | string[];

const byPolyglot =
  (dialect: string): Parser =>
  (sql) =>
    polyglot.validate(sql, dialect as never).errors.map(({ message, line }) => `${message}, line ${line}`);

const messages = (errors: { message: string; startLine: number }[]): string[] =>
  errors.map(({ message, startLine }) => `${message}, line ${startLine}`);

const thrown = async (parse: () => unknown): Promise<string[]> => {
  try {
    await parse();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
};

/** Athena reads definitions of tables as Hive, and everything else as Trino. */
const byAthenaParsers: Parser = (sql) =>
  sql.split(/;\n/).flatMap((text) => {
    const statement = text.replace(/^\s*--.*$/gm, '').trim();
    if (statement === '') return [];
    const isTrino = /^(MERGE|INSERT|UPDATE|DELETE|CREATE OR REPLACE VIEW|DROP VIEW|CREATE SCHEMA)\b/.test(statement);
    // Only Athena's Hive drops columns.
    if (/^ALTER TABLE \S+ DROP COLUMN/.test(statement)) {
      return messages(new TrinoSQL().validate(statement.replaceAll('`', '"')));
    }
    return messages((isTrino ? new TrinoSQL() : new HiveSQL()).validate(statement));
  });

/** What npm has for each dialect. DuckDB itself runs its script in merge tests. */
const PARSERS: Record<Exclude<DialectName, 'duckdb'>, Parser> = {
  redshift: byPolyglot('redshift'),
  snowflake: byPolyglot('snowflake'),
  athena: byAthenaParsers,
  // The parser takes all that follows a SET for its value. Spark itself runs the script in `npm run peers`.
  spark: (sql) => messages(new SparkSQL().validate(sql.replaceAll("SET TIME ZONE 'UTC';\n", ''))),
  bigquery: (sql) => thrown(() => parseBigquery(sql, { dialect: 'bigquery' })),
  postgres: (sql) => thrown(() => parsePostgres(sql)),
};

const TABLES = [everyType('select', ['id']), everyType('o"\'`.\\x', ['dtm', 'v'])];
const [FIRST] = TABLES as [LandedTable];

const ID = landedColumn('id', 'int', { isNullable: false });
const SMALL: LandedTable = { schema: 's', table: 't', comment: '', key: [0], columns: [ID, landedColumn('a', 'date')] };

const script = (name: DialectName, format: 'debezium' | 'flat', values = VALUES, tables: LandedTable[] = TABLES) =>
  warehouseScript({
    dialect: DIALECTS[name],
    delivered: { pipeline: 'shop', format, flatPrefix: '_', lake: 's3://bucket/shop-changes', tables },
    values,
    leftOut: [{ name: 'shop.log', why: 'it has no key;\nDROP TABLE x;' }],
  });

const OTHER_VALUES = {
  ...VALUES,
  temporal: 'epoch_micros',
  binary: 'hex',
  json: 'nested',
  boolean: ['tinyint1'],
} as typeof VALUES;

describe.each(Object.keys(PARSERS) as (keyof typeof PARSERS)[])('the script of %s', (name) => {
  const parse = PARSERS[name];

  test.each(['debezium', 'flat'] as const)('is SQL of that dialect, format %s', async (format) => {
    expect(await parse(script(name, format))).toEqual([]);
    expect(await parse(script(name, format, OTHER_VALUES, [FIRST]))).toEqual([]);
  });

  test('would fail its parser with a mistake in any kind of statement', async () => {
    const sql = script(name, 'debezium', VALUES, [SMALL]);
    const mistakes: [RegExp, string][] = [
      [/CREATE TABLE IF NOT EXISTS/, 'CREATE TABLE IF NOT'],
      [/WHEN NOT MATCHED THEN INSERT/, 'WHEN NOT MATCHED INSERT THEN'],
      [/MERGE INTO/, 'MERGE IN TO'],
      [/GROUP BY/, 'GROUP OF'],
      [/PARTITION BY/, 'PARTITION, BY'],
      [/WHERE NOT/, 'WHERE NOT NOT ,'],
    ];
    for (const [right, wrong] of mistakes) {
      expect(sql).toMatch(right);
      expect(await parse(sql.replace(right, wrong)), wrong).not.toEqual([]);
    }
  });
});

describe('a script', () => {
  test.each(Object.keys(DIALECTS) as DialectName[])(
    'of %s has a comment of one line for each table that is left out',
    (name) => {
      const lines = script(name, 'debezium').split('\n');
      expect(lines.filter((line) => line.includes('shop.log'))).toEqual([
        '-- shop.log is left out: it has no key; DROP TABLE x;.',
      ]);
    },
  );

  test('of Redshift has each MERGE as its manual allows it', () => {
    const merges = script('redshift', 'debezium').match(/MERGE INTO[^;]+/g) ?? [];
    expect(merges.length).toBeGreaterThan(0);
    for (const merge of merges) {
      expect(merge).toMatch(/^MERGE INTO \S+\.("[^"]*"+)+\nUSING cdc_stage\nON /);
      expect(merge.match(/WHEN MATCHED THEN UPDATE/g)).toHaveLength(1);
      expect(merge.match(/WHEN NOT MATCHED THEN INSERT/g)).toHaveLength(1);
      const [, on = ''] = /\nON (.*)\nWHEN MATCHED/.exec(merge) ?? [];
      expect(on).not.toMatch(/[<>]| OR | NOT /);
    }
  });

  test.each(Object.keys(DIALECTS) as DialectName[])('of %s changes the tables of an earlier one', async (name) => {
    const table = (...columns: LandedTable['columns'][number][]): LandedTable => ({
      ...{ schema: 'shop', table: 't', comment: '', key: [0], columns },
    });
    const before = table(ID, landedColumn('gone', 'int'), landedColumn('wider', 'int'));
    const after = table(ID, landedColumn('wider', 'varchar(9)'), landedColumn('added', 'varchar(9)', { fill: "it's" }));
    const known = readShapes(script(name, 'debezium', VALUES, [before]));
    const next = warehouseScript({
      dialect: DIALECTS[name],
      delivered: { pipeline: 'shop', format: 'debezium', flatPrefix: '_', lake: 's3://bucket/x', tables: [after] },
      values: VALUES,
      known,
      leftOut: [],
    });
    expect(next).toMatch(/ALTER TABLE \S+ DROP COLUMN .gone./);
    expect(next).toMatch(/ALTER TABLE \S+ ADD COLUMNS? \(?.added./);
    expect(next.match(/ALTER TABLE/g)!.length).toBeGreaterThan(2);
    if (name !== 'duckdb') expect(await PARSERS[name](next)).toEqual([]);
    expect([...readShapes(next).values()][0]!.columns.map((column) => column.source)).toEqual(['id', 'wider', 'added']);
  });
});
