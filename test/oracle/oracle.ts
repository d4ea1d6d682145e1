import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import type { EncodedEvent } from '../../src/model/encoded-event.ts';
import { quoteIdentifier } from '../../src/model/identifier.ts';
import type { Table } from '../../src/model/table.ts';
import { ChangeStream } from '../../src/source/change-stream.ts';
import { TableSchemaCache } from '../../src/source/schema/table-schema-cache.ts';
import { readServerInfo, type ServerInfo } from '../../src/source/server/server-info.ts';
import { startPoint } from '../../src/source/start-point.ts';
import { IGNORE_CHANGES, lineOf } from '../encoded-event.ts';
import { type Answer, expectedJson, isFloat, type Kind, RENDERINGS, type Values } from './expected-value.ts';

/** A table whose values are all compared. Its first column is its key, and the updates change the column `n`. */
export interface OracleTable {
  name: string;
  /** Statements that create the table, before any event is compared. They can change the session. */
  create: readonly string[];
  /** Statements that insert the rows. */
  fill: readonly string[];
  mode?: string;
  /** The number of events per row. Default: three (insert, update and delete). */
  events?: number;
  columns: readonly { name: string; kind: Kind }[];
}

/** Options with every value of every `values:` key. */
export const VALUE_SETS: readonly Values[] = [
  {
    ...({ bigint: 'number', decimal: 'string', json: 'string', binary: 'base64', temporal: 'iso' } as const),
    ...({ zero_dates: 'text', boolean: [] } as const),
  },
  {
    ...({ bigint: 'string', decimal: 'number', json: 'nested', binary: 'hex', temporal: 'mysql' } as const),
    ...{ zero_dates: 'null', boolean: ['tinyint1', 'bit1'] },
  },
  {
    ...({ bigint: 'number', decimal: 'number', json: 'string', binary: 'hex', temporal: 'epoch_micros' } as const),
    ...{ zero_dates: 'text', boolean: ['bit1'] },
  },
];

export interface Comparison {
  /** The number of compared column values. */
  values: number;
  differences: string[];
}

const STRICT = 'STRICT_ALL_TABLES';
const MAX_DIFFERENCES = 40;

export async function connect(url: string): Promise<Connection> {
  const connection = await createConnection({ uri: url, rowsAsArray: true, charset: 'utf8mb4' });
  await connection.query("SET time_zone = '+00:00', foreign_key_checks = 0");
  return connection;
}

/**
 * Inserts, updates and deletes the rows of the tables. Compares each column value of each event, in both images and
 * with each set of options, with the result of a SELECT between INSERT and UPDATE.
 */
export async function compareWithSelect(url: string, tables: readonly OracleTable[]): Promise<Comparison> {
  return inSchema(url, async (connection, schema) => {
    for (const { create } of tables) await run(connection, create);
    await connection.query('CREATE TABLE done (id INT PRIMARY KEY)');
    const server = await readServerInfo(sourceConnection(configOf(url, schema, VALUE_SETS[0] as Values).source));
    const selected = new Map<string, SelectedTable>();
    for (const table of tables) selected.set(table.name, await fill(connection, table));
    for (const { name } of tables) await connection.query(`DELETE FROM ${quoteIdentifier(name)}`);
    await connection.query('INSERT INTO done VALUES (1)');

    const comparison: Comparison = { values: 0, differences: [] };
    const tableSchemas = new TableSchemaCache([]);
    for (const values of VALUE_SETS) {
      const checker = new LineChecker(selected, values, comparison);
      await follow(configOf(url, schema, values), server, tableSchemas, (line) => checker.line(line));
      checker.finish();
    }
    return comparison;
  });
}

/** Runs the statements in a new schema and returns their event lines. */
export async function captureLines(url: string, statements: readonly string[]): Promise<string[]> {
  return inSchema(url, async (connection, schema) => {
    const config = configOf(url, schema, VALUE_SETS[0] as Values);
    const server = await readServerInfo(sourceConnection(config.source));
    await run(connection, [...statements, 'CREATE TABLE done (id INT)', 'INSERT INTO done VALUES (1)']);
    const lines: string[] = [];
    await follow(config, server, new TableSchemaCache([]), (line) => {
      const ended = line.includes('"table":"done"');
      if (!ended) lines.push(line);
      return ended;
    });
    return lines;
  });
}

export async function inSchema<T>(
  url: string,
  work: (connection: Connection, schema: string) => Promise<T>,
): Promise<T> {
  const schema = `oracle_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  const connection = await connect(url);
  try {
    await connection.query(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`);
    await connection.query(`USE ${schema}`);
    return await work(connection, schema);
  } finally {
    await connection.query(`DROP DATABASE IF EXISTS ${schema}`);
    connection.destroy();
  }
}

