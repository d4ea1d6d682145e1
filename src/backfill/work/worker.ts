import { ByteWriter } from '../../codec/bytes/byte-writer.ts';
import type { ChunkWindow, TableWatches } from '../../model/chunk-window.ts';
import { WHOLE_TABLE } from '../../model/key-range.ts';
import { sleepUnlessAborted } from '../../runtime/abort.ts';
import { exponentialBackoff } from '../../runtime/backoff.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import type { Log } from '../../runtime/log.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import { WHOLE_READS_MAX } from '../limits.ts';
import { type MergeTools, mergeChunk, mergeRowsAgain, mergeTruncate } from '../merge/chunk-merge.ts';
import { assertSameBinlog, reachWatermark } from '../merge/reach-watermark.ts';
import type { CreateTableOutput, TableOutput } from '../merge/table-output.ts';
import { SPLIT_MIN_ROWS } from '../read/limits.ts';
import type { RowChunk } from '../read/row-chunk.ts';
import type { SnapshotConnection } from '../read/snapshot-connection.ts';
import type { TableReader } from '../read/table-reader.ts';
import { ChunkSize } from './chunk-size.ts';
import type { RangeJob, TableJob } from './table-job.ts';

/** A part of a table to read; or one that another worker reads, to divide first. */
export interface Work {
  job: TableJob;
  range: RangeJob;
  isSplit: boolean;
}

/** What of a chunk its delivery changes. */
export type ChunkEnd = Pick<RowChunk, 'count' | 'lastKey' | 'isLast'>;

/** What workers share. */
export interface WorkerContext extends MergeTools {
  watches: TableWatches;
  createOutput: CreateTableOutput;
  log: Log;
  chunkTimeMs: number;
  openConnection(): Promise<SnapshotConnection>;
  /**
   * Resolves once the stream has passed everything that an earlier run can have sent. A `t` of it must not lie behind
   * what a window records here: the recorded events would count as gone, and their rows would be left out.
   */
  caughtUp(): Promise<void>;
  /** The next work; undefined if there is none for now. */
  take(): Work | undefined;
  /** A chunk is delivered. Chunks of an older generation do not count. */
  delivered(job: TableJob, generation: number, range: RangeJob, chunk: ChunkEnd): void;
  /** The copy of the table begins with an event that empties it. Resolves once the checkpoint says so. */
  begins(job: TableJob): Promise<void>;
  /** That event is delivered. */
  begun(job: TableJob, generation: number): void;
  failed(job: TableJob, error: CdcError): void;
}

/** A table that this worker has described and can read. */
interface OpenTable {
  job: TableJob;
  generation: number;
  /** Open since before the table was described: invalid once a statement has changed the table. */
  statements: ChunkWindow;
  reader: TableReader;
  output: TableOutput;
  size: ChunkSize;
  /** Times that a chunk was read again in a row, because many of its rows were touched in part. */
  readAgain: number;
}

/** With more rows of a chunk that were touched in part, it is read again as a whole first, this many times. */
const PARTLY_TOUCHED_MAX = 100;
const READ_AGAIN_MAX = 5;

const RETRY_BASE_MS = 200;
const RETRY_MAX_MS = 10_000;

/** Reads ranges of tables over a connection of its own and merges their rows into the stream. */
export class BackfillWorker {
  readonly #context: WorkerContext;
  readonly #out = new ByteWriter();
  #connection: SnapshotConnection | undefined;
  #open: OpenTable | undefined;
  #failures = 0;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /** Works until there is nothing left to take, or the signal aborts. */
  async run(): Promise<void> {
    const { signal, take, caughtUp } = this.#context;
    try {
      await caughtUp();
      for (let work = take(); work !== undefined && !signal.aborted; work = take()) await this.#do(work);
    } finally {
      await this.#disconnect();
    }
  }

  async #do({ job, range, isSplit }: Work): Promise<void> {
    const { failed, log, signal } = this.#context;
    try {
      if (isSplit) await this.#split(job, range);
      else await this.#readRange(job, range);
      this.#failures = 0;
    } catch (cause) {
      await this.#disconnect();
      if (signal.aborted) return;
      const error = asCdcError(cause);
      if (error.kind !== 'retry') return failed(job, error);
      const retryInMs = exponentialBackoff(this.#failures++, { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS });
      log.warn({ table: job.name, why: error.why, hint: error.hint, retryInMs }, `backfill: ${error.message}`);
      await sleepUnlessAborted(retryInMs, signal).catch(() => {});
    } finally {
      if (!isSplit) range.isTaken = false;
    }
  }

