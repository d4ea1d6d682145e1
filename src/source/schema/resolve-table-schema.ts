import type { Coordinates } from '../../model/coordinates.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import type { Column } from '../../model/table.ts';
import type { ResolvedTableSchema } from '../../model/table-schema.ts';
import { CdcError } from '../../runtime/error.ts';
import { connectionError } from '../server/connection-error.ts';
import { connect, currentBinlogPosition } from '../server/server-info.ts';
import type { DdlScan } from './ddl-scan.ts';
import { mergeColumns, readInformationSchema, withHiddenColumns } from './information-schema.ts';
import { columnSignature, type TableSchemaCache } from './table-schema-cache.ts';

/** A table as the binlog describes it, without the names of its columns or without their full types. */
export interface BinlogTable {
  schema: string;
  name: string;
  columns: readonly Column[];
  /** Whether the binlog names the columns. If so, the names must match those of INFORMATION_SCHEMA. */
  hasColumnNames: boolean;
}

const ATTEMPTS_MAX = 3;
const FULL_METADATA_HINT =
  'SET GLOBAL binlog_row_metadata=FULL (and in the configuration of the server), so that the binlog names the columns; for rows logged before that, start after them and copy the table again (cdc backfill)';
/** The names are in the binlog, but not which of its types a column has. */
const UNKNOWN_TYPE_HINT =
  'the binlog does not show UUID and INET of MariaDB, and TINYINT(1), which values.boolean asks for: start after the statement and copy the table again (cdc backfill), exclude the table, or remove tinyint1 from values.boolean';

/**
 * Reads the columns of a table from INFORMATION_SCHEMA, which knows only the present ones, and proves that they are the
 * columns of the event: they agree in count, types, metadata and nullability, and no statement between the event and
 * the end of the binlog can have changed the columns or the row key of the table. Proven columns are cached.
 * @throws CdcError if the columns cannot be proven; it never guesses
 */
export async function resolveTableSchema(
  connection: SourceConnection,
  { cache, scan }: { cache: TableSchemaCache; scan: DdlScan },
  table: BinlogTable,
  at: Coordinates,
): Promise<ResolvedTableSchema> {
  const { schema, name } = table;
  const client = await connect(connection);
  try {
    for (let attempt = 1; ; attempt++) {
      const listed = await readInformationSchema(client, schema, name);
      if (listed === undefined)
        throw unresolvedError(table, 'it was dropped or renamed since, or the user lacks SELECT on it');
      const declared = withHiddenColumns(listed, table.columns.length);
      // Queried after INFORMATION_SCHEMA: a statement that it shows is in the binlog before this end.
      const end = await currentBinlogPosition(client);
      const columns = mergeColumns(table.columns, declared);
      const renamedColumn = typeof columns === 'string' ? undefined : findRenamedColumn(table, columns);
      // A key is added or dropped beside the primary key, which stays the row key.
      const altered = (await scan.changesOf(schema, name, at, end)).find(
        ({ effect }) => effect === 'columns' || !declared.hasPrimaryKey,
      );
      if (typeof columns !== 'string' && renamedColumn === undefined && altered === undefined) {
        const resolved = {
          schema,
          table: name,
          shape: columnSignature(table.columns),
          from: { ...at },
          until: null,
          columns,
          primaryKey: declared.primaryKey,
        };
        cache.add(resolved);
        return resolved;
      }
      // A statement that runs at this moment can be visible in one of the two and not in the other.
      if (altered === undefined && attempt < ATTEMPTS_MAX) continue;
      const why =
        altered !== undefined
          ? `${altered.label} at ${altered.at.file}:${altered.at.position} can have changed it since`
          : columns;
      throw unresolvedError(
        table,
        typeof why === 'string' ? why : `column ${renamedColumn} has another name in the binlog`,
      );
    }
  } catch (error) {
    throw connectionError(error, connection);
  } finally {
    client.destroy();
  }
}

const findRenamedColumn = (table: BinlogTable, columns: Column[]): string | undefined =>
  table.hasColumnNames ? columns.find(({ name }, i) => name !== table.columns[i]?.name)?.name : undefined;

const unresolvedError = ({ schema, name, hasColumnNames }: BinlogTable, why: string): CdcError =>
  new CdcError(`cannot determine the columns of ${schema}.${name} at this binlog position`, {
    exitCode: 4,
    why,
    hint: hasColumnNames ? UNKNOWN_TYPE_HINT : FULL_METADATA_HINT,
  });
