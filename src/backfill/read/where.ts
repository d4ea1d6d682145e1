import { quoteIdentifier } from '../../model/identifier.ts';
import { CdcError } from '../../runtime/error.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import { parenthesized } from './range-sql.ts';
import type { PreparedStatement, ReadSession } from './session.ts';

/**
 * Checks that `where` is one condition. The server parses it twice: without parentheses it refuses `1) OR (1`, and
 * within them `1 ORDER BY id` or `1 UNION SELECT …`.
 *
 * @throws CdcError otherwise
 */
export async function checkWhere(session: ReadSession, table: DeclaredTable, where: string): Promise<void> {
  const invalid = (why: string, cause?: unknown): CdcError =>
    new CdcError(`--where is not a condition for ${table.schema}.${table.name}`, {
      exitCode: 2,
      why,
      hint: "give what follows WHERE, as one condition: --where \"created_at >= '2026-01-01' AND region = 'eu'\"",
      cause,
    });
  if (where.trim() === '') throw invalid('it is empty');
  await useSchema(session, table);
  for (const condition of [where, parenthesized(where)]) {
    let statement: PreparedStatement;
    try {
      statement = await session.prepare(`SELECT 1 FROM ${table.from} WHERE ${condition}`);
    } catch (error) {
      if ((error as { fatal?: boolean }).fatal) throw error;
      throw invalid((error as Error).message, error);
    }
    if (statement.parameters > 0) throw invalid('it contains a "?", which is a parameter');
  }
}

/** The condition can name functions and other tables of the schema. */
export async function useSchema(session: ReadSession, { schema }: DeclaredTable): Promise<void> {
  await session.query(`USE ${quoteIdentifier(schema)}`);
}
