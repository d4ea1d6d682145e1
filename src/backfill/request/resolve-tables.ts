import type { Connection } from 'mysql2/promise';
import type { Config } from '../../config/schema.ts';
import { quoteIdentifier } from '../../model/identifier.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import { canSelect, type Query, queryOn } from '../../source/server/query.ts';
import { type LexicalModes, Tokenizer, UNCLOSED } from '../../source/statement/tokenizer.ts';
import type { BackfillRequest } from '../control.ts';
import { matchRequest, type RequestProblem, requestError, type VisibleTable } from './match-request.ts';

/** A table that a backfill reads. */
export interface BackfillTable {
  schema: string;
  table: string;
}

/** A server of many tables takes some time to list them. */
const LIST_TIMEOUT_MS = 60_000;

/**
 * The tables that a request stands for, each of them captured, visible and readable.
 * @param ifNone whether it is no error if there is no captured table
 * @throws CdcError with exit code 2 that names every table that cannot be read, and why; nothing was read then
 */
export async function resolveTables(
  connection: Connection,
  config: Pick<Config, 'tables'>,
  request: Pick<BackfillRequest, 'tables' | 'where'>,
  ifNone?: 'may be empty',
): Promise<BackfillTable[]> {
  const query = queryOn(connection, LIST_TIMEOUT_MS);
  const [[lowerCase, sqlMode, version] = []] = await query(
    'SELECT @@global.lower_case_table_names, @@sql_mode, VERSION()',
  );
  const options = { caseSensitive: Number(lowerCase) === 0, mayBeEmpty: ifNone !== undefined };
  const { tables, problems } = matchRequest(await listTables(query), config.tables, request.tables, options);
  const found = [...problems, ...(await unreadable(query, tables))];
  if (found.length > 0) throw requestError(found);
  if (request.where !== undefined) {
    await checkCondition(connection, request.where, tables, lexicalModes(String(sqlMode), String(version)));
  }
  return tables.map(({ schema, table }) => ({ schema, table }));
}

async function listTables(query: Query): Promise<VisibleTable[]> {
  const rows = await query(
    `SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES
     WHERE TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  return rows.map(([schema, table, type]) => ({ schema: String(schema), table: String(table), kind: kindOf(type) }));
}

const kindOf = (type: unknown): string =>
  type === 'BASE TABLE' || type === 'SYSTEM VERSIONED' ? 'table' : String(type).toLowerCase();

/** A name that no table has. The server checks the privilege before the existence of a table. */
const NO_TABLE = 'cdc_check_no_such_table';

/** Asks once for each schema, and for each table only where the account cannot read the whole schema. */
async function unreadable(query: Query, tables: readonly VisibleTable[]): Promise<RequestProblem[]> {
  const bySchema = new Map<string, string[]>();
  for (const { schema, table } of tables) {
    const names = bySchema.get(schema);
    if (names === undefined) bySchema.set(schema, [table]);
    else names.push(table);
  }
  const problems: RequestProblem[] = [];
  for (const [schema, names] of bySchema) {
    if (await canSelect(query, schema, NO_TABLE)) continue;
    for (const table of names) {
      if (await canSelect(query, schema, table)) continue;
      const name = formatTableName(schema, table);
      problems.push({
        what: `this account has no SELECT on ${name}`,
        hint: `GRANT SELECT ON ${name} TO the account of source.url`,
      });
    }
  }
  return problems;
}

const lexicalModes = (sqlMode: string, version: string): LexicalModes => ({
  ansiQuotes: sqlMode.includes('ANSI_QUOTES'),
  noBackslashEscapes: sqlMode.includes('NO_BACKSLASH_ESCAPES'),
  nbspIsSpace: false,
  mariadb: /mariadb/i.test(version),
});

/**
 * @throws CdcError with exit code 2 unless the text is one condition on the columns of the one table: in parentheses it
 * must not end them, and the server must be able to prepare it
 */
async function checkCondition(
  connection: Connection,
  where: string,
  tables: readonly VisibleTable[],
  modes: LexicalModes,
): Promise<void> {
  const [only] = tables;
  if (only === undefined || tables.length > 1) {
    throw new CdcError('a condition needs exactly one table', {
      exitCode: 2,
      why: `the request stands for ${tables.length} tables`,
      hint: 'name one table with --where',
    });
  }
  const shape = problemOfShape(where, modes);
  if (shape !== undefined) throw conditionError(shape);
  const name = `${quoteIdentifier(only.schema)}.${quoteIdentifier(only.table)}`;
  let parameters = 0;
  try {
    await connection.query(`USE ${quoteIdentifier(only.schema)}`);
    const prepared = await connection.prepare(`SELECT 1 FROM ${name} WHERE (${where})`);
    parameters = (prepared as unknown as { statement: { parameters: unknown[] } }).statement.parameters.length;
    await prepared.close();
  } catch (error) {
    const { message, fatal } = error as Error & { fatal?: boolean };
    throw fatal ? error : conditionError(message, error);
  }
  if (parameters > 0) throw conditionError('it has a placeholder (?)');
}

/** What is wrong with a text that is to stand between parentheses; undefined if it is one condition. */
export function problemOfShape(where: string, modes: LexicalModes): string | undefined {
  const tokens = new Tokenizer(where, modes);
  let depth = 0;
  let count = 0;
  for (; tokens.next.kind !== 'end'; count++) {
    const { kind, text } = tokens.take();
    if (kind === 'symbol' && text === UNCLOSED) return 'a quote is not closed';
    if (kind !== 'symbol') continue;
    if (text === '(') depth++;
    if (text === ')' && --depth < 0) return 'it closes a parenthesis that it did not open';
  }
  if (depth > 0) return 'a parenthesis is not closed';
  return count === 0 ? 'it is empty' : undefined;
}

const conditionError = (why: string, cause?: unknown): CdcError =>
  new CdcError('--where is not a condition on this table', {
    exitCode: 2,
    why,
    hint: `write what follows WHERE, such as --where 'created_at >= "2026-01-01"'`,
    cause,
  });