  /** Takes the second half of what another worker has left, and reads it. */
  async #split(job: TableJob, range: RangeJob): Promise<void> {
    const { cursor } = range;
    range.unsplittableAt = cursor;
    const table = await this.#table(job);
    if (table?.reader.isIndexed !== true) return;
    const { readingRows } = range;
    const at = await table.reader.split({ after: cursor, upTo: range.upTo }, readingRows + SPLIT_MIN_ROWS);
    if (at === undefined || range.isRead || !job.ranges.includes(range)) return;
    // Its worker has read further meanwhile, perhaps beyond that key.
    if (range.cursor !== cursor || range.readingRows > readingRows) return;
    const second = job.split(range, at);
    second.isTaken = true;
    range.unsplittableAt = undefined;
    await this.#do({ job, range: second, isSplit: false });
  }

  async #readRange(job: TableJob, range: RangeJob): Promise<void> {
    const { gate } = this.#context;
    const isLeft = (): boolean => job.isOpen && !range.isRead && job.ranges.includes(range);
    while (isLeft()) {
      await gate.canRead();
      const table = await this.#table(job);
      // A statement, or another worker that has seen another key, has begun the table again.
      if (table === undefined || !isLeft()) return;
      if (!job.isBegun) await this.#begin(table);
      if (!job.isBounded) await this.#bound(table, range);
      if (!isLeft() || table.generation !== job.generation) continue;
      const isMerged = table.reader.isIndexed ? await this.#readChunk(table, range) : await this.#readAll(table, range);
      // Its columns can be others now.
      if (!isMerged) this.#closeTable();
    }
  }

  /** Empties the table in the lake, before the first row of it. */
  async #begin({ job, generation, output }: OpenTable): Promise<void> {
    const { begins, begun } = this.#context;
    if (job.isBeginning) return;
    job.isBeginning = true;
    try {
      await begins(job);
      if (!job.isOpen || job.generation !== generation) return;
      await mergeTruncate(this.#context, output, () => begun(job, generation));
    } catch (error) {
      if (job.generation === generation) job.isBeginning = false;
      throw error;
    }
  }

  /**
   * Ends the table at its last key of now, so that one that grows is not read without end. Rows behind it come with the
   * stream: a transaction that is not visible yet was not processed when the copy began.
   */
  async #bound({ job, generation, reader }: OpenTable, range: RangeJob): Promise<void> {
    const { merge } = this.#context;
    const isWhole = (): boolean =>
      job.generation === generation && job.ranges.length === 1 && range.upTo === null && range.cursor === null;
    if (reader.isIndexed && isWhole()) {
      const processed = await merge.atBoundary(() => merge.processed());
      await this.#connection?.waitUntilVisible(processed);
      const bounds = await reader.bounds();
      if (isWhole()) range.upTo = bounds?.last ?? null;
    }
    if (job.generation === generation) job.isBounded = true;
  }

  /** Reads and merges the next chunk of the range. Returns false if it does not count and has to be read again. */
  async #readChunk(table: OpenTable, range: RangeJob): Promise<boolean> {
    const { job, generation, reader, output, size } = table;
    const context = this.#context;
    const { merge, gate, watches } = context;
    const watch = watches.of(job.schema, job.table);
    // At one point of the stream: what it processed before counts as processed, what it processes later is recorded.
    const opened = await merge.atBoundary(() => ({ window: watch.open(), processed: merge.processed() }));
    const { window } = opened;
    try {
      if (table.statements.invalid !== undefined) return false;
      const after = range.cursor;
      const limits = size.limits(gate.rate);
      range.readingRows = limits.rows;
      const chunk = await reader.read(range.rest, opened.processed, limits);
      const readAt = Date.now();
      gate.wereRead(chunk.count);
      size.adapt(chunk);
      assertSameBinlog(chunk.high, opened.processed);
      await reachWatermark(context, chunk.high);
      const { count, lastKey, isLast } = chunk;
      // Its rows are in delivery until it is delivered. Their packets would be in memory too if this kept the chunk.
      const onDelivered = (): void => context.delivered(job, generation, range, { count, lastKey, isLast });
      const read = { chunk, readAt, window, onDelivered };
      const partly = await mergeChunk(context, output, read);
      // Many such rows come from one statement over the table, and not again and again.
      if (partly !== undefined && partly.length > PARTLY_TOUCHED_MAX && ++table.readAgain < READ_AGAIN_MAX)
        return false;
      table.readAgain = 0;
      if (partly === undefined || !(await mergeRowsAgain(context, output, partly, { ...read, reader, after }))) {
        this.#logInvalid(job, window);
        if (window.isOvergrown) size.halve();
        return false;
      }
      reader.release(chunk);
      job.rowsRead += count;
      range.cursor = lastKey ?? range.cursor;
      range.readingRows = 0;
      range.isRead = isLast;
      job.keyFraction = doneFraction(job, reader);
      return true;
    } finally {
      watch.close(window);
    }
  }

  /**
   * A table that has no index for its key: all rows in one view, piece by piece, from the start again if that is
   * interrupted. Rows that the stream touched meanwhile are left out if its events have a key.
   */
  async #readAll(table: OpenTable, range: RangeJob): Promise<boolean> {
    const { job, generation, reader, output } = table;
    const context = this.#context;
    const { merge, gate, watches, delivery, log } = context;
    log.warn(
      { table: job.name },
      `backfill: ${job.name} is read in one view, because no index orders its rows by a key`,
    );
    const watch = watches.of(job.schema, job.table);
    const hasKey = output.writer.table.key.length > 0;
    const opened = await merge.atBoundary(() => ({ window: watch.open(hasKey), processed: merge.processed() }));
    const { window } = opened;
    const delivered = (end: ChunkEnd) => (): void => context.delivered(job, generation, range, end);
    if (job.rowsRead > 0) {
      // What was sent of it cannot be recognized.
      job.restart();
      return false;
    }
    job.rows = 0;
    const startedAt = Date.now();
    try {
      if (table.statements.invalid !== undefined) return false;
      await reader.readAll(opened.processed, async (piece) => {
        await gate.canRead();
        gate.wereRead(piece.count);
        await reachWatermark(context, piece.high);
        const { count } = piece;
        const end = { count, lastKey: undefined, isLast: false };
        const read = { chunk: piece, readAt: startedAt, window, onDelivered: delivered(end) };
        const partly = await mergeChunk(context, output, read);
        if (partly === undefined || partly.length > 0) throw unreadTable(job, window);
        job.rowsRead += count;
      });
      await merge.atBoundary(() => delivery.commitSnapshot(delivered({ count: 0, lastKey: undefined, isLast: true })));
      range.isRead = true;
      return true;
    } catch (error) {
      const { message, why } = asCdcError(error);
      if (++job.wholeReads < WHOLE_READS_MAX || context.signal.aborted) throw error;
      throw new CdcError(`${job.name} could not be read in one view`, {
        why: `it was interrupted ${WHOLE_READS_MAX} times, at last because: ${message}${why ? `: ${why}` : ''}`,
        hint: 'give the table a primary key or a unique key of NOT NULL columns, or copy it while nothing writes to it',
      });
    } finally {
      watch.close(window);
    }
  }

  /** The table as it is now; undefined if its job has ended or has begun again with another key. */
  async #table(job: TableJob): Promise<OpenTable | undefined> {
    const open = this.#open;
    if (open?.job === job && open.generation === job.generation) return open;
    this.#closeTable();
    const { createOutput, chunkTimeMs, merge, watches } = this.#context;
    this.#connection ??= await this.#context.openConnection();
    const watch = watches.of(job.schema, job.table);
    // A statement that the description may lack: between two chunks no window of a chunk hears of it.
    const statements = await merge.atBoundary(() => watch.open(false));
    try {
      // A statement is in the binlog before it is visible: what the stream has had of it is waited for.
      await this.#connection.waitUntilVisible(merge.processed());
      const declared = await this.#connection.describe(job.schema, job.table);
      if (!job.isOpen) return undefined;
      if (declared === undefined) throw missingTable(job);
      const key = keyOf(declared);
      if (job.key !== '' && job.key !== key) job.restart();
      job.key = key;
      const { generation } = job;
      const reader = await this.#connection.use(declared, job.where === undefined ? {} : { where: job.where });
      const output = createOutput(declared, this.#out);
      const size = new ChunkSize(chunkTimeMs);
      this.#open = { job, generation, statements, reader, output, size, readAgain: 0 };
      return this.#open;
    } finally {
      if (this.#open?.statements !== statements) watch.close(statements);
    }
  }

  #closeTable(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) this.#context.watches.of(open.job.schema, open.job.table).close(open.statements);
  }

  #logInvalid(job: TableJob, window: ChunkWindow): void {
    if (window.invalid === undefined || !job.isOpen) return;
    this.#context.log.info({ table: job.name, why: window.invalid }, 'backfill: a chunk is read again');
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#closeTable();
    await connection?.close();
  }
}

/** How much of the table is done by the values of its keys. */
function doneFraction(job: TableJob, reader: TableReader): number | undefined {
  let left = 0;
  for (const { rest, isRead } of job.ranges) {
    const part = isRead ? 0 : reader.fraction(rest, WHOLE_TABLE);
    if (part === undefined) return undefined;
    left += part;
  }
  return 1 - left;
}

/** Ranges are positions in the order of these columns. */
const keyOf = ({ columns, primaryKey }: DeclaredTable): string =>
  JSON.stringify(
    primaryKey.map((i) => {
      const { name = '', type, meta, unsigned, collation } = columns[i] ?? {};
      return [name, type, meta, unsigned, collation];
    }),
  );

const missingTable = ({ name }: TableJob): CdcError =>
  new CdcError(`${name} does not exist any more`, {
    why: 'it was dropped or renamed while it was to be read',
    hint: 'if it has another name now, run cdc backfill with that name',
  });

const unreadTable = ({ name }: TableJob, { invalid }: ChunkWindow): CdcError =>
  new CdcError(`${name} was not read to its end`, {
    kind: 'retry',
    why: invalid ?? 'the server logged only some of the columns of rows that changed meanwhile',
  });
