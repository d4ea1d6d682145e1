import type { Connection, RowDataPacket } from 'mysql2/promise';

/** A query whose rows come as arrays. */
export type Query = (sql: string, values?: unknown[]) => Promise<(string | number | null)[][]>;

export const queryOn =
  (connection: Connection): Query =>
  async (sql, values) => {
    const [rows] = await connection.query<RowDataPacket[]>({
      sql,
      values: values ?? [],
      rowsAsArray: true,
      timeout: 10_000,
    });
    return rows as unknown as (string | number | null)[][];
  };

/** ER_DBACCESS_DENIED, ER_ACCESS_DENIED, ER_TABLEACCESS_DENIED, ER_COLUMNACCESS_DENIED, ER_SPECIFIC_ACCESS_DENIED. */
const DENIED: ReadonlySet<unknown> = new Set([1044, 1045, 1142, 1143, 1227]);

/** What the server answers, or undefined where it refuses for want of a privilege. */
export async function undefinedIfDenied<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (DENIED.has((thrown as { errno?: number }).errno)) return undefined;
    throw thrown;
  }
}

/** Whether this account may read a table of that name. A table that is not there, or is broken, is not refused. */
export async function canSelect(ask: Query, schema: string, table: string): Promise<boolean> {
  const answer = ask(`SELECT * FROM ${quoteTable(schema, table)} LIMIT 0`).catch((thrown) => {
    if (DENIED.has(thrown.errno) || thrown.fatal) throw thrown;
    return [];
  });
  return (await undefinedIfDenied(answer)) !== undefined;
}

/** Not `??` of mysql2, which splits a name at its dots. */
export const quoteName = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
export const quoteTable = (schema: string, table: string): string => `${quoteName(schema)}.${quoteName(table)}`;
