import { BinlogReader } from './binlog/binlog-reader.ts';
import { BinlogStream } from './binlog/binlog-stream.ts';
import { findPrepared } from './binlog/prepared-search.ts';
import type { ServerFacts } from './binlog/server.ts';
import type { DecodeText, TableMap } from './binlog/table-map.ts';
import { compileColumnRules } from './change/column-rules.ts';
import type { Coordinates } from './change/coordinates.ts';
import type { RememberedTable } from './change/remembered-table.ts';
import type { Transaction } from './change/rows-event.ts';
import { BINARY_COLLATION, type Column, ColumnType, type Table } from './change/table.ts';
import { compileTableFilter } from './change/table-filter.ts';
import { charsetOf, decodeText } from './codec/charset.ts';
import { CommitMark, type TransactionLines } from './codec/commit-mark.ts';
import { EventWriter } from './codec/event-writer.ts';
import type { EventFormat } from './codec/line.ts';
import { Output } from './codec/output.ts';
import type { Config } from './config/schema.ts';
import { sourceConnection } from './config/url.ts';
import { CdcError } from './error.ts';
import { lookUpTable } from './schema/table-lookup.ts';
import { shapeOf } from './schema/table-memory.ts';
import type { StartPoint } from './start-point.ts';

/** Takes the change events of the captured tables, in commit order. */
export interface ChangeHandler extends TransactionLines {
  /** An XA transaction is prepared: its lines come, if ever, with the transaction that ends it. */
  prepared(transaction: Transaction): void;
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
  const format: EventFormat = {
    format: config.format,
    name: config.name,
    epoch: start.epoch,
    flatPrefix: config.flat_prefix,
    values: config.values,
    charsets: server.charsets,
    columnRule: compileColumnRules(config.columns, { caseSensitive: server.caseSensitive }),
  };
  const lines: TransactionLines = config.format === 'maxwell' ? new CommitMark(handler) : handler;
  const connection = sourceConnection(config.source);
  const { skipBefore, memory } = start;
  const skips = ({ file, position }: Transaction): boolean =>
    skipBefore !== undefined && file === skipBefore.file && position < skipBefore.position;
  let { gtidsFromStream } = start;

  const table = (map: TableMap, at: Coordinates): EventWriter | Promise<EventWriter> => {
    const { columns, primaryKey } = map;
    const writer = (known: Pick<RememberedTable, 'columns' | 'primaryKey'>): EventWriter =>
      new EventWriter(withKey(map, known.columns, known.primaryKey, keys), format, out);
    if (tellsAll(map, server)) return writer({ columns: [...columns], primaryKey: [...primaryKey] });
    const known = memory.find(map.schema, map.name, shapeOf(columns), at);
    return known ? writer(known) : lookUpTable(connection, memory, map, at, signal).then(writer);
  };
  const decode: DecodeText = (bytes, collation) => decodeText(bytes, charsetOf(collation, server.charsets));
  const search = { connection, captures, table, decode, heartbeatMs: HEARTBEAT_MS, signal };

  const reader = (checksum: boolean): BinlogReader<EventWriter> =>
    new BinlogReader<EventWriter>(
      {
        captures,
        table,
        statement: (sql, at) => memory.statement(sql, at),
        rows(writer, rows, transaction) {
          if (!skips(transaction)) writer.write(rows, transaction, Date.now(), lines.line);
        },
        truncate(schema, name, position, transaction) {
          if (skips(transaction)) return;
          const table = { schema, name, columns: [], key: [] };
          new EventWriter(table, format, out).writeTruncate(position, transaction, Date.now(), lines.line);
        },
        savepoint: (name) => lines.savepoint(name),
        rollbackTo: (name) => lines.rollbackTo(name),
        commit: (transaction) => lines.commit(transaction),
        rollback: () => lines.rollback(),
        prepared: (transaction) => handler.prepared(transaction),
        previous(gtids) {
          if (gtidsFromStream) start.delivered.gtids = gtids;
          gtidsFromStream = false;
        },
        idle: (at) => handler.idle(at),
      },
      decode,
      checksum,
      { findPrepared: (xid, before) => findPrepared(xid, before, search) },
    );

  let current: BinlogReader<EventWriter> | undefined;
  return new BinlogStream({
    connection,
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

/** Types that on MariaDB may be another type, or have a fraction, of which the stream says nothing. */
const HALF_TOLD: ReadonlySet<number> = new Set([ColumnType.TIME, ColumnType.DATETIME, ColumnType.TIMESTAMP]);

/** Whether the stream says all that there is to know of the columns. */
function tellsAll({ named, columns }: TableMap, { flavor }: ServerFacts): boolean {
  if (flavor === 'mysql') return named;
  return (
    named &&
    columns.every(
      ({ type, meta, collation }) =>
        !HALF_TOLD.has(type) &&
        !(type === ColumnType.STRING && collation === BINARY_COLLATION && (meta === 16 || meta === 4)),
    )
  );
}

/** A table with its row key: the primary key, or the columns that `keys` names. */
function withKey(
  { schema, name }: TableMap,
  columns: readonly Column[],
  primaryKey: readonly number[],
  keys: ReturnType<typeof keyNames>,
): Table {
  const named = primaryKey.length > 0 ? undefined : keys(schema, name);
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
  return { schema, name, columns, key: key ?? primaryKey };
}
