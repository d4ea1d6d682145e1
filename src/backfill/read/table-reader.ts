import { quoteIdentifier } from '../../model/identifier.ts';
import { type Key, type KeyRange, keysEqual, WHOLE_TABLE } from '../../model/key-range.ts';
import { CdcError } from '../../runtime/error.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import type { Parameter } from './execute-command.ts';
import { integerParameter, type KeyColumn } from './key-column.ts';
import { keyScale } from './key-scale.ts';
import {
  BISECTIONS_MAX,
  CHUNK_BUFFER_BYTES,
  DISCARD_MAX_BYTES,
  PIECE_MAX_BYTES,
  SAMPLE_OFFSETS,
  SPLIT_MIN_ROWS,
  STATEMENT_TIMEOUT_MS,
} from './limits.ts';
import { type Direction, orderBy, parenthesized, rangeCondition, rangeParameters } from './range-sql.ts';
import { isStatementTimeout, readError } from './read-error.ts';
import { type HighWatermark, PACKET_HEADER_LENGTH, type Processed, type RowChunk } from './row-chunk.ts';
import { type CollectedRows, type ResultColumn, RowCollector } from './row-collector.ts';
import { readKey } from './row-packet-key.ts';
import type { ReadSession } from './session.ts';
import type { SnapshotConnection } from './snapshot-connection.ts';

export interface ChunkLimits {
  rows: number;
  /** A chunk ends after the row that reaches this many bytes. */
  bytes: number;
}

/** Rows of a result set; not all of them if it was cut at the limit of bytes or ended by the time limit. */
interface PartialResult {
  rows: CollectedRows;
  columns: readonly ResultColumn[];
  isCut: boolean;
}

/** No table has more rows. */
const ALL_ROWS = 2n ** 63n - 1n;

/** Reads the rows of one table. Its statements are prepared once a connection. */
export class TableReader {
  readonly table: DeclaredTable;
  readonly key: readonly KeyColumn[];
  readonly #connection: SnapshotConnection;
  readonly #where: string | undefined;
  readonly #from: string;
  readonly #keyPositions: readonly number[];
  #definitions: Buffer | undefined;
  /** Of the last chunk: so that the next one has a buffer of the right size, and about as many rows as it may have. */
  #chunkBytes = CHUNK_BUFFER_BYTES;
  #rowBytes = 0;

  constructor(connection: SnapshotConnection, table: DeclaredTable, key: readonly KeyColumn[], where?: string) {
    this.#connection = connection;
    this.table = table;
    this.key = key;
    this.#where = where;
    const index = table.keyIndex === undefined ? '' : ` FORCE INDEX (${quoteIdentifier(table.keyIndex)})`;
    this.#from = `FROM ${table.from}${index}`;
    this.#keyPositions = key.map(({ index }) => index);
  }

