import type { Connection, RowDataPacket } from 'mysql2/promise';
import { quoteIdentifier } from '../../model/identifier.ts';
import { QUERY_TIMEOUT_MS } from '../limits.ts';

/** Runs a query whose rows are arrays. */
export type Query = (sql: string, values?: unknown[]) => Promise<(string | number | null)[][]>;

export const queryOn =
  (connection: Connection, timeoutMs = QUERY_TIMEOUT_MS): Query =>
  async (sql, values) => {
    const [rows] = await connection.query<RowDataPacket[]>({
      sql,
      values: values ?? [],
      rowsAsArray: true,
      timeout: timeoutMs,
    });
    return rows as unknown as (string | number | null)[][];
  };

/** ER_DBACCESS_DENIED, ER_ACCESS_DENIED, ER_TABLEACCESS_DENIED, ER_COLUMNACCESS_DENIED, ER_SPECIFIC_ACCESS_DENIED. */
const DENIED: ReadonlySet<unknown> = new Set([1044, 1045, 1142, 1143, 1227]);

/** The answer of the server, or undefined if the account lacks the privilege. */
export async function undefinedIfDenied<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (DENIED.has((thrown as { errno?: number }).errno)) return undefined;
    throw thrown;
  }
}

/**
 * Whether the account can read a table of that name. The answer is yes for a table that does not exist or is broken:
 * the server checks privileges before existence.
 */
export async function canSelect(query: Query, schema: string, table: string): Promise<boolean> {
  const answer = query(`SELECT * FROM ${quoteIdentifier(schema)}.${quoteIdentifier(table)} LIMIT 0`).catch((thrown) => {
    if (DENIED.has(thrown.errno) || thrown.fatal) throw thrown;
    return [];
  });
  return (await undefinedIfDenied(answer)) !== undefined;
}
