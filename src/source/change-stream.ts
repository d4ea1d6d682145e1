import { ByteWriter } from '../codec/bytes/byte-writer.ts';
import { charsetOf, decodeText } from '../codec/charset/charset.ts';
import { EventWriter } from '../codec/event-writer.ts';
import type { EmitEvent, EventFormatOptions } from '../codec/formats/event-format.ts';
import { MaxwellCommitMarker, type TransactionHandler } from '../codec/formats/maxwell-commit-marker.ts';
import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/source-connection.ts';
import { compileColumnRules } from '../model/column-rules.ts';
import type { Coordinates } from '../model/coordinates.ts';
import { compileRoutes } from '../model/routes.ts';
import type { Transaction } from '../model/rows-event.ts';
import { BINARY_COLLATION, type Column, ColumnType, type Table } from '../model/table.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import type { ResolvedTableSchema } from '../model/table-schema.ts';
import { CdcError } from '../runtime/error.ts';
import { BinlogClient } from './binlog/binlog-client.ts';
import { BinlogDecoder } from './binlog/binlog-decoder.ts';
import type { DecodeText, TableMap } from './binlog/table-map.ts';
import { findPreparedXa } from './binlog/xa-recovery.ts';
import { resolveTableSchema } from './schema/resolve-table-schema.ts';
import { columnSignature } from './schema/table-schema-cache.ts';
import type { ServerInfo } from './server/server-info.ts';
import { skipUntilStart } from './skip-until-start.ts';
import type { StartPoint } from './start-point.ts';

/** Takes the change events of the captured tables, in commit order. */
export interface ChangeHandler extends TransactionHandler {
  /** A table, or a new version of it, of which lines come. */
  table?(table: Table): void;
  /** An XA transaction is prepared: its lines come, if ever, with the transaction that ends it. */
  prepared(transaction: Transaction): void;
  idle(at: Coordinates): void;
}

/** What is made of a version of a captured table. */
interface CapturedTable {
  writer: EventWriter;
  emit: EmitEvent;
}

const HEARTBEAT_MS = 5_000;

/**
 * The source half of the way of a row: binlog bytes -> row images -> event lines. Follows the binlog from `start`
 * and hands each line to `handler` before the next packet is looked at.
 */
export function followChanges(
  config: Config,
  server: ServerInfo,
  start: StartPoint,
  handler: ChangeHandler,
  signal: AbortSignal,
): BinlogClient {
  const isCaptured = compileTableFilter(config.tables, { caseSensitive: server.caseSensitive });
  const keys = keyNames(config, server.caseSensitive);
  const routes = compileRoutes(config.firehose.routes, config.firehose.stream, server);
  const out = new ByteWriter();
  const format: EventFormatOptions = {
    format: config.format,
    name: config.name,
    epoch: start.epoch,
    flatPrefix: config.flat_prefix,
    values: config.values,
    charsets: server.charsets,
    columnRule: compileColumnRules(config.columns, { caseSensitive: server.caseSensitive }),
  };
  const lines: TransactionHandler = config.format === 'maxwell' ? new MaxwellCommitMarker(handler) : handler;
  const connection = sourceConnection(config.source);
  const { tableSchemas } = start;
  const { isBeforeStart, commit, xaPrepared } = skipUntilStart(start, {
    commit: (transaction) => lines.commit(transaction),
    xaPrepared: (transaction) => handler.prepared(transaction),
  });
  let { readGtidsFromFirstFile } = start;

  const capture = (table: Table): CapturedTable => {
    const stream = routes.streamOf(table.schema, table.name);
    return {
      writer: new EventWriter(table, format, out),
      emit: (keyHash, bytes, from, to) => lines.event(stream, keyHash, bytes, from, to),
    };
  };
  const tableMap = (map: TableMap, at: Coordinates): CapturedTable | Promise<CapturedTable> => {
    const { columns, primaryKey } = map;
    const captured = (known: Pick<ResolvedTableSchema, 'columns' | 'primaryKey'>): CapturedTable => {
      const version = withKey(map, known.columns, known.primaryKey, keys);
      handler.table?.(version);
      return capture(version);
    };
    if (tellsAll(map, server)) return captured({ columns: [...columns], primaryKey: [...primaryKey] });
    const known = tableSchemas.find(map.schema, map.name, columnSignature(columns), at);
    return known ? captured(known) : resolveTableSchema(connection, tableSchemas, map, at, signal).then(captured);
  };
  const decode: DecodeText = (bytes, collation) => decodeText(bytes, charsetOf(collation, server.charsets));
  const search = { connection, isCaptured, tableMap, decode, heartbeatMs: HEARTBEAT_MS, signal };

  const reader = (checksum: boolean): BinlogDecoder<CapturedTable> =>
    new BinlogDecoder<CapturedTable>(
      {
        isCaptured,
        tableMap,
        ddl: (sql, at) => tableSchemas.ddl(sql, at),
        rows({ writer, emit }, rows, transaction) {
          if (!isBeforeStart(transaction)) writer.write(rows, transaction, Date.now(), emit);
        },
        truncate(schema, name, position, transaction) {
          if (isBeforeStart(transaction)) return;
          const { writer, emit } = capture({ schema, name, columns: [], key: [] });
          writer.writeTruncate(position, transaction, Date.now(), emit);
        },
        savepoint: (name) => lines.savepoint(name),
        rollbackTo: (name) => lines.rollbackTo(name),
        commit,
        rollback: () => lines.rollback(),
        xaPrepared,
        previousGtids(gtids) {
          if (readGtidsFromFirstFile) start.delivered.gtids = gtids;
          readGtidsFromFirstFile = false;
        },
        heartbeat: (at) => handler.idle(at),
      },
      decode,
      checksum,
      { findPreparedXa: (xid, before) => findPreparedXa(xid, before, search) },
    );

  let current: BinlogDecoder<CapturedTable> | undefined;
  return new BinlogClient({
    connection,
    serverId: config.source.server_id,
    server,
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
function tellsAll({ hasColumnNames, columns }: TableMap, { flavor }: ServerInfo): boolean {
  if (flavor === 'mysql') return hasColumnNames;
  return (
    hasColumnNames &&
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