  /** Prepares the first statement, so that a table that cannot be read is known before a window opens. */
  async prepare(): Promise<void> {
    await this.#run((session) => session.prepare(this.rowsSql(WHOLE_TABLE)));
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
      const open = session.isBroken ? await this.#connection.session() : session;
      const high = await visibility.high(open);
      if (!session.isBroken) await visibility.close(session);
      if (part.lastKey !== undefined) await this.#verifyKey(open, part.lastKey);
      return { ...part, elapsedMs, high };
    });
  }

  async #readRange(
    session: ReadSession,
    range: KeyRange,
    limits: ChunkLimits,
  ): Promise<CollectedRows & Pick<RowChunk, 'lastKey' | 'isLast'>> {
    const limit = this.#rowLimit(limits);
    const lookAt = this.#where === undefined ? undefined : await this.#keyAt(session, range, limit - 1);
    const of = lookAt === undefined ? range : { ...range, upTo: lookAt };
    const maxRows = this.#where === undefined ? BigInt(limit) : ALL_ROWS;
    const parameters = [...rangeParameters(this.key, of), integerParameter(maxRows)];
    const { rows, columns, isCut } = await this.#collect(session, this.rowsSql(of), parameters, maxRows, limits.bytes);
    this.#learn(rows);
    const lastRow = rows.count === 0 ? undefined : this.#keyOf(rows, columns, rows.count - 1);
    if (this.#where === undefined || isCut) {
      return { ...rows, lastKey: lastRow, isLast: !isCut && rows.count < limit };
    }
    return { ...rows, lastKey: lookAt ?? lastRow, isLast: lookAt === undefined };
  }

  /** The statement of a chunk. Its parameters are those of the range, then the number of rows. */
  rowsSql({ after, upTo }: KeyRange): string {
    const where = this.#where === undefined ? '' : ` AND ${parenthesized(this.#where)}`;
    const condition = rangeCondition(this.key, after !== null, upTo !== null);
    const order = this.key.length === 0 ? '' : ` ORDER BY ${orderBy(this.key, 'forward')}`;
    return `SELECT ${this.table.select.join(', ')} ${this.#from} WHERE ${condition}${where}${order} LIMIT ?`;
  }

  /** The key that follows `offset` rows of the range. */
  async #keyAt(session: ReadSession, range: KeyRange, offset: number): Promise<Key | undefined> {
    const condition = rangeCondition(this.key, range.after !== null, range.upTo !== null);
    return this.#selectKey(session, condition, rangeParameters(this.key, range), 'forward', offset);
  }

  /**
   * A key of the range with rows on both sides of it, near the middle if the key is a number, a date or bytes. Undefined
   * if the range has no more than about `minRows` rows.
   */
  async split(range: KeyRange, minRows = SPLIT_MIN_ROWS): Promise<Key | undefined> {
    if (this.key.length === 0 || this.table.isPrefixKey) return undefined;
    return this.#run(async (session) => {
      const low = await this.#keyAt(session, range, minRows - 1);
      if (low === undefined) return undefined;
      const condition = rangeCondition(this.key, range.after !== null, range.upTo !== null);
      const high = await this.#selectKey(session, condition, rangeParameters(this.key, range), 'backward');
      if (high === undefined || keysEqual(low, high)) return undefined;
      const middle =
        (await this.#bisect(session, range, low, high)) ?? (await this.#sample(session, range, high)) ?? low;
      await this.#verifyKey(session, middle);
      return middle;
    });
  }

  /** The middle by value, moved to the next existing key. While there is none before `high`, it looks further down. */
  async #bisect(session: ReadSession, range: KeyRange, low: Key, high: Key): Promise<Key | undefined> {
    const [column] = this.key;
    const scale = column && keyScale(column);
    if (column === undefined || scale === undefined) return undefined;
    const position = (key: Key): bigint => scale.position(Buffer.from(key[0] as string, 'base64'));
    const from = position(low);
    let to = position(high);
    const step = to > from ? 1n : -1n;
    const beyond = `${quoteIdentifier(column.name)} ${column.descending ? '<=' : '>='} ?`;
    const condition = `${rangeCondition(this.key, range.after !== null, range.upTo !== null)} AND ${beyond}`;
    for (let i = 0; i < BISECTIONS_MAX; i++) {
      const middle = (from + to + step) / 2n;
      if (middle === from || middle === to) return undefined;
      const parameters = [...rangeParameters(this.key, range), scale.parameterAt(middle)];
      const key = await this.#selectKey(session, condition, parameters, 'forward');
      if (key !== undefined && !keysEqual(key, high)) return key;
      to = middle;
    }
    return undefined;
  }

  /** The key behind a number of rows that the server can skip in a moment. */
  async #sample(session: ReadSession, range: KeyRange, high: Key): Promise<Key | undefined> {
    for (const offset of SAMPLE_OFFSETS) {
      const key = await this.#keyAt(session, range, offset);
      if (key !== undefined && !keysEqual(key, high)) return key;
    }
    return undefined;
  }

  async #selectKey(
    session: ReadSession,
    condition: string,
    parameters: readonly Parameter[],
    direction: Direction,
    offset = 0,
  ): Promise<Key | undefined> {
    const columns = this.key.map(({ index }) => this.table.select[index]).join(', ');
    const sql = `SELECT ${columns} ${this.#from} WHERE ${condition} ORDER BY ${orderBy(this.key, direction)} LIMIT 1 OFFSET ?`;
    const collector = new RowCollector(0, 1);
    const statement = await session.prepare(sql);
    await session.execute(statement, [...parameters, integerParameter(BigInt(offset))], collector, () => {});
    if (collector.count === 0) return undefined;
    const positions = this.key.map((_, i) => i);
    return readKey(collector.bytes, PACKET_HEADER_LENGTH, collector.columns, positions);
  }

  /** Runs a statement and keeps rows up to `maxBytes`. The rest is dropped; if it is large, with its connection. */
  async #collect(
    session: ReadSession,
    sql: string,
    parameters: readonly Parameter[],
    maxRows: bigint,
    maxBytes: number,
  ): Promise<PartialResult> {
    const statement = await session.prepare(sql);
    const collector = new RowCollector(this.#chunkBytes);
    let kept: CollectedRows | undefined;
    let dropped = 0;
    const onRows = (): void => {
      if (kept !== undefined) {
        dropped += collector.end;
        collector.clear();
        if (dropped + collector.length > DISCARD_MAX_BYTES) session.destroy();
      } else if (collector.length >= maxBytes && collector.count > 0) {
        const rest = (collector.end / collector.count) * (Number(maxRows) - collector.count);
        kept = collector.detach();
        if (rest > DISCARD_MAX_BYTES) session.destroy();
      }
    };
    try {
      await session.execute(statement, parameters, collector, onRows);
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

  /** All rows in one view, piece by piece. Nothing is read while `onPiece` runs. */
  async readAll(processed: Processed, onPiece: (piece: RowChunk) => Promise<void>): Promise<void> {
    const { visibility } = this.#connection;
    await this.#run(async (session) => {
      await session.limitStatements(0);
      await visibility.open(session, processed, true);
      const high = await visibility.high(session);
      await this.#stream(session, high, onPiece);
      await visibility.close(session);
      await session.limitStatements(STATEMENT_TIMEOUT_MS);
    });
  }

  async #stream(session: ReadSession, high: HighWatermark, onPiece: (piece: RowChunk) => Promise<void>): Promise<void> {
    const collector = new RowCollector(PIECE_MAX_BYTES * 2);
    let start = performance.now();
    let failure: unknown;
    let isPaused = false;
    const give = async (isLast: boolean): Promise<void> => {
      const rows = isLast ? collector.rows() : collector.detach();
      await onPiece({ ...rows, lastKey: undefined, isLast, elapsedMs: performance.now() - start, high });
      start = performance.now();
    };
    const onRows = (): void => {
      if (isPaused || collector.end < PIECE_MAX_BYTES) return;
      isPaused = true;
      session.pause();
      give(false).then(
        () => {
          isPaused = false;
          session.resume();
        },
        (error) => {
          failure = error;
          session.destroy();
        },
      );
    };
    const statement = await session.prepare(this.rowsSql(WHOLE_TABLE));
    try {
      await session.execute(statement, [integerParameter(ALL_ROWS)], collector, onRows);
    } catch (error) {
      throw failure ?? error;
    }
    await give(true);
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
    const from = (row === 0 ? 0 : (ends[row - 1] as number)) + PACKET_HEADER_LENGTH;
    return readKey(bytes, from, columns, this.#keyPositions);
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

  /**
   * The server must take the bytes of a string back as they are. It does not if the column holds bytes that are invalid
   * in its character set, and a range that begins there would lose rows.
   */
  async #verifyKey(session: ReadSession, key: Key): Promise<void> {
    const texts = this.key.flatMap((column, i) =>
      column.charset === null ? [] : [{ column, value: key[i] as string }],
    );
    const converted = texts.filter(({ column }) => column.parameter !== '?');
    if (converted.length === 0) return;
    const checks = converted.map(({ column }) => `CAST(${column.parameter} AS BINARY) <=> CAST(? AS BINARY)`);
    const parameters = converted.flatMap(({ column, value }) => {
      const parameter = column.toParameter(Buffer.from(value, 'base64'));
      return [parameter, parameter];
    });
    const collector = new RowCollector(0, 1);
    const statement = await session.prepare(`SELECT 1 FROM DUAL WHERE ${checks.join(' AND ')}`);
    await session.execute(statement, parameters, collector, () => {});
    if (collector.count === 1) return;
    throw new CdcError(`a key of ${this.#name} cannot be compared`, {
      why: `${converted.map(({ column }) => column.name).join(', ')} has bytes that are invalid in its character set`,
      hint: `find the row with its bytes (HEX) and correct it, then start the backfill again`,
    });
  }

  /** Runs reads on the open session. After an error the session is in an unknown state, so it is ended. */
  async #run<T>(read: (session: ReadSession) => Promise<T>): Promise<T> {
    const { options } = this.#connection;
    const session = await this.#connection.session();
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
