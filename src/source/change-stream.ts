import { ByteWriter } from '../codec/bytes/byte-writer.ts';
import { charsetOf, decodeText } from '../codec/charset/charset.ts';
import { EventWriter } from '../codec/event-writer.ts';
import type { EventFormatOptions } from '../codec/formats/event-format.ts';
import { MaxwellCommitMarker, type TransactionHandler } from '../codec/formats/maxwell-commit-marker.ts';
import type { EmitEvent } from '../codec/row-image-writer.ts';
import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/source-connection.ts';
import { compileColumnRules } from '../model/column-rules.ts';
import type { Coordinates } from '../model/coordinates.ts';
import type { GtidSet } from '../model/gtid-set.ts';
import type { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import { compileRoutes, type Routes } from '../model/routes.ts';
import type { RowsEvent, Transaction } from '../model/rows-event.ts';
import { BINARY_COLLATION, type Column, ColumnType, type Table } from '../model/table.ts';
import { compileTableFilter, type TableFilter } from '../model/table-filter.ts';
import type { ResolvedTableSchema } from '../model/table-schema.ts';
import { CdcError } from '../runtime/error.ts';
import { BinlogClient } from './binlog/binlog-client.ts';
import { BinlogDecoder } from './binlog/binlog-decoder.ts';
import type { DecodeText, TableMap } from './binlog/table-map.ts';
import { findPreparedXa } from './binlog/xa-recovery.ts';
import { resolveTableSchema } from './schema/resolve-table-schema.ts';
import { columnSignature } from './schema/table-schema-cache.ts';
import type { ServerInfo } from './server/server-info.ts';
import { type StartSkipper, skipUntilStart } from './skip-until-start.ts';
import type { StartPoint } from './start-point.ts';

/** Receives the events of the captured tables and how far the stream has come, in commit order. */
export interface ChangeHandler extends TransactionHandler {
  /** The GTIDs before the start, where only the first binlog file of the dump names them. */
  gtidsBeforeStart(gtids: GtidSet | MariadbGtidPosition): void;
  /** A transaction before the start, read only to reach it: its GTID counts as delivered. */
  skipped(transaction: Transaction): void;
  /** An XA transaction is prepared: its events come with the transaction that commits it, if one does. */
  xaPrepared(transaction: Transaction): void;
  /** The binlog has nothing more before these coordinates. */
  heartbeat(at: Coordinates): void;
}

export interface ChangeStreamOptions {
  config: Config;
  server: ServerInfo;
  start: StartPoint;
  signal: AbortSignal;
  /** A table, or a new version of it, before its first event. */
  onTable?: (table: Table) => void;
}

/** The writer of one version of a captured table, and where its events go. */
interface TableWriter {
  writer: EventWriter;
  emit: EmitEvent;
}

export const HEARTBEAT_MS = 5_000;

/**
 * The source half of the data flow: binlog bytes -> row images -> event bytes. Every event is handed on before the next
 * packet of the binlog is read. An instance follows the binlog once.
 */
export class ChangeStream {
  readonly #options: ChangeStreamOptions;
  readonly #isCaptured: TableFilter;
  readonly #keyOverrides: KeyOverrides;
  readonly #routes: Routes;
  readonly #format: EventFormatOptions;
  readonly #decodeText: DecodeText;
  readonly #out = new ByteWriter();
  #client: BinlogClient | undefined;

  constructor(options: ChangeStreamOptions) {
    const { config, server, start } = options;
    const { caseSensitive, charsets } = server;
    this.#options = options;
    this.#isCaptured = compileTableFilter(config.tables, { caseSensitive });
    this.#keyOverrides = compileKeyOverrides(config, caseSensitive);
    this.#routes = compileRoutes(config.firehose.routes, config.firehose.stream, { caseSensitive });
    this.#format = {
      format: config.format,
      name: config.name,
      epoch: start.epoch,
      flatPrefix: config.flat_prefix,
      values: config.values,
      charsets,
      columnRule: compileColumnRules(config.columns, { caseSensitive }),
    };
    this.#decodeText = (bytes, collation) => decodeText(bytes, charsetOf(collation, charsets));
  }

  /** Stops reading; packets that have already arrived wait. */
  pause(): void {
    this.#client?.pause();
  }

  resume(): void {
    this.#client?.resume();
  }

  /** Follows the binlog until the signal aborts (then it resolves) or the stream breaks (then it rejects). */
  async follow(handler: ChangeHandler): Promise<void> {
    const { config, server, start, signal } = this.#options;
    const events = config.format === 'maxwell' ? new MaxwellCommitMarker(handler) : handler;
    let decoder: BinlogDecoder<TableWriter> | undefined;
    this.#client = new BinlogClient({
      connection: sourceConnection(config.source),
      serverId: config.source.server_id,
      server,
      from: start.dump,
      heartbeatMs: HEARTBEAT_MS,
      onStart: (checksum) => {
        decoder = this.#createDecoder(handler, events, checksum);
      },
      onEvent: (bytes, from, to) => decoder?.read(bytes, from, to),
      signal,
    });
    await this.#client.follow();
  }

  #createDecoder(handler: ChangeHandler, events: TransactionHandler, checksum: boolean): BinlogDecoder<TableWriter> {
    const { config, start, signal } = this.#options;
    const skipper = skipUntilStart(start, {
      commit: (transaction) => events.commit(transaction),
      xaPrepared: (transaction) => handler.xaPrepared(transaction),
      skipped: (transaction) => handler.skipped(transaction),
    });
    let needsGtids = start.readGtidsFromFirstFile;
    const tableMap = (map: TableMap, at: Coordinates) => this.#tableWriter(map, at, events);
    const recovery = {
      connection: sourceConnection(config.source),
      isCaptured: this.#isCaptured,
      tableMap,
      decode: this.#decodeText,
      heartbeatMs: HEARTBEAT_MS,
      signal,
    };
    return new BinlogDecoder<TableWriter>(
      {
        isCaptured: this.#isCaptured,
        tableMap,
        ddl: (sql, at) => start.tableSchemas.ddl(sql, at),
        rows: (table, rows, transaction) => writeRows(table, rows, transaction, skipper),
        truncate: (schema, name, position, transaction) => {
          if (skipper.isBeforeStart(transaction)) return;
          const { writer, emit } = this.#createTableWriter({ schema, name, columns: [], key: [] }, events);
          writer.writeTruncate(position, transaction, Date.now(), emit);
        },
        savepoint: (name) => events.savepoint(name),
        rollbackTo: (name) => events.rollbackTo(name),
        commit: skipper.commit,
        rollback: () => events.rollback(),
        xaPrepared: skipper.xaPrepared,
        previousGtids(gtids) {
          if (needsGtids) handler.gtidsBeforeStart(gtids);
          needsGtids = false;
        },
        heartbeat: (at) => handler.heartbeat(at),
      },
      this.#decodeText,
      checksum,
      { findPreparedXa: (xid, before) => findPreparedXa(xid, before, recovery) },
    );
  }

  /** The writer of a table version; a promise of it where the binlog does not name all about its columns. */
  #tableWriter(map: TableMap, at: Coordinates, events: TransactionHandler): TableWriter | Promise<TableWriter> {
    const { config, server, start, signal, onTable } = this.#options;
    const { columns, primaryKey } = map;
    const create = (schema: Pick<ResolvedTableSchema, 'columns' | 'primaryKey'>): TableWriter => {
      const table = withRowKey(map, schema.columns, schema.primaryKey, this.#keyOverrides);
      onTable?.(table);
      return this.#createTableWriter(table, events);
    };
    if (hasFullMetadata(map, server)) return create({ columns: [...columns], primaryKey: [...primaryKey] });
    const known = start.tableSchemas.find(map.schema, map.name, columnSignature(columns), at);
    if (known !== undefined) return create(known);
    return resolveTableSchema(sourceConnection(config.source), start.tableSchemas, map, at, signal).then(create);
  }

  #createTableWriter(table: Table, events: TransactionHandler): TableWriter {
    const target = this.#routes.streamOf(table.schema, table.name);
    return {
      writer: new EventWriter(table, this.#format, this.#out),
      emit: (event) => events.append(target, event),
    };
  }
}

