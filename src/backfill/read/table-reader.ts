import { type Key, type KeyRange, WHOLE_TABLE } from '../../model/key-range.ts';
import { CdcError } from '../../runtime/error.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import type { Parameter } from './execute-command.ts';
import { integerParameter, type KeyColumn } from './key-column.ts';
import { type KeyBounds, KeySearch } from './key-search.ts';
import { CHUNK_BUFFER_BYTES, DISCARD_MAX_BYTES, PIECE_MAX_BYTES, SPLIT_MIN_ROWS } from './limits.ts';
import { orderBy, parenthesized, rangeCondition } from './range-sql.ts';
import { isStatementTimeout, readError } from './read-error.ts';
import type { ReconnectingSession } from './reconnecting-session.ts';
import { type HighWatermark, PACKET_HEADER_LENGTH, type Processed, type RowChunk } from './row-chunk.ts';
import { type CollectedRows, type ResultColumn, RowCollector } from './row-collector.ts';
import { readKey } from './row-packet-key.ts';
import type { PreparedStatement, ReadSession } from './session.ts';
import { useSchema } from './where.ts';

export interface ChunkLimits {
  rows: number;
  /** A chunk ends before the row that exceeds this many bytes, but not before its first row. */
  bytes: number;
}

/** Rows of a result set; not all of them if it was cut at the limit of bytes or ended by the time limit. */
interface PartialResult {
  rows: CollectedRows;
  columns: readonly ResultColumn[];
  isCut: boolean;
}

/** No table has more rows. */
const ALL_ROWS = 2 ** 53;

/** Reads the rows of one table. Its statements are prepared once a connection. */
export class TableReader {
  readonly table: DeclaredTable;
  /** The columns of the key; empty if only `readAll` can read the table. */
  readonly key: readonly KeyColumn[];
  readonly #connection: ReconnectingSession;
  readonly #where: string | undefined;
  readonly #search: KeySearch;
  #bounds: KeyBounds | undefined;
  #definitions: Buffer | undefined;
  #columns: readonly ResultColumn[] = [];
  /** Of the last chunk: so that the next one has a buffer of the right size, and about as many rows as it may have. */
  #chunkBytes = CHUNK_BUFFER_BYTES;
  #rowBytes = 0;
  /** The buffer of a chunk that nobody needs any more. */
  #spare: Buffer | undefined;

  constructor(connection: ReconnectingSession, table: DeclaredTable, key: readonly KeyColumn[], where?: string) {
    this.#connection = connection;
    this.table = table;
    this.key = key;
    this.#where = where;
    this.#search = new KeySearch(table, key);
  }

  /** Whether an index orders the rows by the key, so that a range of it is read without the rest of the table. */
  get isIndexed(): boolean {
    return this.#search.isIndexed;
  }

  /** The columns of the last result set, as the protocol describes them. */
  get columns(): readonly ResultColumn[] {
    return this.#columns;
  }

  /** The key of a row of the last chunk, or of one before it. */
  keyOf(chunk: CollectedRows, row: number): Key {
    return this.#keyOf(chunk, this.#columns, row);
  }

  /** Prepares the first statement and reads the bounds, so that errors are known before a window opens. */
  async prepare(): Promise<void> {
    await this.#run((session) => this.#prepareRows(session, WHOLE_TABLE));
    await this.bounds();
  }

