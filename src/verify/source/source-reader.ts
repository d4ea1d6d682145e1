import type { Connection, RowDataPacket } from 'mysql2/promise';
import { type KeyTextColumn, keyPredicate, keyValues } from '../../backfill/read/key-predicate.ts';
import { readKeyTextColumns } from '../../backfill/read/read-charsets.ts';
import { PACKET_HEADER_LENGTH, type Processed, type RowChunk } from '../../backfill/read/row-chunk.ts';
import type { SnapshotConnection } from '../../backfill/read/snapshot-connection.ts';
import type { TableReader } from '../../backfill/read/table-reader.ts';
import { ChunkSize } from '../../backfill/work/chunk-size.ts';
import type { Config } from '../../config/schema.ts';
import { compileColumnRules } from '../../model/column-rules.ts';
import type { Coordinates } from '../../model/coordinates.ts';
import type { Key } from '../../model/key-range.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { sleepUnlessAborted } from '../../runtime/abort.ts';
import { exponentialBackoff } from '../../runtime/backoff.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { compileFallbackKeys, withRowKey } from '../../source/event-table.ts';
import { readDeclaredColumns } from '../../source/schema/declared-columns.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import { KeyHasher } from '../lake/row-key.ts';
import { coordinatesOf } from './positions.ts';
import { type ComparedColumn, comparedColumns, readPacket, textOf } from './source-row.ts';

/** A table of the source that is compared. */
export interface ComparedTable {
  schema: string;
  table: string;
  name: string;
  /** The names of its key columns, as they are in the events. */
  key: readonly string[];
  columns: readonly ComparedColumn[];
  /** The table with a SELECT that lets the server convert the values to text. */
  declared: DeclaredTable;
  /** The field of each compared column in that SELECT. */
  fields: readonly number[];
  /** The key columns among `columns`. */
  keyColumns: readonly number[];
  keyTexts: readonly KeyTextColumn[];
}

/** A row of the source, valid only during the call that gives it. */
export interface ReadRow {
  /** The hash of the key. */
  key: string;
  /** The values of the compared columns, as the server converted them. */
  values: readonly (Buffer | null)[];
  texts: readonly string[];
}

/** A time of the stream: everything before `from` was visible to a SELECT, and nothing behind `to`. */
export interface ReadInterval {
  from: Coordinates;
  to: Coordinates;
}

const CHUNK_TIME_MS = 500;
const TRIES_MAX = 8;
const RETRY_BASE_MS = 200;
const RETRY_MAX_MS = 10_000;

/** Reads rows of the source with values that the server has converted, and says between which points of the stream. */
export class SourceReader {
  readonly #config: Config;
  readonly #caseSensitive: boolean;
  readonly #connection: SnapshotConnection;
  readonly #signal: AbortSignal;

  constructor(connection: SnapshotConnection, config: Config, caseSensitive: boolean, signal: AbortSignal) {
    this.#connection = connection;
    this.#config = config;
    this.#caseSensitive = caseSensitive;
    this.#signal = signal;
  }

