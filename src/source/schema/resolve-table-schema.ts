import type { ConnectionOptions } from 'mysql2';
import type { Coordinates } from '../../model/coordinates.ts';
import type { Column } from '../../model/table.ts';
import type { ResolvedTableSchema } from '../../model/table-schema.ts';
import { CdcError } from '../../runtime/error.ts';
import { connectionError } from '../server/connection-error.ts';
import { connect, currentBinlogPosition } from '../server/server-info.ts';
import { findDdlFor } from './ddl-scan.ts';
import { mergeColumns, readInformationSchema } from './information-schema.ts';
import { columnSignature, type TableSchemaCache } from './table-schema-cache.ts';

/** A table as the stream shows it where it does not name its columns, or not all that they are. */
export interface BinlogTable {
  schema: string;
  name: string;
  columns: readonly Column[];
  /** Whether the stream named the columns; their names must be those of the declaration then. */
  hasColumnNames: boolean;
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
export async function resolveTableSchema(
  connection: ConnectionOptions,
  memory: TableSchemaCache,
  table: BinlogTable,
  at: Coordinates,
  signal: AbortSignal,
): Promise<ResolvedTableSchema> {
  const { schema, name } = table;
  const client = await connect(connection);
  try {
    for (let attempt = 1; ; attempt++) {
      const declared = await readInformationSchema(client, schema, name);
      if (declared === undefined)
        throw unresolvedError(table, 'it has been dropped or renamed since, or the user may not SELECT from it');
      // Read behind the declaration: a statement that it shows is in the binlog before this end.
      const end = await currentBinlogPosition(client);
      const columns = mergeColumns(table.columns, declared);
      const wrongName = typeof columns === 'string' ? undefined : findRenamedColumn(table, columns);
      const altered = await findDdlFor(connection, name, at, end, signal);
      if (typeof columns !== 'string' && wrongName === undefined && altered === undefined) {
        const known = {
          schema,
          table: name,
          shape: columnSignature(table.columns),
          from: { ...at },
          until: null,
          columns,
          primaryKey: declared.primaryKey,
        };
        memory.add(known);
        return known;
      }
      // A statement that runs just now may be seen in one of the two and not in the other.
      if (altered === undefined && attempt < ATTEMPTS) continue;
      const why = altered !== undefined ? `it may have been altered since: ${altered.slice(0, 200)}` : columns;
      throw unresolvedError(table, typeof why === 'string' ? why : `column ${wrongName} has another name today`);
    }
  } catch (error) {
    throw connectionError(error, connection);
  } finally {
    client.destroy();
  }
}

const findRenamedColumn = (table: BinlogTable, columns: Column[]): string | undefined =>
  table.hasColumnNames ? columns.find(({ name }, i) => name !== table.columns[i]?.name)?.name : undefined;

const unresolvedError = ({ schema, name }: BinlogTable, why: string): CdcError =>
  new CdcError(`the columns of ${schema}.${name} cannot be proven`, { exitCode: 4, why, hint: REMEDY });
