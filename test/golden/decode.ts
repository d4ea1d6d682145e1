import { BinlogReader } from '../../src/binlog/binlog-reader.ts';
import type { ServerFacts } from '../../src/binlog/server.ts';
import type { TableMap } from '../../src/binlog/table-map.ts';
import { compileColumnRules } from '../../src/change/column-rules.ts';
import { Position } from '../../src/change/position.ts';
import type { RememberedTable } from '../../src/change/remembered-table.ts';
import type { Transaction } from '../../src/change/rows-event.ts';
import type { Table } from '../../src/change/table.ts';
import { compileTableFilter } from '../../src/change/table-filter.ts';
import { type Checkpoint, CheckpointFile } from '../../src/checkpoint/checkpoint-file.ts';
import { charsetOf, decodeText } from '../../src/codec/charset.ts';
import { CommitMark, type TransactionLines } from '../../src/codec/commit-mark.ts';
import { type EventSummary, summaryOf } from '../../src/codec/event-summary.ts';
import { EventWriter } from '../../src/codec/event-writer.ts';
import type { EmitLine, EventFormat } from '../../src/codec/line.ts';
import { Output } from '../../src/codec/output.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { DeadLetterFolder } from '../../src/dead-letter/dead-letter-folder.ts';
import type { Letter } from '../../src/dead-letter/letter.ts';
import { shapeOf, TableMemory } from '../../src/schema/table-memory.ts';
import type { StartPoint } from '../../src/start-point.ts';
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
  tables: RememberedTable[];
}

export interface Fixture extends FixtureFacts {
  name: FixtureName;
  /** Whole events, header and checksum included, one after the other. */
  events: Buffer;
}

/** The part of a configuration that changes the bytes of events. */
export interface Variation {
  format: EventFormat['format'];
  values?: Partial<Config['values']>;
  columns?: Record<string, unknown>;
  flat_prefix?: string;
}