function writeRows(
  { writer, emit }: TableWriter,
  rows: RowsEvent,
  transaction: Transaction,
  { isBeforeStart }: StartSkipper,
): void {
  if (!isBeforeStart(transaction)) writer.write(rows, transaction, Date.now(), emit);
}

type KeyOverrides = (schema: string, table: string) => string[] | undefined;

/** Finds the `keys` entry of a table. Names are compared as the server compares them. */
function compileKeyOverrides({ keys }: Config, caseSensitive: boolean): KeyOverrides {
  const entries = Object.entries(keys).map(([name, columns]) => ({
    matches: compileTableFilter([name], { caseSensitive }),
    columns,
  }));
  return (schema, table) => entries.find(({ matches }) => matches(schema, table))?.columns;
}

/** Types that MariaDB's table map does not tell apart from another type, or without the digits of their fraction. */
const AMBIGUOUS_TYPES: ReadonlySet<number> = new Set([ColumnType.TIME, ColumnType.DATETIME, ColumnType.TIMESTAMP]);

/** Whether the table map says all there is to know of the columns. */
function hasFullMetadata({ hasColumnNames, columns }: TableMap, { flavor }: ServerInfo): boolean {
  if (flavor === 'mysql') return hasColumnNames;
  return (
    hasColumnNames &&
    columns.every(
      ({ type, meta, collation }) =>
        !AMBIGUOUS_TYPES.has(type) &&
        !(type === ColumnType.STRING && collation === BINARY_COLLATION && (meta === 16 || meta === 4)),
    )
  );
}

/** A table with its row key: the primary key, or the columns that `keys` names. */
function withRowKey(
  { schema, name }: TableMap,
  columns: readonly Column[],
  primaryKey: readonly number[],
  keyOverrides: KeyOverrides,
): Table {
  const override = primaryKey.length > 0 ? undefined : keyOverrides(schema, name);
  const key = override?.map((column) => {
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
