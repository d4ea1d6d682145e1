import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { CheckpointFile } from '../../src/checkpoint/checkpoint-file.ts';
import { ByteWriter } from '../../src/codec/bytes/byte-writer.ts';
import { charsetOf, decodeText } from '../../src/codec/charset/charset.ts';
import { EventWriter } from '../../src/codec/event-writer.ts';
import type { EventFormatOptions } from '../../src/codec/formats/event-format.ts';
import { MaxwellCommitMarker } from '../../src/codec/formats/maxwell-commit-marker.ts';
import { type ParsedEvent, parseEvent } from '../../src/codec/formats/parse-event.ts';
import type { EmitEvent } from '../../src/codec/row-image-writer.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import type { DeadLetter } from '../../src/dead-letter/dead-letter.ts';
import { DeadLetterStore } from '../../src/dead-letter/dead-letter-store.ts';
import { compileColumnRules } from '../../src/model/column-rules.ts';
import { Coverage } from '../../src/model/coverage.ts';
import { ReplicationPosition } from '../../src/model/replication-position.ts';
import type { Transaction } from '../../src/model/rows-event.ts';
import type { Table } from '../../src/model/table.ts';
import { compileSchemaFilter, compileTableFilter } from '../../src/model/table-filter.ts';
import type { ResolvedTableSchema } from '../../src/model/table-schema.ts';
import type { TransactionHandler } from '../../src/model/transaction-handler.ts';
import type { RecordEvent } from '../../src/sinks/sink.ts';
import { BinlogDecoder } from '../../src/source/binlog/binlog-decoder.ts';
import type { TableMap } from '../../src/source/binlog/table-map.ts';
import { columnSignature, TableSchemaCache } from '../../src/source/schema/table-schema-cache.ts';
import type { ServerInfo } from '../../src/source/server/server-info.ts';
import type { StartPoint } from '../../src/source/start-point.ts';
import type { FixtureName } from './files.ts';

/**
 * Everything of the golden tests that imports from src: whoever moves or renames code there adapts this file, and no
 * other file of this folder but record.ts.
 */

/** What a fixture holds beside the bytes of its binlog events: what cdc asks a server for. */
export interface FixtureFacts {
  flavor: 'mysql' | 'mariadb';
  version: string;
  identity: string;
  caseSensitive: boolean;
  /** Whether the server has GTIDs. */
  gtids: boolean;
  /** Whether events carry a CRC32 until the first FORMAT_DESCRIPTION event. */
  checksum: boolean;
  start: { file: string; position: number };
  charsets: [collation: number, charset: string][];
  /** Columns that INFORMATION_SCHEMA gave when the fixture was recorded. */
  tables: ResolvedTableSchema[];
}

export interface Fixture extends FixtureFacts {
  name: FixtureName;
  /** Whole events, header and checksum included, one after the other. */
  events: Buffer;
}

/** The part of a configuration that changes the bytes of events. */
export interface Variation {
  format: EventFormatOptions['format'];
  values?: Partial<Config['values']>;
  columns?: Record<string, unknown>;
  flat_prefix?: string;
}

export interface Decoded {
  /** The lines of committed transactions, each with its newline. */
  lines: Buffer[];
  /** What each of them is, as a sink of messages gets it. */
  events: RecordEvent[];
  /** What the decoder reported besides rows, one JSON text each. */
  journal: string[];
  /** The last version of each captured table, by `schema.table`. */
  tables: Map<string, Table>;
  /** What `cdc run` would save if all of it were delivered. */
  checkpoint: Checkpoint;
}

/** `ts_ms` of every event. */
export const NOW = 1_767_323_045_678;
/** The first part of every `seq`. */
export const EPOCH = 1_767_300_000;
export const CAPTURED = ['golden*.*', '!golden_story.excluded'];
export const KEYS = { 'golden_story.named_key': ['b', 'a'] };

export const configOf = (variation: Variation): Config =>
  configSchema.parse({
    name: 'golden',
    source: { url: 'mysql://cdc@127.0.0.1:3306' },
    firehose: { stream: 'golden' },
    tables: CAPTURED,
    keys: KEYS,
    ...variation,
  }) as Config;