  /**
   * Waits until `processed` is visible, reads one chunk of the range, then takes the high watermark. With a condition a
   * chunk looks at `limits.rows` rows, and has those that satisfy it.
   */
  async read(range: KeyRange, processed: Processed, limits: ChunkLimits): Promise<RowChunk> {
    if (this.key.length === 0) throw new Error('a table without a key has no ranges');
    const { visibility } = this.#connection;
    return this.#run(async (session) => {
      const start = performance.now();
      await visibility.open(session, processed, false);
      const part = await this.#readRange(session, range, limits);
      const elapsedMs = performance.now() - start;
      // A result set can have been cut by ending its connection.
      const open = session.isBroken ? await this.#connection.open() : session;
      const high = await visibility.high(open);
      if (open === session) await visibility.close(session);
      if (part.lastKey !== undefined) await this.#search.verify(open, part.lastKey);
      return { ...part, elapsedMs, high };
    });
  }

  async #readRange(
    session: ReadSession,
    range: KeyRange,
    limits: ChunkLimits,
  ): Promise<CollectedRows & Pick<RowChunk, 'lastKey' | 'isLast'>> {
    const limit = this.#rowLimit(limits);
    const lookAt = this.#where === undefined ? undefined : await this.#search.keyAt(session, range, limit - 1);
    const of = lookAt === undefined ? range : { ...range, upTo: lookAt };
    const maxRows = this.#where === undefined ? limit : ALL_ROWS;
    const { rows, columns, isCut } = await this.#collect(session, of, maxRows, limits.bytes);
    this.#learn(rows);
    this.#columns = columns;
    const lastRow = rows.count === 0 ? undefined : this.#keyOf(rows, columns, rows.count - 1);
    if (this.#where === undefined || isCut) {
      return { ...rows, lastKey: lastRow, isLast: !isCut && rows.count < limit };
    }
    return { ...rows, lastKey: lookAt ?? lastRow, isLast: lookAt === undefined };
  }

  /** The rows of the chunk are not needed any more: a later chunk can use their buffer. */
  release({ bytes }: CollectedRows): void {
    this.#spare = Buffer.from(bytes.buffer);
  }

  /** The statement of a chunk. Its parameters are those of the range, then the number of rows. */
  rowsSql(range: KeyRange): string {
    const where = this.#where === undefined ? '' : ` AND ${parenthesized(this.#where)}`;
    const order = this.key.length === 0 ? '' : ` ORDER BY ${orderBy(this.key, 'forward')}`;
    const { sql } = rangeCondition(this.key, range);
    return `SELECT ${this.table.select.join(', ')} ${this.#search.from} WHERE ${sql}${where}${order} LIMIT ?`;
  }

  async #prepareRows(session: ReadSession, range: KeyRange): Promise<PreparedStatement> {
    if (this.#where !== undefined) await useSchema(session, this.table);
    return session.prepare(this.rowsSql(range));
  }

  parameters(range: KeyRange, rows: number): Parameter[] {
    return [...rangeCondition(this.key, range).parameters, integerParameter(BigInt(rows))];
  }

  /** Runs a statement and keeps rows up to `maxBytes`. The rest is dropped; if it is large, with its connection. */
  async #collect(session: ReadSession, range: KeyRange, maxRows: number, maxBytes: number): Promise<PartialResult> {
    const statement = await this.#prepareRows(session, range);
    const collector = new RowCollector(this.#chunkBytes, undefined, this.#spare);
    this.#spare = undefined;
    let kept: CollectedRows | undefined;
    let dropped = 0;
    const onRows = (): void => {
      if (kept !== undefined) {
        dropped += collector.end;
        collector.clear();
        if (dropped + collector.length > DISCARD_MAX_BYTES) session.destroy();
      } else if (collector.length >= maxBytes && collector.count > 0) {
        const rest = (collector.end / collector.count) * (maxRows - collector.count);
        kept = collector.detach();
        if (rest > DISCARD_MAX_BYTES) session.destroy();
      }
    };
    try {
      await session.execute(statement, this.parameters(range, maxRows), collector, onRows);
    } catch (error) {
      this.#connection.options.signal.throwIfAborted();
      // What the server sent before its time limit is in order and complete.
      const isUseful = kept !== undefined || (isStatementTimeout(error) && collector.count > 0);
      if (!isUseful) throw error;
      kept ??= collector.rows();
    }
    this.#compareDefinitions(collector.definitions);
    return { rows: kept ?? collector.rows(), columns: collector.columns, isCut: kept !== undefined };
  }

  /**
   * A key of the range with rows on both sides of it, near the middle if the key is a number, a date or bytes.
   * Undefined if the range has no more than about `minRows` rows.
   */
  async split(range: KeyRange, minRows = SPLIT_MIN_ROWS): Promise<Key | undefined> {
    if (!this.#search.isIndexed) return undefined;
    return this.#run(async (session) => {
      const middle = await this.#search.split(session, range, minRows);
      if (middle !== undefined) await this.#search.verify(session, middle);
      return middle;
    });
  }

  /**
   * The share of `whole` that `range` covers, by the values of the first key column: 0..1. Undefined if these values do
   * not show it. Where a bound is null, the first or last key of `bounds` is meant.
   */
  fraction(range: KeyRange, whole: KeyRange): number | undefined {
    return this.#search.fraction(range, whole, this.#bounds);
  }

  /** The first and the last key of the table now; undefined if it is empty or has no order. */
  async bounds(): Promise<KeyBounds | undefined> {
    if (!this.#search.isIndexed) return undefined;
    this.#bounds = await this.#run((session) => this.#search.bounds(session));
    return this.#bounds;
  }

  /** All rows in one view, piece by piece. Nothing is read while `onPiece` runs. */
  async readAll(processed: Processed, onPiece: (piece: RowChunk) => Promise<void>): Promise<void> {
    const { visibility } = this.#connection;
    await this.#run(async (session) => {
      await session.limitStatements(0);
      await visibility.open(session, processed, true);
      const high = await visibility.high(session);
      await this.#stream(session, high, onPiece);
      await visibility.close(session);
      await session.limitStatements(this.#connection.statementTimeoutMs);
    });
  }

  async #stream(session: ReadSession, high: HighWatermark, onPiece: (piece: RowChunk) => Promise<void>): Promise<void> {
    const collector = new RowCollector(PIECE_MAX_BYTES * 2);
    let start = performance.now();
    let failure: unknown;
    /** The pieces that are given, one after the other. */
    let giving = Promise.resolve();
    const give = async (rows: CollectedRows, isLast: boolean): Promise<void> => {
      this.#columns = collector.columns;
      await onPiece({ ...rows, lastKey: undefined, isLast, elapsedMs: performance.now() - start, high });
      start = performance.now();
    };
    const onRows = (): void => {
      if (collector.end < PIECE_MAX_BYTES) return;
      const rows = collector.detach();
      session.pause();
      giving = giving
        .then(() => give(rows, false))
        .then(
          () => session.resume(),
          (error) => {
            failure = error;
            session.destroy();
          },
        );
    };
    const statement = await this.#prepareRows(session, WHOLE_TABLE);
    try {
      await session.execute(statement, this.parameters(WHOLE_TABLE, ALL_ROWS), collector, onRows);
    } catch (error) {
      throw failure ?? error;
    }
    await giving;
    if (failure !== undefined) throw failure;
    await give(collector.rows(), true);
  }

  #rowLimit({ rows, bytes }: ChunkLimits): number {
    const fitting = this.#rowBytes === 0 ? rows : Math.ceil((bytes * 1.2) / this.#rowBytes);
    return Math.max(1, Math.min(rows, fitting));
  }

  #learn({ count, bytes }: CollectedRows): void {
    if (count === 0) return;
    this.#chunkBytes = Math.ceil(bytes.length * 1.1) + 64 * 1024;
    this.#rowBytes = bytes.length / count;
  }

  #keyOf({ bytes, ends }: CollectedRows, columns: readonly ResultColumn[], row: number): Key {
    const start = (row === 0 ? 0 : (ends[row - 1] as number)) + PACKET_HEADER_LENGTH;
    return readKey(
      bytes,
      start,
      columns,
      this.key.map(({ index }) => index),
    );
  }

  /** The columns of every result set are those of the first: otherwise the codec would misread the rows. */
  #compareDefinitions(definitions: Buffer): void {
    this.#definitions ??= definitions;
    if (this.#definitions.equals(definitions)) return;
    throw new CdcError(`the columns of ${this.#name} changed between two reads`, {
      kind: 'retry',
      hint: 'the chunk is read again',
    });
  }

  /** Runs reads on the open session. After an error the session is in an unknown state, so it is ended. */
  async #run<T>(read: (session: ReadSession) => Promise<T>): Promise<T> {
    const { options } = this.#connection;
    const session = await this.#connection.open();
    try {
      return await read(session);
    } catch (error) {
      session.destroy();
      options.signal.throwIfAborted();
      throw readError(error, { table: this.#name, connection: options.connection });
    }
  }

  get #name(): string {
    return `${this.table.schema}.${this.table.name}`;
  }
}