  /** Whether the server logs only some columns of rows, so that a row is merged from several events. */
  async hasPartialImages(): Promise<boolean> {
    const [[image] = []] = await this.#connection.query((_, session) =>
      session.query('SELECT @@global.binlog_row_image'),
    );
    return String(image).toUpperCase() !== 'FULL';
  }

  /** @throws CdcError with exit code 2 if the table has no key, or does not exist */
  async describe(schema: string, table: string): Promise<ComparedTable> {
    const name = formatTableName(schema, table);
    const declared = await this.#connection.describe(schema, table);
    if (declared === undefined) throw new CdcError(`${name} does not exist any more`, { exitCode: 2 });
    const { format, values, columns: rules } = this.#config;
    const withKey = withRowKey(
      declared,
      declared.columns,
      declared.primaryKey,
      compileFallbackKeys(this.#config, this.#caseSensitive),
    );
    if (withKey.key.length === 0) throw keylessError(name);
    const ruleOf = compileColumnRules(rules, { caseSensitive: this.#caseSensitive });
    const described = await this.#connection.query((connection) => readDeclaredColumns(connection, declared));
    const columns = comparedColumns(described, values, format, (column) => ruleOf(schema, table, column));
    const indexOf = (column: ComparedColumn): number => declared.columns.findIndex((c) => c.name === column.name);
    const isKey = (index: number): boolean => declared.primaryKey.includes(index);
    const select = declared.columns.map((_, i) => (isKey(i) ? (declared.select[i] as string) : 'NULL'));
    const fields = columns.map((column) => {
      const index = indexOf(column);
      if (!isKey(index)) {
        select[index] = column.reader.select;
        return index;
      }
      return select.push(column.reader.select) - 1;
    });
    const keyColumns = withKey.key.map((index) => {
      const at = columns.findIndex((column) => indexOf(column) === index);
      if (at < 0) throw new CdcError(`a rule drops a key column of ${name}`, { exitCode: 2 });
      return at;
    });
    const isHashed = (column: string): boolean => ruleOf(schema, table, column)?.kind === 'hash';
    const keyTexts = await this.#connection.query((_, session) =>
      readKeyTextColumns(session, declared, withKey.key, isHashed),
    );
    return {
      ...{ schema, table, name, columns, fields, keyColumns, keyTexts },
      key: keyColumns.map((i) => (columns[i] as ComparedColumn).name),
      declared: { ...declared, select },
    };
  }

  /**
   * Reads the whole table, or the rows of a condition, in chunks of its key.
   * @param processed what every chunk sees at least; asked for before each
   * @param onChunk between which points of the stream the rows since the last call were read
   */
  async scan(
    table: ComparedTable,
    options: { where?: string | undefined; processed: () => Promise<Processed> },
    onRow: (row: ReadRow) => void,
    onChunk: (rows: number, interval: ReadInterval, fraction: number | undefined) => void | Promise<void>,
  ): Promise<void> {
    const { where, processed } = options;
    const rows = new RowMaker(table);
    const size = new ChunkSize(CHUNK_TIME_MS);
    let after: Key | null = null;
    let reader: TableReader | undefined;
    for (let failures = 0; ; ) {
      try {
        reader ??= await this.#connection.use(table.declared, where === undefined ? {} : { where });
        const seen = await processed();
        if (!reader.isIndexed) {
          await this.#scanAtOnce(reader, seen, rows, onRow, onChunk);
          return;
        }
        const chunk: RowChunk = await reader.read({ after, upTo: null }, seen, size.limits(undefined));
        size.adapt(chunk);
        rows.ofChunk(chunk, reader, onRow);
        const fraction: number | undefined =
          chunk.lastKey === undefined
            ? undefined
            : reader.fraction({ after: null, upTo: chunk.lastKey }, { after: null, upTo: null });
        await onChunk(chunk.count, { from: seen.coordinates, to: coordinatesOf(chunk.high) }, fraction);
        reader.release(chunk);
        after = chunk.lastKey ?? after;
        failures = 0;
        if (chunk.isLast) return;
      } catch (thrown) {
        this.#signal.throwIfAborted();
        const error = asCdcError(thrown);
        // Rows of a table that is read at once were given already.
        const isBegun = reader?.isIndexed === false;
        if (error.kind !== 'retry' || isBegun || ++failures > TRIES_MAX) throw finalError(error);
        reader = undefined;
        await this.#backOff(failures);
      }
    }
  }

  async #scanAtOnce(
    reader: TableReader,
    seen: Processed,
    rows: RowMaker,
    onRow: (row: ReadRow) => void,
    onChunk: (rows: number, interval: ReadInterval, fraction: number | undefined) => void | Promise<void>,
  ): Promise<void> {
    await reader.readAll(seen, async (piece) => {
      rows.ofChunk(piece, reader, onRow);
      await onChunk(piece.count, { from: seen.coordinates, to: coordinatesOf(piece.high) }, undefined);
    });
  }

  /** Whether rows of the table can be selected by the keys that the lake has of them. */
  canLookUp({ keyTexts }: ComparedTable, key: string): boolean {
    return this.#predicate(keyTexts, [key]) !== undefined;
  }

  /**
   * Selects the rows with these keys.
   * @param keys some hundred objects of JSON that have the key columns, as the lake has them
   * @returns between which points of the stream they were read
   */
  async lookUp(
    table: ComparedTable,
    keys: readonly string[],
    processed: () => Promise<Processed>,
    onRow: (row: ReadRow) => void,
  ): Promise<ReadInterval> {
    const rows = new RowMaker(table);
    const predicate = this.#predicate(table.keyTexts, keys);
    if (predicate === undefined) throw new Error('a key that cannot be looked up');
    // The driver refuses some names of columns.
    const fields = table.declared.select.map((expression, i) => `${expression} AS c${i}`);
    const sql = `SELECT ${fields.join(', ')} FROM ${table.declared.from} WHERE ${predicate.sql}`;
    for (let failures = 0; ; ) {
      try {
        const seen = await processed();
        let found: RawRow[] = [];
        const high = await this.#connection.readBetween(table.name, seen, async (connection) => {
          found = await selectRaw(connection, sql);
        });
        for (const row of found) rows.ofFields(row, onRow);
        return { from: seen.coordinates, to: coordinatesOf(high) };
      } catch (thrown) {
        this.#signal.throwIfAborted();
        const error = asCdcError(thrown);
        if (error.kind !== 'retry' || ++failures > TRIES_MAX) throw finalError(error);
        await this.#backOff(failures);
      }
    }
  }

  #predicate(keyTexts: readonly KeyTextColumn[], keys: readonly string[]): { sql: string } | undefined {
    const { format, values } = this.#config;
    return keyPredicate(keyTexts, keys, keyValues(format, values));
  }

  #backOff(failures: number): Promise<void> {
    return sleepUnlessAborted(
      exponentialBackoff(failures, { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS }),
      this.#signal,
    );
  }
}

