import { ByteWriter } from '../codec/bytes/byte-writer.ts';
import { charsetOf, decodeText } from '../codec/charset/charset.ts';
import { EventWriter } from '../codec/event-writer.ts';
import type { EventFormatOptions } from '../codec/formats/event-format.ts';
import { MaxwellCommitMarker } from '../codec/formats/maxwell-commit-marker.ts';
import type { EmitEvent } from '../codec/row-image-writer.ts';
import { compileDestinations, type Destinations } from '../config/destinations.ts';
import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/source-connection.ts';
import type { TableWatch, TableWatches } from '../model/chunk-window.ts';
import { type Coordinates, isBefore } from '../model/coordinates.ts';
import type { GtidSet } from '../model/gtid-set.ts';
import type { IncompleteTable } from '../model/incomplete-tables.ts';
import type { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import type { Transaction } from '../model/rows-event.ts';
import { BINARY_COLLATION, type Column, ColumnType, type Table } from '../model/table.ts';
import { countLine, countRows, type TableActivity, TablesActivity } from '../model/table-activity.ts';
import { compileSchemaFilter, compileTableFilter, type SchemaFilter, type TableFilter } from '../model/table-filter.ts';
import type { ResolvedTableSchema } from '../model/table-schema.ts';
import type { TransactionHandler } from '../model/transaction-handler.ts';
import { BinlogClient } from './binlog/binlog-client.ts';
import { BinlogDecoder } from './binlog/binlog-decoder.ts';
import type { LoggedDdl } from './binlog/binlog-handler.ts';
import type { DecodeText, TableMap } from './binlog/table-map.ts';
import { findPreparedXa } from './binlog/xa-recovery.ts';
import { compileFallbackKeys, eventFormat, type FallbackKeys, withRowKey } from './event-table.ts';
import { DdlScan } from './schema/ddl-scan.ts';
import { DmlProof } from './schema/dml-proof.ts';
import { resolveTableSchema } from './schema/resolve-table-schema.ts';
import { columnSignature } from './schema/table-schema-cache.ts';
import type { ServerInfo } from './server/server-info.ts';
import { skipUntilStart } from './skip-until-start.ts';
import type { StartPoint } from './start-point.ts';

/** Receives the events of the captured tables and the position of the stream, in commit order. */
export interface ChangeHandler extends TransactionHandler {
  /** The GTIDs before the start, if only the first binlog file of the dump contains them. */
  gtidsBeforeStart(gtids: GtidSet | MariadbGtidPosition): void;
  /** The GTIDs before any later file. */
  gtidsBeforeFile(gtids: GtidSet | MariadbGtidPosition): void;
  /** A transaction before the start, read only to reach it: its GTID counts as delivered. */
  skipped(transaction: Transaction): void;
  /** An XA transaction is prepared. Its events follow with the transaction that commits it, if one does. */
  xaPrepared(transaction: Transaction): void;
  /** A binlog file, created at this time (seconds since 1970), is read from here on. */
  fileBegins(file: string, created: number): void;
  /** Everything before these coordinates has been received, and nothing follows for now. */
  heartbeat(at: Coordinates, created: number): void;
}

export interface ChangeStreamOptions {
  config: Config;
  server: ServerInfo;
  start: StartPoint;
  signal: AbortSignal;
  /** Counts the events of each table. */
  activity?: TablesActivity;
  /** Hears of each event and statement that concerns a chunk of a backfill. */
  watches?: TableWatches;
  /** Receives each version of a table before its first event. */
  onTable?: (table: Table) => void;
  /** An event says that the table has no rows any more, or it begins here. */
  onEmptied?: (schema: string, table: string) => void;
  /** A statement changed rows of the table without row events. */
  onIncomplete?: (table: IncompleteTable) => unknown;
  /** Hears of each TRUNCATE that `truncate: skip` leaves out. */
  onSkippedTruncate?: (schema: string, table: string, transaction: Transaction) => void;
}

/** The writer of one version of a captured table, and the receiver of its events. */
interface TableWriter {
  writer: EventWriter;
  emit: EmitEvent;
  activity: TableActivity;
}

export const HEARTBEAT_MS = 5_000;
/** Binlog files whose time of creation is kept, the last ones. */
const FILES_KNOWN_MAX = 10_000;

/**
 * The source half of the data flow: binlog bytes -> row images -> event bytes. The handler receives every event before
 * the next packet of the binlog is read. An instance follows the binlog once.
 */
export class ChangeStream {
  readonly #options: ChangeStreamOptions;
  readonly #isCaptured: TableFilter;
  readonly #isSchemaCaptured: SchemaFilter;
  readonly #fallbackKeys: FallbackKeys;
  readonly #destinations: Destinations;
  readonly #format: EventFormatOptions;
  readonly #decodeText: DecodeText;
  readonly #ddlScan: DdlScan;
  readonly #dmlProof: DmlProof;
  readonly #activity: TablesActivity;
  readonly #out = new ByteWriter();
  readonly #filesCreated = new Map<string, number>();
  #client: BinlogClient | undefined;
  #decoder: BinlogDecoder<TableWriter> | undefined;

  constructor(options: ChangeStreamOptions) {
    const { config, server, start } = options;
    const { caseSensitive, charsets } = server;
    this.#options = options;
    this.#activity = options.activity ?? new TablesActivity();
    this.#isCaptured = compileTableFilter(config.tables, { caseSensitive });
    this.#isSchemaCaptured = compileSchemaFilter(config.tables, { caseSensitive });
    this.#fallbackKeys = compileFallbackKeys(config, caseSensitive);
    this.#destinations = compileDestinations(config, { caseSensitive });
    this.#format = eventFormat(config, server, start.epoch);
    this.#decodeText = (bytes, collation) => decodeText(bytes, charsetOf(collation, charsets));
    const scan = {
      connection: sourceConnection(config.source),
      isCaptured: this.#isCaptured,
      isSchemaCaptured: this.#isSchemaCaptured,
      decode: this.#decodeText,
      foldNames: !caseSensitive,
      heartbeatMs: HEARTBEAT_MS,
      signal: options.signal,
    };
    this.#ddlScan = new DdlScan(scan);
    this.#dmlProof = new DmlProof(scan);
  }

  /** Stops reading. Packets that have already arrived wait. */
  pause(): void {
    this.#client?.pause();
  }

  resume(): void {
    this.#client?.resume();
  }

  /** Coordinates between two transactions: everything before them was given to the handler. Undefined within one. */
  get boundary(): Coordinates | undefined {
    return this.#decoder?.boundary;
  }

  /** When the file after this one was created, in milliseconds since 1970; undefined if it was not reached. */
  createdAfter(file: string): number | undefined {
    for (const [other, created] of this.#filesCreated) if (isBefore(beginOf(file), beginOf(other))) return created;
    return undefined;
  }

  /** Follows the binlog. Resolves when the signal aborts, rejects when the stream fails. */
  async follow(handler: ChangeHandler): Promise<void> {
    const { config, server, start, signal } = this.#options;
    const transactions = config.format === 'maxwell' ? new MaxwellCommitMarker(handler) : handler;
    this.#client = new BinlogClient({
      connection: sourceConnection(config.source),
      serverId: config.source.server_id,
      server,
      from: start.dump,
      heartbeatMs: HEARTBEAT_MS,
      onStart: (checksum) => {
        this.#decoder = this.#createDecoder(handler, transactions, checksum);
      },
      onEvent: (bytes, from, to) => this.#decoder?.read(bytes, from, to),
      signal,
    });
    await this.#client.follow();
  }

  #fileCreated(file: string, created: number): void {
    this.#filesCreated.set(file, created * 1000);
    if (this.#filesCreated.size <= FILES_KNOWN_MAX) return;
    const [oldest] = this.#filesCreated.keys();
    this.#filesCreated.delete(oldest as string);
  }

  #createDecoder(
    handler: ChangeHandler,
    transactions: TransactionHandler,
    checksum: boolean,
  ): BinlogDecoder<TableWriter> {
    const { config, server, start, signal, watches, onSkippedTruncate } = this.#options;
    const skipper = skipUntilStart(start, {
      commit: (transaction) => transactions.commit(transaction),
      xaPrepared: (transaction) => handler.xaPrepared(transaction),
      skipped: (transaction) => handler.skipped(transaction),
    });
    let awaitsGtids = start.readGtidsFromFirstFile;
    const tableMap = (map: TableMap, at: Coordinates) => this.#tableWriter(map, at, transactions);
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
        isSchemaCaptured: this.#isSchemaCaptured,
        isHarmless: (dml, at) => this.#dmlProof.isHarmless(dml, at),
        ddl: (statement, transaction) => {
          start.tableSchemas.ddl(statement);
          this.#dmlProof.passed(statement);
          this.#applyToCoverage(statement, transaction);
        },
        rows: ({ writer, emit, activity }, rows, transaction) => {
          const before = activity.lines;
          const count = writer.write(rows, transaction, Date.now(), emit);
          countRows(activity, rows.op, count, activity.lines - before);
          activity.lastChangeAt = transaction.committedAt;
        },
        truncate: ({ schema, table: name }, position, ordinal, transaction) => {
          watches?.emptied(schema, name);
          if (config.truncate === 'skip') return onSkippedTruncate?.(schema, name, transaction);
          const { writer, emit, activity } = this.#createWriter({ schema, name, columns: [], key: [] }, transactions);
          writer.writeTruncate(position, ordinal, transaction, Date.now(), emit);
          activity.events.t++;
          activity.lastChangeAt = transaction.committedAt;
          this.#complete(schema, name, 'emptied', transaction);
        },
        savepoint: (name) => transactions.savepoint(name),
        rollbackTo: (name) => transactions.rollbackTo(name),
        commit: skipper.commit,
        rollback: () => transactions.rollback(),
        xaPrepared: skipper.xaPrepared,
        previousGtids(gtids) {
          if (awaitsGtids) handler.gtidsBeforeStart(gtids);
          else handler.gtidsBeforeFile(gtids);
          awaitsGtids = false;
        },
        fileBegins: (file, created) => {
          this.#fileCreated(file, created);
          handler.fileBegins(file, created);
        },
        heartbeat: (at, created) => handler.heartbeat(at, created),
      },
      this.#decodeText,
      checksum,
      {
        findPreparedXa: (xid, before) => findPreparedXa(xid, before, recovery),
        skipBefore: start.skipBefore,
        foldNames: !server.caseSensitive,
      },
    );
  }

  /** The writer of a table version. It is a promise if the binlog does not describe the columns completely. */
  #tableWriter(map: TableMap, at: Coordinates, transactions: TransactionHandler): TableWriter | Promise<TableWriter> {
    const { config, server, start, watches, onTable } = this.#options;
    const { columns, primaryKey } = map;
    const create = (schema: Pick<ResolvedTableSchema, 'columns' | 'primaryKey'>): TableWriter => {
      const table = withRowKey(map, schema.columns, schema.primaryKey, this.#fallbackKeys);
      start.coverage.exists(table.schema, table.name);
      onTable?.(table);
      return this.#createWriter(table, transactions, watches?.of(table.schema, table.name));
    };
    const isComplete = hasFullMetadata(map, server);
    const needsWidths = config.values.boolean.includes('tinyint1') && columns.some(canBeTinyint1);
    if (isComplete && !needsWidths) return create({ columns: [...columns], primaryKey: [...primaryKey] });
    // All but the display widths is known better from the binlog.
    const createVerified = (schema: ResolvedTableSchema): TableWriter =>
      create(isComplete ? { columns: withTinyint1(columns, schema), primaryKey: [...primaryKey] } : schema);
    const known = start.tableSchemas.find(map.schema, map.name, columnSignature(columns), at);
    if (known !== undefined && (!isComplete || haveSameNames(columns, known.columns))) return createVerified(known);
    const schemas = { cache: start.tableSchemas, scan: this.#ddlScan };
    return resolveTableSchema(sourceConnection(config.source), schemas, map, at).then(createVerified);
  }

  /** No event can tell what a statement did to rows: then the table needs another copy. */
  #applyToCoverage({ label, at, changes }: LoggedDdl, transaction: Transaction): void {
    const { start, watches, onIncomplete } = this.#options;
    for (const { effect, schema, table } of changes) {
      watches?.changed(schema, table, label);
      if (effect === 'created' && table !== undefined) this.#complete(schema, table, effect, transaction);
      // Columns of a table that is gone. A statement that failed says `rewritten` too.
      if (effect === 'columns' && table !== undefined && DROPS.has(label)) start.coverage.dropped(schema, table);
      if (effect !== 'rewritten') continue;
      const incomplete = { schema, table: table ?? '*', ...at, since: commitTime(transaction), why: label };
      start.coverage.rewritten(incomplete);
      onIncomplete?.(incomplete);
    }
  }

  /** Every row of the table is in the stream from here on. */
  #complete(schema: string, table: string, why: 'created' | 'emptied', transaction: Transaction): void {
    const { start, onEmptied } = this.#options;
    if (start.coverage.add({ schema, table, since: commitTime(transaction), why })) onEmptied?.(schema, table);
  }

  /** @param watch hears of each event */
  #createWriter(table: Table, transactions: TransactionHandler, watch?: TableWatch): TableWriter {
    const target = this.#destinations.indexOf(table.schema, table.name);
    const activity = this.#activity.of(table.schema, table.name);
    const emit: EmitEvent = (event) => {
      watch?.touch(event);
      countLine(activity, event);
      transactions.append(target, event);
    };
    return { writer: new EventWriter(table, this.#format, this.#out), emit, activity };
  }
}

