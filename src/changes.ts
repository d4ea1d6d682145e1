import { BinlogReader } from './binlog/binlog-reader.ts';
import { BinlogStream } from './binlog/binlog-stream.ts';
import type { ServerFacts } from './binlog/server.ts';
import type { TableMap } from './binlog/table-map.ts';
import type { Coordinates } from './change/coordinates.ts';
import type { Transaction } from './change/rows-event.ts';
import type { Table } from './change/table.ts';
import { compileTableFilter } from './change/table-filter.ts';
import { charsetOf, decodeText } from './codec/charset.ts';
import { type EmitLine, EventWriter } from './codec/event-writer.ts';
import { Output } from './codec/output.ts';
import type { Config } from './config/schema.ts';
import { sourceConnection } from './config/url.ts';
import { CdcError } from './error.ts';
import type { StartPoint } from './start-point.ts';

/** Takes the change events of the captured tables, in commit order. */
export interface ChangeHandler {
  line: EmitLine;
  commit(transaction: Transaction): void;
  rollback(): void;
  idle(at: Coordinates): void;
}

const HEARTBEAT_MS = 5_000;

/**
 * The source half of the way of a row: binlog bytes -> row images -> event lines. Follows the binlog from `start`
 * and hands each line to `handler` before the next packet is looked at.
 */
export function followChanges(
  config: Config,
  server: ServerFacts,
  start: StartPoint,
  handler: ChangeHandler,
  signal: AbortSignal,
): BinlogStream {
  const captures = compileTableFilter(config.tables, { caseSensitive: server.caseSensitive });
  const keys = keyNames(config, server.caseSensitive);
  const out = new Output();
  const format = {
    format: config.format,
    name: config.name,
    epoch: start.epoch,
    flatPrefix: config.flat_prefix,
    values: config.values,
    charsets: server.charsets,
  };
  const { skipBefore } = start;
  const skips = ({ file, position }: Transaction): boolean =>
    skipBefore !== undefined && file === skipBefore.file && position < skipBefore.position;
  let { gtidsFromStream } = start;

  const reader = (checksum: boolean): BinlogReader<EventWriter> =>
    new BinlogReader<EventWriter>(
      {
        captures,
        table: (map) => new EventWriter(describeTable(map, keys), format, out),
        rows(writer, rows, transaction) {
          if (!skips(transaction)) writer.write(rows, transaction, Date.now(), handler.line);
        },
        truncate(schema, name, position, transaction) {
          if (skips(transaction)) return;
          const table = { schema, name, columns: [], key: [] };
          new EventWriter(table, format, out).writeTruncate(position, transaction, Date.now(), handler.line);
        },
        commit: (transaction) => handler.commit(transaction),
        rollback: () => handler.rollback(),
        previous(gtids) {
          if (gtidsFromStream) start.delivered.gtids = gtids;
          gtidsFromStream = false;
        },
        idle: (at) => handler.idle(at),
      },
      (bytes, collation) => decodeText(bytes, charsetOf(collation, server.charsets)),
      checksum,
    );

  let current: BinlogReader<EventWriter> | undefined;
  return new BinlogStream({
    connection: sourceConnection(config.source),
    serverId: config.source.server_id,
    from: start.dump,
    heartbeatMs: HEARTBEAT_MS,
    onStart: (checksum) => {
      current = reader(checksum);
    },
    onEvent: (bytes, from, to) => current?.read(bytes, from, to),
    signal,
  });
}

/** Finds the `keys` entry of a table, its name compared as the server does. */
function keyNames({ keys }: Config, caseSensitive: boolean): (schema: string, table: string) => string[] | undefined {
  const entries = Object.entries(keys).map(([name, columns]) => ({
    is: compileTableFilter([name], { caseSensitive }),
    columns,
  }));
  return (schema, table) => entries.find(({ is }) => is(schema, table))?.columns;
}

/** A table as the stream describes it, with its row key: the primary key, or the columns that `keys` names. */
function describeTable(map: TableMap, keys: ReturnType<typeof keyNames>): Table {
  const { schema, name, columns } = map;
  if (!map.named) {
    throw new CdcError(`the binlog does not name the columns of ${schema}.${name}`, {
      why: 'binlog_row_metadata is MINIMAL, and this version does not guess',
      hint: 'SET PERSIST binlog_row_metadata=FULL (MariaDB: SET GLOBAL, and in its configuration), then start again behind that point',
    });
  }
  const named = map.primaryKey.length > 0 ? undefined : keys(schema, name);
  const key = named?.map((column) => {
    const index = columns.findIndex((c) => c.name.toLowerCase() === column.toLowerCase());
    if (index < 0) {
      throw new CdcError(`keys names a column ${column} that ${schema}.${name} does not have`, {
        exitCode: 2,
        hint: `its columns are ${columns.map((c) => c.name).join(', ')}`,
      });
    }
    return index;
  });
  return { schema, name, columns, key: key ?? map.primaryKey };
}
