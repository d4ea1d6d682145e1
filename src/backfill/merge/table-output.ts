import type { ByteWriter } from '../../codec/bytes/byte-writer.ts';
import { EventWriter } from '../../codec/event-writer.ts';
import { compileDestinations } from '../../config/destinations.ts';
import type { Config } from '../../config/schema.ts';
import type { Delivery } from '../../delivery/delivery.ts';
import type { EncodedEvent } from '../../model/encoded-event.ts';
import { countLine, type TableEvents, type TablesActivity } from '../../model/table-activity.ts';
import { compileFallbackKeys, eventFormat, withRowKey } from '../../source/event-table.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import type { ServerInfo } from '../../source/server/server-info.ts';

/** Where the rows of a table go, and how they are written. */
export interface TableOutput {
  writer: EventWriter;
  /** Appends an event of the writer to the stream of the table. */
  append(event: EncodedEvent, op: keyof TableEvents): void;
}

export type CreateTableOutput = (table: DeclaredTable, out: ByteWriter) => TableOutput;

/** Rows of a backfill are written and routed as the stream writes and routes the changes of their table. */
export function tableOutputs(
  config: Config,
  server: ServerInfo,
  epoch: number,
  { delivery, activity }: { delivery: Delivery; activity: TablesActivity },
): CreateTableOutput {
  const { caseSensitive } = server;
  const format = eventFormat(config, server, epoch);
  const destinations = compileDestinations(config, { caseSensitive });
  const fallbackKeys = compileFallbackKeys(config, caseSensitive);
  return (declared, out) => {
    const table = withRowKey(declared, declared.columns, declared.primaryKey, fallbackKeys);
    const target = destinations.indexOf(table.schema, table.name);
    const counted = activity.of(table.schema, table.name);
    return {
      writer: new EventWriter(table, format, out, 'row-packet'),
      append(event, op) {
        counted.events[op]++;
        countLine(counted, event);
        delivery.append(target, event);
      },
    };
  };
}
