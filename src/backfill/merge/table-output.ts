import type { ByteWriter } from '../../codec/bytes/byte-writer.ts';
import { EventWriter } from '../../codec/event-writer.ts';
import type { Config } from '../../config/schema.ts';
import { compileRoutes } from '../../model/routes.ts';
import { compileFallbackKeys, eventFormat, withRowKey } from '../../source/event-table.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import type { ServerInfo } from '../../source/server/server-info.ts';

/** Where the rows of a table go, and how they are written. */
export interface TableOutput {
  writer: EventWriter;
  /** The index of its stream. */
  target: number;
}

export type CreateTableOutput = (table: DeclaredTable, out: ByteWriter) => TableOutput;

/** Rows of a backfill are written and routed as the stream writes and routes the changes of their table. */
export function tableOutputs(config: Config, server: ServerInfo, epoch: number): CreateTableOutput {
  const { caseSensitive } = server;
  const format = eventFormat(config, server, epoch);
  const routes = compileRoutes(config.firehose.routes, config.firehose.stream, { caseSensitive });
  const fallbackKeys = compileFallbackKeys(config, caseSensitive);
  return (declared, out) => {
    const table = withRowKey(declared, declared.columns, declared.primaryKey, fallbackKeys);
    return {
      writer: new EventWriter(table, format, out, 'row-packet'),
      target: routes.streamOf(table.schema, table.name),
    };
  };
}
