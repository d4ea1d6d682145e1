import type { TableProgress } from '../../model/backfill-progress.ts';
import { type Key, type KeyRange, WHOLE_TABLE } from '../../model/key-range.ts';
import { formatTableName } from '../../model/table-filter.ts';
import type { CdcError } from '../../runtime/error.ts';
import type { TableStatus } from '../control.ts';

/** A part of a table that one worker reads, chunk after chunk. */
export class RangeJob {
  /** Everything up to this key is delivered; null at the start of the range. */
  after: Key | null;
  /** Everything up to this key was read. The next chunk begins behind it. */
  cursor: Key | null;
  /** The last key of the range, moved when a worker takes its second half. */
  upTo: Key | null;
  isTaken = false;
  /** Rows of the chunk that is being read behind the cursor, at most. */
  readingRows = 0;
  /** Whether its last chunk was read. It ends when that is delivered. */
  isRead = false;
  /** Where a split found nothing to divide. */
  unsplittableAt: Key | null | undefined;

  constructor({ after, upTo }: KeyRange) {
    this.after = this.cursor = after;
    this.upTo = upTo;
  }

  /** What was not read yet. */
  get rest(): KeyRange {
    return { after: this.cursor, upTo: this.upTo };
  }
}

/** A table of a backfill: what of it is left, and what became of it. */
export class TableJob {
  readonly schema: string;
  readonly table: string;
  readonly where: string | undefined;
  request: string;
  estimatedRows: number;
  state: TableStatus['state'] = 'queued';
  error: CdcError | undefined;
  ranges: RangeJob[];
  /** The columns of the key that the ranges belong to; empty until a worker has read them. */
  key: string;
  /** Whether the copy has begun, as TableProgress says; and whether a worker has sent the event that begins it. */
  isBegun: boolean;
  isBeginning = false;
  /** Whether its last range ends at the key that was the last one when the copy began. */
  isBounded = false;
  readonly #replaces: boolean;
  /** Rows that are delivered, and rows that were read. */
  rows: number;
  rowsRead: number;
  /** Grows when the table has to be read from its start again. Chunks of an older number do not count. */
  generation = 0;
  /** Times that it was read in one view from its start. */
  wholeReads = 0;
  /** How much of it is done by the values of the keys, from 0 to 1; undefined if the keys do not tell. */
  keyFraction: number | undefined;

  /** @param sendsTruncates whether an event can empty the table in the lake */
  constructor(progress: TableProgress, sendsTruncates: boolean) {
    this.#replaces = sendsTruncates && progress.where === null;
    this.schema = progress.schema;
    this.table = progress.table;
    this.where = progress.where ?? undefined;
    this.request = progress.request;
    this.key = progress.key;
    this.isBegun = progress.begun;
    this.rows = this.rowsRead = progress.rows;
    // The event that begins the copy is sent again, so a last key that was found before it does not count.
    const ranges = progress.begun ? progress.ranges : [WHOLE_TABLE];
    this.ranges = ranges.map((range) => new RangeJob(range));
    this.estimatedRows = progress.estimatedRows;
  }

  /** @param begun whether no event has to empty the table before its rows */
  static of(
    { schema, table, estimatedRows }: { schema: string; table: string; estimatedRows: number },
    { request, where, begun }: { request: string; where: string | undefined; begun: boolean },
    sendsTruncates: boolean,
  ): TableJob {
    const progress = {
      schema,
      table,
      request,
      where: where ?? null,
      key: '',
      begun,
      rows: 0,
      estimatedRows,
      ranges: [WHOLE_TABLE],
    };
    return new TableJob(progress, sendsTruncates);
  }

  get name(): string {
    return formatTableName(this.schema, this.table);
  }

  get isOpen(): boolean {
    return this.state === 'queued' || this.state === 'reading';
  }

  get progress(): TableProgress {
    const { schema, table, request, where = null, key, isBegun: begun, rows, estimatedRows, ranges } = this;
    return { schema, table, request, where, key, begun, rows, estimatedRows, ranges };
  }

  get status(): TableStatus {
    const { schema, table, state, request, rows, estimatedRows, error } = this;
    return {
      ...{ schema, table, state, request, rows, estimatedRows, fraction: this.#fraction() },
      ...(error && {
        error: {
          message: error.message,
          ...(error.why && { why: error.why }),
          ...(error.hint && { hint: error.hint }),
        },
      }),
    };
  }

  /**
   * All that was read does not count: the key is another one, or rows changed without row events. Neither does what was
   * sent of it.
   */
  restart(): void {
    this.generation++;
    this.isBegun = this.isBeginning = !this.#replaces;
    this.isBounded = false;
    this.ranges = [new RangeJob(WHOLE_TABLE)];
    this.key = '';
    this.rows = this.rowsRead = 0;
    this.keyFraction = undefined;
  }

  /** A chunk is delivered. Its range shrinks, and ends with its last chunk. Returns whether the table is done. */
  delivered(range: RangeJob, rows: number, lastKey: Key | undefined, isLast: boolean): boolean {
    this.rows += rows;
    if (lastKey !== undefined) range.after = lastKey;
    if (isLast) this.ranges = this.ranges.filter((other) => other !== range);
    return this.ranges.length === 0;
  }

  /** Divides what is left of a range at a key. The second part is a range of its own. */
  split(range: RangeJob, at: Key): RangeJob {
    const second = new RangeJob({ after: at, upTo: range.upTo });
    range.upTo = at;
    this.ranges.push(second);
    return second;
  }

  #fraction(): number {
    if (this.state === 'done') return 1;
    const byRows = this.estimatedRows > 0 ? this.rows / this.estimatedRows : 0;
    return Math.min(0.999, this.keyFraction ?? byRows);
  }
}