export async function run(connection: Connection, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    try {
      await connection.query(statement);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${statement.slice(0, 300)}`, { cause: error });
    }
  }
}

function configOf(url: string, schema: string, values: Values): Config {
  const config = configSchema.parse({ source: { url }, tables: [`${schema}.*`], firehose: { stream: 'none' }, values });
  return config as Config;
}

interface SelectedTable {
  table: OracleTable;
  /** The result of the SELECT, by the text of the key. */
  rows: Map<string, Answer[]>;
}

async function fill(connection: Connection, table: OracleTable): Promise<SelectedTable> {
  await connection.query('SET sql_mode = ?', [table.mode ?? STRICT]);
  await run(connection, table.fill);
  const rows = new Map<string, Answer[]>();
  const floats = await selectColumns(connection, table, true);
  const others = await selectColumns(connection, table, false);
  others.forEach((texts, row) => {
    const answers = texts.map((text, i) => (isFloat(table.columns[i]!.kind) ? (floats[row]![i] as Answer) : text));
    rows.set(String(texts[0]), answers);
  });
  await connection.query(`UPDATE ${quoteIdentifier(table.name)} SET n = n + 1`);
  return { table, rows };
}

/** Selects the rows in key order. Columns of the other protocol are NULL. */
async function selectColumns(
  connection: Connection,
  { name, columns }: OracleTable,
  floats: boolean,
): Promise<Answer[][]> {
  if (floats && !columns.some(({ kind }) => isFloat(kind))) return [];
  const expressions = columns.map((column) =>
    isFloat(column.kind) === floats ? RENDERINGS[column.kind].select(quoteIdentifier(column.name)) : 'NULL',
  );
  const key = quoteIdentifier(columns[0]!.name);
  const sql = `SELECT ${expressions.join(', ')} FROM ${quoteIdentifier(name)} ORDER BY ${key}`;
  const [rows] = await (floats ? connection.execute<RowDataPacket[]>(sql) : connection.query<RowDataPacket[]>(sql));
  return rows as unknown as Answer[][];
}

/** Compares the event lines of one set of options with the selected rows. */
class LineChecker {
  readonly #selected: Map<string, SelectedTable>;
  readonly #values: Values;
  readonly #comparison: Comparison;
  readonly #seen = new Map<string, number>();

  constructor(selected: Map<string, SelectedTable>, values: Values, comparison: Comparison) {
    this.#selected = selected;
    this.#values = values;
    this.#comparison = comparison;
  }

  /** Compares a line. Returns true for the line that ends the run. */
  line(line: string): boolean {
    const tail = line.lastIndexOf(',"key":');
    const { key, source } = JSON.parse(`{${line.slice(tail + 1)}`) as Envelope;
    if (source.table === 'done') return true;
    const selected = this.#selected.get(source.table);
    // Tables that only help to create others are not compared.
    if (selected === undefined) return false;
    this.#seen.set(source.table, (this.#seen.get(source.table) ?? 0) + 1);
    const answers = selected.rows.get(String(Object.values(key)[0]));
    if (answers === undefined) this.#differ(`an event of a row that SELECT did not return: ${line.slice(0, 200)}`);
    else this.#compare(selected.table, answers, line.slice(0, tail));
    return false;
  }

  #compare(table: OracleTable, answers: Answer[], actual: string): void {
    const op = actual[7];
    const [before, after] = [op === 'c' ? undefined : op === 'u' ? 0 : 1, op === 'd' ? undefined : op === 'u' ? 1 : 0];
    const parts = [
      { column: 'op', text: `{"op":"${op}","before":` },
      ...this.#image(table, answers, before),
      { column: 'after', text: ',"after":' },
      ...this.#image(table, answers, after),
    ];
    this.#comparison.values += parts.length - 4;
    let at = 0;
    for (const { column, text } of parts) {
      if (!actual.startsWith(text, at)) {
        const place = `${table.name} ${String(answers[0])} ${column} ${JSON.stringify(this.#values)}`;
        const [expected, got] = [text, actual.slice(at, at + text.length + 20)].map(brief);
        return this.#differ(`${place}\n  SELECT ${expected}\n  event  ${got}`);
      }
      at += text.length;
    }
    if (at !== actual.length) this.#differ(`the line continues after the images: ${actual.slice(at, at + 100)}`);
  }

  /** The expected text of an image, column by column. */
  #image({ columns }: OracleTable, answers: Answer[], n: number | undefined): { column: string; text: string }[] {
    if (n === undefined) return [{ column: 'image', text: 'null' }];
    return columns.map(({ name, kind }, i) => {
      const value = name === 'n' ? String(n) : expectedJson(kind, answers[i] as Answer, this.#values);
      const text = `${i === 0 ? '{' : ','}${JSON.stringify(name)}:${value}${i === columns.length - 1 ? '}' : ''}`;
      return { column: name, text };
    });
  }

  #differ(text: string): void {
    if (this.#comparison.differences.length < MAX_DIFFERENCES) this.#comparison.differences.push(text);
  }

  /** Checks that every row has its number of events. */
  finish(): void {
    for (const [name, { rows, table }] of this.#selected) {
      const seen = this.#seen.get(name) ?? 0;
      if (seen !== rows.size * (table.events ?? 3)) this.#differ(`${name}: ${seen} events of ${rows.size} rows`);
    }
  }
}

interface Envelope {
  key: Record<string, unknown>;
  source: { table: string };
}

const brief = (text: string): string => {
  const shown = text.length > 400 ? `${text.slice(0, 200)} … ${text.slice(-190)}` : text;
  // Invisible characters are escaped, because they can be the difference.
  return shown.replace(/[^\x20-\x7e]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
};

/** Follows the binlog from the server's position with the daemon's own change stream. */
export async function follow(
  config: Config,
  server: ServerInfo,
  tableSchemas: TableSchemaCache,
  take: TakeLine,
  onTable?: (table: Table) => void,
): Promise<void> {
  const done = new AbortController();
  const start = { ...startPoint({ start: 'now' }, undefined, server), tableSchemas };
  await new ChangeStream({ config, server, start, signal: done.signal, ...(onTable && { onTable }) }).follow({
    ...IGNORE_CHANGES,
    needsKeys: true,
    append(_target, event) {
      if (!done.signal.aborted && take(lineOf(event), event)) done.abort();
    },
  });
}

/** Receives a line. Returns true to end the run. */
type TakeLine = (line: string, event: EncodedEvent) => boolean;