/** The event lines that the code makes of a fixture, put together as the daemon puts its parts together. */
export function decode(fixture: Fixture, variation: Variation): Decoded {
  const config = configOf(variation);
  const names = { caseSensitive: fixture.caseSensitive };
  const isCaptured = compileTableFilter(config.tables, names);
  const charsets = new Map(fixture.charsets);
  const memory = new TableSchemaCache([]);
  const delivered = new ReplicationPosition(undefined, fixture.start);
  const tables = new Map<string, Table>();
  const journal: string[] = [];
  const note = (entry: Record<string, unknown>): void => void journal.push(JSON.stringify(entry));
  const committed = committedLines((transaction, lines) => {
    note({ commit: described(transaction), lines });
    delivered.advance(transaction);
  });
  const lines: TransactionHandler = config.format === 'maxwell' ? new MaxwellCommitMarker(committed) : committed;
  const out = new ByteWriter();
  const format: EventFormatOptions = {
    format: config.format,
    name: config.name,
    epoch: EPOCH,
    flatPrefix: config.flat_prefix,
    values: config.values,
    charsets,
    columnRule: compileColumnRules(config.columns, names),
  };
  const emit: EmitEvent = (event) => lines.append(0, event);
  const reader = new BinlogDecoder<EventWriter>(
    {
      isCaptured,
      tableMap(map, at) {
        const known =
          memory.find(map.schema, map.name, columnSignature(map.columns), at) ?? lookUp(fixture, memory, map, at);
        if (known === undefined && !map.hasColumnNames)
          throw new Error(`the fixture has no columns of ${map.schema}.${map.name}`);
        const { columns, primaryKey } = known ?? map;
        const named = primaryKey.length > 0 ? undefined : KEYS[`${map.schema}.${map.name}` as keyof typeof KEYS];
        const key = named?.map((name) => columns.findIndex((column) => column.name === name)) ?? primaryKey;
        const table: Table = { schema: map.schema, name: map.name, columns, key };
        note({ table: `${map.schema}.${map.name}`, columns: columns.length, key, at });
        tables.set(`${map.schema}.${map.name}`, table);
        return new EventWriter(table, format, out);
      },
      isSchemaCaptured: compileSchemaFilter(config.tables, names),
      isHarmless: () => false,
      ddl(statement) {
        if (statement.changes.length > 0)
          note({ statement: statement.label, at: statement.at, changes: statement.changes });
        memory.ddl(statement);
      },
      rows: (writer, rows, transaction) => writer.write(rows, transaction, NOW, emit),
      truncate({ schema, table: name }, position, ordinal, transaction) {
        const writer = new EventWriter({ schema, name, columns: [], key: [] }, format, out);
        writer.writeTruncate(position, ordinal, transaction, NOW, emit);
      },
      savepoint(name) {
        note({ savepoint: name });
        lines.savepoint(name);
      },
      rollbackTo(name) {
        note({ rollbackTo: name });
        lines.rollbackTo(name);
      },
      commit: (transaction) => lines.commit(transaction),
      rollback(transaction) {
        note({ rollback: described(transaction) });
        lines.rollback();
      },
      xaPrepared: (transaction) => note({ prepared: described(transaction) }),
      previousGtids(gtids) {
        note({ previous: gtids.toString() });
        if (fixture.gtids) delivered.gtids ??= gtids;
      },
      fileBegins() {},
      heartbeat: (at) => note({ idle: at }),
    },
    (bytes, collation) => decodeText(bytes, charsetOf(collation, charsets)),
    fixture.checksum,
  );
  for (const [from, to] of eventsIn(fixture.events)) {
    for (const step of reader.read(fixture.events, from, to) ?? []) {
      if (step !== undefined) throw new Error('the decoder waits for a server, and the fixture has none');
    }
  }
  note({ end: reader.coordinates });
  const checkpoint: Checkpoint = {
    name: config.name,
    server: { flavor: fixture.flavor, identity: fixture.identity },
    epoch: EPOCH,
    gtids: delivered.gtids?.toString() ?? null,
    ...delivered.coordinates,
    tables: memory.entriesFrom(delivered.coordinates),
    incomplete: [],
    coverage: {
      ...{ fresh: true, tables: ['shop.*'], followedSince: '2026-01-02T03:04:05.000Z' },
      complete: COVERED,
    },
    backfill: BACKFILLED,
  };
  return { lines: committed.lines, events: committed.events, journal, tables, checkpoint };
}

/** A table that is copied, and one that is half copied. */
const COVERED = [{ schema: 'shop', table: 'a', since: '2026-01-02T03:04:05.000Z', why: 'backfilled' as const }];
const BACKFILLED = {
  ...{ paused: false, parallel: null, rate: 500, maxLagMs: null },
  ordinals: 2_097_152,
  tables: [
    {
      ...{
        schema: 'shop',
        table: 'b',
        request: 'golden',
        where: null,
        key: '[["id",3,0,true,0]]',
        begun: true,
        rows: 7,
        estimatedRows: 9,
      },
      ranges: [{ after: ['BwAAAA=='], upTo: null }],
    },
  ],
};