export interface Decoded {
  /** The lines of committed transactions, each with its newline. */
  lines: Buffer[];
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
  const captures = compileTableFilter(config.tables, names);
  const charsets = new Map(fixture.charsets);
  const memory = new TableMemory([]);
  const delivered = new Position(undefined, fixture.start);
  const tables = new Map<string, Table>();
  const journal: string[] = [];
  const note = (entry: Record<string, unknown>): void => void journal.push(JSON.stringify(entry));
  const committed = committedLines((transaction, lines) => {
    note({ commit: described(transaction), lines });
    delivered.advance(transaction);
  });
  const lines: TransactionLines = config.format === 'maxwell' ? new CommitMark(committed) : committed;
  const out = new Output();
  const format: EventFormat = {
    format: config.format,
    name: config.name,
    epoch: EPOCH,
    flatPrefix: config.flat_prefix,
    values: config.values,
    charsets,
    columnRule: compileColumnRules(config.columns, names),
  };
  const emit: EmitLine = (keyHash, bytes, from, to) => lines.line(0, keyHash, bytes, from, to);
  const reader = new BinlogReader<EventWriter>(
    {
      captures,
      table(map, at) {
        const known = memory.find(map.schema, map.name, shapeOf(map.columns), at) ?? lookUp(fixture, memory, map, at);
        if (known === undefined && !map.named)
          throw new Error(`the fixture has no columns of ${map.schema}.${map.name}`);
        const { columns, primaryKey } = known ?? map;
        const named = primaryKey.length > 0 ? undefined : KEYS[`${map.schema}.${map.name}` as keyof typeof KEYS];
        const key = named?.map((name) => columns.findIndex((column) => column.name === name)) ?? primaryKey;
        const table: Table = { schema: map.schema, name: map.name, columns, key };
        note({ table: `${map.schema}.${map.name}`, columns: columns.length, key, at });
        tables.set(`${map.schema}.${map.name}`, table);
        return new EventWriter(table, format, out);
      },
      statement(sql, at) {
        note({ statement: sql, at });
        memory.statement(sql, at);
      },
      rows: (writer, rows, transaction) => writer.write(rows, transaction, NOW, emit),
      truncate(schema, name, position, transaction) {
        const writer = new EventWriter({ schema, name, columns: [], key: [] }, format, out);
        writer.writeTruncate(position, transaction, NOW, emit);
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
      prepared: (transaction) => note({ prepared: described(transaction) }),
      previous(gtids) {
        note({ previous: gtids.toString() });
        if (fixture.gtids) delivered.gtids ??= gtids;
      },
      idle: (at) => note({ idle: at }),
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
    tables: memory.since(delivered.coordinates),
  };
  return { lines: committed.lines, journal, tables, checkpoint };
}

/** Remembers what the server answered at the same place when the fixture was recorded. */
export function lookUp(
  fixture: Fixture,
  memory: TableMemory,
  { schema, name, columns }: Pick<TableMap, 'schema' | 'name' | 'columns'>,
  at: FixtureFacts['start'],
): RememberedTable | undefined {
  const shape = shapeOf(columns);
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
  if (known !== undefined) memory.remember(known);
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
  const { gtid, source, number, file, fileNumber, position, endPosition, serverId, committedAt, ends } = transaction;
  return { gtid, source, number, file, fileNumber, position, endPosition, serverId, committedAt, ends: ends?.gtid };
};

/** Keeps the lines of transactions that happened, as delivery does. */
export function committedLines(
  onCommit: (transaction: Transaction, lines: number) => void,
): TransactionLines & { lines: Buffer[] } {
  const lines: Buffer[] = [];
  let open: Buffer[] = [];
  const savepoints = new Map<string, number>();
  return {
    lines,
    line: (_stream, _keyHash, bytes, from, to) => void open.push(Buffer.from(bytes.subarray(from, to))),
    savepoint: (name) => void savepoints.set(name, open.length),
    rollbackTo(name) {
      open.length = savepoints.get(name) ?? open.length;
    },
    commit(transaction) {
      onCommit(transaction, open.length);
      for (const line of open) lines.push(line);
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
export function summarize(line: Buffer, variation: Variation, tables: Decoded['tables']): EventSummary {
  const { format, flat_prefix } = configOf(variation);
  // The name in a summary has backticks where it needs them; the keys of the map have none.
  const { table } = summaryOf(line, format, [], flat_prefix);
  const { columns = [], key = [] } = tables.get(table.replaceAll('`', '')) ?? {};
  return summaryOf(
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

const lettersIn = (directory: string): DeadLetterFolder => new DeadLetterFolder(directory, 'golden', 2 ** 30);

/** Writes a dead letter of today; returns its file. */
export async function writeLetter(directory: string, letter: Letter): Promise<string> {
  const letters = lettersIn(directory);
  await letters.write([letter]);
  return letters.pathOf(letter.seq);
}

/** Reads all dead letters of a folder and writes them again into another one, as a retry does that fails. */
export async function copyLetters(from: string, to: string): Promise<void> {
  const [old, copies] = [lettersIn(from), lettersIn(to)];
  for (const seq of await old.ids()) await copies.rewrite(await old.read(seq));
}

/** What the daemon knows of the server of a fixture when it begins to follow it. */
export function serverOf(fixture: Fixture): { facts: ServerFacts; start: StartPoint } {
  const { flavor, version, identity, caseSensitive, start } = fixture;
  const facts = { flavor, version, identity, caseSensitive, end: start, binlogs: [start], replicates: false };
  return {
    facts: { ...facts, charsets: new Map(fixture.charsets), executed: undefined, purged: undefined },
    start: {
      delivered: new Position(undefined, start),
      epoch: EPOCH,
      dump: { coordinates: start },
      memory: new TableMemory([]),
      gtidsFromStream: fixture.gtids,
    },
  };
}