const beginOf = (file: string): Coordinates => ({ file, position: 0 });

const commitTime = ({ committedAt }: Transaction): string => new Date(committedAt).toISOString();

const DROPS: ReadonlySet<string> = new Set(['DROP TABLE', 'DROP SEQUENCE']);

/** Temporal types before 5.6: a MariaDB table map does not say how many fractional digits they have. */
const AMBIGUOUS_TYPES: ReadonlySet<number> = new Set([ColumnType.TIME, ColumnType.DATETIME, ColumnType.TIMESTAMP]);

/** Whether the table map describes the columns completely. */
function hasFullMetadata({ hasColumnNames, columns }: TableMap, { flavor }: ServerInfo): boolean {
  if (flavor === 'mysql') return hasColumnNames;
  return (
    hasColumnNames &&
    columns.every(
      ({ type, meta, collation }) =>
        !AMBIGUOUS_TYPES.has(type) &&
        // BINARY(16) can be UUID or INET6, and BINARY(4) INET4.
        !(type === ColumnType.STRING && collation === BINARY_COLLATION && (meta === 16 || meta === 4)),
    )
  );
}

const canBeTinyint1 = ({ type, unsigned }: Column): boolean => type === ColumnType.TINY && !unsigned;

/** The columns of the binlog, with the type of those that INFORMATION_SCHEMA shows as TINYINT(1). */
const withTinyint1 = (columns: readonly Column[], { columns: verified }: ResolvedTableSchema): Column[] =>
  columns.map((column, i) => (verified[i]?.type === ColumnType.TINY1 ? { ...column, type: ColumnType.TINY1 } : column));

const haveSameNames = (a: readonly Column[], b: readonly Column[]): boolean =>
  a.every(({ name }, i) => name === b[i]?.name);
