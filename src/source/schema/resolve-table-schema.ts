import type { ConnectionOptions } from 'mysql2';
import type { Coordinates } from '../../model/coordinates.ts';
import type { Column } from '../../model/table.ts';
import type { ResolvedTableSchema } from '../../model/table-schema.ts';
import { CdcError } from '../../runtime/error.ts';
import { connectionError } from '../server/connection-error.ts';
import { connect, endOfBinlog } from '../server/server-info.ts';
import { findAlteration } from './ddl-scan.ts';
import { matchColumns, readDeclaredTable } from './information-schema.ts';
import { shapeOf, type TableMemory } from './table-schema-cache.ts';

/** A table as the stream shows it where it does not name its columns, or not all that they are. */
export interface StreamTable {
  schema: string;
  name: string;
  columns: readonly Column[];
  /** Whether the stream named the columns; their names must be those of the declaration then. */
  named: boolean;
}

const ATTEMPTS = 3;
const REMEDY =
  'SET GLOBAL binlog_row_metadata=FULL (and in the configuration of the server), so that the stream names its columns; what was written before needs a start behind it and a new copy of the table';

/**
 * Finds the columns of a table in INFORMATION_SCHEMA, which knows only today's, and proves that they are those of the
 * event: they agree in count, types, metadata and nullability, and no statement between the event and the end of the
 * binlog may have altered the table. What is proven is remembered.
 * @throws CdcError when it cannot be proven; never a guess
 */
export async function lookUpTable(
  connection: ConnectionOptions,
  memory: TableMemory,
  table: StreamTable,
  at: Coordinates,
  signal: AbortSignal,
): Promise<ResolvedTableSchema> {
  const { schema, name } = table;
  const client = await connect(connection);
  try {
    for (let attempt = 1; ; attempt++) {
      const declared = await readDeclaredTable(client, schema, name);
      if (declared === undefined)
        throw unproven(table, 'it has been dropped or renamed since, or the user may not SELECT from it');
      // Read behind the declaration: a statement that it shows is in the binlog before this end.
      const end = await endOfBinlog(client);
      const columns = matchColumns(table.columns, declared);
      const wrongName = typeof columns === 'string' ? undefined : renamed(table, columns);
      const altered = await findAlteration(connection, name, at, end, signal);
      if (typeof columns !== 'string' && wrongName === undefined && altered === undefined) {
        const known = {
          schema,
          table: name,
          shape: shapeOf(table.columns),
          from: { ...at },
          until: null,
          columns,
          primaryKey: declared.primaryKey,
        };
        memory.remember(known);
        return known;
      }
      // A statement that runs just now may be seen in one of the two and not in the other.
      if (altered === undefined && attempt < ATTEMPTS) continue;
      const why = altered !== undefined ? `it may have been altered since: ${altered.slice(0, 200)}` : columns;
      throw unproven(table, typeof why === 'string' ? why : `column ${wrongName} has another name today`);
    }
  } catch (error) {
    throw connectionError(error, connection);
  } finally {
    client.destroy();
  }
}

const renamed = (table: StreamTable, columns: Column[]): string | undefined =>
  table.named ? columns.find(({ name }, i) => name !== table.columns[i]?.name)?.name : undefined;

const unproven = ({ schema, name }: StreamTable, why: string): CdcError =>
  new CdcError(`the columns of ${schema}.${name} cannot be proven`, { exitCode: 4, why, hint: REMEDY });