/** Remembers what the server answered at the same place when the fixture was recorded. */
export function lookUp(
  fixture: Fixture,
  memory: TableSchemaCache,
  { schema, name, columns }: Pick<TableMap, 'schema' | 'name' | 'columns'>,
  at: FixtureFacts['start'],
): ResolvedTableSchema | undefined {
  const shape = columnSignature(columns);
  const answer = fixture.tables.find(
    (known) =>
      known.schema === schema &&
      known.table === name &&
      known.shape === shape &&
      known.from.file === at.file &&
      known.from.position === at.position,
  );
  // Only a statement that is read later ends it.
  const known = answer && { ...answer, until: null };
  if (known !== undefined) memory.add(known);
  return known;
}

/** Where each event of the bytes begins and ends, by the size in its header. */
export function* eventsIn(bytes: Buffer): Generator<[from: number, to: number]> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + bytes.readUInt32LE(at + 9);
    yield [at, end];
    at = end;
  }
}

const described = (transaction: Transaction): Record<string, unknown> => {
  const { gtid, gtidSource: source, gtidNumber: number, file, fileNumber, position } = transaction;
  const { endPosition, serverId, committedAt, preparedTransaction: ends } = transaction;
  return { gtid, source, number, file, fileNumber, position, endPosition, serverId, committedAt, ends: ends?.gtid };
};

/** Keeps the lines of transactions that happened, as delivery does. */
export function committedLines(
  onCommit: (transaction: Transaction, lines: number) => void,
): TransactionHandler & { lines: Buffer[]; events: RecordEvent[] } {
  const lines: Buffer[] = [];
  const events: RecordEvent[] = [];
  let open: { line: Buffer; event: RecordEvent }[] = [];
  const savepoints = new Map<string, number>();
  return {
    lines,
    events,
    needsKeys: true,
    append(_target, event) {
      event.locateKey();
      const { bytes, from, to, keyFrom, keyTo, table, op } = event;
      const key = Buffer.from(bytes.subarray(keyFrom, keyTo));
      open.push({ line: Buffer.from(bytes.subarray(from, to)), event: { key, table, op } });
    },
    savepoint: (name) => void savepoints.set(name, open.length),
    rollbackTo(name) {
      open.length = savepoints.get(name) ?? open.length;
    },
    commit(transaction) {
      onCommit(transaction, open.length);
      for (const { line, event } of open) {
        lines.push(line);
        events.push(event);
      }
      open = [];
      savepoints.clear();
    },
    rollback() {
      open = [];
      savepoints.clear();
    },
  };
}

/** What the dead letters, and messages about events, take from a finished line. */
export function summarize(line: Buffer, variation: Variation, tables: Decoded['tables']): ParsedEvent {
  const { format, flat_prefix } = configOf(variation);
  // The name in a summary has backticks where it needs them; the keys of the map have none.
  const { table } = parseEvent(line, format, [], flat_prefix);
  const { columns = [], key = [] } = tables.get(table.replaceAll('`', '')) ?? {};
  return parseEvent(
    line,
    format,
    key.map((index) => columns[index]?.name ?? ''),
    flat_prefix,
  );
}

export const saveCheckpoint = (path: string, checkpoint: Checkpoint): Promise<void> =>
  new CheckpointFile(path).save(checkpoint);

export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  const checkpoint = await new CheckpointFile(path).load('golden');
  if (checkpoint === undefined) throw new Error(`there is no checkpoint ${path}`);
  return checkpoint;
}

const lettersIn = (directory: string): DeadLetterStore => new DeadLetterStore(directory, 'golden', 2 ** 30);

/** Writes a dead letter of today; returns its file. */
export async function writeLetter(directory: string, letter: DeadLetter): Promise<string> {
  const letters = lettersIn(directory);
  await letters.write([letter]);
  return letters.pathOf(letter.seq);
}

/** Reads all dead letters of a folder and writes them again into another one, as a retry does that fails. */
export async function copyLetters(from: string, to: string): Promise<void> {
  const [old, copies] = [lettersIn(from), lettersIn(to)];
  for (const seq of await old.ids()) await copies.update(await old.read(seq));
}

/** What the daemon knows of the server of a fixture when it begins to follow it. */
export function serverOf(fixture: Fixture): { facts: ServerInfo; start: StartPoint } {
  const { flavor, version, identity, caseSensitive, start } = fixture;
  const facts = { flavor, version, identity, caseSensitive, end: start, binlogs: [start], isReplica: false };
  return {
    facts: { ...facts, charsets: new Map(fixture.charsets), executed: undefined, purged: undefined },
    start: {
      delivered: new ReplicationPosition(undefined, start),
      epoch: EPOCH,
      dump: { coordinates: start },
      tableSchemas: new TableSchemaCache([]),
      coverage: new Coverage({ followedSince: null, complete: [], incomplete: [] }),
      readGtidsFromFirstFile: fixture.gtids,
    },
  };
}