type RawRow = (Buffer | null)[];

const rawCell = (field: { buffer(): Buffer | null }): Buffer | null => field.buffer();

async function selectRaw(connection: Connection, sql: string): Promise<RawRow[]> {
  const [rows] = await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true, typeCast: rawCell });
  return rows as unknown as RawRow[];
}

/** Makes rows of what a SELECT returned. */
class RowMaker {
  readonly #table: ComparedTable;
  readonly #hasher: KeyHasher;
  readonly #row: { key: string; values: (Buffer | null)[]; texts: string[] };
  readonly #keyTexts: string[];

  constructor(table: ComparedTable) {
    this.#table = table;
    this.#hasher = new KeyHasher(table.key);
    this.#row = { key: '', values: table.columns.map(() => null), texts: table.columns.map(() => '') };
    this.#keyTexts = table.key.map(() => '');
  }

  ofChunk(
    { bytes, ends, count }: Pick<RowChunk, 'bytes' | 'ends' | 'count'>,
    reader: TableReader,
    onRow: (row: ReadRow) => void,
  ): void {
    const { columns } = reader;
    let start = 0;
    for (let i = 0; i < count; i++) {
      this.ofFields(readPacket(bytes, start + PACKET_HEADER_LENGTH, columns), onRow);
      start = ends[i] as number;
    }
  }

  ofFields(fields: RawRow, onRow: (row: ReadRow) => void): void {
    const row = this.#row;
    const { columns, fields: fieldOf, keyColumns } = this.#table;
    for (let i = 0; i < columns.length; i++) {
      const value = fields[fieldOf[i] as number] as Buffer | null;
      row.values[i] = value;
      row.texts[i] = textOf(columns[i] as ComparedColumn, value);
    }
    for (let i = 0; i < keyColumns.length; i++) this.#keyTexts[i] = row.texts[keyColumns[i] as number] as string;
    row.key = this.#hasher.ofValues(this.#keyTexts);
    onRow(row);
  }
}

/** The members of the row's object in an event. */
export function membersOf({ columns }: ComparedTable, texts: readonly string[]): string {
  let members = '';
  for (let i = 0; i < columns.length; i++) {
    members += `${i === 0 ? '' : ','}${(columns[i] as ComparedColumn).memberName}${texts[i]}`;
  }
  return members;
}

/** The key of a row as an object of JSON. */
export function keyTextOf({ columns, keyColumns }: ComparedTable, texts: readonly string[]): string {
  let text = '{';
  for (let i = 0; i < keyColumns.length; i++) {
    const column = keyColumns[i] as number;
    text += `${i === 0 ? '' : ','}${(columns[column] as ComparedColumn).memberName}${texts[column]}`;
  }
  return `${text}}`;
}

/** An error of a read whose cause did not pass. */
const finalError = (error: CdcError): CdcError =>
  error.kind === 'retry'
    ? new CdcError(error.message, { ...(error.why && { why: error.why }), hint: 'run cdc verify again', cause: error })
    : error;

const keylessError = (name: string): CdcError =>
  new CdcError(`${name} has no key, so its rows cannot be compared one by one`, {
    exitCode: 2,
    why: 'it has no primary key and no unique key of NOT NULL columns',
    hint: `name columns that identify its rows: keys: { "${name}": [column, …] }; or leave it out: cdc verify '!${name}'`,
  });
